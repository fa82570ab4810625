"""Parts of a report's queries, gathered by other processes or machines beforehand; whoever renders the report merges them.

A query in two halves (``sql.gathered``) is asked of some of the lake's files, and its rows are kept in a Parquet file that says of
which files they are, and in which version. Whoever merges takes what still fits the lake and asks the rest itself: a part that is
missing, stale or half there makes a report slower, and no number another.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics import __version__, reading, sql
from analytics.errors import LakeError
from analytics.lake import Lake
from analytics.lake_names import day_of
from analytics.object_store import LakePath, readable
from analytics.versions import Version, versions
from analytics.warehouse import Warehouse
from analytics.window import midnight

if TYPE_CHECKING:
    import pyarrow as pa

_ABOUT = b"strategy_analytics.partial"
_SUFFIX = ".parquet"
_TABLES = ("executions", "node_days")
_ALMOST_A_DAY = timedelta(days=1) - timedelta(microseconds=1)

Files = dict[str, list[str]]
"""Names of files by their table."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the files.

    Attributes:
        query: A named query in two halves.
        since, until: UTC days, half-open.
        values: Of its other parameters.
    """

    query: str
    since: date
    until: date
    values: Mapping[str, Any]

    @property
    def statement(self) -> str:
        """The query's first half.

        Raises:
            LakeError: It has none.
        """
        half = sql.gathered(sql.text("queries", self.query))
        if half is None:
            raise LakeError(f"query {self.query} cannot be asked in parts")
        return half

    @property
    def name(self) -> str:
        """What the names of its files begin with: another for another statement, or other values."""
        told = json.dumps([__version__, self.statement, dict(self.values)], sort_keys=True, default=str)
        return f"{self.query}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"

    def holds(self, name: str) -> bool:
        """A file is of one of its days."""
        day = day_of(name.split("/")[-2])
        return day is not None and self.since <= day < self.until

    def reads(self, table: str) -> bool:
        """Its statement reads a view."""
        return re.search(rf"\b(?:from|join) {table}\b", self.statement) is not None


@dataclass(frozen=True, slots=True)
class _About:
    """What a part tells of itself.

    Attributes:
        realms: The tenants in sight of whoever gathered it; ``None`` for all.
        files: Version of every file that was asked, by its name within the lake.
        definitions: Those of the programs, where the statement reads them.
    """

    realms: list[str | None] | None
    files: dict[str, str]
    definitions: dict[str, str]

    def fits(self, question: Question, now: _About) -> bool:
        """What it tells of the question's days is what the lake holds now."""
        own = {name: version for name, version in self.files.items() if question.holds(name)}
        return self.realms == now.realms and self.definitions == now.definitions and own.items() <= now.files.items()


def gather(lake: Warehouse, question: Question, into: LakePath, *, share: int, shares: int) -> LakePath | None:
    """Ask one share of the files, and keep the rows.

    Args:
        lake: An open lake, with the tenants in sight that the report will have.
        question: What is asked.
        into: Folder, or ``s3://bucket/prefix``. A file of the same share is replaced.
        share, shares: Which of how many, from 1. The files are dealt out by size; every process deals alike while the lake
            stays as it is.

    Returns:
        The file that was written; ``None`` when the share is empty, and not the first.

    Raises:
        LakeError: The folder cannot be written.
    """
    import pyarrow.parquet as pq

    def ask() -> tuple[pa.Table, _About] | None:
        files = _files(lake, question)
        # Versions first: what is replaced while it is read is told as what it no longer is.
        found = versions(lake.lake, [name for names in files.values() for name in names])
        own = _dealt(found, shares)[share - 1]
        if not own and share > 1:  # the first is there in any case: a folder without files would be a slip
            return None
        about = _about(lake, question, {name: found[name] for name in sorted(own)})
        chosen = {table: [name for name in names if name in own] for table, names in files.items()}
        window = {"since": midnight(question.since), "until": midnight(question.until)}
        return _ask(lake, question, chosen, {**question.values, **window}), about

    answer = reading.asked(ask, lake.refresh, lake.lake.refused)
    if answer is None:
        return None
    rows, about = answer
    days = f"{question.since}-{question.until}"
    target = into / f"{question.name}-{days}-{share:05}-of-{shares:05}{_SUFFIX}"
    with tempfile.TemporaryDirectory(prefix="strategy-analytics-") as folder:
        staged = Path(folder, "part")
        pq.write_table(rows.replace_schema_metadata({_ABOUT: json.dumps(asdict(about))}), staged, compression="zstd")
        Lake(into).replace(staged, target)
    return target


