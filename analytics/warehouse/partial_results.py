"""Parts of a report's queries, gathered by other processes or machines beforehand; whoever renders the report merges them.

A query in two halves (``sql.gathered``) is asked of some of the lake's files, and its rows are kept in a Parquet file that says of
which files they are, and in which version. Whoever merges takes what still fits the lake and asks the rest itself: a part that is
missing, stale or damaged makes a report slower, and no number another.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from analytics import sql
from analytics.errors import LakeError, UsageError
from analytics.lake.lake import Lake, Version, day_of, versions
from analytics.sql import Parameters
from analytics.storage import LakePath, disk, local_path, readable, scratch, typed_json
from analytics.version import __version__
from analytics.warehouse import lake_files
from analytics.warehouse.warehouse import Warehouse
from analytics.window import ONE_DAY, midnight

if TYPE_CHECKING:
    import pyarrow as pa

_ABOUT = b"strategy_analytics.partial"
_SUFFIX = ".parquet"
_TABLES = ("executions", "node_days")

Files = dict[str, list[str]]
"""Names of files by their table."""


@dataclass(frozen=True, slots=True)
class PartialQuery:
    """What is asked of the files.

    Attributes:
        query: A named query in two halves.
        since, until: UTC days, half-open.
        values: Of its other parameters.
    """

    query: str
    since: date
    until: date
    values: Parameters

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

    def fits(self, question: PartialQuery, now: _About) -> bool:
        """What it tells of the question's days is what the lake holds now."""
        own = {name: version for name, version in self.files.items() if question.holds(name)}
        return self.realms == now.realms and self.definitions == now.definitions and own.items() <= now.files.items()


def compute_share(
    lake: Warehouse, question: PartialQuery, into: LakePath, *, share: int, shares: int
) -> LakePath | None:
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
        UsageError: The lake weighs its runs otherwise, or leaves versions out, which a part does not tell.
        LakeError: The folder cannot be written.
    """
    import pyarrow.parquet as pq

    if lake.is_changed:
        raise UsageError(
            "runs that are weighed otherwise, or of which versions are left out, are not gathered",
            hint="gather from the lake as it was opened; a report with --counters or --min-users asks by itself",
        )

    def ask() -> tuple[pa.Table, _About] | None:
        files = _files(lake, question)
        # Versions first: what is replaced while it is read is told as what it no longer is.
        found = versions(lake.lake, [name for names in files.values() for name in names])
        own = _assign_files(found, shares)[share - 1]
        if not own and share > 1:  # the first is there in any case: a folder without files would be a slip
            return None
        about = _about(lake, question, {name: found[name] for name in sorted(own)})
        chosen = {table: [name for name in names if name in own] for table, names in files.items()}
        window = {"since": midnight(question.since), "until": midnight(question.until)}
        return _ask(lake, question, chosen, {**question.values, **window}), about

    answer = lake.ask(ask)
    if answer is None:
        return None
    rows, about = answer
    days = f"{question.since}-{question.until}"
    target = into / f"{question.name}{_whose(about)}-{days}-{share:05}-of-{shares:05}{_SUFFIX}"
    home = local_path(into)
    if home is not None:
        disk.make_folder(home)
    with scratch.folder(
        home
    ) as folder:  # the folder for temporary files may be another file system: no rename leads out of it
        staged = folder / "part"
        pq.write_table(rows.replace_schema_metadata({_ABOUT: json.dumps(asdict(about))}), staged, compression="zstd")
        Lake(into).replace(staged, target)
    return target


class PartialResults:
    """Parts that were gathered into a folder, for the warehouse that renders a report.

    Args:
        folder: Where they are. One that is not there is as one without parts: every share may have failed.
    """

    def __init__(self, folder: LakePath) -> None:
        self._folder = folder

    @property
    def is_empty(self) -> bool:
        """There is no part in it."""
        return next(iter(self._folder.glob(f"*{_SUFFIX}")), None) is None

    def partial(self, lake: Warehouse, name: str, values: Parameters) -> pa.Table | None:
        """Rows of a query's first half: those that are here and fit the lake, and of all other files as they are.

        Args:
            lake: The warehouse that asks.
            name: A query in two halves.
            values: Of all its parameters. A time without a zone is UTC.

        Returns:
            ``None`` when nothing fits: then the query is asked as any other.
        """
        import pyarrow as pa

        since, until = values.get("since"), values.get("until")
        if lake.is_changed or not (isinstance(since, datetime) and isinstance(until, datetime)):
            return None
        (first, next_first), (last, next_last) = _days_around(since), _days_around(until)
        others = {key: value for key, value in values.items() if key not in ("since", "until")}
        whole = PartialQuery(name, next_first, last, others)
        files = _files(lake, PartialQuery(name, first, next_last, others))
        now = _about(lake, whole, versions(lake.lake, [one for names in files.values() for one in names]))
        parts: list[pa.Table] = []
        covered: set[str] = set()
        here = sorted(path.name for path in self._folder.glob(f"{whole.name}{_whose(now)}-*{_SUFFIX}"))
        nothing: Files = {table: [] for table in files}
        shape = _ask(lake, whole, nothing, values).schema.remove_metadata() if here else None
        for part in here:
            own, rows = _fitting(self._folder / part, whole, now, shape)
            if rows is not None and not own & covered:
                parts.append(rows)
                covered |= own
        if not parts:
            return None
        rest = {table: [one for one in names if _within(lake, one) not in covered] for table, names in files.items()}
        if any(rest.values()):
            parts.append(_ask(lake, whole, rest, values).replace_schema_metadata())
        if len(files) == 1 and _splits_a_partition(parts):
            return None
        return pa.concat_tables(parts)


def _files(lake: Warehouse, question: PartialQuery) -> Files:
    return {
        table: [name for name in lake.files[table] if question.holds(name)]
        for table in _TABLES
        if question.reads(table)
    }


def _about(lake: Warehouse, question: PartialQuery, of_files: Mapping[str, Version]) -> _About:
    programs = (
        versions(lake.lake, [*lake.files["definitions"], *lake.files["program_history"]])
        if question.reads("definitions")
        else {}
    )
    texts = [{_within(lake, name): version.text for name, version in of.items()} for of in (of_files, programs)]
    return _About(None if lake.visible_realms is None else list(lake.visible_realms), *texts)


def _within(lake: Warehouse, name: str) -> str:
    return name.removeprefix(f"{lake.lake.root}/")


def _assign_files(files: Mapping[str, Version], shares: int) -> list[set[str]]:
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


def _ask(lake: Warehouse, question: PartialQuery, files: Files, values: Parameters) -> pa.Table:
    """The first half's rows of some files."""
    wanted = {key: values[key] for key in sql.parameters(question.statement)}
    with lake_files.only(lake.connection, files, lake.files):
        return lake.connection.sql(question.statement, params=wanted).to_arrow_table()


