"""``python -m tests.verdicts``: what is said of every planted story, for many seeds and rates; exit code 1 for a broken promise."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from analytics.demo import EmbeddedServer
from tests.planted.world import SEED
from tests.verdicts import table
from tests.verdicts.seeds import ALL, Told, many_seeds

_RATES = (0.01, 0.05, 0.2)


def main() -> int:
    """Simulate, ask, judge, print, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.verdicts", description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=SEED, help="the first of them")
    parser.add_argument("--rates", default=",".join(map(str, _RATES)), help="sampling rates, with commas between")
    parser.add_argument("--story", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page there")
    options = parser.parse_args()
    rates = [float(rate) for rate in options.rates.split(",")]
    keys = [story.key for story in ALL if story.key in options.story or not options.story]
    if unknown := set(options.story) - set(keys):
        parser.error(f"no such story: {', '.join(sorted(unknown))}")
    seeds, started = range(options.seed, options.seed + options.seeds), time.monotonic()
    told: list[Told] = []
    with tempfile.TemporaryDirectory(prefix="verdicts-") as folder, EmbeddedServer(Path(folder) / "pg") as server:
        pages = many_seeds(
            lambda name: server.url.replace("/postgres?", f"/{name}?", 1),
            Path(folder),
            seeds,
            rates,
            keys,
            workers=options.workers,
        )
        for number, found in enumerate(pages, 1):
            told += found
            words = f"{number} of {options.seeds} seeds, {time.monotonic() - started:.0f} s"
            print(words, *table.mistakes(found), sep="\n  ", file=sys.stderr, flush=True)
    page = table.page(told, options.seeds)
    print(page)
    print("mistakes:", *table.mistakes(told), sep="\n- ")
    print("\nintervals without the truth:", *table.misses(told), sep="\n- ")
    if options.markdown:
        options.markdown.write_text(page, encoding="utf-8")
    return 0 if all(promise.is_kept for promise in table.promises(told)) else 1


if __name__ == "__main__":
    sys.exit(main())
