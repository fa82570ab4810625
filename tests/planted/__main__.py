"""``python -m tests.planted``: the planted stories once more for many seeds, and how often the post-mortem was right.

One seed can be lucky. The table shows, for each story, how often kind, version and moment were right, and how often the points
overpaid lay within their 95 % interval and within twice its half-widths.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from analytics import api
from analytics.demo import EmbeddedServer
from tests.planted.stories import STORIES, Story
from tests.planted.world import SEED, Planted, build


def main() -> None:
    """Simulate, ask, count."""
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--story", action="append", default=[], help="only this one; may be repeated")
    options = parser.parse_args()
    chosen = [told for told in STORIES if told.key in options.story or not options.story]
    right: defaultdict[str, Counter[str]] = defaultdict(Counter)
    kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)
    mistakes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="planted-") as folder, EmbeddedServer(Path(folder) / "pg") as server:
        for number in range(options.seeds):
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute("drop database if exists planted (force)")
                connection.execute("create database planted")
            url = server.url.replace("/postgres?", "/planted?", 1)
            planted = build(url, Path(folder) / str(number), seed=SEED + number, stories=chosen)
            for told in chosen:
                facts = api.post_mortem(planted.warehouse, **told.ask()).summary()
                kinds[told.key][facts["kind"]] += 1
                answers = _right(told, facts, planted)
                for name, is_right in answers.items():
                    right[told.key][name] += is_right
                if wrong := [name for name, is_right in answers.items() if not is_right]:
                    mistakes.append(f"{told.key}, seed {SEED + number}, {', '.join(wrong)}: {facts['verdict']}")
    print(f"of {options.seeds} seeds\n")
    print("| story | kind | version | moment | overpaid in its interval | within twice | kinds |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for told in chosen:
        of = right[told.key]
        counts = (str(of[name]) if name in of else "–" for name in ("kind", "version", "moment", "inside", "near"))
        seen = ", ".join(f"{kind} {count}" for kind, count in kinds[told.key].most_common())
        print(f"| {told.key} | {' | '.join(counts)} | {seen} |")
    print("\nnot right:", *mistakes, sep="\n- ")


def _right(told: Story, facts: dict[str, Any], planted: Planted) -> dict[str, int]:
    """What was right, 1 or 0; only what was to be answered."""
    found = {"kind": int(facts["kind"] in told.kinds)}
    if told.version is not None:
        found["version"] = int((facts["after"] or {}).get("version") == told.version)
    if told.moment is not None:
        said = facts["error_code_since"] or (facts["after"] or {}).get("since")
        found["moment"] = int(said is not None and abs(datetime.fromisoformat(said) - told.moment) <= told.tolerance)
    if told.counterfactual and facts["overpaid"]:
        true, guess = planted.overpaid(told), facts["overpaid"]
        low, value, high = guess["low"], guess["value"], guess["high"]
        found["inside"] = int(low <= true <= high)
        found["near"] = int(value - 2 * (value - low) <= true <= value + 2 * (high - value))
    return found


if __name__ == "__main__":
    main()
