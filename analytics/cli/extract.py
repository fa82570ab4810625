"""``extract`` and ``export``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.cli import options as opt
from analytics.cli.output import Priority, limit_malloc_arenas, put, put_json, say, warn_of_deletion
from analytics.errors import LakeError, SourceError

if TYPE_CHECKING:
    from analytics.extraction.plan import Progress
    from analytics.model import ExtractResult


_LONGEST = 80
"""Letters of a partition in a line of progress."""
_OF_THE_COMMAND = ("realm", "no_realm", "source_retention", "json")
"""Options of ``extract`` that the library's call does not have."""


@dataclass(frozen=True, kw_only=True)
class ExtractCommand(opt.ManyRealmOptions):
    """Options of ``extract``."""

    since: str | None = opt.since("default: the last three days")
    until: str | None = opt.until()
    database_url: str | None = opt.database_url()
    sample_rate: str | None = opt.word(
        "fraction of ok runs the engine logs (default: $ANALYTICS_SAMPLE_RATE, else 0.05)", "--sample-rate", "P"
    )
    sample_rates: str | None = opt.word(
        "fractions with their dates and tenants, in TOML; --sample-rate is for what it does not say "
        "(default: $ANALYTICS_SAMPLE_RATES; '' for none)",
        "--sample-rates",
        "FILE",
        is_path=True,
        may_be_empty=True,
    )
    jobs: int = opt.value(
        "connections to read with, side by side, all of one snapshot (default: 1)", "--jobs", "N", 1, int
    )
    patience: str | None = opt.word(
        "do not wait for transactions older than this (default: $ANALYTICS_PATIENCE, else 24h)",
        "--patience",
        "DURATION",
    )
    retries: str | None = opt.word(
        "tries in a row after the source failed for a moment (default: $ANALYTICS_RETRIES, else 5: about a minute)",
        "--retries",
        "N",
    )
    source_retention: str | None = opt.source_retention()
    wait_seconds: float = opt.wait()
    force: bool = opt.flag("replace every partition of the window", "--force", opt.CONSENT)
    allow_shrink: bool = opt.flag(
        "follow the source when it has lost rows; kept otherwise", "--allow-shrink", opt.CONSENT
    )
    break_lock: bool = opt.flag(
        "break the lock of a run that is gone, or has shown no sign of life for ten minutes; any other is respected",
        "--break-lock",
        opt.CONSENT,
    )
    accept_source: bool = opt.flag(
        "the lake was made from another server or database, and this one continues it", "--accept-source", opt.CONSENT
    )
    also_expired: bool = opt.flag(
        "bring expired days of the window back: from its first day on nothing counts as expired any more",
        "--also-expired",
        opt.CONSENT,
    )
    accept_key: bool = opt.flag(
        "the lake's pseudonyms were made with another key, and the one configured now (or none) is meant",
        "--accept-key",
        opt.CONSENT,
    )
    json: bool = opt.as_json("the result as JSON on stdout")

    def keywords(self) -> dict[str, Any]:
        """What ``analytics.extract`` takes under the same name."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _OF_THE_COMMAND}


def run_extract(options: ExtractCommand) -> int:
    """Extract, with progress on stderr."""
    from analytics import api
    from analytics.config import Settings
    from analytics.extraction.privacy.policy import PseudonymKey
    from analytics.lake.lake import Lake
    from analytics.operations.doctor import volume

    settings = Settings.from_env(lake=options.lake, source_retention=options.source_retention, sample_rates="")
    lake = Lake(settings.lake)
    if settings.pseudonym_key_file and PseudonymKey.open_to_others(settings.pseudonym_key_file):
        say(
            f"others can read the pseudonym key in {settings.pseudonym_key_file}\n  chmod 600 {settings.pseudonym_key_file}",
            priority=Priority.WARNING,
        )
    limit_malloc_arenas()
    try:
        with _progress() as progress:
            result = api.extract(
                realms=options.realms(),
                # A log gets the note at the end; somebody who watches must know why nothing moves.
                notice=say if sys.stderr.isatty() else None,
                progress=progress,
                **options.keywords(),
            )
    except (SourceError, LakeError):
        warn_of_deletion(volume.retention_warning(lake, settings.source_retention))  # the more so when extractions fail
        raise
    report(result, is_of_some=bool(options.realms()))
    at_risk = volume.retention_warning(lake, settings.source_retention)
    warn_of_deletion(at_risk)
    if options.json:
        put_json(result.to_dict() | {"source_deletes_soon": at_risk.to_dict() if at_risk else None})
    return 0


def report(result: ExtractResult, *, is_of_some: bool = False) -> None:
    """Say what an extraction did.

    Args:
        result: Of the extraction.
        is_of_some: Only chosen tenants were read.
    """
    total = sum(result.seconds.values())
    if result.nothing_to_do:
        say(f"nothing to do: {result.unchanged} partitions of {result.window} equal the source ({total:.1f} s)")
    else:
        entries = sum(info.trace_entries for info in result.written)
        say(
            f"{len(result.written)} partitions written, {result.unchanged} unchanged: {result.row_count:,} logged runs, "
            f"{entries:,} trace entries ({total:.1f} s)"
        )
    # A standby may not have replayed them yet.
    gone = "not at the standby, yet or any more," if result.horizon.is_standby else "gone at the source"
    for partition, count in result.kept.items():
        say(
            f"{partition}: {count:,} rows are {gone} and were kept (--allow-shrink follows the source)",
            priority=Priority.NOTICE,
        )
    for partition, count in result.dropped.items():
        say(f"{partition}: {count:,} rows are {gone} and were dropped", priority=Priority.NOTICE)
    if result.incomplete_days:
        days = ", ".join(day.isoformat() for day in result.incomplete_days[:5])
        more = len(result.incomplete_days) - 5
        say(
            f"not complete yet: {days}{f' and {more} more' if more > 0 else ''}; complete until "
            f"{result.horizon.until:%Y-%m-%d %H:%M:%S} UTC ({result.horizon.reason})",
            priority=Priority.NOTICE,
        )
        if is_of_some:
            say(
                "only the named realms were read: of them all rows up to then are there, and a day is complete once all realms are",
                priority=Priority.NOTICE,
            )
    if result.unread_columns:
        say(f"columns of the source that are not carried: {', '.join(result.unread_columns)}", priority=Priority.NOTICE)
    _report_rates(result)
    for note in result.notes:
        say(f"note: {note}", priority=Priority.NOTICE)


def _report_rates(result: ExtractResult) -> None:
    """Say the rates where they are several, and a default wherever it stood in."""
    from analytics.estimates.sampling_rates import DEFAULT_SAMPLE_RATE

    if len(result.sample_rates) > 1:
        say(f"sampling rates {', '.join(f'{rate:g}' for rate in result.sample_rates)}")
    if not result.sample_rate_is_default:
        return
    total = len(result.written) + result.unchanged
    some = ""
    if 0 < len(result.defaulted) < total:
        some = f" for {len(result.defaulted)} of {total} partitions ({result.defaulted[0]}, …)"
    say(
        f"sampling rate {DEFAULT_SAMPLE_RATE:g}, the engine's default{some}; set ANALYTICS_SAMPLE_RATE if yours differs",
        priority=Priority.NOTICE,
    )


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal, one line per partition otherwise."""
    if not sys.stderr.isatty():
        yield _line
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("extract"), BarColumn(), MofNCompleteColumn(), TextColumn("partitions"), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("extract", total=None)

        def move(progress: Progress) -> None:
            bar.update(task, completed=progress.partitions_done, total=progress.partitions_total)

        yield move


