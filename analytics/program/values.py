"""JSON values as the log keeps them: when two of them are the same."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

#: From here on Python writes a float with an exponent, jsonb as a plain number, and it comes back as an integer.
_WRITTEN_WHOLE: Final = 1e16


def same_json(left: Any, right: Any) -> bool:
    """Whether two values are one JSON value: `1` and `1.0` are, `1` and `true` or `"1"` are not."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        if isinstance(left, int) is isinstance(right, int):
            return left == right or (left != left and right != right)
        return _as_float(left) == _as_float(right)  # 1e+23 comes back as an integer that is not quite that float
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same_json(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same_json, left, right))
    return type(left) is type(right) and bool(left == right)


def as_written(value: Any) -> Any:
    """A value read back, as it may have been before: a large whole number may have been a float.

    jsonb holds `1e+22` as `10000000000000000000000`. What a run computed with it differs between the two, so a replay that
    does not come out right with one must be tried with the other.
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _WRITTEN_WHOLE:
        found = _as_float(value)
        return found if found is not None and Decimal(repr(found)) == value else value
    if isinstance(value, list):
        return [as_written(item) for item in value]
    if isinstance(value, Mapping):
        return {key: as_written(item) for key, item in value.items()}
    return value


def _as_float(value: float) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None
