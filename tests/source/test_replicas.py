"""One process is counted once, whichever label tells its scrapers apart, and wherever Prometheus keeps the count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analytics.source.counters.counters import Counters, read
from analytics.source.counters.series import NATIVE, RUNS, STARTED, Samples, add_answer
from tests.source.test_counters import (
    SINCE,
    T0,
    UNTIL,
    Data,
    Points,
    answer,
    braces,
    exposed,
    hourly,
    labels,
    saved,
    steady,
)

SPAN = (-1200, 6 * 3600 + 600)
ONE = steady(*SPAN, 2, 500)


def read_text(tmp_path: Path, text: str) -> Counters:
    return read(saved(tmp_path, text), SINCE, UNTIL)


def read_data(tmp_path: Path, data: Data) -> Counters:
    return read_text(tmp_path, json.dumps(answer(data)))


def lagging(points: Points, seconds: float) -> Points:
    """The same process as another server scrapes it: at other moments, so with the counts of then."""
    return [(t + seconds, value + round(seconds / 60 * 2)) for t, value in points]


@pytest.mark.parametrize(
    ("first", "second"),
    [({"monitor": "a"}, {"monitor": "b"}), ({"whatever": "x"}, {}), ({"a": "1", "b": "1"}, {"a": "2", "b": "2"})],
)
def test_a_pair_that_scrapes_the_same_process_is_counted_once_whatever_tells_it_apart(tmp_path, first, second):
    quiet = [(t, 3.0 + (t > T0 + 9000)) for t, _ in ONE]
    data = [
        (RUNS, labels(status=status, **own), points)
        for status, points in (("ok", ONE), ("error", quiet))
        for own, points in ((first, points), (second, lagging(points, 30) if status == "ok" else points))
    ]
    found = read_data(tmp_path, data)
    assert sum(hourly(found).values()) == pytest.approx(721, abs=3)
    [said] = [word for word in found.missing if "scraped twice" in word]
    assert all(name in said for name in {**first, **second})


def test_two_workers_are_two_though_only_a_label_of_their_own_tells_them_apart(tmp_path):
    data = [(RUNS, labels(worker="1"), ONE), (RUNS, labels(worker="2"), steady(*SPAN, 2, 900))]
    found = read_data(tmp_path, data)
    assert hourly(found) == pytest.approx(dict.fromkeys(range(6), 240.0))
    assert not any("scraped twice" in word for word in found.missing)


@pytest.mark.parametrize(("begun", "runs"), [((T0 - 9e5, T0 - 9e5), 120.0), ((T0 - 9e5, T0 - 8e5), 240.0)])
def test_when_processes_started_decides_whether_they_are_one(tmp_path, begun, runs):
    data = [(RUNS, labels(shard=str(n)), ONE) for n in range(2)]
    data += [
        (STARTED, {"job": "game", "instance": "a:8000", "pod": "a", "shard": str(n)}, [(t, begun[n]) for t, _ in ONE])
        for n in range(2)
    ]
    assert hourly(read_data(tmp_path, data)) == pytest.approx(dict.fromkeys(range(6), runs))


def test_the_engines_own_label_counts_where_the_server_has_moved_it_aside(tmp_path):
    moved = {**labels(realm="of-the-cluster"), "exported_realm": "acme"}
    assert set(read_data(tmp_path, [(RUNS, moved, ONE)]).runs["realm_label"]) == {"acme"}


def test_a_native_histogram_has_its_count_inside(tmp_path):
    own, expected = labels(), dict.fromkeys(range(6), 120.0)
    histograms = [[t, {"count": f"{value:g}", "sum": "1"}] for t, value in ONE]
    told = {
        "status": "success",
        "data": {"resultType": "matrix", "result": [{"metric": {"__name__": NATIVE, **own}, "histograms": histograms}]},
    }
    head = f"{NATIVE}{braces(own, exposed)}"
    text = "".join(f"{head} {{count:{value:g},sum:1,schema:3}} {t:.0f}\n" for t, value in ONE)
    for said in (json.dumps(told), text, text.replace("{count", "{schema:3, count")):
        assert hourly(read_text(tmp_path, said)) == pytest.approx(expected)
    quantile = f"{NATIVE}{braces({**own, 'quantile': '0.5'}, exposed)} 0.01 {T0:.0f}\n"
    plain = "".join(f"{RUNS}{braces(own, exposed)} {value:g} {t:.0f}\n" for t, value in ONE)
    assert hourly(read_text(tmp_path, quantile + plain)) == pytest.approx(expected), "a summary's quantile is no count"


@pytest.mark.parametrize("behind", [" st@1783460000.0", ' st@1783460000.0 # {trace_id="a"} 1', " # {} 1"])
def test_what_openmetrics_allows_behind_a_time_and_in_a_label_is_read(tmp_path, behind):
    lines = [f"{RUNS}{braces(labels(), exposed)} {value:g} {t:.0f}{behind}\n" for t, value in ONE]
    found = read_text(tmp_path, 'a_total{foo="b\\z"} 2\n' + "".join(lines).replace('realm="acme"', 'realm="ac\\me"'))
    assert hourly(found) == pytest.approx(dict.fromkeys(range(6), 120.0))
    assert set(found.runs["realm_label"]) == {"ac\\me"}


def test_an_answer_to_a_function_has_the_name_that_was_asked_for():
    told = answer([("", labels(), ONE)])
    del told["data"]["result"][0]["metric"]["__name__"]
    samples = Samples("a server")
    add_answer(samples, told, "a server", RUNS)
    [found] = samples.series(RUNS)
    assert len(found.times) == len(ONE)


@pytest.mark.parametrize(
    ("odd", "is_restart"),
    [
        ({200: 8387.0}, False),  # one sample of a server that lags, by 13
        ({n: 7987.0 + 2 * n for n in range(200, 400)}, False),  # and all from then on
        ({n: 7987.0 + 2 * n for n in range(5, 400, 30)}, False),
        (
            {200: 42.0, **{n: 2.0 * (n - 200) for n in range(202, 400)}},
            False,
        ),  # one server saw a restart before the other
        ({n: 2.0 * (n - 200) for n in range(200, 400)}, True),
    ],
)
def test_a_fall_that_is_no_restart_does_not_count_everything_again(tmp_path, odd, is_restart):
    points = [(t, odd.get(n, value)) for n, (t, value) in enumerate(steady(*SPAN, 2, 8000))]
    found = read_data(tmp_path, [(RUNS, labels(), points)])
    assert sum(hourly(found).values()) == pytest.approx(720, abs=15)
    assert any("which no restart does" in word for word in found.missing) != is_restart


def test_an_answer_that_is_partial_is_said_to_be(tmp_path):
    found = read_text(tmp_path, json.dumps(answer([(RUNS, labels(), ONE)]) | {"isPartial": True}))
    assert any("the answer is partial" in word for word in found.missing)


JOB, AGAIN = {"job": "game", "instance": "a:8000", "pod": "a"}, {"job": "again", "instance": "a:8000", "pod": "a"}
FAR = {"job": "federate", "instance": "far:9090", "pod": "a", "exported_job": "game", "exported_instance": "a:8000"}


@pytest.mark.parametrize(
    ("other", "begun", "runs"),
    [
        (FAR, None, 120.0),
        (FAR, T0 - 9e5, 120.0),
        (AGAIN, T0 - 9e5, 120.0),
        (AGAIN, T0 - 8e5, 240.0),
        (AGAIN, None, 240.0),  # two processes may well count alike
    ],
)
def test_a_process_that_is_federated_or_scraped_by_two_jobs_is_counted_once(tmp_path, other, begun, runs):
    data = [(RUNS, labels(**JOB), ONE), (RUNS, labels(**other), lagging(ONE, 30))]
    if begun is not None:
        data += [(STARTED, JOB, [(t, T0 - 9e5) for t, _ in ONE]), (STARTED, other, [(t, begun) for t, _ in ONE])]
    found = read_data(tmp_path, data)
    assert hourly(found) == pytest.approx(dict.fromkeys(range(6), runs), abs=2)
    assert any("read twice" in word for word in found.missing) == (runs == 120.0)


def test_a_sum_under_the_counters_own_name_is_not_counted_beside_what_it_sums(tmp_path):
    summed = {name: value for name, value in labels(**JOB).items() if name not in ("instance", "pod")}
    found = read_data(tmp_path, [(RUNS, labels(**JOB), ONE), (RUNS, summed, ONE)])
    assert hourly(found) == pytest.approx(dict.fromkeys(range(6), 120.0))
    assert any("sums that a rule made" in word for word in found.missing)


@pytest.mark.parametrize("is_told", [True, False])
def test_a_rare_run_before_a_restart_and_one_after_are_two_each_in_its_hour(tmp_path, is_told):
    begun = [(t, T0 - 9e5 if t < T0 + 3600 * 2 else T0 + 3600 * 2 - 20) for t, _ in ONE]
    rare = [(t, 1.0) for t, _ in ONE if T0 + 900 <= t < T0 + 7200 or t >= T0 + 4 * 3600 + 900]
    data = [(RUNS, labels(**JOB), ONE), (RUNS, labels(**JOB, status="error"), rare)]
    found = read_data(tmp_path, [*data, *([(STARTED, JOB, begun)] if is_told else [])])
    errors = found.runs[found.runs["status"] == "error"]
    assert dict(zip(errors["hour"].dt.hour - SINCE.hour, errors["runs"], strict=True)) == {0: 1.0, 4: 1.0}
    assert not errors["is_interpolated"].any()
