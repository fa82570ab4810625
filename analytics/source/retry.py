"""Try again when the source failed for a moment: a restart, a failover, a conflict on a standby.

An attempt is a whole one, with a connection and a snapshot of its own; what earlier attempts settled is in the ledger and
is not done again. The pauses double, with some chance in them, so that the readers that a restart has thrown out do not
come back all at once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from analytics.errors import SourceError

FIRST_PAUSE = 2.0
LONGEST_PAUSE = 60.0

_Result = TypeVar("_Result")
_chance = random.SystemRandom()


class Retries:
    """The patience of one run with its source.

    Args:
        most: Retries in a row that settle nothing; 0 gives up at the first failure. Five are about a minute.
        notice: Told once, at the first retry, in a sentence.

    Attributes:
        failures: Of the attempts that were retried.
    """

    def __init__(self, most: int, notice: Callable[[str], None] | None = None) -> None:
        self._most, self._notice = most, notice
        self.failures: list[SourceError] = []

    def run(self, attempt: Callable[[], _Result], settled: Callable[[], int]) -> _Result:
        """Attempt until it succeeds, fails for good, or fails too often.

        Args:
            attempt: Called again after a transient failure.
            settled: How much is done; where an attempt did some of it, counting begins anew.

        Raises:
            SourceError: That of the last attempt.
        """
        in_a_row, before = 0, settled()
        while True:
            try:
                return attempt()
            except SourceError as error:
                if not error.is_transient:
                    raise
                in_a_row, before = in_a_row if settled() == before else 0, settled()
                if in_a_row == self._most:
                    if in_a_row:
                        error.message += f"; given up after {in_a_row} retries"
                    raise
                in_a_row += 1
                self.failures.append(error)
                if len(self.failures) == 1 and self._notice:
                    self._notice(f"{error.message}; trying again")
            time.sleep(pause(in_a_row))

    def notes(self) -> list[str]:
        """What a person should know of it afterwards, in at most one sentence."""
        if not self.failures:
            return []
        times = "once" if len(self.failures) == 1 else f"{len(self.failures)} times"
        return [f"the source failed {times} and the run went on by itself: {self.failures[-1].message}"]


def pause(number: int) -> float:
    """Seconds before the given retry, the first being 1."""
    return float(min(FIRST_PAUSE * 2 ** (number - 1), LONGEST_PAUSE) * _chance.uniform(0.75, 1.25))
