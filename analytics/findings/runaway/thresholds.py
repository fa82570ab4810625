"""What the report on runaway rules calls a limit, close, soon and slow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from analytics.config import DEPTH_CAP, NODE_CAP, TIME_LIMIT_MS
from analytics.errors import UsageError


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The limits of the engine, and from where on something is a finding.

    Attributes:
        node_cap: The engine's ``DSL_MAX_NODES``. One setting bounds the visits of a run and the nodes of a program when a version
            is saved, so this moves both headrooms. Where stored programs have more, they were written past the validator or
            saved when the setting was another; where many have, this is not the engine's.
        depth_cap: The engine's cap of depth, ``DSL_MAX_DEPTH``, likewise of both.
        time_limit_ms: The engine's ``DSL_EXECUTION_TIMEOUT_MS``, milliseconds of the walk.
        horizon_days: Growth that meets the cap later than this is not called heading for it.
        close: Part of the cap above which a p99 is close to it, whether it grows or not; and a program as the validator counts it.
        slow_times: Slow is more than so many times what the nodes explain,
        slow_extra_ms: and so many milliseconds above it.

    Raises:
        UsageError: One of them makes no sense.
    """

    node_cap: float = NODE_CAP
    depth_cap: float = DEPTH_CAP
    time_limit_ms: float = TIME_LIMIT_MS
    horizon_days: float = 30.0
    close: float = 0.9
    slow_times: float = 3.0
    slow_extra_ms: float = 10.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            # An integer may be larger than any float, so it is compared and not converted.
            if not (isinstance(value, int | float) and 0 < value <= _LARGEST):
                raise UsageError(f"{field.name} must be a positive number, not {value!r}", hint=_HINTS[field.name])
        if self.node_cap < 1 or self.close > 1:
            name = "node_cap" if self.node_cap < 1 else "close"
            raise UsageError(f"{name} cannot be {getattr(self, name):g}", hint=_HINTS[name])


_LARGEST = 1e15
"""Beyond it a threshold is a typing error, and whole numbers are no longer exact."""
_HINTS = {
    "node_cap": "a count of nodes, the engine's DSL_MAX_NODES",
    "depth_cap": "a depth, the engine's cap of it",
    "time_limit_ms": "milliseconds, the engine's DSL_EXECUTION_TIMEOUT_MS",
    "horizon_days": "days",
    "close": "a part of the cap, e.g. 0.9",
    "slow_times": "times what the nodes explain, e.g. 3",
    "slow_extra_ms": "milliseconds above what the nodes explain, e.g. 10",
}

STANDARD = Thresholds()
"""The engine's own limits, where nobody said others."""


def named(given: Mapping[str, float]) -> Thresholds:
    """Thresholds by name, the others as they are.

    Raises:
        UsageError: One is unknown or makes no sense.
    """
    known = [field.name for field in fields(Thresholds)]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UsageError(f"there is no threshold {', '.join(unknown)}", hint=f"there are: {', '.join(known)}")
    return Thresholds(**given)
