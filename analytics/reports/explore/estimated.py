"""Estimates that answer somebody's own question: what a cell and a terminal show of them, and what a program gets.

One cell holds an estimate: value, 95 % interval and grade. ``frame`` has a row for each group and estimate.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from analytics.errors import UnknownNameError, UsageError, did_you_mean
from analytics.estimates.estimate import GRADES, Estimate
from analytics.reports import page
from analytics.reports.explore import estimate_notes, results
from analytics.reports.explore.answer_table import MARKS
from analytics.reports.page import number as write
from analytics.reports.page.inline import shorten, visible, written
from analytics.sql import Row
from analytics.warehouse.asked_runs import ASKED, Gathered, Question, Span, gather
from analytics.warehouse.catalog import to_polars
from analytics.warehouse.group_estimates import Compared, GroupEstimates, estimate_groups
from analytics.window import Window

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from analytics.warehouse.warehouse import Warehouse

_TITLES: Final = {
    "est_runs": ("runs", ""),
    "est_points_sum": ("points", ""),
    "est_points_mean": ("points per ok run", ""),
    "est_failure_rate": ("failure rate", "%"),
    "est_duration_p50_ms": ("median duration", "ms"),
    "est_duration_p95_ms": ("p95 duration", "ms"),
    "est_duration_p99_ms": ("p99 duration", "ms"),
    "est_nodes_p50": ("median nodes", ""),
    "est_nodes_p95": ("p95 nodes", ""),
    "est_nodes_p99": ("p99 nodes", ""),
}
"""Of each estimate, with its unit; "%" takes shares of one."""
_LETTERS: Final = 60
_WINDOW: Final = re.compile(r"(.+?)\.\.(.+)")
_IDS: Final = re.compile(r"(\w+_)?id")


class Shown(NamedTuple):
    """A cell in words and as markup."""

    text: str
    html: page.Markup


@dataclass(frozen=True, repr=False)
class Estimated:
    """Estimates of groups of runs. Show it to see them; ``frame`` has them as columns.

    Attributes:
        question: What was asked.
        labels: Of the keys: the expressions of ``by``.
        groups: Those that are well known first and the largest first, or in the order of keys that are all numbers or times.
        notes: Sentences: what the numbers rest on, and what is not in them.
        types: Of the keys, in Arrow.
    """

    question: Question
    labels: tuple[str, ...]
    groups: list[GroupEstimates]
    notes: list[str]
    types: tuple[Any, ...]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per group and estimate, for programs.

        The keys, named as in ``by``; ``estimate``, its name; ``value``; ``low`` and ``high``, the 95 % interval (missing: unknown,
        or open on that side); ``grade`` (good, rough, too few); ``is_at_least``, the value is a lower bound; ``logged_rows``,
        the rows of the log that it rests on. Shares are shares of one, durations milliseconds.

        With ``versus`` also ``versus_value``, ``_low``, ``_high``, ``_grade`` and ``_logged_rows``; ``difference`` (this less
        that), ``_low``, ``_high``, ``_grade``; ``ratio`` (this over that), ``_low``, ``_high``; and ``is_significant``: the
        interval of the difference leaves out zero, and each side has ten rows.
        """
        return self.table().to_pandas()

    def pl(self) -> Any:
        """``frame`` in polars.

        Raises:
            ConfigurationError: polars is not installed.
        """
        return to_polars(self.table())

    def table(self) -> pa.Table:
        """``frame`` in Arrow."""
        import pyarrow as pa

        rows = [
            (group.keys, _record(name, estimate, group.compared.get(name), is_compared=self.is_compared))
            for group in self.groups
            for name, estimate in group.estimates.items()
        ]
        columns = {
            label: _array([keys[at] for keys, _ in rows], self.types[at]) for at, label in enumerate(self.labels)
        }
        for name, kind in _columns(is_compared=self.is_compared).items():
            columns[name] = pa.array([record[name] for _, record in rows], kind)
        return pa.table(columns)

    @property
    def is_compared(self) -> bool:
        """Each group has something beside it."""
        return self.question.versus is not None or self.question.base is not None

    # ---- words -----------------------------------------------------------------------------------------------------

    def shown(self, most: int | None = None) -> tuple[list[str], list[list[Shown]]]:
        """Headings and rows for a person, each estimate in one cell: ``11,800 [10,900 – 12,800] ● good``.

        Args:
            most: Groups; all when not given.
        """
        first, last = self._places()
        middle = [_title(name) for name in self.question.names]
        if self.is_compared:
            middle = ["estimate", "this", self._versus(), "difference", "ratio"]
        rows = []
        for group in self.groups[:most]:
            keys = [_key(key) for key in group.keys]
            before, after = [keys[at] for at in first], [keys[at] for at in last]
            rows += [[*before, *told, *after, _plain(f"{count:,}")] for told, count in self._lines(group)]
        return [*(self.labels[at] for at in first), *middle, *(self.labels[at] for at in last), "logged rows"], rows

    def _lines(self, group: GroupEstimates) -> Iterator[tuple[list[Shown], int]]:
        """What stands between the keys and the count of logged rows."""
        if not self.is_compared:
            yield [_estimate(one, name) for name, one in group.estimates.items()], group.logged_count
            return
        for name, one in group.estimates.items():
            beside = group.compared.get(name)
            told = _compared(beside, name) if beside else [_plain("")] * 3
            yield [_plain(_title(name)), _estimate(one, name), *told], one.logged_count

    def _versus(self) -> str:
        """The heading of what is compared with."""
        span, base = self.question.versus, self.question.base
        if span is not None and span.since and span.until:
            return f"versus {Window(span.since, span.until)}"
        return f"versus {self.labels[-1] if self.labels else ''} = {shorten(visible(str(base)), _LETTERS)}"

    def _places(self) -> tuple[list[int], list[int]]:
        """Keys that lead, the family first, and ids that close a row where a family leads it."""
        places = sorted(range(len(self.labels)), key=lambda at: self.labels[at] != "family_name")
        ids = [at for at in places if _IDS.fullmatch(self.labels[at])] if "family_name" in self.labels else []
        return [at for at in places if at not in ids], ids

    def __repr__(self) -> str:
        columns, rows = self.shown(results.MOST_ROWS)
        if not rows:
            return "\n".join(["No logged runs.", *self.notes])
        told = results.aligned([visible(name) for name in columns], [[cell.text for cell in row] for row in rows])
        return "\n".join([told, *self._below(), *self.notes])

    def _repr_html_(self) -> str:
        bundle, _ = self._block()._repr_mimebundle_()
        return bundle["text/html"]

    def _block(self) -> page.Block:
        names, rows = self.shown(results.MOST_ROWS)
        columns = [
            page.Column(str(at), visible(name), align="left" if name in self.labels or name == "estimate" else "right")
            for at, name in enumerate(names)
        ]
        shown = [{str(at): cell.html for at, cell in enumerate(row)} for row in rows]
        table = page.table(shown, columns, empty="No logged runs.")
        below = [page.note(sentence) for sentence in [*self._below(), *self.notes]]
        html = page.answer_rows(table, len(columns)) + page.Markup("").join(one.html for one in below)
        return page.Block(html, repr(self), "answer")

    def _below(self) -> list[str]:
        if len(self.groups) <= results.MOST_ROWS:
            return []
        return [f"The first {results.MOST_ROWS} of {len(self.groups):,} groups. .frame has all of them."]


