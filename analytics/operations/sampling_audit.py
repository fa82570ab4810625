"""Does the log agree with the rate it is said to be sampled at? By itself, and against the engine's own counters."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.estimates import estimators, significance
from analytics.operations.rate_judgement import judge_rates
from analytics.source.counters import counters
from analytics.source.counters.counters import Counters, realm_label
from analytics.storage.typed_json import Json
from analytics.warehouse.coverage import coverage
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


_STRATUM_ROWS = 20
"""Drawn rows of an hour that give it a factor of its own; else the day gives one, else the window."""


def audited_weights(hours: pd.DataFrame, realms: Iterable[str | None]) -> pa.Table:
    """Post-stratification: of each realm and hour the counted ok runs per estimated one (Särndal et al. 1992, section 7.6).

    Hours with few drawn rows are taken together with others like them of their day, what is left with that of the window; each row
    keeps its own weight, times the factor of its stratum, so that a change of the rate stays one.

    Args:
        hours: As ``audit.Audit.hours``, with counters.
        realms: Tenants in sight.
    """
    import pyarrow as pa

    known = hours[hours["counted_ok"].notna()].copy()
    known["day"] = known["hour"].dt.floor("D")
    known["factor"], known["instead"] = math.nan, math.nan
    for keys in (["realm_label", "hour"], ["realm_label", "day"], ["realm_label"]):
        left = known[known["factor"].isna()]
        sums = left.groupby(keys)[["drawn_count", "est_ok_runs", "counted_ok"]].transform("sum")
        # Counters that saw less than the log holds say nothing here.
        enough = (sums["drawn_count"] >= (_STRATUM_ROWS if len(keys) > 1 else 1)) & (
            sums["counted_ok"] >= sums["drawn_count"]
        )
        known.loc[left.index, "factor"] = sums["counted_ok"] / sums["est_ok_runs"].where(
            enough & (sums["est_ok_runs"] > 0)
        )
        # Rows drawn at a rate of 0 have no weight to scale.
        instead = sums["counted_ok"] / sums["drawn_count"].where(enough & (sums["est_ok_runs"] == 0))
        known.loc[left.index, "instead"] = known.loc[left.index, "instead"].fillna(instead)
    known = known[known["factor"].notna() | known["instead"].notna()]
    labels: dict[str, list[str | None]] = {}
    for realm in realms:
        labels.setdefault(realm_label(realm), []).append(realm)
    rows = [
        (realm, row.hour.to_pydatetime(), *(None if x != x else x for x in (row.factor, row.instead)))
        for row in known.itertuples()
        for realm in labels.get(row.realm_label, [])
    ]
    names, types = (
        ("realm_id", "hour", "factor", "instead"),
        (pa.string(), pa.timestamp("us", tz="UTC"), pa.float64(), pa.float64()),
    )
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, types, strict=True)], names)


_SURE = 1e-4
"""Chance at which the log is said to contradict its rate, shared among the tenants that are looked at."""
_WORTH_A_WORD = 0.05
"""Part of the rate by which the log must differ: scrapes do not fall on the hour."""
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Audit:
    """What the log and the counters say of the sampling of a window.

    Attributes:
        since, until: The window, UTC.
        hours: Grain realm_label, UTC hour: ``drawn_count``, ``est_ok_runs`` (by the weights), ``failed_count``; with counters
            also ``counted_ok``, ``counted_failed`` (NaN in hours they do not know), ``observed_rate`` and ``implied_rate``.
        realms: The same per realm_label, with counters over the hours they know; ``observed_rate`` with ``_low`` and ``_high``.
        was_compared: There was enough to compare; otherwise that nothing was found means nothing.
        contradictions: Why the configured rate cannot be right, in sentences; empty when nothing speaks against it.
        losses: What is missing in the log though it should be there, in sentences.
        notes: What else a person should know.
        source: Of the counters; ``None`` when none were given.
        weights: What the counters make of drawn rows: ``realm_id``, ``hour``, ``factor`` of their weight, and the weight
            ``instead`` of one that is unknown.
        undecided: What a change of the rate would explain, and a change of traffic as well, in sentences.
        reason: Why the log alone cannot tell, in words; empty where it can, and with counters.
    """

    since: datetime
    until: datetime
    hours: pd.DataFrame = field(repr=False)
    realms: pd.DataFrame = field(repr=False)
    was_compared: bool
    contradictions: list[str]
    losses: list[str]
    notes: list[str]
    source: str | None
    weights: pa.Table | None = field(repr=False)
    undecided: list[str] = field(default_factory=list)
    reason: str = ""

    @property
    def is_contradicted(self) -> bool:
        """Estimates made with the configured rate are in doubt."""
        return bool(self.contradictions)

    def to_dict(self) -> dict[str, Json]:
        """The facts as plain JSON values."""
        return {
            "is_contradicted": self.is_contradicted,
            "was_compared": self.was_compared,
            "contradictions": [*self.contradictions],
            "undecided": [*self.undecided],
            "cannot_tell_because": self.reason or None,
            "losses": [*self.losses],
            "notes": [*self.notes],
            "counters": self.source,
        }


def audit(lake: Warehouse, window: Window, where: str = "") -> Audit:
    """Look at the sampling of a window.

    Args:
        lake: All it is scoped to.
        window: Which runs.
        where: Prometheus server or exported file with the engine's counters; empty for none.

    Raises:
        ConfigurationError, SourceError: The counters cannot be read.
    """
    rows = lake.run("sampling_by_hour", since=window.since, until=window.until)
    rows["realm_label"] = [realm_label(None if realm != realm else realm) for realm in rows["realm_id"].astype(object)]
    counted = counters.read(where, window.since, window.until) if where else None
    apart = _labels_apart(lake)
    hours = _hours(rows, counted, None if _covers_all(lake, window) else set(rows["realm_label"]), apart)
    contradictions = [*_drawn_at_rate_zero(rows)]
    losses: list[str] = []
    undecided: list[str] = []
    reason = ""
    notes: list[str] = list(counted.missing) if counted else []
    realms = _realms(hours, coverage(lake, window).smallest_rate)
    if counted is None:
        alone = judge_rates(rows)
        contradictions += alone.contradictions
        undecided, reason = alone.undecided, alone.reason
        was_compared = not reason
    else:
        was_compared = bool(((realms["counted_ok"] > 0) & (realms["drawn_count"] > 0)).any())
        contradictions += _named(_against_counters(realms))
        notes += _unknown(realms)
        if apart:
            notes.append(
                "Runs without a realm and with an empty one are counted together: with one of them alone nothing is compared."
            )
        losses += [*_missing_failures(realms), *_dropped(counted)]
    return Audit(
        window.since,
        window.until,
        hours,
        realms,
        was_compared,
        contradictions,
        losses,
        notes,
        _source(counted) if counted else None,
        audited_weights(hours, lake.realms) if counted else None,
        undecided,
        reason,
    )


def _source(counted: Counters) -> str:
    # Of a file its name will do: a report is read on other machines.
    return counted.source if "://" in counted.source else Path(counted.source).name


def _labels_apart(lake: Warehouse) -> set[str]:
    """Labels that tenants in sight share with others: the engine counts runs without a realm and those of an empty one together."""
    mine = set(lake.realms)
    return {realm_label(r) for r in mine} & {realm_label(r) for r in lake.lake.realms() if r not in mine}


def _covers_all(lake: Warehouse, window: Window) -> bool:
    """Every tenant's rows of the window should be in sight, also of one that has none."""
    records = {record.day: record for record in lake.records()}
    days = [records.get(day) for day in window.days]
    return not lake.is_scoped and all(record and record.covers_all_realms for record in days)