class Partials:
    """Parts that were gathered into a folder, for the warehouse that renders a report.

    Args:
        folder: Where they are.

    Raises:
        LakeError: There is no such folder.
    """

    def __init__(self, folder: LakePath) -> None:
        if not folder.is_dir():
            raise LakeError(
                f"there is no folder {folder}", hint="run `strategy-analytics gather --into …` first", path=str(folder)
            )
        self._folder = folder

    def gathered(self, lake: Warehouse, name: str, values: Mapping[str, Any]) -> pa.Table | None:
        """Rows of a query's first half: those that are here and fit the lake, and of all other files as they are.

        Args:
            lake: The warehouse that asks.
            name: A query in two halves.
            values: Of all its parameters.

        Returns:
            ``None`` when nothing fits: then the query is asked as any other.

        Raises:
            LakeError: A part cannot be read.
        """
        import pyarrow as pa

        since, until = values.get("since"), values.get("until")
        if lake.is_changed or not (isinstance(since, datetime) and isinstance(until, datetime)):
            return None
        first, last = since.astimezone(UTC), until.astimezone(UTC)
        others = {key: value for key, value in values.items() if key not in ("since", "until")}
        whole = Question(name, (first + _ALMOST_A_DAY).date(), last.date(), others)
        files = _files(lake, Question(name, first.date(), (last + _ALMOST_A_DAY).date(), others))
        now = _about(lake, whole, versions(lake.lake, [one for names in files.values() for one in names]))
        parts: list[pa.Table] = []
        covered: set[str] = set()
        for name in sorted(path.name for path in self._folder.glob(f"{whole.name}-*{_SUFFIX}")):
            about, rows = _read(self._folder / name)
            own = {one for one in about.files if whole.holds(one)}
            if own and not own & covered and about.fits(whole, now):
                parts.append(_of_days(rows, whole))
                covered |= own
        if not parts:
            return None
        rest = {table: [one for one in names if _within(lake, one) not in covered] for table, names in files.items()}
        if any(rest.values()):
            parts.append(_ask(lake, whole, rest, values).replace_schema_metadata())
        return pa.concat_tables(parts)


def _files(lake: Warehouse, question: Question) -> Files:
    return {
        table: [name for name in lake.files[table] if question.holds(name)]
        for table in _TABLES
        if question.reads(table)
    }


def _about(lake: Warehouse, question: Question, of_files: Mapping[str, Version]) -> _About:
    programs = versions(lake.lake, lake.files["definitions"]) if question.reads("definitions") else {}
    texts = [{_within(lake, name): version.text for name, version in of.items()} for of in (of_files, programs)]
    return _About(None if lake.in_sight is None else list(lake.in_sight), *texts)


def _within(lake: Warehouse, name: str) -> str:
    return name.removeprefix(f"{lake.lake.root}/")


def _dealt(files: Mapping[str, Version], shares: int) -> list[set[str]]:
    """The largest first, each to whoever has least: the longest share is then at most a third longer than it must be.

    Graham, *Bounds on Multiprocessing Timing Anomalies*, SIAM J. Appl. Math. 17 (1969).
    """
    dealt: list[set[str]] = [set() for _ in range(shares)]
    loads = [0] * shares
    for name, version in sorted(files.items(), key=lambda one: (-one[1].size, one[0])):
        least = loads.index(min(loads))
        dealt[least].add(name)
        loads[least] += version.size
    return dealt


def _ask(lake: Warehouse, question: Question, files: Files, values: Mapping[str, Any]) -> pa.Table:
    """The first half's rows of some files."""
    wanted = {key: values[key] for key in sql.parameters(question.statement)}
    with reading.only(lake.connection, files, lake.files):
        return lake.connection.sql(question.statement, params=wanted).to_arrow_table()


def _read(path: LakePath) -> tuple[_About, pa.Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(readable(path))
        about = _About(**json.loads(rows.schema.metadata[_ABOUT]))
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise LakeError(
            f"{path} cannot be read: {error}", hint="take it away, or gather that share again", path=str(path)
        ) from error
    return about, rows.replace_schema_metadata()


def _of_days(rows: pa.Table, question: Question) -> pa.Table:
    import pyarrow.compute as pc

    return rows.filter((pc.field("day") >= question.since) & (pc.field("day") < question.until))