def read_question(
    what: str | Sequence[str],
    by: str | Sequence[str] | None,
    where: str | None,
    window: Span,
    versus: str | int | None,
) -> Question:
    """What somebody asks, as they write it.

    Args:
        what: Of ``ASKED``, one or several.
        by, where: Expressions.
        window: Of which time.
        versus: Another window, ``2026-07-03..2026-07-04``, or the value of the last key.

    Raises:
        UsageError: Nothing is asked, or the windows overlap.
        UnknownNameError: Something is asked that cannot be estimated.
    """
    asked = (what,) if isinstance(what, str) else tuple(what)
    for one in asked:
        if one not in ASKED:
            hint = f"{did_you_mean(one, ASKED)}there are {', '.join(ASKED)}"
            raise UnknownNameError(f"{one!r} cannot be estimated", hint=hint)
    if not asked:
        raise UsageError("nothing is asked", hint=f"one or several of {', '.join(ASKED)}")
    given = (by,) if isinstance(by, str) else tuple(by or ())
    if odd := [one for one in given if not isinstance(one, str)]:
        raise UsageError(
            f"by holds {odd[0]!r}, which is no text", hint='expressions are texts: by=["status", "strategy_version"]'
        )
    keys = tuple(dict.fromkeys(one.strip() for one in given))
    other, base = _versus(versus, keys)
    if other is not None and window.overlaps(other):
        raise UsageError(
            "the window overlaps the one that it is compared with: runs would be on both sides",
            hint="say both: since='2026-07-10', until='2026-07-11', versus='2026-07-03..2026-07-04'",
        )
    return Question(tuple(dict.fromkeys(asked)), keys, where, window, other, base)


def _versus(given: str | int | None, by: tuple[str, ...]) -> tuple[Span | None, str | None]:
    if given is None:
        return None, None
    text = str(given)
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UsageError(f"versus {text!r} is no text that a log can hold", hint="a window, or a value of the last by")
    if match := _WINDOW.fullmatch(text):
        try:
            window = Window.parse(match[1], match[2])
            return Span(window.since, window.until), None
        except UsageError:
            if not by:
                raise
    if not by:
        raise UsageError(
            "versus names a group, and there are none", hint="give by, or a window: versus='2026-07-03..2026-07-04'"
        )
    return None, text