def _hours(rows: pd.DataFrame, counted: Counters | None, mine: set[str] | None, apart: set[str]) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    sums = ["drawn_count", "est_ok_runs", "failed_count"]
    hours = rows.groupby(["realm_label", "hour"], as_index=False)[sums].sum()
    if counted is None:
        return hours
    runs = counted.runs.assign(is_ok=counted.runs["status"] == "ok")
    seen = [
        runs[runs["is_ok"] == is_ok]
        .groupby(["realm_label", "hour"], as_index=False)["runs"]
        .sum()
        .rename(columns={"runs": name})
        for is_ok, name in ((True, "counted_ok"), (False, "counted_failed"))
    ]
    for part in seen:
        part["hour"] = part["hour"].astype(hours["hour"].dtype)
        # Tenants out of sight are none of this window's business.
        known = part if mine is None else part[part["realm_label"].isin(mine)]
        hours = hours.merge(known, on=["realm_label", "hour"], how="outer")
    hours[sums] = hours[sums].fillna(0)
    known = hours["hour"].isin(pd.DatetimeIndex(counted.known_hours)) & ~hours["realm_label"].isin(apart)
    for name in ("counted_ok", "counted_failed"):
        hours[name] = np.where(known, hours[name].fillna(0), np.nan)
    hours["observed_rate"] = hours["drawn_count"] / hours["counted_ok"].where(hours["counted_ok"] > 0)
    hours["implied_rate"] = hours["drawn_count"] / hours["est_ok_runs"].where(hours["est_ok_runs"] > 0)
    return hours.sort_values(["realm_label", "hour"], ignore_index=True)


