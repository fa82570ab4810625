"""True totals per hour from the engine's own counters. They count every run, where the log holds a sample.

The counters live in the engine's processes and begin at 0 with each of them; Prometheus keeps what they showed. A total is
what all of them grew by. What happened between the last scrape of a process and its end is never seen, so totals are a little
too low rather than too high.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.errors import ConfigurationError, SourceError
from analytics.source.counters.copies import Copies
from analytics.source.counters.increase import (
    ENGINE_LABELS,
    Births,
    Growth,
    Hours,
    Replicas,
    growth,
    process_name,
    restarts,
    spans_of_hours,
    without_setbacks,
)
from analytics.source.counters.readers import address, read_file, read_server
from analytics.source.counters.series import DROPPED, EXPORT_HINT, RUNS, STARTED
from analytics.window import Window

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from analytics.source.counters.series import Samples, Series

UNKNOWN_REALM = "unknown"
"""What the engine writes into the label of runs without a realm. A realm of that very name has the same label."""

TOLERANCE = 300.0
"""Seconds of an hour that no sample need cover for it to count as known: scrapes do not fall on the hour."""

_NOTABLE = 0.1
"""Share of the runs above which an assumption about them is said."""

_REPLICA_LABELS = ("prometheus_replica", "__replica__", "replica")


@dataclass(frozen=True, slots=True)
class Counters:
    """True totals of a window.

    Attributes:
        source: Server (without user and password) or file they were read from.
        since, until: The window, UTC, ``since <= t < until``.
        runs: One row per label, type, status and hour with runs: ``realm_label``, ``strategy_type``, ``status`` (text),
            ``hour`` (UTC, its start), ``runs`` (count; not whole, as counters are interpolated at full hours),
            ``is_interpolated`` (a process was not scraped for more than an hour, and its runs are spread evenly over that).
            In a known hour no row means no run. In other hours a row is a lower bound, and no row means nothing.
        dropped: ``hour``, ``dropped`` (rows the full queue of the log did not take); ``None`` when the counter is absent,
            which it also is as long as no row was dropped.
        known_hours: Starts of the hours that samples cover, up to 5 minutes of each. The first and the last are parts of an
            hour when the window begins or ends within one.
        missing: What a person should know before using the numbers, in sentences.
    """

    source: str
    since: datetime
    until: datetime
    runs: pd.DataFrame = field(repr=False)
    dropped: pd.DataFrame | None = field(repr=False)
    known_hours: list[datetime] = field(repr=False)
    missing: list[str] = field(repr=False)


def realm_label(realm: str | None) -> str:
    """The label of a realm in the counters; runs without one (NULL, or an empty name) have ``unknown``."""
    return realm or UNKNOWN_REALM


def read(where: str, since: datetime, until: datetime) -> Counters:
    """Read the counters of a window.

    A series that begins within what was read counts from 0 when its process had been scraped before or is new; 15 minutes
    after reading begins, a process that comes into sight is taken for new, unless ``process_start_time_seconds`` says
    otherwise. A file should therefore begin a quarter of an hour before the window, as what is asked of a server does.

    Args:
        where: URL of a Prometheus server (``https://user:password@host/prefix``; neither user nor password are ever shown),
            or path of an exported file, which may be gzipped: answers of ``query_range`` or of a query with a range
            (JSON, one or several), ``promtool tsdb dump`` or ``dump-openmetrics``, exposition text with timestamps.
        since: Begin of the window, with a time zone.
        until: Its end, exclusive.

    Raises:
        UsageError: The window is empty or has no time zone.
        ConfigurationError: ``where`` is neither such a URL nor such a file, or shows one moment only.
        SourceUnavailableError: The server cannot be reached or does not let us in.
        SourceError: The server or file says something that is not understood, or has no such counter in the window.
    """
    Window(since, until)  # refuses times without a zone, which astimezone would take for local ones
    window = Window(since.astimezone(UTC), until.astimezone(UTC))
    where = where.strip()
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", where)
    if scheme is None and "@" in where and not Path(where).exists():
        address(where)  # refuses it, and a password in it is not shown as the name of a file would be
    if scheme is None:
        samples = read_file(Path(where))
    elif scheme[1].lower() in ("http", "https"):
        samples = read_server(address(where), window.since, window.until)
    else:
        raise ConfigurationError(f"counters are read over http and https, not {scheme[1]}", hint=EXPORT_HINT)
    return _counters(samples, window)


def _counters(samples: Samples, window: Window) -> Counters:
    hours = Hours.of(window.since, window.until)
    runs, dropped, started = (samples.series(name) for name in (RUNS, DROPPED, STARTED))
    _require_runs(samples, runs, window)
    replicas = Replicas.among(runs, started)
    runs, dropped, started = (replicas.one_of_each(series) for series in (runs, dropped, started))
    copies = Copies.among(runs, started)
    runs, dropped, started = (copies.without(series) for series in (runs, dropped, started))
    first, last = min(s.times[0] for s in runs), max(s.times[-1] for s in runs)
    spans = [(float(s.times[0]), float(s.times[-1])) for s in runs]
    if samples.is_one_window:
        # A process that has not run anything yet may have dropped rows before: then it was scraped all the same.
        spans += [(max(s.times[0], first), min(s.times[-1], last)) for s in dropped]
    covered = hours.covered(spans)
    is_known = covered > 0
    is_known &= covered >= (hours.edges[1:] - hours.edges[:-1]) - TOLERANCE

    births = Births.among([*runs, *dropped] if samples.is_one_window else runs, started, hours)
    births_of_drops = births if samples.is_one_window else Births.among(dropped, started, hours)
    table: dict[tuple[str, str, str], Growth] = {}
    setbacks = Counter[str]()
    for counter in runs:
        realm, kind, status = (_engine_label(counter.labels, name) for name in ENGINE_LABELS)
        key = (realm, kind, status)
        corrected, count = without_setbacks(counter)
        setbacks[process_name(counter.labels)] += count
        grown = growth(corrected, births, hours)
        table[key] = table[key] + grown if key in table else grown
    assumed = dict(births.assumed)  # before the other counter adds to it
    drops = [growth(without_setbacks(counter)[0], births_of_drops, hours) for counter in dropped]
    known_drops = is_known if samples.is_one_window else hours.covered((s.times[0], s.times[-1]) for s in dropped) > 0
    return Counters(
        samples.where,
        window.since,
        window.until,
        _runs_frame(table, hours),
        _dropped_frame(drops, known_drops, hours) if drops else None,
        [hour for hour, known in zip(hours.starts, is_known, strict=True) if known],
        [
            *_unknown_hours(hours, covered, is_known),
            *_interpolated(hours, table.values()),
            *_late([births, births_of_drops]),
            *_assumed(assumed, sum(float(grown.amount.sum()) for grown in table.values())),
            *replicas.sentences,
            *copies.sentences,
            *_set_back(+setbacks),
            *_odd_series(runs, replicas),
            *_absent(dropped),
            *(f"the server warns: {warning}" for warning in samples.warnings),
        ],
    )


def _engine_label(labels: Mapping[str, str], name: str) -> str:
    """A label of the engine's, also where the server that scrapes it has one of that name itself and moved it aside."""
    return labels.get(f"exported_{name}", labels.get(name, ""))


def _require_runs(samples: Samples, runs: list[Series], window: Window) -> None:
    since, until = window.since.timestamp(), window.until.timestamp()
    if any(s.times[0] < until and s.times[-1] >= since for s in runs):
        return
    if runs:
        first, last = (
            datetime.fromtimestamp(moment, tz=UTC).strftime("%Y-%m-%d %H:%M")
            for moment in (min(s.times[0] for s in runs), max(s.times[-1] for s in runs))
        )
        raise SourceError(
            f"{samples.where} has no sample of {RUNS} in {window}: it has {first} to {last}",
            hint="choose a window within that, or export a longer one",
        )
    raise SourceError(
        f"{samples.where} has no sample of {RUNS} in {window}",
        hint="check that Prometheus scrapes the engine's /metrics and still keeps that time (--storage.tsdb.retention.time), "
        "and that the export was not limited to other metrics",
    )


# ---- frames ----------------------------------------------------------------------------------------------------------


def _runs_frame(table: dict[tuple[str, str, str], Growth], hours: Hours) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    starts = _timestamps(hours)
    parts = [
        pd.DataFrame(
            {
                "realm_label": pd.Series([realm] * len(at), dtype="str"),
                "strategy_type": pd.Series([kind] * len(at), dtype="str"),
                "status": pd.Series([status] * len(at), dtype="str"),
                "hour": starts[at],
                "runs": grown.amount[at],
                "is_interpolated": grown.is_interpolated[at],
            }
        )
        for (realm, kind, status), grown in table.items()
        for at in [np.flatnonzero(grown.amount > 0)]
    ]
    frame = pd.concat(parts, ignore_index=True)
    return frame.sort_values(["hour", "realm_label", "strategy_type", "status"], ignore_index=True)


def _dropped_frame(drops: list[Growth], is_known: NDArray[np.bool_], hours: Hours) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    amount = np.sum([grown.amount for grown in drops], axis=0)
    at = np.flatnonzero(is_known | (amount > 0))
    return pd.DataFrame({"hour": _timestamps(hours)[at], "dropped": amount[at]})


def _timestamps(hours: Hours) -> pd.DatetimeIndex:
    import pandas as pd

    return pd.DatetimeIndex(hours.starts).as_unit("us")


# ---- what a person should know ---------------------------------------------------------------------------------------


def _unknown_hours(hours: Hours, covered: NDArray[np.float64], is_known: NDArray[np.bool_]) -> list[str]:
    nothing = [hour for hour, s in zip(hours.starts, covered, strict=True) if not s]
    partly = [hour for hour, s, known in zip(hours.starts, covered, is_known, strict=True) if s and not known]
    return [
        *([f"the counters say nothing about {spans_of_hours(nothing)} (UTC): not zero, unknown"] if nothing else []),
        *([f"samples cover a part of {spans_of_hours(partly)} (UTC): totals there are lower bounds"] if partly else []),
    ]


def _interpolated(hours: Hours, table: Iterable[Growth]) -> list[str]:
    is_spread = [
        any(flags) for flags in zip(*(grown.is_interpolated & (grown.amount > 0) for grown in table), strict=True)
    ]
    spread = [hour for hour, flag in zip(hours.starts, is_spread, strict=True) if flag]
    if not spread:
        return []
    return [
        f"a process was not scraped for more than an hour: its runs are spread evenly over {spans_of_hours(spread)} (UTC), and "
        "those of a process that ended meanwhile are lost"
    ]


def _late(births: Iterable[Births]) -> list[str]:
    names = sorted({name for birth in births for name in birth.late})
    if not names:
        return []
    return [
        f"{_some(names)} came into sight after having run for long: what it counted before is not in the totals, as it may "
        "be from before the window"
    ]


def _assumed(first_values: dict[str, float], total: float) -> list[str]:
    amount = sum(first_values.values())
    if amount <= _NOTABLE * total:
        return []
    return [
        f"{amount:,.0f} of {total:,.0f} runs had been counted when {_some(sorted(first_values))} came into sight: taken for new "
        "processes, as process_start_time_seconds is absent; if they are not, the totals are too high"
    ]


def _set_back(falls: Counter[str]) -> list[str]:
    if not falls:
        return []
    times = "once" if falls.total() == 1 else f"{falls.total():,} times"
    return [
        f"the counters of {_some(sorted(falls))} fell {times} and went on from where they had been, which no restart does: "
        "two servers may have answered by turns. No run is counted again"
    ]


def _odd_series(runs: list[Series], removed: Replicas) -> list[str]:
    sentences = []
    # Worker processes that share an address answer scrapes by turns, and every turn to a lower count looks like a restart.
    falls = Counter[str]()
    for counter in runs:
        if (count := restarts(counter)) > 3 and count > len(counter.times) / 20:
            falls[process_name(counter.labels)] += count
    if falls:
        sentences.append(
            f"the counters of {_some(sorted(falls))} fell {falls.total()} times: several worker processes may answer at one "
            "address, and then totals are wrong, mostly far too high; set PROMETHEUS_MULTIPROC_DIR for the engine"
        )
    known = {name for way in removed.labels for name in way}
    if replicas := sorted(
        {name for counter in runs for name in _REPLICA_LABELS if name in counter.labels and name not in known}
    ):
        sentences.append(
            f"series carry the label {replicas[0]}: if two Prometheus servers scrape the same processes, runs are counted "
            "twice; read one of them, or through a querier that removes duplicates"
        )
    if lacking := [
        name
        for name in ENGINE_LABELS
        if any(not {name, f"exported_{name}"} & counter.labels.keys() for counter in runs)
    ]:
        sentences.append(f"series lack the label {lacking[0]}: their runs are counted under an empty name")
    return sentences


def _absent(dropped: list[Series]) -> list[str]:
    if dropped:
        return []
    return [
        f"{DROPPED} is absent: no row was dropped since the processes started, or it is not scraped or not exported"
    ]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
