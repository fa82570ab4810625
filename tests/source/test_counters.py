"""The engine's own counters: what they grew by per hour, from any file or server, through restarts, gaps and new processes."""

from __future__ import annotations

import base64
import contextlib
import gzip
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.errors import AnalyticsError, ConfigurationError, SourceError, SourceUnavailableError, UsageError
from analytics.source.counters import counters, readers
from analytics.source.counters.counters import Counters, read, realm_label
from analytics.source.counters.series import DROPPED, NATIVE, RUNS, STARTED
from tests.fewer import examples

SINCE = datetime(2026, 7, 8, tzinfo=UTC)
UNTIL = SINCE + timedelta(hours=6)
T0 = SINCE.timestamp()
HOUR = 3600.0

Labels = dict[str, str]
Points = list[tuple[float, float]]
Data = list[tuple[str, Labels, Points]]


def labels(realm: str = "acme", pod: str = "a", status: str = "ok", **more: str) -> Labels:
    return {
        "instance": f"{pod}:8000",
        "job": "game",
        "pod": pod,
        "realm": realm,
        "status": status,
        "strategy_type": "CUSTOM",
        **more,
    }


def steady(first: float, last: float, per_minute: float, start: float = 0, step: float = 60) -> Points:
    count = round((last - first) / step)
    return [(T0 + first + i * step, start + i * step / 60 * per_minute) for i in range(count + 1)]


def plain_day() -> Data:
    """One process, scraped from a quarter of an hour before the window to after it: 2 runs a minute, 1 dropped row each 10."""
    span = (-1200, 6 * HOUR + 600)
    return [(RUNS, labels(), steady(*span, 2, 500)), (DROPPED, labels(), steady(*span, 0.1, 7))]


# ---- the formats, as the tools write them ------------------------------------------------------------------------------


def go_quoted(text: str) -> str:
    """As Go's strconv.Quote does: what promtool writes."""
    short = {
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
        "\\": "\\\\",
        '"': '\\"',
    }

    def one(c: str) -> str:
        if c in short:
            return short[c]
        if ord(c) < 0x20 or ord(c) == 0x7F:
            return f"\\x{ord(c):02x}"
        return c if c.isprintable() else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}"

    return '"' + "".join(map(one, text)) + '"'


def exposed(text: str) -> str:
    """As the exposition formats do."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def braces(found: Labels, quoted: Callable[[str], str], joint: str = ",") -> str:
    return "{" + joint.join(f"{name}={quoted(value)}" for name, value in found.items()) + "}"


def dump(data: Data) -> str:
    return "".join(
        f"{braces({'__name__': name, **own}, go_quoted, ', ')} {value:g} {round(t * 1000)}\n"
        for name, own, points in data
        for t, value in points
    )


def openmetrics(data: Data) -> str:
    lines = [f"{name}{braces(own, go_quoted)} {value:g} {t:.3f}\n" for name, own, points in data for t, value in points]
    return "".join([*lines, "# EOF\n"])


def exposition(data: Data) -> str:
    head = f"# HELP {RUNS} runs\n# TYPE {RUNS} counter\n\n"
    return head + "".join(
        f"{name}{braces(own, exposed)}  {value!r}\t{round(t * 1000)}\n"
        for name, own, points in data
        for t, value in points
    )


def answer(data: Data) -> dict[str, Any]:
    result = [
        {"metric": {"__name__": name, **own}, "values": [[t, f"{value:.17g}"] for t, value in points]}
        for name, own, points in data
    ]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


FORMATS: dict[str, Callable[[Data], str]] = {
    "promtool tsdb dump": dump,
    "promtool tsdb dump-openmetrics": openmetrics,
    "exposition": exposition,
    "exposition with CRLF": lambda data: exposition(data).replace("\n", "\r\n"),
    "one answer": lambda data: json.dumps(answer(data)),
    "an indented answer": lambda data: json.dumps(answer(data), indent=2),
    "a list of answers": lambda data: json.dumps([answer([one]) for one in data]),
    "answers line by line": lambda data: "\n".join(json.dumps(answer([one])) for one in data) + "\n",
    "promtool query range": lambda data: json.dumps(answer(data)["data"]["result"]),
    "with a byte order mark": lambda data: "\ufeff" + openmetrics(data),
}


def saved(tmp_path: Path, text: str) -> str:
    path = tmp_path / "counters.txt"
    path.write_bytes(text.encode())
    return str(path)


def of(tmp_path: Path, data: Data, since: datetime = SINCE, until: datetime = UNTIL, form: str = "") -> Counters:
    return read(saved(tmp_path, FORMATS[form or "one answer"](data)), since, until)


def hourly(found: Counters) -> dict[int, float]:
    hours = (found.runs["hour"] - SINCE).dt.total_seconds() // HOUR
    return found.runs.groupby(hours.astype(int))["runs"].sum().to_dict()


def refused(where: str, kind: type[AnalyticsError], *words: str) -> AnalyticsError:
    with pytest.raises(kind) as caught:
        read(where, SINCE, UNTIL)
    for word in words:
        assert word in str(caught.value)
    return caught.value


# ---- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("is_gzip", [False, True])
def test_every_format_says_the_same(tmp_path: Path, form: str, is_gzip: bool) -> None:
    data = plain_day()
    data.append(("up", {"instance": "a:8000"}, steady(0, HOUR, 0)))
    raw = FORMATS[form](data).encode()
    path = tmp_path / "export.gz"
    path.write_bytes(gzip.compress(raw) if is_gzip else raw)
    found = read(str(path), SINCE, UNTIL)
    assert found.source == str(path)
    assert (found.since, found.until) == (SINCE, UNTIL)
    assert list(found.runs.columns) == ["realm_label", "strategy_type", "status", "hour", "runs", "is_interpolated"]
    assert [str(kind) for kind in found.runs.dtypes] == ["str", "str", "str", "datetime64[us, UTC]", "float64", "bool"]
    assert set(found.runs["realm_label"]) == {"acme"}
    assert hourly(found) == pytest.approx(dict.fromkeys(range(6), 120.0))
    assert found.dropped is not None
    assert list(found.dropped["dropped"]) == pytest.approx([6.0] * 6)
    assert found.known_hours == [SINCE + timedelta(hours=i) for i in range(6)]
    assert found.missing == []


def test_a_long_file_is_read_to_its_end(tmp_path: Path) -> None:
    data = [(RUNS, labels(pod=str(pod)), steady(-1200, 6 * HOUR, 1)) for pod in range(10)]
    text = openmetrics(data)
    assert len(text) > 1 << 17
    assert hourly(read(saved(tmp_path, text), SINCE, UNTIL)) == pytest.approx(dict.fromkeys(range(6), 600.0))


@pytest.mark.more
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(realm=st.text(), form=st.sampled_from(sorted(FORMATS)))
def test_any_label_text_comes_back(tmp_path: Path, realm: str, form: str) -> None:
    if form == "exposition with CRLF" and "\r" in realm + "\n":
        realm = realm.replace("\r", "").replace("\n", "")
    found = of(tmp_path, [(RUNS, labels(realm), steady(0, HOUR, 1))], form=form)
    assert set(found.runs["realm_label"]) == {realm}


def test_what_is_allowed_in_text(tmp_path: Path) -> None:
    """Examples, commas at the end, quoted names, native histograms, infinities of others."""
    t = T0 + 60
    text = f"""
