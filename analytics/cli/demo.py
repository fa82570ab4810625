"""``demo``: the main job end to end on the embedded server."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from analytics.cli import extract as extracting
from analytics.cli import options as opt
from analytics.cli.output import put, say
from analytics.errors import UsageError

if TYPE_CHECKING:
    from analytics.storage import LakePath


_NAME = "strategy-analytics"

_Asked: TypeAlias = "tuple[str, str, str, dict[str, str | None]]"
"""A report: its name, since, until, and what else it is asked."""


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """Options of ``demo``."""

    runs: int = opt.value("executions to simulate (default: 240000)", "--runs", "RUNS", 240_000, int)
    days: int = opt.value("days they spread over (default: 14)", "--days", "DAYS", 14, int)
    until: date = opt.value(
        "day after the last (default: 2026-07-11)", "--until", "DAY", date(2026, 7, 11), date.fromisoformat
    )
    seed: int | None = opt.value("of the simulation", "--seed", "SEED", None, int)
    out: Path = opt.path("where server, truth and lake live (default: demo)", "--out", "DIR", Path("demo"))
    reports: str = opt.reports("where the reports go (default: reports/out)", "--reports", "reports/out")
    recreate: bool = opt.flag("simulate and load again", "--recreate")
    lake_only: bool = opt.flag("no reports", "--lake-only")
    if_missing: bool = opt.flag(
        "only where there is no lake to read yet: $ANALYTICS_LAKE, else lake, else demo/lake", "--if-missing"
    )


def run_demo(options: DemoOptions) -> int:
    """Simulate, load, extract, report; say where the time went."""
    if options.if_missing and (there := _lake_in_reach()):
        say(f"lake: {there}")
        put(str(there))
        return 0
    if options.if_missing:
        say(f"no lake yet: making one with invented data in {options.out / 'lake'}, which takes less than a minute")
    if options.runs < 1 or options.days < 1:
        raise UsageError("--runs and --days must be positive", hint="demo alone simulates 240,000 runs of 14 days")
    started = time.perf_counter()
    spent: dict[str, float] = {}
    lake = options.out / "lake"
    counters = _fill(options, lake, spent)
    if options.lake_only:
        put(str(lake))
        return 0
    pages = _render(options, lake, spent)
    steps = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in spent.items() if seconds >= 0.05)
    say(f"time: {time.perf_counter() - started:.1f} s ({steps})")
    for sentence in what_next(options, lake, counters):
        say(sentence)
    for path in (lake, *pages, Path(options.reports) / "index.html"):
        put(str(path))
    return 0


def what_next(options: DemoOptions, lake: Path, counters: Path) -> list[str]:
    """What to type after a demo, by the command that made it.

    Args:
        options: Whose days are audited.
        lake: Its lake.
        counters: The file with the engine's counters.
    """
    command, named = _command(), shlex.quote(str(lake))
    has_lab = Path("Makefile").is_file() and Path("notebooks/explore.ipynb").is_file()
    days = f"--since {options.until - timedelta(days=options.days)} --until {options.until}"
    return [
        f"look around: ANALYTICS_LAKE={named} {command} status --all-realms{', or make lab' if has_lab else ''}",
        f"the log against the engine's counters: {command} audit --all-realms --lake {named} {days} "
        f"--counters {shlex.quote(str(counters))}",
    ]


def _command() -> str:
    """What to type for the command that runs now: its name where a shell finds this very one by it, else its path."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m analytics"
    if program.name != _NAME:  # called by another program
        return _NAME
    found = shutil.which(_NAME)
    is_found = found is not None and program.exists() and Path(found).samefile(program)
    return _NAME if is_found else shlex.quote(str(program))


def _lake_in_reach() -> LakePath | None:
    """The lake that is there already; ``None`` for none.

    Raises:
        UsageError: One was named, and is not there.
    """
    from analytics.config import Settings
    from analytics.reports.explore.lake_folder import find_lake

    lake = find_lake()
    if lake.is_dir():
        return lake
    if not Settings.from_env(sample_rates="").lake_is_default:
        raise UsageError(
            f"ANALYTICS_LAKE names {lake}, and there is no lake",
            hint="unset it to look at invented data, or fill it: strategy-analytics extract",
        )
    return None


def _fill(options: DemoOptions, lake: Path, spent: dict[str, float]) -> Path:
    """Simulate an engine and extract its log; the file with its counters.

    Args:
        options: How much of it, and where.
        lake: What is filled.
        spent: Gets the seconds of each step.
    """
    from analytics import api, demo

    with demo.build(
        options.out,
        runs=options.runs,
        days=options.days,
        until=options.until,
        seed=demo.SEED if options.seed is None else options.seed,
        recreate=options.recreate,
        progress=say,
    ) as source:
        spent |= source.timings
        say(f"source: {source.counts['runs']:,} runs simulated, {source.counts['logged']:,} of them logged")
        began = time.perf_counter()
        result = api.extract(
            lake,
            since=options.until - timedelta(days=options.days),
            until=options.until + timedelta(days=1),
            allow_shrink=True,  # another simulation in the same folder replaces this one
            accept_source=True,
            database_url=source.url,
            sample_rate=demo.RATE,
            sample_rates="",  # those of the environment are of another engine
        )
        spent["extract"] = time.perf_counter() - began
        extracting.report(result)
    return source.truth.with_name("counters.prom.gz")


def _render(options: DemoOptions, lake: Path, spent: dict[str, float]) -> list[Path]:
    """Both reports side by side, the second of two mornings; the pages.

    Args:
        options: When, and where to.
        lake: What they are about.
        spent: Gets the seconds of them together.
    """
    from analytics.demo.scenarios import SPEED_BONUS

    ends = [(options.until - timedelta(days=back)).isoformat() for back in (5, 2, 1, 0)]
    subject: dict[str, str | None] = {"realm": SPEED_BONUS.realm, "family": SPEED_BONUS.family}
    # Two mornings: the second says what is new since the first, so it waits for it.
    mornings: list[_Asked] = [("runaway_rules", ends[1], ends[2], {}), ("runaway_rules", ends[2], ends[3], {})]
    began = time.perf_counter()
    with ThreadPoolExecutor(2, "report") as pool:
        chains = [
            pool.submit(_chain, options, lake, one) for one in ([("post_mortem", ends[0], ends[3], subject)], mornings)
        ]
        pages = [page for chain in chains for page in chain.result()]
    spent["reports"] = time.perf_counter() - began
    return pages


def _chain(options: DemoOptions, lake: Path, reports: Sequence[_Asked]) -> list[Path]:
    """Some reports, one after the other; their pages."""
    from analytics import api

    pages = []
    for report, since, until, parameters in reports:
        rendered = api.render(report, out=options.reports, lake=str(lake), since=since, until=until, **parameters)
        pages.append(rendered.html)
        say(f"{report}: {rendered.facts.get('digest') or rendered.facts['verdict']}")
    return pages
