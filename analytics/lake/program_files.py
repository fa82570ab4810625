"""Which files of programs a lake should hold: remembered beside the ledger, for the ledger's days know nothing of them.

What is lost of them is read again from the source as far as that still has it. Versions that it has deleted and contents that
were edited in place since are in a backup only; put back, the next extraction merges them.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from analytics.lake import formats
from analytics.lake.lake import REALM_TABLES, Lake
from analytics.lake.paths import realm_directory
from analytics.storage import LakePath, shapes

FORMAT = 1
NAME = "programs.json"


def remember(lake: Lake) -> None:
    """Write down which there are, where that has changed; only under the lock."""
    there = _there(lake)
    if there != _remembered(lake):
        lake.write_text(_path(lake), json.dumps({"format": FORMAT, "files": sorted(there)}, indent=1) + "\n")


def lost(lake: Lake, realms: Collection[str | None] | None = None) -> list[str]:
    """Files that should be there and are not, by their way from the lake's root.

    Args:
        lake: Where.
        realms: Only of these tenants; of all when not given.
    """
    told = _remembered(lake)
    own = None if realms is None else {realm_directory(realm) for realm in realms}
    if own is None and told:
        for table in REALM_TABLES:
            lake.look_into(table)
    wanted = {name for name in told if own is None or name.split("/")[1] in own}
    return sorted(name for name in wanted if not lake.size(f"{lake.root}/{name}"))


def words(names: Collection[str]) -> str:
    """What is lost, in a sentence without its full stop; empty for nothing."""
    if not names:
        return ""
    first = min(names)
    return (
        f"{len(names)} file{'s' * (len(names) != 1)} of programs {'is' if len(names) == 1 else 'are'} lost, {first} the first; "
        "versions that the source has deleted, and what was edited in place, may be in a backup only"
    )


REPAIR = "put the files back from a backup and extract once more, which merges them; without one, extract reads what the source has"


def _there(lake: Lake) -> set[str]:
    cut = len(f"{lake.root}/")
    return {name[cut:] for table in REALM_TABLES for name in lake.files(table) if lake.size(name)}


def _remembered(lake: Lake) -> set[str]:
    """What was written down last; nothing where nothing was, or where it cannot be read."""
    try:
        data = json.loads(_path(lake).read_text(encoding="utf-8"))
        formats.refuse_newer(data, FORMAT, _path(lake))
        names = {shapes.text(name) for name in data["files"]}
        return {
            name for name in names if name.split("/")[0] in REALM_TABLES and name.count("/") == 2 and ".." not in name
        }
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, RecursionError):
        return set()


def _path(lake: Lake) -> LakePath:
    return lake.root / "ledger" / NAME