def answer(lake: Warehouse, question: Question, min_users: int = 1) -> Estimated:
    """Ask the lake, and estimate.

    Args:
        lake: Whose rows.
        question: What.
        min_users: Users that each group must rest on, on the side with fewer.

    Raises:
        QueryError: An expression is none, or cannot be computed of a row.
    """
    found = gather(lake, question, count_users=min_users > 1)
    few = _few(found, min_users)
    groups = estimate_groups(question, found, few)
    shown = [group for at, group in enumerate(groups) if at not in few]
    notes = estimate_notes.sentences(lake, question, found, shown, left_out=len(few), min_users=min_users)
    return Estimated(question, found.labels, _ordered(shown, question, found.types), notes, found.types)


def _few(found: Gathered, min_users: int) -> frozenset[int]:
    """Groups of too few users; where it is one, another with it, or the total would tell (as ``small_cells``)."""
    if found.users is None:
        return frozenset()
    counted = sorted(range(len(found.users)), key=lambda at: found.users[at] if found.users else 0)
    few = [at for at in counted if found.users[at] < min_users]
    return frozenset(counted[:2] if len(few) == 1 else few)


def _ordered(groups: list[GroupEstimates], question: Question, types: Sequence[Any]) -> list[GroupEstimates]:
    import pyarrow as pa

    in_order = [pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_temporal(kind) for kind in types]
    if all(in_order):
        return groups

    def place(group: GroupEstimates) -> tuple[bool, float]:
        first = group.estimates[question.names[0]]
        return first.grade == GRADES[2], math.inf if math.isnan(first.value) else -first.value

    if question.base is None or len(question.by) < 2:
        return sorted(groups, key=place)
    first: dict[str, tuple[bool, float]] = {}  # a base stands among those that are compared with it
    for group in groups:
        block = repr(group.keys[:-1])
        first[block] = min(first.get(block, (True, math.inf)), place(group))
    return sorted(groups, key=lambda group: (first[repr(group.keys[:-1])], repr(group.keys[:-1])))


# ---- columns -----------------------------------------------------------------------------------------------------------


def _columns(*, is_compared: bool) -> dict[str, pa.DataType]:
    import pyarrow as pa

    number, text, truth, count = pa.float64(), pa.string(), pa.bool_(), pa.int64()
    found = {"estimate": text, "value": number, "low": number, "high": number, "grade": text}
    found |= {"is_at_least": truth, "logged_rows": count}
    if is_compared:
        found |= {f"versus_{name}": number for name in ("value", "low", "high")}
        found |= {"versus_grade": text, "versus_logged_rows": count}
        found |= {f"difference{end}": number for end in ("", "_low", "_high")} | {"difference_grade": text}
        found |= {f"ratio{end}": number for end in ("", "_low", "_high")} | {"is_significant": truth}
    return found


def _record(name: str, one: Estimate, beside: Compared | None, *, is_compared: bool) -> Row:
    plain = one.to_dict()
    found: Row = {"estimate": name, **{key: plain[key] for key in ("value", "low", "high", "grade", "is_at_least")}}
    found["logged_rows"] = one.logged_count
    if not is_compared:
        return found
    if beside is None:  # the base itself
        return dict.fromkeys(_columns(is_compared=True)) | found
    before, change, ratio = (part.to_dict() for part in (beside.before, beside.difference.change, beside.ratio))
    found |= {f"versus_{key}": before[key] for key in ("value", "low", "high", "grade")}
    found |= {"versus_logged_rows": beside.before.logged_count, "is_significant": beside.difference.is_significant}
    found |= {"difference": change["value"], "difference_low": change["low"], "difference_high": change["high"]}
    found |= {"difference_grade": change["grade"], "ratio": ratio["value"]}
    return found | {"ratio_low": ratio["low"], "ratio_high": ratio["high"]}


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array(values, kind)
    except (pa.ArrowException, TypeError, ValueError):  # a type that Arrow has and Python's values are not of
        return pa.array([None if value is None else str(value) for value in values], pa.string())


# ---- cells -------------------------------------------------------------------------------------------------------------


def _title(name: str) -> str:
    return f"{_TITLES[name][0]} (est.)"


def _plain(text: str) -> Shown:
    return Shown(text, page.inline(text))


def _estimate(one: Estimate, name: str) -> Shown:
    return _cell(one, _TITLES[name][1])


def _cell(one: Estimate, unit: str, *, sign: bool = False) -> Shown:
    """An estimate in one cell."""
    text = " ".join(part for part in (*written(one, unit=unit, sign=sign), MARKS[one.grade], one.grade) if part)
    return Shown(text, page.est(one, unit=unit, sign=sign))


def _compared(beside: Compared, name: str) -> list[Shown]:
    ratio = beside.ratio
    told = (write.number(ratio.value, ratio.low, ratio.high), write.bounds(ratio.value, ratio.low, ratio.high))
    change = beside.difference.change
    # A rate's difference is no share of anything.
    is_share, unit = _TITLES[name][1] == "%", _TITLES[name][1]
    shown = _cell(change.times(100), "percentage points", sign=True) if is_share else _cell(change, unit, sign=True)
    return [_estimate(beside.before, name), shown, _plain(" ".join(filter(None, told)))]


def _key(key: Any) -> Shown:
    text = "NULL" if key is None else shorten(visible(str(key)), _LETTERS) or "''"
    return Shown(text, results.value(key))
