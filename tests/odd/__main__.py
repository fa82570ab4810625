"""``python -m tests.odd``: reports of hundreds of odd lakes; exit code 1 when one cannot be made, or says what is none."""

from __future__ import annotations

import argparse
import sys
import time

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.odd.lakes import SHAPES, Shape
from tests.odd.tell import faults


def main() -> int:
    """Draw lakes and ask."""
    parser = argparse.ArgumentParser(prog="python -m tests.odd", description=__doc__)
    parser.add_argument("--lakes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=20261130)
    options = parser.parse_args()
    started, count, bad = time.monotonic(), 0, 0

    @seed(options.seed)
    @settings(
        max_examples=options.lakes, database=None, deadline=None, phases=[Phase.generate], print_blob=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(SHAPES)
    def ask(shape: Shape) -> None:
        nonlocal count, bad
        count += 1
        try:
            found = list(faults(shape))
        except Exception as error:  # one more lake that cannot be told of; the next one is asked all the same
            found = [f"{type(error).__name__}: {error}"]
        if found:
            bad += 1
            print("", f"{shape}", *(f"  {fault}" for fault in found[:5]), sep="\n", flush=True)

    ask()
    print(f"{count} lakes, {bad} of them badly told, {time.monotonic() - started:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
