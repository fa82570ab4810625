"""Reading the columns of a frame: pictures never raise over missing data, and say so when a column is not there at all."""

from __future__ import annotations

import datetime as dt
import inspect
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, SupportsFloat

from analytics.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

NAN = float("nan")


def need(chart: Callable[..., object], frame: pd.DataFrame | None, names: str, *, called: str = "frame") -> None:
    """Refuse a frame that lacks a column without which there is nothing to draw; none at all is an empty one.

    Args:
        chart: Whose docstring has an example.
        frame: What it was given.
        names: The columns it cannot do without.
        called: The name of the argument.

    Raises:
        UsageError: Which columns are missing, and the example.
    """
    if frame is None or not len(frame.columns):
        return
    missing = [name for name in names.split() if name not in frame.columns]
    if missing:
        example = (inspect.getdoc(chart) or "").partition("Example:\n")[2].partition("\n\nRaises:")[0].rstrip()
        has = ", ".join(map(repr, map(str, frame.columns)))
        raise UsageError(
            f"charts.{chart.__name__}: {called} has no column {' and no column '.join(missing)}; it has {has}",
            hint=f"{did_you_mean(missing[0], frame.columns)}for example:\n{example}",
            missing=missing,
        )


def column(frame: pd.DataFrame, name: str) -> list[object]:
    """The values of a column; Nones when the frame does not have it."""
    return list(frame[name]) if name in frame.columns else [None] * len(frame)


def floats(frame: pd.DataFrame, name: str) -> list[float]:
    """A column as floats; NaN for what is missing, infinite or no number."""
    return [as_float(value) for value in column(frame, name)]


def numbers(frame: pd.DataFrame, name: str, missing: float = NAN) -> npt.NDArray[np.float64]:
    """`floats` as an array, and at once for a column of numbers: pictures of a million runs begin here.

    Args:
        frame: With or without the column.
        name: Of the column.
        missing: All values of a column that is not there.
    """
    import numpy as np

    if name not in frame.columns:
        return np.full(len(frame), missing)
    if frame[name].dtype.kind not in "iuf":
        return np.array(floats(frame, name), dtype=float)
    found: npt.NDArray[np.float64] = frame[name].to_numpy(dtype=float, na_value=NAN)
    return np.where(np.isfinite(found), found, NAN)


def as_float(value: object) -> float:
    """One value as a finite float or NaN."""
    # Asking a protocol costs more than all the rest.
    if not isinstance(value, (float, int)) and (isinstance(value, str) or not isinstance(value, SupportsFloat)):
        return NAN
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return NAN
    return found if math.isfinite(found) else NAN


def words(frame: pd.DataFrame, name: str, missing: str = "") -> list[str]:
    """A column as text; NULL becomes `missing`."""
    return [missing if is_missing(value) else str(value) for value in column(frame, name)]


def moments(frame: pd.DataFrame, name: str) -> list[float]:
    """A column of times or days as seconds since 1970 in UTC; NaN for NULL and NaT."""
    if name not in frame.columns or frame[name].dtype.kind != "M" or frame[name].dt.unit != "us":
        return [as_seconds(value) for value in column(frame, name)]
    import numpy as np

    # Thirty thousand failures are as many times: together they take a hundredth of what they take one by one.
    times = frame[name].to_numpy("datetime64[us]")
    found: list[float] = np.where(np.isnat(times), NAN, times.astype(np.int64) / 1e6).tolist()
    return found


def as_seconds(value: object) -> float:
    """One time as seconds since 1970; naive times are taken as UTC."""
    if not isinstance(value, dt.date) or is_missing(value):
        return NAN
    if not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    return float((value if value.tzinfo else value.replace(tzinfo=dt.UTC)).timestamp())


def is_missing(value: object) -> bool:
    """NULL in any of its forms."""
    return value is None or value != value or type(value).__name__ in ("NAType", "NaTType")


def known(*values: float) -> bool:
    """Whether all of these are numbers."""
    return all(math.isfinite(value) for value in values)
