"""The charts with the lake in front: each asks what it draws. What is given as frames is drawn as it is, as the reports do.

>>> lake = analytics.open_lake()
>>> analytics.charts.timeline(lake, family="Speed bonus")
>>> analytics.charts.failure_strip(lake, since="2026-07-08", until="2026-07-11")
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, Literal

from analytics import sql
from analytics.errors import UsageError
from analytics.lake import ledger_columns
from analytics.reports import charts
from analytics.reports.charts.theme import inline_svg, responsive
from analytics.reports.explore.lake_folder import tenant_of
from analytics.reports.parameter_values import typed
from analytics.warehouse.asked_runs import Span
from analytics.warehouse.warehouse import Warehouse
from analytics.window import ONE_DAY, Window

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_DAYS: Final = 14
"""Of the lake's last days, where no window is given to a chart whose axis is time."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a chart is asked to show.

    Attributes:
        lake: With the tenant of the strategy alone in sight, where there is one.
        family: Name of the strategy; ``None`` for all.
        version: Its number; 0 for the newest that was logged.
        since, until: The window; ``None`` for the lake's begin and end.
        family_in: As `find_family` has it.
    """

    lake: Warehouse
    family: str | None
    version: int
    since: datetime | None
    until: datetime | None
    family_in: Any = None

    def frame(self, name: str, **values: object) -> pd.DataFrame:
        """The answer to a statement of ``sql/charts``."""
        statement = sql.text("charts", name)
        every = {"family": self.family, "since": self.since, "until": self.until, **values}
        wanted = {key: every[key] for key in sql.parameters(statement)}
        return self.lake.sql(statement, tables=None, **wanted).df()

    def of_version(self) -> int:
        """The version, the newest in the log where none was given."""
        if self.version:
            return self.version
        found = self.frame("newest").version.iloc[0]
        if found is None or str(found) in ("nan", "<NA>"):  # what pandas says of NULL, by the kind of its column
            raise UsageError(f"no run of {self.family!r} is logged in this time", hint="give another since= and until=")
        return int(found)

    def window(self) -> Window:
        """The window; without one the last days that hold rows, for days without any are extracted, too."""
        days = [
            record.day
            for record in self.lake.records()
            if record.day and any(rows for _, rows, *_ in ledger_columns.sizes(record))
        ]
        end = self.until or (
            Window.parse(max(days), max(days) + ONE_DAY).until if days else Window.parse(None, None).until
        )
        if self.until is None and self.since and self.since >= end:  # nothing is there, which is no fault of the words
            return Window.parse(self.since, None)
        return Window(self.since or end - timedelta(days=_DAYS), end)

    def estimates(self, what: str, by: list[str], name: str) -> pd.DataFrame:
        """One estimate of groups of runs, with the ends of its interval, in columns as charts call them."""
        from duckdb import ConstantExpression

        from analytics.reports.explore.estimated import answer, read_question

        where = None if self.family is None else f"family_name = {ConstantExpression(self.family)}"
        found = answer(self.lake, read_question(what, by, where, Span(self.since, self.until), None)).frame
        own = found[found.estimate == name]
        return own.rename(columns={"value": name, "low": f"{name}_low", "high": f"{name}_high"})


def _timeline(asked: Asked) -> tuple[list[Any], dict[str, Any]]:
    from analytics.findings.post_mortem.post_mortem import Investigation
    from analytics.reports.post_mortem.chart_frames import timeline_frames

    window = asked.window()
    inquiry = Investigation(asked.lake, asked.family_in, window.since, window.until)
    rows = inquiry.window
    if not len(rows):
        raise UsageError(f"no run of {asked.family!r} is logged in {window}", hint="give another since= and until=")
    return list(timeline_frames(rows, inquiry.spans, inquiry.incident)), {}


def _cases(asked: Asked) -> tuple[list[Any], dict[str, Any]]:
    return [asked.frame("cases", version=asked.version or None)], {}


def _growth(asked: Asked) -> tuple[list[Any], dict[str, Any]]:
    found = asked.estimates("nodes", ["family_name", "day"], "est_nodes_p99").rename(columns={"family_name": "label"})
    named = found[found.label.notna() & found.day.notna()]
    largest = named.groupby("label").est_nodes_p99.max()
    order = named.assign(most=named.label.map(largest)).sort_values(
        ["most", "label", "day"], ascending=[False, True, True]
    )
    return [order], {}


def _exceedance(asked: Asked) -> tuple[list[Any], dict[str, Any]]:
    curves, capped = asked.frame("exceedance"), asked.frame("capped")
    role = curves.label.isin(capped.label).map({True: "finding", False: ""})
    return [curves.assign(role=role), capped], {}


def _density(asked: Asked) -> tuple[list[Any], dict[str, Any]]:
    costs = asked.lake.run("run_costs", digits=3, since=asked.since, until=asked.until)
    own = costs if asked.family is None else costs[costs.strategy == asked.family]
    return [own[own.status == "ok"], own[own.status != "ok"]], {}


def _failure_strip(asked: Asked) -> tuple[list[Any], dict[str, Any]]:
    return [asked.frame("failure_strip"), asked.since, asked.until], {}


def _time_split(asked: Asked) -> tuple[list[Any], dict[str, Any]]:
    return [asked.frame("time_split")], {}


def _icicle(asked: Asked) -> tuple[list[Any], dict[str, Any]]:
    version = asked.of_version()
    return [asked.frame("icicle", version=version)], {"name": f"{asked.family} v{version}"}


def _flow(asked: Asked) -> tuple[list[Any], dict[str, Any]]:
    return [asked.frame("flow", version=asked.of_version())], {}


def _day_differences(asked: Asked) -> tuple[list[Any], dict[str, Any]]:
    found = asked.estimates("points", ["day"], "est_points_mean").sort_values("day")
    ends = {f"est_points_mean{end}": f"value{end}" for end in ("", "_low", "_high")}
    return [found.rename(columns=ends)], {}


def _sweep(asked: Asked) -> tuple[list[Any], dict[str, Any]]:
    return [asked.frame("sweep")], {}


def _chart(
    draw: Callable[..., Figure],
    ask: Callable[[Asked], tuple[list[Any], dict[str, Any]]],
    needs: Literal["", "family"] = "",
) -> Callable[..., Figure]:
    """A chart that takes the lake, or what it draws.

    Args:
        draw: Of frames.
        ask: Gives its frames.
        needs: ``family``: it is about one strategy.
    """

    @functools.wraps(draw, assigned=("__module__", "__name__", "__qualname__"))
    def drawn(
        lake: Any = None,  # an open lake, or a frame
        *frames: Any,
        family: str = "",
        realm: str | None = "",
        version: int = 0,
        since: str | date | None = None,
        until: str | date | None = None,
        **options: Any,
    ) -> Figure:
        name = draw.__name__
        if isinstance(lake, str | int | float | PurePath):
            raise UsageError(
                f"charts.{name} takes an open lake, or frames, and not {lake!r}",
                hint=f"lake = analytics.open_lake(…); charts.{name}(lake{', family=…' if needs else ''})",
            )
        if not isinstance(lake, Warehouse):
            given = {name: one for name, one in (("since", since), ("until", until)) if one is not None}
            return draw(*([lake] if lake is not None else []), *frames, **given, **options)
        if needs and not family:
            raise UsageError(f"charts.{name} is about one strategy", hint=f'charts.{name}(lake, family="…")')
        found, own = ask(_asked(lake, family, realm, version, since, until))
        return draw(*found, **{**own, **options})

    begin = f"charts.{draw.__name__}(lake{', family=…' if needs else ''})"
    drawn.__doc__ = (
        f"{begin}: asks the lake, and draws. ``family``, ``realm``, ``version``, ``since`` and ``until`` say of what.\n\n"
        f"    Or of frames: {draw.__doc__}"
    )
    del drawn.__wrapped__  # its own signature is what a notebook shows
    return typed(drawn)


def _asked(
    lake: Warehouse, family: str, realm: str | None, version: int, since: str | date | None, until: str | date | None
) -> Asked:
    tenant, any_realm = tenant_of(realm, None)
    begin, end = (None if one is None else Window.parse(one, "9000-01-01").since for one in (since, until))
    if begin and end:
        Window(begin, end)  # an empty one is refused
    if not family:
        return Asked(lake if any_realm else lake.scoped([tenant]), None, version, begin, end)
    from analytics.findings.post_mortem.family import find_family

    found = find_family(lake, realm=tenant, any_realm=any_realm, family=family)
    return Asked(lake.scoped([found.realm]), found.name, version, begin, end, found)


timeline = _chart(charts.timeline, _timeline, "family")
cases = _chart(charts.cases, _cases, "family")
growth = _chart(charts.growth, _growth)
exceedance = _chart(charts.exceedance, _exceedance)
density = _chart(charts.density, _density)
failure_strip = _chart(charts.failure_strip, _failure_strip)
time_split = _chart(charts.time_split, _time_split)
icicle = _chart(charts.icicle, _icicle, "family")
flow = _chart(charts.flow, _flow, "family")
day_differences = _chart(charts.day_differences, _day_differences, "family")
sweep = _chart(charts.sweep, _sweep, "family")

__all__ = [
    "cases",
    "day_differences",
    "density",
    "exceedance",
    "failure_strip",
    "flow",
    "growth",
    "icicle",
    "inline_svg",
    "responsive",
    "sweep",
    "time_split",
    "timeline",
]