def _realms(hours: pd.DataFrame, rate: float) -> pd.DataFrame:
    """Totals, with counters of the hours they know; ``rate`` is the configured one where nothing was drawn."""
    names = [name for name in hours.columns if name.endswith(("_count", "_runs")) or name.startswith("counted_")]
    known = hours[hours["counted_ok"].notna()] if "counted_ok" in names else hours
    found = known.groupby("realm_label", as_index=False)[names].sum()
    drawn, est = found["drawn_count"], found["est_ok_runs"]
    found["implied_rate"] = (drawn / est.where(est > 0)).fillna(rate)
    if "counted_ok" not in names:
        return found
    shares = [
        estimators.share(min(n, of), of) if of >= 1 else estimators.NOTHING
        for n, of in zip(drawn, found["counted_ok"].round(), strict=True)
    ]
    found["observed_rate"] = [share.value for share in shares]
    found["observed_rate_low"] = [share.low for share in shares]
    found["observed_rate_high"] = [share.high for share in shares]
    return found


def _drawn_at_rate_zero(rows: pd.DataFrame) -> list[str]:
    count = int(rows["unweighted_count"].sum())
    rows = "row was" if count == 1 else "rows were"
    return [f"{count:,} ok {rows} drawn in a time for which a rate of 0 is configured."] if count else []


def _against_counters(realms: pd.DataFrame) -> list[str]:
    found = []
    for row in realms.itertuples():
        n, of, rate = int(row.drawn_count), round(row.counted_ok), min(float(row.implied_rate), 1.0)
        if of == 0:
            continue  # see _unknown
        if n > of * (1 + _WORTH_A_WORD) + 5:
            found.append(
                f"The log holds {n:,} ok runs of realm {row.realm_label!r} where the counters saw {of:,}: "
                "they are not of this engine."
            )
        elif rate > 0 and abs(n / of / rate - 1) > _WORTH_A_WORD:
            p = significance.binomial_test(min(n, of), of, rate)
            if p < _SURE / max(len(realms), 1):
                found.append(
                    f"Of {of:,} ok runs that the engine counted in realm {row.realm_label!r}, "
                    f"{n:,} {'was' if n == 1 else 'were'} logged: "
                    f"{_percent(row.observed_rate)} [{_percent(row.observed_rate_low)} – {_percent(row.observed_rate_high)}], "
                    f"where the rate is said to be {_percent(rate)}."
                )
        elif rate == 0 and n:
            found.append(f"The rate of realm {row.realm_label!r} is said to be 0, and {n:,} ok runs were logged.")
    return found


def _unknown(realms: pd.DataFrame) -> list[str]:
    alone = realms[(realms["counted_ok"] < 0.5) & (realms["drawn_count"] > 0)]
    if alone.empty:
        return []
    names = ", ".join(repr(name) for name in alone["realm_label"][:_MOST_NAMED])
    rest = f" and {len(alone) - _MOST_NAMED:,} more" if len(alone) > _MOST_NAMED else ""
    count = int(alone["drawn_count"].sum())
    return [f"The counters know nothing of the {count:,} ok rows of {names}{rest}; those keep the configured rate."]


def _missing_failures(realms: pd.DataFrame) -> list[str]:
    found = []
    for row in realms.itertuples():
        counted, logged = round(row.counted_failed), int(row.failed_count)
        if counted - logged > max(2, _WORTH_A_WORD * counted):
            found.append(
                f"The engine counted {counted:,} failures in realm {row.realm_label!r}, the log holds {logged:,}."
            )
    return _named(found)


def _dropped(counted: Counters) -> list[str]:
    if counted.dropped is None:
        return []
    lost = counted.dropped[counted.dropped["dropped"] >= 0.5]
    if lost.empty:
        return []
    first, last = lost["hour"].min(), lost["hour"].max()
    return [
        f"The log's full queue dropped {round(lost['dropped'].sum()):,} rows between {first:%Y-%m-%d %H:00} and "
        f"{last:%Y-%m-%d %H:59} UTC; failures among them are not in the log."
    ]


def _named(sentences: list[str]) -> list[str]:
    rest = len(sentences) - _MOST_NAMED
    return [*sentences[:_MOST_NAMED], *([f"So it is for {rest:,} more realms."] if rest > 0 else [])]


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
