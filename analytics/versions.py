"""Which version of a file was read: a file of the lake is never changed, only replaced."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from analytics.lake import Lake


class Version(NamedTuple):
    """What tells a file from those before and after it under the same name.

    Attributes:
        size: Bytes.
        text: Size, time and number of the file, or of the bucket's object.
    """

    size: int
    text: str


def versions(lake: Lake, names: Iterable[str]) -> dict[str, Version]:
    """Of some of the lake's files; those that are gone are not in it."""
    found = {}
    for name in names:
        try:
            about = lake.place(name).stat()
        except FileNotFoundError:
            continue
        found[name] = Version(about.st_size, f"{about.st_size}-{about.st_mtime_ns}-{about.st_ino}")
    return found
