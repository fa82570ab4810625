"""Is the source the one the lake was made from? Another server behind the same URL must not replace its days unasked.

Neither must another deployment of the engine, in another schema of the same database. A standby has the system identifier of
its primary, also when it is promoted, and a renamed database keeps its oid, as a renamed schema does: none is a stranger. Nor
is a table that was rewritten, or exchanged for a partitioned one of the same name in the same schema. A restored dump, a new
server after ``pg_upgrade`` and a logical replica are, and a person has to say that they continue the old one. So is a primary on
an earlier timeline than the lake was read from: another one was promoted in its place, and it has come back by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from analytics.errors import SourceIdentityError
from analytics.lake import ledger
from analytics.lake.lake import Lake
from analytics.model import DayRecord, TransactionIds
from analytics.storage import LakePath, typed_json

FAR = 2**31
"""Transactions after which a partition is read again. A row's own id is at most 2^31 older than the transaction that reads it, or
it is frozen; so none comes twice before 2^32."""


def may_repeat(known: TransactionIds | None, found: TransactionIds | None) -> str | None:
    """Why a row may have the id of ``known`` in ``found`` and be another all the same, in words; ``None`` where it cannot.

    What neither tells is no reason: an older version of this package wrote nothing down.
    """
    if known is None or found is None:
        return None
    if known.server and found.server and known.server != found.server:
        return f"they were counted by server {known.server} before"
    if known.timeline and found.timeline and known.timeline != found.timeline:
        return f"the server was promoted or restored, from timeline {known.timeline} to {found.timeline}"
    if known.era != found.era:
        return "the server's counter went back, as after a copy of its disk was put back"
    if known.reached is not None and found.reached is not None and found.reached - known.reached >= FAR:
        return "they were read more than 2^31 transactions ago"
    if known.columns and found.columns and known.columns != found.columns:
        return "columns of the table were dropped and added again, or exchanged, which gives rows other values and no other id"
    return None


NAME = "source.json"
FORMAT = 1


def is_same(known: dict[str, str], found: dict[str, str]) -> bool:
    """Both identities can be of one server and database; one that says too little is no stranger.

    Args:
        known, found: As ``Source.identity`` gives them.
    """
    keys = ["database_oid", "system_identifier"]
    if not (known.get("system_identifier") and found.get("system_identifier")):
        # Managed servers may hide it; then the names must do.
        keys = ["database_oid", "database"]
    if any(known[key] != found[key] for key in keys if known.get(key) and found.get(key)):
        return False
    return _is_same_schema(known, found) and _reads_the_same(known, found)


def says_more(known: dict[str, str], found: dict[str, str]) -> bool:
    """An identity tells what the known one, of an older version, does not."""
    return not known.keys() >= found.keys()


def _is_same_schema(known: dict[str, str], found: dict[str, str]) -> bool:
    keys = [key for key in ("schema", "schema_oid") if known.get(key) and found.get(key)]
    return not keys or any(known[key] == found[key] for key in keys)


def _reads_the_same(known: dict[str, str], found: dict[str, str]) -> bool:
    """Two views have a table in common, by its oid or by its name; what is no view is compared by its own name."""
    before, now = _tables(known), _tables(found)
    return not before or not now or bool(before.keys() & now.keys() or set(before.values()) & set(now.values()))


def _tables(identity: dict[str, str]) -> dict[str, str]:
    try:
        read = json.loads(identity.get("reads") or "{}")
    except (ValueError, RecursionError):
        return {}
    return {str(oid): str(name) for oid, name in read.items()} if isinstance(read, dict) else {}


def check(lake: Lake, found: dict[str, str], *, accept: bool) -> list[str]:
    """Compare the source with the one that the lake was last written from.

    Args:
        lake: Nothing in it is changed.
        found: The source's identity.
        accept: Another source is wanted.

    Returns:
        What a person should know, in sentences.

    Raises:
        SourceIdentityError: It is another one, and was not accepted.
    """
    _remembered(lake)  # a newer version's is refused before anything is written
    known = last_known(lake)
    if known is None or is_same(known, found):
        return []
    if accept:
        return [f"accepted as the lake's source from now on: {_words(found)}; before, it was {_words(known)}"]
    raise SourceIdentityError(
        f"the lake {lake.root} was made from {_words(known)}, and this is {_words(found)}; nothing was written",
        hint="check the database URL and its search_path; if this source continues the old one (restored from a dump, "
        "upgraded, moved), give --accept-source once",
        known=known,
        found=found,
    )


def last_timeline(lake: Lake, found: dict[str, str]) -> int | None:
    """The timeline that the lake was last read from at the same server; ``None`` where nobody has written it down."""
    known, timeline = _read(lake)
    is_known = known and known.get("system_identifier") and found.get("system_identifier")
    return timeline if known and is_known and is_same(known, found) else None


def check_timeline(lake: Lake, identity: dict[str, str], timeline: int | None, *, accept: bool) -> list[str]:
    """Refuse a primary on an earlier timeline than the lake was read from: what it has is older, or nobody else's.

    Args:
        lake: Nothing in it is changed.
        identity: Of the source.
        timeline: It is on; ``None`` for a standby, whose control file may be a moment behind.
        accept: It is wanted all the same.

    Returns:
        What a person should know, in sentences.

    Raises:
        SourceIdentityError: It was not accepted.
    """
    known = last_timeline(lake, identity)
    if not (known and timeline and timeline < known):
        return []
    if accept:
        return [
            f"accepted as the lake's source from now on: this server on timeline {timeline}; before, it was on {known}"
        ]
    raise SourceIdentityError(
        f"the lake {lake.root} was read from this server on timeline {known}, and this is one on timeline {timeline}: a primary "
        "that another was promoted in place of, or an old copy of its disk; nothing was written",
        hint="check which server the database URL leads to; if this one goes on in its place, give --accept-source once",
        known={"timeline": str(known)},
        found={"timeline": str(timeline)},
    )


def remember(lake: Lake, identity: dict[str, str], timeline: int | None = None) -> None:
    """Write the source down once more, for the day the ledger is lost; only under the lock.

    Args:
        lake: Where.
        identity: Of the source.
        timeline: That it was read on; where it is not told, what is known of the same server stays.
    """
    timeline = timeline or last_timeline(lake, identity)
    if _read(lake) != (identity, timeline):
        told = {"format": FORMAT, "source": identity, **({"timeline": timeline} if timeline else {})}
        lake.write_text(lake.root / NAME, json.dumps(told, ensure_ascii=False, indent=1) + "\n")


def _remembered(lake: Lake) -> dict[str, str] | None:
    return _read(lake)[0]


def _read(lake: Lake) -> tuple[dict[str, str] | None, int | None]:
    path = lake.root / NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        typed_json.refuse_newer(data, FORMAT, path)
        identity = {typed_json.text(key): typed_json.text(value) for key, value in data["source"].items()}
        timeline = data.get("timeline")
        return identity, None if timeline is None else typed_json.whole(timeline)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, None  # damaged: the ledger knows, and the next extraction writes it again


def last_known(lake: Lake) -> dict[str, str] | None:
    """The source of the ledger file that was written last; of a lost ledger what was written down beside it; ``None`` for neither.

    One file is read, however many days the lake has.
    """
    record = next(records_by_age(lake), None)
    return record.source if record is not None else _remembered(lake)


def records_by_age(lake: Lake) -> Iterator[DayRecord]:
    """The ledger's files that can be read, the one that was written last first."""
    folder = lake.root / "ledger"
    files: list[LakePath] = [*folder.glob("day=*.json")]
    files.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in files:
        try:
            yield ledger.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # damaged: that day is read again


def _words(identity: dict[str, str]) -> str:
    server = identity.get("system_identifier")
    schema = identity.get("schema")
    tables = ", ".join(_tables(identity).values())
    return (
        f"database {ascii(identity.get('database', '?'))[1:-1]} (oid {identity.get('database_oid', '?')}"
        f"{f' of server {server}' if server else ''})"
        f"{f', schema {ascii(schema)[1:-1]}' if schema else ''}{f', a view of {ascii(tables)[1:-1]}' if tables else ''}"
    )
