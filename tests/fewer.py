"""Of many cases of one kind, a few in ``make test`` and all in ``make prove``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def one_in(count: int, cases: Iterable[Any]) -> list[Any]:
    """Parameters of which every ``count``-th runs always, and the others are marked long; a tuple is several arguments."""
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)), marks=[pytest.mark.long] if number % count else []
        )
        for number, case in enumerate(cases)
    ]
