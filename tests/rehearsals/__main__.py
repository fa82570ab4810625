"""``python -m tests.rehearsals``: do a rehearsal's intervals hold what a draft would have paid? Exit code 1 where not."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from importlib import resources
from pathlib import Path

import psycopg

from analytics.demo.server import EmbeddedServer
from analytics.findings.post_mortem.family import find_family
from analytics.findings.rehearsal.rehearsal import Rehearsal
from analytics.findings.replay.run_evidence import Definition
from analytics.program import compile_program, outline
from tests.planted import engine, world
from tests.planted.stories import FIRST, UNTIL, story
from tests.rehearsals.drafts import DRAFTS
from tests.rehearsals.judge import Judged, judge, table, truth

RATES = (0.01, 0.05, 0.2)
STORY = "half_more"
_BOUNDS = (0.93, 1.0)
"""Share of intervals of all kinds together that hold the truth: what is made of few rows holds it more often."""


def main() -> int:
    """Simulate, rehearse, judge, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.rehearsals", description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=20261130)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder) / "server") as server:
        found = run(server.url, Path(folder), options.seed, options.seeds)
    rows = [(kind, rate, judged) for (kind, rate), judged in found.items()]
    lines = table(rows)
    print("\n".join(lines), f"\n{options.seeds} seeds, {time.monotonic() - started:.0f} s", sep="\n")
    if options.markdown:
        options.markdown.write_text("\n".join([*_HEAD, *lines, ""]), encoding="utf-8")
    return 0 if all(holds(found)) else 1


_HEAD = [
    "# Does a rehearsal hold?",
    "",
    "`python -m tests.rehearsals`: drafts of ten kinds on the sampled log of 12,000 planted rides (two versions ran), judged",
    "by what the simulated engine pays for every run with the draft. Shares of 95 % intervals that hold the truth; a run that",
    "the log does not decide has bounds, which must always hold. Where runs are undecided, only the worst case has to hold.",
    "",
]


def run(url: str, folder: Path, seed: int, seeds: int) -> dict[tuple[str, float], Judged]:
    """Every draft at every rate, for each seed."""
    found: dict[tuple[str, float], Judged] = defaultdict(Judged)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(resources.files("analytics.demo").joinpath("sql/source_tables.sql").read_bytes())
    for number in range(seeds):
        simulated = engine.simulate(story(STORY), seed + number)
        true = {kind: truth(simulated, draft) for kind, draft in DRAFTS.items()}
        for rate in RATES:
            place = folder / f"{number}-{rate}"
            place.mkdir()
            lake = world.log([simulated], url, place, rate).warehouse
            family = find_family(lake, realm=simulated.story.family.realm, family=simulated.story.family.name)
            for kind, ast in DRAFTS.items():
                draft = Definition(ast, compile_program(ast), outline(ast), family.name, None, "DSL_FULL")
                judge(Rehearsal(lake, family, draft, FIRST, UNTIL), true[kind], found[kind, rate])
        print(f"\r{number + 1} of {seeds} seeds", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def holds(found: dict[tuple[str, float], Judged]) -> list[bool]:
    """Whether every promise is kept: exact runs and bounds always, intervals of all kinds together at each rate."""
    said = [judged.runs.held == judged.runs.of for judged in found.values()]
    for rate in RATES:
        for name in ("difference", "changed", "cases"):
            tallies = [getattr(judged, name) for (_, of), judged in found.items() if of == rate]
            held, count = sum(tally.held for tally in tallies), sum(tally.of for tally in tallies)
            said.append(_BOUNDS[0] - 2 * (0.05 * 0.95 / count) ** 0.5 <= held / count <= _BOUNDS[1])
    return said


if __name__ == "__main__":
    sys.exit(main())
