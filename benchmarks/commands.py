"""Commands as a person waits for them, beside older builds of the same commands: seconds, processor time, memory.

    python -m benchmarks.commands [--repeat 3] [--quick] [--markdown docs/benchmarks-commands.md]

Each is started from the shell over the demo's lake, this build and an older one in turn, on the same interpreter and libraries.
What they answer is compared: printed words, pages, executed notebooks and summaries, byte for byte but for their stamps.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analytics import demo
from benchmarks import report, server
from benchmarks.extract import parse
from benchmarks.measure import Run, Session, median, ratio
from benchmarks.report import Section, number

BUILDS = {
    "the last one with a kernel for each report": "ab6efb0bc1743529f5f2f1f47f5bd27565f2d90b",
}
"""Commits whose processes find their own modules wherever they are started (older ones' children would run this build). The answers
of the last one have to be the same."""
_WINDOW = ["--since", "2026-07-10", "--until", "2026-07-11", "--out", "{out}"]
_WEEK = ["--since", "2026-07-04", "--until", "2026-07-11", "--out", "{out}"]


@dataclass(frozen=True, slots=True)
class Case:
    """One command.

    Attributes:
        words: After the command's name.
        code: Its exit code.
        tells_seconds: It prints how long it took.
    """

    words: Sequence[str]
    code: int = 0
    tells_seconds: bool = False


CASES: Mapping[str, Case] = {
    "`--version`": Case(["--version"]),
    "`--help`": Case(["--help"]),
    "`status`": Case(["status", "--all-realms"]),
    "`query`": Case(["query", "--all-realms", "select count(*) from executions"]),
    "`report`, a date that is none": Case(["report", "runaway_rules", "--all-realms", "--since", "never"], 2),
    "`report`, a realm that is not there": Case(["report", "runaway_rules", "--realm", "nobody", *_WINDOW], 2),
    "`report`, a strategy that is not there": Case(["report", "post_mortem", "--family", "Sped bonus", *_WEEK], 2),
    "`report`, a lake that is not there": Case(["report", "runaway_rules", "--all-realms", "--lake", "nowhere"], 3),
    "`report runaway_rules`": Case(["report", "runaway_rules", "--all-realms", *_WINDOW]),
    "`report post_mortem`": Case(["report", "post_mortem", "--family", "Speed bonus", *_WEEK]),
    "`report run`, six reports": Case(
        ["report", "run", "{six}", "--as-of", "2026-07-11", "--out", "{out}"], tells_seconds=True
    ),
}
SIX = """every = "day"
catch_up_days = 1
[[report]]
name = "runaway"
notebook = "runaway_rules"
window = "yesterday"
realms = ["acme-cycling", "sunny-gym", "tram-riders"]
[[report]]
name = "post-mortem"
notebook = "post_mortem"
window = "last 7 days"
realms = ["acme-cycling"]
families = ["Speed bonus", "Group ride", "Weekly streak"]
"""


def main(words: list[str] | None = None) -> int:
    """Measure, print, write; 1 when a command answers something else than the build before."""
    return run(parse(words, __doc__ or "", large=240_000), BUILDS)


def run(options: argparse.Namespace, builds: Mapping[str, str], cases: Mapping[str, Case] = CASES) -> int:
    """All of it."""
    cache: Path = options.cache
    report.progress("lake …")
    lake = _lake(cache, options.rows)
    six = cache / "six.toml"
    six.write_text(SIX, encoding="utf-8")
    about = {
        "code": server.code_hash(),
        "rows": options.rows,
        "repeat": options.repeat,
        "builds": list(builds.values()),
    }
    session = Session(cache / "results" / "commands.json", about, cache / "scratch", fresh=options.fresh)
    sections, errors = [], []
    for number_, (what, commit) in enumerate(builds.items(), 1):
        build = checkout(cache, commit)
        found: dict[str, dict[str, list[Run]]] = {}
        for name, case in cases.items():
            words = [word.replace("{six}", str(six.resolve())) for word in case.words]
            task = {
                "words": words,
                "code": case.code,
                "tells_seconds": case.tells_seconds,
                "lake": str(lake.resolve()),
                "build": str(build.resolve()),
            }
            methods = ["commands:before", "commands:now"]
            tag = f"{commit[:8]} {name}"
            found[name] = session.interleave(methods, task, tag=tag, repeat=options.repeat, budget=options.budget)
            errors += report.failures({"commands:now": found[name]["commands:now"]}, {"commands:now": name})
        errors += differing(found) if number_ == len(builds) else []
        sections.append(_table(what, commit, found))
    for error in errors:
        report.progress(error)
    if errors:
        return 1
    report.publish("Commands from the shell", sections, server=None, path=options.markdown, resumed=session.resumed)
    session.finish()
    return 0


def differing(found: Mapping[str, Mapping[str, Sequence[Run]]]) -> list[str]:
    """A sentence for each command whose answers are not all the same, by build and by repeat."""
    said = []
    for name, runs in found.items():
        marks = {run.facts.get("answered") for several in runs.values() for run in several if run.error is None}
        if len(marks) > 1:
            said.append(f"{name} answers something else than the build before, or than itself")
    return said


def _lake(cache: Path, rows: int) -> Path:
    folder = cache / f"demo-{rows}"
    lake = folder / "lake"
    if not lake.is_dir():
        from analytics import api

        with demo.build(folder, runs=rows) as built:
            api.extract(lake, since="2026-06-27", until="2026-07-11", database_url=built.url, sample_rate=0.05)
    return lake


def checkout(cache: Path, commit: str) -> Path:
    """A build of this repository's past."""
    folder = cache / "builds" / commit[:12]
    if not folder.is_dir():
        folder.mkdir(parents=True)
        packed = subprocess.run(  # noqa: S603
            ["git", "archive", commit],  # noqa: S607
            cwd=server.HERE.parent,
            stdout=subprocess.PIPE,
            check=True,
        )
        subprocess.run(["tar", "-x"], cwd=folder, input=packed.stdout, check=True)  # noqa: S607
    return folder


def _table(what: str, commit: str, found: Mapping[str, Mapping[str, list[Run]]]) -> Section:
    rows = []
    for name, runs in found.items():
        old, new = runs["commands:before"], runs["commands:now"]
        rows.append(
            [
                name,
                f"{len(new)}",
                *(number(median(new, unit)) for unit in ("seconds", "cpu_seconds")),
                number(max((run.peak_mb for run in new), default=0.0), 0),
                number(ratio(new, old)),
                number(_ratio(new, old, "cpu_seconds")),
                number(_ratio(new, old, "peak_mb")),
            ]
        )
    return Section(
        f"Beside {commit[:8]}, {what}",
        "Medians of n interleaved runs, each from the start of Python to the end of the command. CPU is that of all its processes; "
        "the peak is the sum of their resident memory, in which what forked processes share counts several times.",
        ["command", "n", "s", "CPU s", "peak MB", "s / before", "CPU / before", "MB / before"],
        rows,
        report.failures({name: runs["commands:before"] for name, runs in found.items()}, {}),
    )


def _ratio(new: list[Run], old: list[Run], unit: str) -> float | None:
    mine, base = median(new, unit), median(old, unit)
    return mine / base if mine is not None and base else None


if __name__ == "__main__":
    sys.exit(main())
