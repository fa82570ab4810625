"""Numbers and times as a reader can trust them: rounded to what their interval supports.

How many digits are shown follows the rule of the Particle Data Group: two digits of the 95 % half-width when it starts
with 1.00 to 3.54, one digit otherwise. At most three digits of the value itself are shown, except for counts, which
are exact. What is missing, NaN or NaT shows as an en dash.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Protocol, SupportsFloat

__all__ = [
    "NOTHING", "Estimated", "at_least", "at_most", "between", "bounds", "clock", "count", "counted", "day", "exact", "finite",
    "ms", "number", "percent", "span", "step", "when",
]  # fmt: skip

NOTHING = "–"
_NBSP = "\u00a0"
_MOST_DIGITS = 3
_SMALL_LEAD = Decimal("3.55")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


class Estimated(Protocol):
    """Anything that carries an estimate; `page` never asks for more than these."""

    @property
    def value(self) -> object:
        """The estimate itself."""

    @property
    def low(self) -> object:
        """Lower end of the 95 % interval."""

    @property
    def high(self) -> object:
        """Upper end of the 95 % interval."""

    @property
    def grade(self) -> object:
        """`good`, `rough`, `too few` or `logged`."""


def _decimal(value: object) -> Decimal | None:
    """Any number as a Decimal, infinite ones too; None for None, NaN, NA and what is no number."""
    if isinstance(value, str | bytes):
        return None
    try:
        if isinstance(value, Decimal | int):
            found = Decimal(value)
        elif isinstance(value, float | SupportsFloat):
            found = Decimal(repr(float(value)))
        else:
            return None
    except (TypeError, ValueError, OverflowError, InvalidOperation):
        return None
    return None if found.is_nan() else found


def finite(value: object) -> float | None:
    """The value as a finite float, or None."""
    found = _decimal(value)
    if found is None or not found.is_finite():
        return None
    as_float = float(found)
    return as_float if math.isfinite(as_float) else None


def step(value: object, low: object = None, high: object = None) -> int | None:
    """The power of ten to round to: 2 means hundreds, -1 means tenths; None when nothing limits the digits."""
    centre, under, over = finite(value), finite(low), finite(high)
    by_value = by_width = None
    if centre:
        by_value = math.floor(math.log10(abs(centre))) - (_MOST_DIGITS - 1)
    # One open side: the distance to the other bound is the half-width we know.
    widths = [abs(bound - centre) for bound in (under, over) if bound is not None and centre is not None]
    half = over / 2 - under / 2 if under is not None and over is not None else max(widths, default=0.0)
    if 0 < half < math.inf:
        exponent = math.floor(math.log10(half))
        # in decimals: a power of ten beyond a double, or below the smallest, is one too
        by_width = exponent - 1 if Decimal(half).scaleb(-exponent) < _SMALL_LEAD else exponent
    known = [candidate for candidate in (by_value, by_width) if candidate is not None]
    if not known:
        return None
    # Decimals that are zero in the estimate and in both bounds say nothing: 6 [4 – 11], not 6.0 [4.0 – 11.0].
    places = max(known)
    shown = [part for part in (centre, under, over) if part is not None]
    while places < 0 and all(_ends_in_zero(part, places) for part in shown):
        places += 1
    return places


def _ends_in_zero(value: float, places: int) -> bool:
    return round(Decimal(repr(value)).scaleb(-places)) % 10 == 0


def _written(value: Decimal, places: int | None, sign: bool = False) -> str:
    """Digits with thousands separators and a true minus sign, rounded to 10 ** places."""
    if not value.is_finite():
        return "−∞" if value < 0 else "+∞" if sign else "∞"
    if value and not -7 <= value.adjusted() <= 14:
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{mantissa.replace('-', '−')}e{int(exponent)}".replace("e-", "e−")
        return f"+{text}" if sign and value > 0 else text
    if places is not None:
        value = value.quantize(Decimal(1).scaleb(places), rounding=ROUND_HALF_EVEN)
    text = f"{value:,f}"
    if places is None and "." in text:
        text = text.rstrip("0").rstrip(".")
    if not value:
        return "0"
    return f"+{text}" if sign and value > 0 else text.replace("-", "−")


def number(value: object, low: object = None, high: object = None, *, unit: str = "", sign: bool = False) -> str:
    """An estimate, rounded to what its interval supports: `number(31412, 28013, 34811)` is "31,400"."""
    found = _decimal(value)
    if found is None:
        return NOTHING
    places = step(value, low, high)
    # Whole numbers below a thousand need no decimals: 14 stays 14, not 14.0.
    if low is None and high is None and found.is_finite() and found == found.to_integral_value():
        places = None if abs(found) < 1000 else places
    return _with_unit(_written(found, places, sign), unit)


def bounds(value: object, low: object, high: object, *, unit: str = "", sign: bool = False) -> str:
    """The interval of an estimate, rounded like the estimate: "[28,000 – 34,800]"; empty without bounds."""
    places = step(value, low, high)
    under, over = _decimal(low), _decimal(high)
    under = under if under is not None and under.is_finite() else None
    over = over if over is not None and over.is_finite() else None
    tail = f"{_NBSP}{unit}" if unit else ""
    if under is not None and over is not None:
        return f"[{_written(under, places, sign)} – {_written(over, places, sign)}{tail}]"
    if under is not None:
        return f"[≥{_NBSP}{_written(under, places, sign)}{tail}]"
    if over is not None:
        return f"[≤{_NBSP}{_written(over, places, sign)}{tail}]"
    return ""


def between(low: object, high: object, *, unit: str = "") -> str:
    """A plain range of two numbers: "44 – 87"."""
    return _with_unit(f"{number(low)} – {number(high)}", unit)


def count(value: object) -> str:
    """A counted number, exact: "9,786"."""
    found = _decimal(value)
    return NOTHING if found is None else _written(found, 0)


def counted(value: int, noun: str) -> str:
    """So many of something that takes an s: "1 row", "9,786 rows"."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def exact(value: object, *, sign: bool = False) -> str:
    """A value as it was stored (points of one run): no rounding up to 15 digits, "1.23e+300" style beyond."""
    found = _decimal(value)
    if found is None:
        return NOTHING
    if found.is_finite() and found:
        found = round(found, max(0, 14 - found.adjusted())) if found.adjusted() < 15 else found
    return _written(found, None, sign)


