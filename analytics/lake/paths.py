"""Names of the lake's folders and files: what a realm and a day are called, and which names are the lake's own."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from datetime import date
from urllib.parse import unquote

from analytics.storage import LakePath, storage_of

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
PART = "part.parquet"
_LONGEST_NAME = 255  # bytes, on every common file system
# Capitals are encoded too: on a file system that ignores case, "Acme" and "acme" would share a folder. So is "~", which
# marks a shortened name.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")


@functools.lru_cache(maxsize=100_000)  # of 60,000 partitions all but one in thirty ask again
def realm_directory(realm: str | None) -> str:
    """The folder name of a realm: a hive key that DuckDB, pyarrow and Spark read back as the same string.

    NULL is hive's own word for it. A realm whose name a reader would take for something else (the empty string, hive's
    NULL word) or that is longer than a file name gets a name with a hash; the column ``realm_id`` inside the file is the
    truth in any case.
    """
    if realm is None:
        return f"realm={HIVE_NULL}"
    name = f"realm={_encoded(realm)}"
    is_null_word = realm.casefold() == HIVE_NULL.casefold()  # its case twin would share NULL's folder
    if not realm or is_null_word or len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(realm.encode("utf-8", "surrogatepass")).hexdigest()
        # cut between characters: half of one would be no text for a reader that decodes the name
        start = "hive-null" if is_null_word else _encoded(realm[:8])
        name = f"realm={start}~{digest}"
    return name


def _encoded(text: str) -> str:
    return "".join(
        chr(byte) if chr(byte) in _PLAIN else f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass")
    )


@functools.lru_cache(maxsize=10_000)
def day_directory(day: date | None) -> str:
    """The folder name of a day; rows without one have hive's NULL."""
    return f"day={HIVE_NULL if day is None else day.isoformat()}"


@functools.lru_cache(maxsize=10_000)
def is_realm_directory(name: str) -> bool:
    """A folder that ``realm_directory`` could have named."""
    value = name.removeprefix("realm=")
    if name == value:
        return False
    return value == HIVE_NULL or "~" in value or realm_directory(unquote(value, errors="surrogatepass")) == name


@functools.lru_cache(maxsize=10_000)
def is_day_directory(name: str) -> bool:
    """A folder that ``day_directory`` could have named."""
    try:
        return name == day_directory(day_of(name))
    except ValueError:
        return False


def day_of(name: str) -> date | None:
    """The day of a folder that ``day_directory`` named.

    Raises:
        ValueError: It did not.
    """
    value = name.removeprefix("day=")
    return None if value == HIVE_NULL else date.fromisoformat(value)


def subfolders(folder: LakePath, is_one: Callable[[str], bool]) -> list[str]:
    """Names in a folder that are folders of the lake, sorted; none where there is no such folder."""
    return sorted(filter(is_one, storage_of(folder).names(folder)))
