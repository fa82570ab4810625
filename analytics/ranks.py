"""Rows in the order of their values, with what a quantile asks of them: where the ECDF stands, and what lies above."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLACK = 1e-12
"""Of a share: a weighted count that reaches it but for a rounding has reached it."""


@dataclass(frozen=True, slots=True)
class Around:
    """A quantile, and what drawing adds to the variance of the runs on both sides of it.

    Attributes:
        value: Of the row at which the ECDF reaches the share.
        over, under: Sums of ``w(w − 1)`` above and below; of the rows with that value, the runs that count as above are above,
            whichever they are: rows that are tied have no order.
        unseen: The largest of a single row.
    """

    value: float
    over: float
    under: float
    unseen: float


class Ranks(Protocol):
    """Rows in order.

    Attributes:
        count: Rows.
        total: Runs they stand for.
    """

    count: int
    total: float

    def at(self, p: float) -> float:
        """Value of the row at which the ECDF reaches a share of the runs."""
        ...

    def around(self, q: float) -> Around:
        """The same row, with what lies around it."""
        ...


class Merged:
    """Several sorted parts, each of rows of one weight, merged in thought.

    The rows of the largest part, nearly all as a rule, are only counted: there are no arrays of their weights, and no sums over
    them. Equal values rank in the order largest part, then the others as given. Weights are whole numbers, so every count is exact.

    Args:
        parts: Values in ascending order with their weight; at least one part, none of them empty.
    """

    def __init__(self, parts: Sequence[tuple[NDArray[Any], float]]) -> None:
        import numpy as np

        largest = max(range(len(parts)), key=lambda number: len(parts[number][0]))
        others = [part for number, part in enumerate(parts) if number != largest]
        self._main, self._weight = parts[largest]
        values = np.concatenate([np.empty(0), *(values for values, _ in others)])
        weights = np.repeat([weight for _, weight in others], [len(values) for values, _ in others])
        order = np.argsort(values, kind="stable")  # sorted stretches are merged
        self._values, self._weights = values[order], weights[order]
        self._before = np.searchsorted(self._main, self._values, side="right")  # rows of the largest part
        self._sums = np.cumsum(np.append(0.0, self._weights))
        self._spreads = np.cumsum(np.append(0.0, self._weights * (self._weights - 1)))
        self._below = self._weight * self._before + self._sums[1:]
        self.count = len(self._main) + len(values)
        self.total = self._weight * len(self._main) + float(self._sums[-1])
        self._unseen = max(weight * (weight - 1) for _, weight in parts)

    def at(self, p: float) -> float:
        """Value of the row at which the ECDF reaches a share of the runs."""
        return self._value(*self._place(p))

    def around(self, q: float) -> Around:
        """The same row, with what lies around it."""
        import numpy as np

        value = self._value(*self._place(q))
        sides: tuple[Literal["left", "right"], ...] = ("left", "right")
        main0, main1 = (int(np.searchsorted(self._main, value, side)) for side in sides)
        other0, other1 = (int(np.searchsorted(self._values, value, side)) for side in sides)
        each, kept = self._weight * (self._weight - 1), float(self._spreads[-1])
        beyond = self._weight * main1 + float(self._sums[other1]) - q * self.total
        tied = each * (main1 - main0) + float(self._spreads[other1] - self._spreads[other0])
        alike = tied / (self._weight * (main1 - main0) + float(self._sums[other1] - self._sums[other0]))
        over = each * (len(self._main) - main1) + kept - float(self._spreads[other1]) + beyond * alike
        return Around(value, over, each * len(self._main) + kept - over, self._unseen)

    def _value(self, main: int, other: int, is_main: bool) -> float:
        return float(self._main[main - 1] if is_main else self._values[other - 1])

    def _place(self, p: float) -> tuple[int, int, bool]:
        """Rows of the largest part and of the others up to the row that is looked for, and whether it is of the largest."""
        import numpy as np

        wanted = (p - SLACK) * self.total
        other = int(np.searchsorted(self._below, wanted))  # the others before it
        is_last = other == len(self._values)
        end = len(self._main) if is_last else int(self._before[other])
        sum_before = float(self._sums[other])
        main = max(math.ceil((wanted - sum_before) / self._weight), 1)
        while main > 1 and self._weight * (main - 1) + sum_before >= wanted:  # the division has rounded
            main -= 1
        while self._weight * main + sum_before < wanted:
            main += 1
        if main <= end:
            return main, other, True
        if not is_last:
            return end, other + 1, False
        # Beyond them all: the last row.
        is_main = other == 0 or int(self._before[-1]) < len(self._main)
        return len(self._main), other, is_main