# UNIT x seconds
{{"a.metric", realm="x"}} 5 {t}
{{"A.label"="x", __name__="go_info"}} 1 {t}
other_histogram{{a="b"}} {{count:3, sum:4.5, [1,2]:3}} {t}
other_bucket{{le="+Inf"}} +Inf
go_gc_duration_seconds NaN
{RUNS} {{ realm = "x{{}}\\"#" , status="ok", strategy_type="CUSTOM", }} 1 {t} # {{trace_id="a"}} 0.2 {t}
{RUNS} {{ realm = "x{{}}\\"#" , status="ok", strategy_type="CUSTOM", }} 1e1 {t + 60} # {{trace_id="a"}} 0.2 {t}
"""
    found = read(saved(tmp_path, text), SINCE, UNTIL)
    assert found.runs["runs"].sum() == pytest.approx(9)
    assert list(found.runs["realm_label"]) == ['x{}"#']


LINE = f'{RUNS}{{realm="a"}} 1 {T0}\n'


@pytest.mark.parametrize(
    "wrong",
    [
        "this is a sentence",
        f"{RUNS}",
        f'{RUNS}{{realm="a"}}',
        f'{RUNS}{{realm="a"}} one {T0}',
        f'{RUNS}{{realm="a"}} 1 today',
        f'{RUNS}{{realm="a"}} 1 {T0} 5',
        f'{RUNS}{{realm="a"}} 1 99999999999999999',
        f'{RUNS}{{realm="a"}} 1 -5',
        f'{RUNS}{{realm="a"}} 1_0 {T0}',
        f'{RUNS}{{realm="a',
        f"{RUNS}{{realm=a}} 1 {T0}",
        f"{RUNS}{{realm}} 1 {T0}",
        f'{RUNS}{{realm="a",realm="b"}} 1 {T0}',
        f'{RUNS}{{realm="\\xff"}} 1 {T0}',
        f'{RUNS}{{realm="\\ud800"}} 1 {T0}',
        f'{{realm="a"}} 1 {T0}',
        f'{RUNS}{{__name__="up"}} 1 {T0}',
        'up{realm="a',
        "up",
        "\x1b[31mred",
    ],
)
def test_a_line_that_is_not_understood_is_named(tmp_path: Path, wrong: str) -> None:
    error = refused(saved(tmp_path, f"# TYPE x counter\n{LINE}{wrong}\n{LINE}"), SourceError, "counters.txt:3: ")
    assert "\x1b" not in str(error)
    assert error.hint


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        (f'# HELP x y\n{RUNS}{{realm="a"}} 5\n', ConfigurationError, "no timestamps"),
        ('{"status":"error","errorType":"bad_data","error":"parse error"}', SourceError, "parse error"),
        ('{"status":"success","data":{"resultType":"vector","result":[]}}', ConfigurationError, "one moment only"),
        ('{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}', ConfigurationError, "one moment only"),
        (f'[{{"metric":{{"__name__":"{RUNS}"}},"value":[1,"2"]}}]', ConfigurationError, "one moment only"),
        ('[{"metric":{"realm":"x"},"values":[[1,"2"]]}]', SourceError, "has no name"),
        (f'[{{"metric":{{"__name__":"{RUNS}"}},"values":[[1]]}}]', SourceError, "not of the form"),
        (f'[{{"metric":{{"__name__":"{RUNS}"}},"values":[["x","2"]]}}]', SourceError, "not of the form"),
        (f'[{{"metric":{{"__name__":"{RUNS}"}}}}]', SourceError, "not of the form"),
        (f'[{{"metric":{{"__name__":"{RUNS}","realm":5}},"values":[]}}]', SourceError, "not of the form"),
        (f'[{{"metric":{{"__name__":"{RUNS}","realm":"\\ud800"}},"values":[]}}]', SourceError, "not of the form"),
        (f'[{{"metric":{{"__name__":"{RUNS}"}},"values":[[{T0},"-1"]]}}]', SourceError, "which no counter can have"),
        ('{"status":"success",\n"data":', SourceError, "counters.txt:2: the JSON"),
        ('{"a":5}', SourceError, "no answer of Prometheus"),
        ('{"data":{}}\n\n{"data":5}', SourceError, "counters.txt:1: "),
        ('{"data":[]}\n\n{"data":5}', SourceError, "counters.txt:3: "),
        ("[" * 100_000, SourceError, "no answer of Prometheus"),
        ("[" * 400 + "1" + "]" * 400, SourceError, "no answer of Prometheus"),
        ("[" + "9" * 5000 + "]", SourceError, "no answer of Prometheus"),
        ("", SourceError, "no sample of"),
        ("# EOF\n", SourceError, "no sample of"),
        ("up 1 5\n", SourceError, "no sample of"),
        ("[]", SourceError, "no sample of"),
        (f'{RUNS}{{realm="a"}} NaN {T0}\n', SourceError, "no sample of"),
        (f'{RUNS}{{realm="a"}} 1 {T0 - 86400}\n', SourceError, "it has 2026-07-07 00:00 to 2026-07-07 00:00"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_a_repair(
    tmp_path: Path, text: str, kind: type[AnalyticsError], says: str
) -> None:
    assert refused(saved(tmp_path, text), kind, says).hint


def test_files_that_are_no_text(tmp_path: Path) -> None:
    refused(str(tmp_path / "none.json"), ConfigurationError, "No such file")
    refused(str(tmp_path), ConfigurationError, "directory")
    refused("a\0b", ConfigurationError, "cannot be read")
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(LINE.encode() * 1000)[:-20])
    refused(str(path), SourceError, "truncated gzip")
    path.write_bytes(b"\x1f\x8bnonsense")
    refused(str(path), SourceError, "gzip")
    path.write_bytes(LINE.encode("utf-16"))
    refused(str(path), SourceError, "UTF-8")
    refused("ftp://user:secret@host/x", ConfigurationError, "not ftp")


# ---- hours and growth --------------------------------------------------------------------------------------------------


def test_realms_without_a_name_have_the_engines_label() -> None:
    assert [realm_label(realm) for realm in (None, "", "acme", "unknown")] == ["unknown", "unknown", "acme", "unknown"]


def test_times_need_a_zone_and_any_zone_will_do(tmp_path: Path) -> None:
    where = saved(tmp_path, openmetrics(plain_day()))
    with pytest.raises(UsageError, match="time zone"):
        read(where, SINCE.replace(tzinfo=None), UNTIL)
    with pytest.raises(UsageError, match="empty"):
        read(where, UNTIL, SINCE)
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("Asia/Kolkata")  # hours begin at half past
    found = read(where, SINCE.astimezone(zone), UNTIL.astimezone(zone))
    assert found.known_hours[0] == SINCE
    assert found.known_hours[0].tzinfo is UTC
    assert hourly(found) == pytest.approx(dict.fromkeys(range(6), 120.0))


def test_a_window_may_begin_within_an_hour(tmp_path: Path) -> None:
    found = of(tmp_path, plain_day(), SINCE + timedelta(minutes=30), SINCE + timedelta(hours=2, minutes=15))
    assert hourly(found) == pytest.approx({0: 60.0, 1: 120.0, 2: 30.0})
    assert found.known_hours == [SINCE + timedelta(hours=i) for i in range(3)]


def test_a_restart_counts_from_zero_and_duplicates_and_marks_do_not_count(tmp_path: Path) -> None:
    points = [*steady(0, HOUR, 1), *steady(HOUR + 60, 2 * HOUR, 1, 5)]
    nothing = float("nan")
    odd = [*reversed(points), *points[10:50], (T0 + 90, nothing), (T0 + HOUR + 30, nothing)]
    found = of(tmp_path, [(RUNS, labels(), odd)], until=SINCE + timedelta(hours=2), form="exposition")
    assert hourly(found) == pytest.approx({0: 60, 1: 5 + 59})
    assert found.known_hours == [SINCE, SINCE + timedelta(hours=1)]


def test_a_new_process_and_a_first_run_of_its_kind_count_from_zero(tmp_path: Path) -> None:
    data: Data = [
        (RUNS, labels(), steady(-1200, 6 * HOUR, 1, 1000)),
        (RUNS, labels(status="error"), steady(2 * HOUR, 6 * HOUR, 0, 1)),
        (RUNS, labels(pod="b"), steady(3 * HOUR, 6 * HOUR, 0, 40)),
        (DROPPED, labels(), steady(4 * HOUR, 6 * HOUR, 0, 9)),
    ]
    found = of(tmp_path, data)
    assert found.runs.groupby("status")["runs"].sum().to_dict() == pytest.approx({"ok": 400, "error": 1})
    # each is put between the scrape before and the first it was seen in
    assert hourly(found) == pytest.approx({0: 60, 1: 61, 2: 100, 3: 60, 4: 60, 5: 60})
    assert not found.runs["is_interpolated"].any()
    assert found.dropped is not None
    assert list(found.dropped["dropped"]) == pytest.approx([0, 0, 0, 9, 0, 0])


def test_what_comes_into_sight_when_reading_begins_may_have_run_for_long(tmp_path: Path) -> None:
    first = (RUNS, labels(), steady(0, 6 * HOUR, 1, 1000))
    for more in (labels(status="error"), labels(pod="b")):
        for begin, total in ((900, 360), (960, 360 + 5000)):
            found = of(tmp_path, [first, (RUNS, more, steady(begin, 6 * HOUR, 0, 5000))])
            assert found.runs["runs"].sum() == pytest.approx(total)


def test_many_runs_of_processes_that_are_only_taken_for_new_are_said(tmp_path: Path) -> None:
    first = (RUNS, labels(), steady(-1200, 6 * HOUR, 1, 1000))
    drops = (DROPPED, labels(pod="c"), steady(HOUR, 6 * HOUR, 0, 9999))
    few, many = (
        of(tmp_path, [first, drops, (RUNS, labels(pod="b"), steady(HOUR, 6 * HOUR, 0, n))]) for n in (30, 5000)
    )
    assert "taken for new" not in " ".join(few.missing)
    assert "5,000 of 5,360 runs had been counted when game, b, b:8000 came into sight" in " ".join(many.missing)


def test_of_two_values_of_a_moment_the_higher_one_counts(tmp_path: Path) -> None:
    points = steady(0, 6 * HOUR, 1, 1000)
    found = of(tmp_path, [(RUNS, labels(), [*points, *((t, v - 1) for t, v in points[::7])])])
    assert found.runs["runs"].sum() == pytest.approx(360)


def test_answers_saved_one_by_one_prove_nothing_about_each_other(tmp_path: Path) -> None:
    runs = (RUNS, labels(), steady(-1200, 6 * HOUR, 1, 1000))
    drops = (DROPPED, labels(), steady(4 * HOUR, 6 * HOUR, 0.1, 5000))
    found = of(tmp_path, [runs, drops], form="a list of answers")
    assert found.dropped is not None
    assert list(found.dropped["hour"]) == [SINCE + timedelta(hours=i) for i in (4, 5)]
    assert list(found.dropped["dropped"]) == pytest.approx([6, 6])


def test_when_a_process_started_decides_whether_it_is_new(tmp_path: Path) -> None:
    who = {"instance": "b:8000", "job": "game", "pod": "b"}
    first = (RUNS, labels(), steady(-1200, 6 * HOUR, 1))
    second = (RUNS, labels(pod="b"), steady(3 * HOUR, 6 * HOUR, 0, 50_000))

    def total(started: float) -> tuple[float, list[str]]:
        found = of(tmp_path, [first, second, (STARTED, who, [(T0 + 3 * HOUR, T0 + started)])])
        return found.runs["runs"].sum(), found.missing

    assert total(2.9 * HOUR)[0] == pytest.approx(50_360)
    old, missing = total(-9 * HOUR)
    assert old == pytest.approx(360)
    assert "game, b, b:8000 came into sight after having run for long" in " ".join(missing)
    assert total(3.1 * HOUR)[0] == pytest.approx(50_360)  # clocks differ


def test_a_process_that_started_within_the_window_needs_no_other(tmp_path: Path) -> None:
    who = {"instance": "a:8000", "job": "game", "pod": "a"}
    data: Data = [(RUNS, labels(), steady(HOUR, 6 * HOUR, 0, 30)), (STARTED, who, [(T0 + HOUR, T0 + HOUR - 60)])]
    found = of(tmp_path, data)
    assert hourly(found) == pytest.approx({0: 30})
    assert found.known_hours == [SINCE + timedelta(hours=i) for i in range(1, 6)]


def test_what_no_sample_covers_is_unknown_and_not_zero(tmp_path: Path) -> None:
    found = of(tmp_path, [(RUNS, labels(), steady(1.5 * HOUR, 4 * HOUR, 1, 1000))])
    assert hourly(found) == pytest.approx({1: 30, 2: 60, 3: 60})
    assert found.known_hours == [SINCE + timedelta(hours=i) for i in (2, 3)]
    assert found.missing[:2] == [
        "the counters say nothing about 2026-07-08 00:00 to 01:00, 2026-07-08 04:00 to 06:00 (UTC): not zero, unknown",
        "samples cover a part of 2026-07-08 01:00 to 02:00 (UTC): totals there are lower bounds",
    ]


def test_a_gap_is_interpolated_and_flagged(tmp_path: Path) -> None:
    points = [(t, v) for t, v in plain_day()[0][2] if not T0 + 1.5 * HOUR < t < T0 + 3.5 * HOUR]
    found = of(tmp_path, [(RUNS, labels(), points), (RUNS, labels(pod="b"), steady(-1200, 6 * HOUR, 1))])
    assert hourly(found) == pytest.approx(dict.fromkeys(range(6), 180.0))
    assert list(found.runs["is_interpolated"]) == [False, True, True, True, False, False]
    assert len(found.known_hours) == 6
    assert "2026-07-08 01:00 to 04:00" in found.missing[0]


def test_processes_that_were_all_replaced_while_nobody_looked_leave_hours_unknown(tmp_path: Path) -> None:
    data: Data = [
        (RUNS, labels(pod="a"), steady(-1200, HOUR, 1)),
        (RUNS, labels(pod="b"), steady(4 * HOUR, 6 * HOUR, 1, 90)),
    ]
    found = of(tmp_path, data)
    assert found.runs["runs"].sum() == pytest.approx(60 + 90 + 120)
    assert found.known_hours == [SINCE + timedelta(hours=i) for i in (0, 4, 5)]
    assert list(found.runs["is_interpolated"]) == [False, True, True, True, False, False]


def test_a_quiet_engine_that_is_scraped_is_known_to_be_quiet(tmp_path: Path) -> None:
    """After a restart a series is absent until its first run; another counter shows that the engine was scraped."""
    data: Data = [
        (RUNS, labels(pod="a"), steady(-1200, HOUR, 1)),
        (RUNS, labels(pod="b"), steady(4 * HOUR, 6 * HOUR, 1, 1)),
        (DROPPED, labels(pod="b"), steady(HOUR, 7 * HOUR, 0, 1)),
    ]
    found = of(tmp_path, data)
    assert len(found.known_hours) == 6
    assert hourly(found) == pytest.approx({0: 60, 3: 1, 4: 60, 5: 60})


def test_what_a_person_should_know_is_said(tmp_path: Path) -> None:
    zigzag = [(T0 + 60 * i, 500.0 + i if i % 2 else 100.0 + i) for i in range(-20, 361)]
    nameless = {name: text for name, text in labels(prometheus_replica="0").items() if name != "realm"}
    said = answer([(RUNS, nameless, zigzag)]) | {"warnings": ["partial\nresponse"]}
    found = read(saved(tmp_path, json.dumps(said)), SINCE, UNTIL)
    words = "\n".join(found.missing)
    assert found.dropped is None
    for part in (
        "PROMETHEUS_MULTIPROC_DIR",
        "the label prometheus_replica",
        "lack the label realm",
        f"{DROPPED} is absent",
        "the server warns: partial response",
    ):
        assert part in words
    assert set(found.runs["realm_label"]) == {""}


def test_hours_in_words_end_after_some() -> None:
    hours = [SINCE + timedelta(hours=i) for i in (0, 1, 3, 5, 7, 9, 11, 23)]
    words = counters.spans_of_hours(hours)
    assert words.startswith("2026-07-08 00:00 to 02:00, 2026-07-08 03:00 to 04:00")
    assert words.endswith(" and 2 more spans")
    assert counters.spans_of_hours(hours[-1:]) == "2026-07-08 23:00 to 2026-07-09 00:00"


# ---- a simulated process against the whole -----------------------------------------------------------------------------


@st.composite
def processes(draw: st.DrawFn) -> list[Points]:
    """What two processes showed at their scrapes: lives that begin at 0, each a list of growth between scrapes.

    A new life shows less than the last one did at first, or nobody could see the restart.
    """
    shown = []
    for _ in range(2):
        t = draw(st.floats(0, 4 * HOUR))
        points: Points = []
        for life in draw(st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=8), min_size=1, max_size=4)):
            value = min(life[0], int(points[-1][1]) - 1) if points and points[-1][1] else life[0]
            for step in (0, *life[1:]):
                value += step
                points.append((round(T0 + t, 3), float(value)))
                t += draw(st.floats(1, 2 * HOUR))
        shown.append(points)
    return shown


def steps_of(points: Points) -> list[tuple[float, float, float]]:
    """Begin, end and growth between neighbours, the slow and plain way."""
    return [(t, u, w - v if w >= v else w) for (t, v), (u, w) in itertools.pairwise(points)]


@pytest.mark.more
@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(shown=processes(), form=st.sampled_from(["exposition", "one answer", "promtool tsdb dump-openmetrics"]))
def test_totals_are_exact_whatever_the_scrapes(tmp_path: Path, shown: list[Points], form: str) -> None:
    since = SINCE - timedelta(hours=1)
    until = datetime.fromtimestamp(max(points[-1][0] for points in shown) + 1, UTC)
    found = of(
        tmp_path, [(RUNS, labels(pod=pod), points) for pod, points in zip("ab", shown, strict=True)], since, until, form
    )

    steps = [step for points in shown for step in steps_of(points)]
    early, later = sorted(shown, key=lambda points: points[0][0])
    if later[0][0] > early[0][0] + 900:
        before = max(t for t, _ in early if t < later[0][0])
        steps.append((before, later[0][0], later[0][1]))
    assert found.runs["runs"].sum() == pytest.approx(sum(step for _, _, step in steps), abs=1e-6)

    spread: dict[int, float] = {}
    for start, end, step in steps:
        for hour in range(int((start - T0) // HOUR), int((end - T0) // HOUR) + 1):
            shared = min(end, T0 + (hour + 1) * HOUR) - max(start, T0 + hour * HOUR)
            spread[hour] = spread.get(hour, 0) + step * max(shared, 0) / (end - start)
    mine = hourly(found)
    assert mine == pytest.approx({hour: amount for hour, amount in spread.items() if hour in mine}, abs=1e-6)
    assert sum(mine.values()) == pytest.approx(sum(spread.values()), abs=1e-6)


@pytest.mark.more
@settings(max_examples=examples(50), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(shown=processes(), cut=st.integers(1, 600))
def test_two_windows_side_by_side_are_one(tmp_path: Path, shown: list[Points], cut: int) -> None:
    data: Data = [(RUNS, labels(pod=pod), points) for pod, points in zip("ab", shown, strict=True)]
    ends = [SINCE, SINCE + timedelta(minutes=cut), SINCE + timedelta(days=4)]

    def total(since: datetime, until: datetime) -> float:
        try:
            return float(of(tmp_path, data, since, until).runs["runs"].sum())
        except SourceError:
            return 0.0  # no sample there

    assert total(*ends[:2]) + total(*ends[1:]) == pytest.approx(total(ends[0], ends[2]), abs=1e-6)


# ---- a server ----------------------------------------------------------------------------------------------------------


VICTORIA = (
    'error when executing query="dsl_execution_duration_seconds_count" on the time range (start=1, end=2, step=60000): '
)
TOO_MUCH = (
    "query processing would load too many samples into memory in query execution",
    f"{VICTORIA}too many points for the given step=60000, start=1 and end=2: 901; cannot exceed -search.maxPointsPerTimeseries=400",
    f"{VICTORIA}cannot evaluate: cannot select more than -search.maxSamplesPerQuery=20000 samples; possible solutions",
    f"{VICTORIA}cannot evaluate: error during time series unpacking: cannot process more than 500 samples per series; either",
)


class Fake:
    """A Prometheus of the given samples, or of one fixed reply."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.requests: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.reply: tuple[int, str, str] | None = None
        self.location = ""
        self.most_points = 11_000
        self.too_much = TOO_MUCH[0]
        self.pause = 0.0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, asked: dict[str, str]) -> tuple[int, str, str]:
        if self.reply is not None:
            return self.reply
        start, end, step = (float(asked[key]) for key in ("start", "end", "step"))
        assert 0 < step <= 300
        points = int((end - start) // step) + 1
        if points > self.most_points:
            told = {"status": "error", "errorType": "execution", "error": self.too_much}
            return 422, "application/json", json.dumps(told)
        chosen: Data = []
        for name, own, samples in self.data:
            if not (asked["query"] == name or (name == STARTED and asked["query"].startswith(STARTED))):
                continue
            seen: Points = []
            at = 0
            for i in range(points):
                moment = start + i * step
                while at < len(samples) and samples[at][0] <= moment:
                    at += 1
                if at and samples[at - 1][0] > moment - 300:
                    seen.append((moment, samples[at - 1][1]))
            if seen:
                chosen.append((name, own, seen))
        return 200, "application/json", json.dumps(answer(chosen))


@contextlib.contextmanager
def serving(data: Data) -> Iterator[Fake]:
    fake = Fake(data)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            fake.paths.append(parts.path)
            fake.headers.append(dict(self.headers))
            fake.requests.append({name: values[0] for name, values in parse_qs(parts.query).items()})
            if fake.pause:
                time.sleep(fake.pause)
            code, kind, body = fake.answer(fake.requests[-1])
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body.encode())))
            if fake.location:
                self.send_header("Location", fake.location)
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # who asked may have left
                self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.port = server.server_address[1]
    thread = threading.Thread(
        target=server.serve_forever, args=(0.01,), daemon=True
    )  # shutdown waits for its next look
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[Fake]:
    with serving(plain_day()) as fake:
        yield fake


def test_a_server_is_asked_for_the_window_and_a_little_more(server: Fake) -> None:
    found = read(f"{server.url}/", SINCE, UNTIL)
    assert found.source == server.url
    assert hourly(found) == pytest.approx(dict.fromkeys(range(6), 120.0))
    assert found.missing == []
    assert set(server.paths) == {"/api/v1/query_range"}
    assert [asked["query"].split()[0] for asked in server.requests] == [
        RUNS,
        DROPPED,
        STARTED,
        f"histogram_count({NATIVE})",
        STARTED,
    ]
    for asked in server.requests:
        assert float(asked["start"]) <= T0 - float(asked["step"])
        assert float(asked["end"]) >= UNTIL.timestamp() + float(asked["step"])


def test_a_path_prefix_and_a_password_are_used_and_not_shown(server: Fake) -> None:
    found = read(f"HTTP://us%40er:p%2Fw%3A%C3%A4@127.0.0.1:{server.port}/prom/", SINCE, UNTIL)
    assert found.source == f"http://127.0.0.1:{server.port}/prom"
    assert "p/w" not in repr(found)
    assert "us@er" not in repr(found)
    assert set(server.paths) == {"/prom/api/v1/query_range"}
    sent = {header["Authorization"] for header in server.headers}
    assert sent == {"Basic " + base64.b64encode("us@er:p/w:ä".encode()).decode()}
    # the URL of the query itself, as one would copy it, is understood too
    assert read(f"{server.url}/api/v1/query_range", SINCE, UNTIL).source == server.url


def test_long_windows_are_asked_for_in_pieces_without_losing_a_minute() -> None:
    points = steady(-1200, 5 * 24 * HOUR + 600, 3, 77)
    with serving([(RUNS, labels(), points)]) as fake:
        found = read(fake.url, SINCE, SINCE + timedelta(days=5))
        assert found.runs["runs"].to_list() == pytest.approx([180.0] * 120)
        own = [asked for asked in fake.requests if asked["query"] == RUNS]
        assert len(own) > 4
        for one, other in itertools.pairwise(own):
            assert float(other["start"]) - float(one["end"]) == float(one["step"])
        assert all((float(a["end"]) - float(a["start"])) / float(a["step"]) < 11_000 for a in own)


@pytest.mark.parametrize("words", TOO_MUCH)
def test_an_answer_that_is_too_large_for_the_server_is_asked_for_in_halves(server: Fake, words: str) -> None:
    server.most_points, server.too_much = 50, words
    assert hourly(read(server.url, SINCE, UNTIL)) == pytest.approx(dict.fromkeys(range(6), 120.0))
    spans = sorted((float(asked["start"]), float(asked["end"])) for asked in server.requests if asked["query"] == RUNS)
    spans = [(start, end) for start, end in spans if end - start < 50 * 60]
    assert {other[0] - one[1] for one, other in itertools.pairwise(spans)} == {60}
    server.most_points = 0
    refused(server.url, SourceError, words[-60:])


def test_a_long_refusal_keeps_its_cause_which_stands_last(server: Fake) -> None:
    cause = "error when searching tsids: the number of matching timeseries exceeds 20"
    error = f"{VICTORIA}search error on the time range {'[2026-07-09T06:11:00Z..2026-07-09T21:17:00Z]: ' * 20}{cause}"
    server.reply = (422, "application/json", json.dumps({"status": "error", "error": error}))
    said = refused(server.url, SourceError, "refused the query: error when executing query", cause)
    assert len(str(said)) < 700


def test_restarts_new_processes_and_their_start_are_seen_through_a_server() -> None:
    who = {"instance": "c:8000", "job": "game", "pod": "c"}
    data: Data = [
        (RUNS, labels(), [*steady(-2400, HOUR, 1, 900), *steady(HOUR + 60, 7 * HOUR, 1, 0)]),
        (RUNS, labels(pod="b"), steady(600, 7 * HOUR, 0, 8)),
        (RUNS, labels(pod="c"), steady(2 * HOUR, 7 * HOUR, 0, 70_000)),
        (STARTED, who, steady(2 * HOUR, 7 * HOUR, 0, T0 - 10 * 86400)),
    ]
    with serving(data) as fake:
        found = read(fake.url, SINCE, UNTIL)
    # the minute of the restart is lost; a series that begins ten minutes into the window is seen to begin
    assert hourly(found) == pytest.approx({0: 68, 1: 59, 2: 60, 3: 60, 4: 60, 5: 60})
    assert "game, c, c:8000" in " ".join(found.missing)


PROMETHEUS_ERROR = '{"status":"error","errorType":"bad_data","error":"invalid \\u001b[31m parameter"}'
HTML = "<!DOCTYPE html><title>Log in</title>"
METRICS = "# HELP python_info x\n# TYPE python_info gauge\npython_info 1\n"


@pytest.mark.parametrize(
    ("reply", "kind", "says"),
    [
        ((401, "text/plain", "Unauthorized"), SourceUnavailableError, "does not let us in (HTTP 401)"),
        ((403, "text/html", HTML), SourceUnavailableError, "does not let us in (HTTP 403)"),
        ((400, "application/json", PROMETHEUS_ERROR), SourceError, "refused the query: invalid [31m parameter"),
        ((200, "application/json", PROMETHEUS_ERROR), SourceError, "refused the query"),
        ((404, "application/json", '{"detail":"Not Found"}'), SourceUnavailableError, "no query API"),
        ((500, "text/plain", "oops"), SourceUnavailableError, "HTTP 500"),
        ((502, "text/html", HTML), SourceUnavailableError, "HTTP 502"),
        ((503, "application/json", "{}"), SourceUnavailableError, "HTTP 503"),
        ((200, "text/html", HTML), SourceError, "a web page instead of JSON"),
        ((200, "text/plain", "hello"), SourceError, "something else than JSON: 'hello'"),
        ((200, "application/json", '{"status":"succ'), SourceError, "something else than JSON"),
        ((200, "application/json", "[" * 100_000), SourceError, "something else than JSON"),
        ((200, "application/json", "5"), SourceError, "no answer of Prometheus"),
        ((200, "application/json", '{"detail":"x"}'), SourceError, "no answer of Prometheus"),
        ((200, "application/json", "null"), SourceError, "something else than JSON"),
        ((200, "text/plain", METRICS), ConfigurationError, "one moment only"),
        ((200, "application/openmetrics-text", "# EOF"), ConfigurationError, "one moment only"),
        ((200, "application/json", json.dumps(answer([]))), SourceError, "no sample of"),
    ],
)
def test_what_a_server_may_answer_instead_is_explained(
    server: Fake, reply: tuple[int, str, str], kind: type[AnalyticsError], says: str
) -> None:
    server.reply = reply
    error = refused(f"http://user:geheim@127.0.0.1:{server.port}", kind, says, f"127.0.0.1:{server.port}")
    assert error.hint
    assert "geheim" not in str(error) + repr(error)
    assert "\x1b" not in str(error)
    assert error.__suppress_context__ or error.__context__ is None


def test_an_applications_own_metrics_are_no_server(server: Fake) -> None:
    server.reply = (404, "application/json", '{"detail":"Not Found"}')
    refused(f"{server.url}/metrics", ConfigurationError, "own page of metrics", "http://prometheus:9090")


def test_a_password_does_not_follow_a_redirect(server: Fake) -> None:
    with serving(plain_day()) as other:
        server.reply = (302, "text/plain", "")
        server.location = f"{other.url}/api/v1/query_range"
        other.reply = (401, "text/plain", "")
        refused(f"http://user:geheim@127.0.0.1:{server.port}", SourceUnavailableError, "after a redirect")
        assert other.headers
        assert not any("Authorization" in header for header in other.headers)


def test_a_server_that_is_silent_or_not_there(server: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "TIMEOUT", 0.2)
    server.pause = 0.6
    refused(server.url, SourceUnavailableError, "did not answer within 0.2 seconds")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        refused(f"http://u:geheim@127.0.0.1:{port}", SourceUnavailableError, "cannot be reached", "refused")
    refused("http://no-such-host.invalid:9090", SourceUnavailableError, "cannot be reached")
    refused(f"https://127.0.0.1:{server.port}", SourceUnavailableError, "cannot be reached", "https")


def test_something_that_is_no_http_server_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-OpenSSH_9\r\n\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        refused(f"http://127.0.0.1:{listening.getsockname()[1]}", SourceUnavailableError, "failed")
        thread.join()


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http://u:geheim@",
        "http://u:ge/heim@host:9090",
        "http://u:12/heim@host:9090",
        "http://u:geheim#1@host",
        "http://u:geheim?x@host",
        "http://host:9090/graph?g0.expr=geheim",
        "http://host:port",
        "http://[::1",
        "http://ho st/",
        "http://host/pa th",
        "http://host:99999",
        "http://hösť/",
        "u:geheim@host:9090",
        "http:/u:geheim@host:9090",
        "//u:geheim@host:9090",
    ],
)
def test_a_url_that_is_not_understood_is_not_repeated(url: str) -> None:
    error = refused(url, ConfigurationError, "is not understood", "%40")
    assert "heim" not in str(error)


def test_an_address_of_version_six_keeps_its_brackets() -> None:
    found = readers.address("https://u:p@[::1]:9090/x/")
    assert found.base == "https://[::1]:9090/x"
    assert "Basic" not in repr(found)
    assert readers.address("http://host").authorization is None