def _line(progress: Progress) -> None:
    if progress.written is None:
        return
    info = progress.written
    rows, entries = info.row_count, info.trace_entries
    written = f"{rows:,} logged run{'s' * (rows != 1)}, {entries:,} trace entr{'y' if entries == 1 else 'ies'}"
    say(f"{_short(str(info.partition))}: {written}, {info.file_bytes / 1024:,.0f} kB")


def _short(partition: str) -> str:
    """Without the middle of a tenant's name that would fill lines."""
    return partition if len(partition) <= _LONGEST else f"{partition[: _LONGEST // 2]}…{partition[-_LONGEST // 2 :]}"


@dataclass(frozen=True, kw_only=True)
class ExportOptions(opt.RealmOptions):
    """Options of ``export``."""

    what: str = opt.argument("nodes: one row per trace entry", "WHAT", choices=("nodes",))
    out: Path = opt.required_path("folder to write; must be new or empty", "--out", "DIR")
    since: str | None = opt.since("default: everything")
    until: str | None = opt.until()


def run_export(options: ExportOptions) -> int:
    """Write the flat per-node table, one Parquet file per realm and day."""
    from analytics.operations.export import export_nodes
    from analytics.window import Window

    window = Window.parse(options.since, options.until) if options.since or options.until else None
    if options.out.exists() and any(options.out.iterdir()):
        raise LakeError(
            f"the folder {options.out} is not empty", hint="give a new folder: an export never mixes with older files"
        )
    count = export_nodes(options.open_lake(), options.out, window)
    say(f"{count:,} trace entries")
    put(str(options.out))
    return 0
