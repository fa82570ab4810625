"""Samples of the engine's counters as Prometheus kept them: which ones are read, and the JSON it answers with."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics.errors import ConfigurationError, SourceError

if TYPE_CHECKING:
    from analytics.estimates.arrays import Floats

    Points = tuple[array[float], array[float]]

RUNS = "dsl_execution_duration_seconds_count"
"""One more at the end of every run. Labels: realm, strategy_type, status, and those of the process."""
NATIVE = "dsl_execution_duration_seconds"
"""The same histogram where Prometheus keeps it natively, or has converted it: the count is inside and no series of its own."""
DROPPED = "dsl_execution_log_dropped_total"
"""One more for every row the full log queue did not take. A series begins with the first row that was dropped."""
STARTED = "process_start_time_seconds"
"""When a process started, in seconds since 1970: tells a new process from one that was only seen late."""
NAMES = (RUNS, DROPPED, STARTED, NATIVE)

EXPORT_HINT = (
    "give the URL of the Prometheus server, or a file: the JSON of /api/v1/query_range, or the output of "
    "promtool tsdb dump-openmetrics"
)


@dataclass(frozen=True, slots=True)
class Series:
    """What one process said of one counter and set of labels.

    Attributes:
        name: The metric.
        labels: Without the name.
        times: Seconds since 1970, strictly ascending, at least one.
        values: Finite, not negative.
    """

    name: str
    labels: Mapping[str, str]
    times: Floats
    values: Floats


class Samples:
    """Samples in the order they come, given back as series.

    Attributes:
        where: Server or file, without password.
        warnings: What the server said about its own answers.
        answer_count: JSON answers that were added.
        is_one_window: All metrics were read over the same time, so a scrape of one is a scrape of the others.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.warnings: list[str] = []
        self.answer_count = 0
        self.is_one_window = True
        self._points: dict[tuple[str, frozenset[tuple[str, str]]], Points] = {}

    def points(self, name: str, labels: Mapping[str, str]) -> Points:
        """Times (seconds since 1970) and values of a name and labels, to put more of them in.

        Raises:
            ValueError: A label is not text that can be written as UTF-8.
        """
        for text in labels.values():
            text.encode()
        return self._points.setdefault((name, frozenset(labels.items())), (array("d"), array("d")))

    def series(self, name: str) -> list[Series]:
        """All series of a metric. NaN (also Prometheus' mark of an end) and infinities are left out.

        Raises:
            SourceError: A value is negative, so the metric is no counter.
        """
        import numpy as np

        all_series = []
        for (metric, labels), points in self._points.items():
            if metric != name:
                continue
            times, values = (np.array(column, dtype=np.float64) for column in points)
            is_value = np.isfinite(values)
            times, values = times[is_value], values[is_value]
            if not len(times):
                continue
            if values.min() < 0:
                raise SourceError(
                    f"{self.where}: {name} has the value {values.min():g}, which no counter can have",
                    hint="export the plain counter, not the result of a calculation",
                )
            # The same moment twice: a series in two files or answers. The lower of two values would look like a restart.
            order = np.lexsort((values, times))
            times, values = times[order], values[order]
            is_last = np.append(times[1:] != times[:-1], True)
            all_series.append(Series(name, dict(sorted(labels)), times[is_last], values[is_last]))
        return sorted(all_series, key=lambda series: tuple(series.labels.items()))


def seconds(number: float) -> float:
    """A timestamp as seconds since 1970, whether it counts seconds (OpenMetrics) or milliseconds (everything older).

    Seconds reach 100,000,000,000 in the year 5138, milliseconds did in 1973.

    Raises:
        ValueError: It is neither.
    """
    if 0 <= number < 1e11:
        return number
    if 1e11 <= number < 1e14:
        return number / 1000
    raise ValueError(f"{number:g} is neither seconds nor milliseconds since 1970")


def printable(text: object, limit: int = 200) -> str:
    """Foreign text for a message: one line, nothing a terminal obeys, not too long."""
    line = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in str(text))).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _reason(text: object) -> str:
    """An error in one line: where it is long its middle is left out, as VictoriaMetrics says the cause last."""
    line = printable(text, 5_000)
    return line if len(line) <= 300 else f"{line[:80]} … {line[-217:]}"


def add_answer(samples: Samples, answer: object, place: str, name: str | None = None) -> None:
    """Add one JSON answer, a list of them, or the bare series ``promtool query range`` prints.

    Args:
        samples: It is added to these.
        answer: What ``json.loads`` made of a server's answer, or of a file's.
        place: File and line, or server, for messages.
        name: Of the metric, where it was asked for with a function, which leaves no name.

    Raises:
        ConfigurationError: The answer is about one moment only.
        SourceError: It is an error, or has another form.
    """
    if isinstance(answer, list):
        for part in answer:
            add_answer(samples, part, place, name)
        return
    if not isinstance(answer, dict):
        raise _no_answer(place)
    match answer:
        case {"status": "error"}:
            raise SourceError(
                f"{place}: Prometheus refused the query: {_reason(answer.get('error') or answer.get('errorType') or '')}",
                hint="the same query in Prometheus' own page shows more",
            )
        case {"data": data}:
            for words in (answer.get("warnings"), answer.get("infos")):
                samples.warnings += [printable(word) for word in words if isinstance(word, str)] if words else []
            if answer.get("isPartial") is True:  # VictoriaMetrics' word for it; Thanos and Mimir warn
                samples.warnings.append(
                    "the answer is partial, for not all that store it did answer: totals are lower bounds"
                )
            add_answer(samples, data, place, name)
        case {"resultType": "matrix", "result": list() as result}:
            samples.answer_count += 1
            for series in result:
                _add_series(samples, series, place, name)
        case {"resultType": kind}:
            raise _one_moment(f"the result is a {printable(kind, 20)}", place)
        case {"metric": dict()}:
            _add_series(samples, answer, place, name)
        case _:
            raise _no_answer(place)


def _add_series(samples: Samples, series: object, place: str, asked: str | None) -> None:
    try:
        if not isinstance(series, dict):
            raise TypeError(type(series).__name__)
        labels = {str(name): value for name, value in series["metric"].items()}
        name = labels.pop("__name__", asked)
        if name is None:
            raise SourceError(
                f"{place}: a series has no name, so a function was applied to the counter",
                hint=f"query the plain counter: {RUNS}",
            )
        if name not in NAMES:
            return
        if "value" in series:
            raise _one_moment("a series has a single value", place)
        if name == NATIVE:
            if "histogram" in series:
                raise _one_moment("a series has a single histogram", place)
            counts = [(time, histogram["count"]) for time, histogram in series.get("histograms", [])]
        else:
            counts = series["values"]
        times, values = samples.points(RUNS if name == NATIVE else name, labels)
        for time, value in counts:
            times.append(seconds(float(time)))
            values.append(float(value))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise SourceError(
            f"{place}: a series is not of the form metric, values", hint="save the answer of the query unchanged"
        ) from None


def _no_answer(place: str) -> SourceError:
    return SourceError(f"{place}: this JSON is no answer of Prometheus' query API", hint=EXPORT_HINT)


def _one_moment(what: str, place: str) -> ConfigurationError:
    return ConfigurationError(
        f"{place}: {what}: one moment only, and runs are counted between two",
        hint=f"use /api/v1/query_range, or /api/v1/query with a range such as {RUNS}[1d]",
    )