def percent(share: object, low: object = None, high: object = None, *, sign: bool = False) -> str:
    """A share of one as percent: `percent(0.0017, 0.0012, 0.0025)` is "0.17 %"."""
    scaled = [None if finite(part) is None else Decimal(repr(finite(part))) * 100 for part in (share, low, high)]
    return number(*scaled, unit="%", sign=sign)


def ms(value: object, low: object = None, high: object = None) -> str:
    """Milliseconds: "6.3 ms"."""
    return number(value, low, high, unit="ms")


def at_least(value: object, *, unit: str = "") -> str:
    """A lower bound, never rounded up: "≥ 202"."""
    return _bound("≥", value, ROUND_FLOOR, unit)


def at_most(value: object, *, unit: str = "") -> str:
    """An upper bound, never rounded down: "≤ 58"."""
    return _bound("≤", value, ROUND_CEILING, unit)


def _bound(mark: str, value: object, rounding: str, unit: str) -> str:
    found = _decimal(value)
    if found is None:
        return NOTHING
    if found.is_finite() and found != found.to_integral_value():
        places = min(found.adjusted() - (_MOST_DIGITS - 1), 0)
        found = found.quantize(Decimal(1).scaleb(places), rounding=rounding)
    return f"{mark}{_NBSP}{_with_unit(_written(found, None), unit)}"


def _with_unit(text: str, unit: str) -> str:
    return text if not unit or text == NOTHING else f"{text}{_NBSP}{unit}"


def _utc(moment: object) -> dt.datetime | None:
    if not isinstance(moment, dt.date) or moment != moment:  # NaT is a datetime that differs from itself
        return None
    if not isinstance(moment, dt.datetime):
        return dt.datetime(moment.year, moment.month, moment.day, tzinfo=dt.UTC)
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def day(moment: object, *, long: bool = False, year: bool = False) -> str:
    """A day with its weekday: "Wed 8 July", long "Wednesday 8 July"; naive times are taken as UTC."""
    found = _utc(moment)
    if found is None:
        return NOTHING
    name = _DAYS[found.weekday()]
    return f"{name if long else name[:3]} {found.day} {_MONTHS[found.month - 1]}" + (f" {found.year}" if year else "")


def clock(moment: object, *, seconds: bool = False) -> str:
    """The time of day in UTC: "09:30"."""
    found = _utc(moment)
    return NOTHING if found is None else found.strftime("%H:%M:%S" if seconds else "%H:%M")


def when(moment: object, *, long: bool = False, year: bool = False, seconds: bool = False) -> str:
    """A moment in UTC with its weekday: "Wed 8 July 09:30"."""
    if _utc(moment) is None:
        return NOTHING
    return f"{day(moment, long=long, year=year)} {clock(moment, seconds=seconds)}"


def window(since: dt.datetime, until: dt.datetime, *, long: bool = True) -> str:
    """A report's window, with its year: a day by its name, whole days as days, otherwise from when to when."""
    first, end = since.astimezone(dt.UTC), until.astimezone(dt.UTC)
    if first.time() != dt.time() or end.time() != dt.time():
        return span(since, until, year=True)
    if end - first == dt.timedelta(days=1):
        return day(first, long=long, year=True)
    return f"{day(first, year=first.year != end.year)} – {day(end - dt.timedelta(microseconds=1), year=True)}"


def span(since: object, until: object, *, year: bool = False) -> str:
    """A stretch of time: "Wed 8 July 02:11 – 02:15", or both days when they differ."""
    first, last = _utc(since), _utc(until)
    if first and last and first.date() == last.date():
        if clock(first) == clock(last):
            return when(first, year=year)
        return f"{when(first, year=year)} – {clock(last)}"
    return f"{when(since)} – {when(until, year=year)}"