def _whose(about: _About) -> str:
    """Of one tenant's parts: or those of two would take each other's place in one folder."""
    if about.realms is None:
        return ""
    return f"-{hashlib.sha256(json.dumps(about.realms).encode()).hexdigest()[:8]}"


def _days_around(moment: datetime) -> tuple[date, date]:
    """The UTC day of a moment, and the first that begins no earlier."""
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    day = utc.date()
    return day, day if utc == midnight(day) or day == date.max else day + ONE_DAY


def _fitting(path: LakePath, question: PartialQuery, now: _About, shape: pa.Schema) -> tuple[set[str], pa.Table | None]:
    """The question's files of a part, and its rows; none when it does not fit, or cannot be read: the report then asks itself."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(readable(path)) as part:
            about = _About(**typed_json.document(part.schema_arrow.metadata[_ABOUT].decode()))
            own = {one for one in about.files if question.holds(one)}
            if not own or not about.fits(question, now):
                return set(), None
            rows = part.read().replace_schema_metadata()
            return (own, _of_days(rows, question)) if rows.schema.equals(shape) else (set(), None)
    except (pa.ArrowException, OSError, *typed_json.WRONG):
        return set(), None


def _of_days(rows: pa.Table, question: PartialQuery) -> pa.Table:
    import pyarrow.compute as pc

    return rows.filter((pc.field("day") >= question.since) & (pc.field("day") < question.until))


def _splits_a_partition(parts: list[pa.Table]) -> bool:
    """A tenant's day has rows in several parts, as when somebody moved a file: its quantiles were taken of some of its runs."""
    import pyarrow as pa

    days = [part.select(["realm_id", "day"]).group_by(["realm_id", "day"]).aggregate([]) for part in parts]
    every = pa.concat_tables(days)
    return bool(every.group_by(["realm_id", "day"]).aggregate([]).num_rows < every.num_rows)
