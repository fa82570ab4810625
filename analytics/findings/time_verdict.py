"""Is a version slow, and who is to blame: only what holds over the whole interval of the split is said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from analytics.estimate import Estimate, graded

TIMES, EXTRA_MS = 3.0, 10.0
"""Slow is more than so many times, and so many milliseconds above, what the nodes and the rest explain."""
VERDICTS = ("field", "built-in", "cannot tell", "rules", "unclear", "fine")
LEAST_REST = 0.5
"""Milliseconds that every run may take beside nodes and queries."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a run's time.

    Attributes:
        kind: ``walk``, ``field``, ``built-in``, ``rest`` or ``cannot tell``.
        names: Fields or built-ins; several when only their sum can be told. For what cannot be told: who may be the reason.
        ms: Milliseconds per run with 95 % interval.
        in_realm, realm: Whether it is what the field costs in this realm alone, unlike elsewhere.
        since: First day of this cost; None when it was never seen to change.
    """

    kind: str
    names: tuple[str, ...]
    ms: Estimate
    in_realm: bool = False
    realm: str | None = None
    since: date | None = None


def explained(walk: Estimate, rest: Estimate | None) -> Estimate:
    """Milliseconds that nodes and the rest of every run explain; no upper end when nothing tells what a node costs.

    Args:
        walk: Milliseconds of the nodes; NaN when they cannot be told.
        rest: Of every run; None when it cannot be told.
    """
    known = [part for part in (walk, rest) if part is not None and math.isfinite(part.value)]
    value = max(sum(part.value for part in known), LEAST_REST)
    up = math.hypot(*(part.high - part.value for part in known))
    down = math.hypot(*(part.value - part.low for part in known))
    high = value + up if math.isfinite(walk.value) else math.inf
    return Estimate(value, max(value - down, 0.0), high, walk.logged_count, graded(high - value, value))


def verdict(
    ms: Estimate,
    due: Estimate,
    walk: Estimate,
    parts: Sequence[Part],
    middle: float,
    extra_ms: float,
    times: float,
) -> tuple[str, tuple[Part, ...]]:
    """What to say of a version, and the parts that it rests on.

    What is said holds over the whole interval of what it rests on; what holds at the best value alone is ``unclear``.

    Args:
        ms: Median time.
        due: What nodes and the rest explain.
        walk: What the nodes take; NaN when they cannot be told.
        parts: All that is known.
        middle: The fleet's middle median, ms.
        extra_ms, times: What is slow.

    Returns:
        One of `VERDICTS`, and whom it blames.
    """

    def slow(took: float, than: float) -> bool:
        return took > times * than and took - than > extra_ms

    extra = ms.value - due.value
    if slow(ms.low, due.high):
        sure = sorted((p for p in parts if p.kind in ("field", "built-in") and p.ms.low > 0), key=lambda p: -p.ms.value)
        blamed: list[Part] = []
        for part in sure:
            blamed.append(part)
            if sum(one.ms.low for one in blamed) >= extra / 2:
                return blamed[0].kind, tuple(blamed)
        return "cannot tell", tuple(part for part in parts if part.kind == "cannot tell")
    nodes = tuple(part for part in parts if part.kind == "walk")
    half = (ms.value - middle) / 2
    is_long = slow(ms.value, middle)
    if is_long and walk.low >= half:
        return "rules", nodes
    may_be_nodes = due.high >= ms.value / 2  # what is merely close to being slow is fine
    if (slow(ms.value, due.value) and may_be_nodes) or (is_long and walk.value >= half):
        return "unclear", nodes
    return "fine", ()
