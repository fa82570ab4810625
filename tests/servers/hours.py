"""Hours of counters: a real Prometheus and a real VictoriaMetrics answer for them, and the command must say what was simulated."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import psycopg
import pyarrow.parquet as pq

from analytics import demo
from analytics.demo import EmbeddedServer
from analytics.estimates.sampling_rates import Rates
from analytics.lake.lake import Lake
from analytics.window import Window
from tests.extracting import extract
from tests.servers.bench import Bench, BrokenError
from tests.servers.compare import Compared
from tests.servers.counting import KINDS, Kind, Labels, Shown
from tests.servers.server import free_port

SINCE, UNTIL = "2026-07-09", "2026-07-11"
BEGIN = "2026-07-09T06:00"
"""Of the window: the processes have been scraped for hours by then."""
GONE = "2026-07-10T10:40+00:00"
"""When a tenant is seen last."""
SCRAPE, PROCESSES = 30, 3
RUNS, STARTED = "dsl_execution_duration_seconds_count", "process_start_time_seconds"

Key = tuple[str, str, str]
Run = tuple[float, Key]


@dataclass
class Told:
    """What a server keeps.

    Attributes:
        series: Name and labels with times and values.
        lost: Runs, by realm and hour, that came after the last scrape of a process and before its end.
    """

    series: list[tuple[str, Labels, Shown]]
    lost: Counter[tuple[str, int]]


def hours(bench: Bench) -> None:
    """Restarts, missed scrapes, births, ends, and every way in which the same count can be there twice."""
    for kind in KINDS:
        if kind.missing:
            bench.skip(f"{kind.name}, hours of it", kind.missing)
    kinds = [kind for kind in KINDS if not kind.missing]
    if not kinds:
        return
    population = demo.simulate(
        runs=40_000, days=2, until=date.fromisoformat(UNTIL), directory=bench.place("population")
    )
    lake, mistaken, fewer = bench.lake(), bench.lake(), bench.lake()
    runs = _runs(population.truth_path)
    gone = Counter(key[0] for _, key in runs).most_common(2)[1][0]
    last = datetime.fromisoformat(GONE).timestamp()
    left = [run for run in runs if run[1][0] != gone or run[0] < last]
    with EmbeddedServer(bench.place("pg") / "data") as server:
        demo.load(population, server.url, with_quirks=False)
        window = Window.parse(SINCE, UNTIL)
        extract(server.url, lake, window, rates=Rates((), 0.05))
        extract(server.url, mistaken, window, rates=Rates((), 0.1))
        _forget(server.url, gone)
        extract(server.url, fewer, window, rates=Rates((), 0.05))
    for kind in kinds:
        play = partial(bench.play, f"{kind.name} {kind.version}")
        for what, told in _ways(runs).items():
            play(what, partial(_audited, bench, kind, lake, runs, told))
        for what, told in _endings(left, gone, last).items():
            play(what, partial(_audited, bench, kind, fewer, left, told))
        for limit in kind.limits:
            play(f"a server with {limit}", partial(_audited, bench, kind, lake, runs, _scraped(runs), limit))
        play("a report, of a lake with a wrong rate", partial(_reported, bench, kind, mistaken, runs))


def _forget(url: str, realm: str) -> None:
    with psycopg.connect(url) as source:
        words = 'delete from strategyexecutionlog where "realmId" = %s and created_at >= %s'
        assert source.execute(words, (realm, GONE)).rowcount > 0


def _runs(truth: Path) -> list[Run]:
    table = pq.read_table(truth, columns=["created_at", "realm_id", "strategy_type", "status"])
    return sorted(
        (row["created_at"].timestamp(), (row["realm_id"] or "unknown", row["strategy_type"], row["status"]))
        for row in table.to_pylist()
    )


def _ways(runs: Sequence[Run]) -> dict[str, Told]:
    plain = _scraped(runs)
    often = _scraped(runs, restarts=5)
    quiet = _scraped(runs, silent=(0.3, 720))
    return {
        "three processes": plain,
        "five restarts of each": often,
        "no scrape for twelve minutes": quiet,
        "a scrape every two minutes": _scraped(runs, every=120),
        "no process_start_time_seconds (several workers behind one address)": _but(plain, lambda name, _: name == RUNS),
        "two replicas, a label tells them apart": _with(
            _labelled(often, replica="a"), _later(_labelled(often, replica="b"), 7)
        ),
        "a copy federated with honor_labels": _with(often, _later(_labelled(often, prometheus="far"), 4)),
        "a copy federated without honor_labels": _with(often, _later(_exported(often), 4)),
        "the same, without process_start_time_seconds": _but(
            _with(plain, _later(_exported(plain), 4)), lambda name, _: name == RUNS
        ),
        "scraped by two jobs": _with(often, _later(_labelled(often, job="again"), 6)),
        "scraped by another name of each machine": _with(often, _later(_renamed(often), 6)),
        "a rule that sums over processes, under a name of its own": _with(plain, _summed(plain, f"job:{RUNS}:sum")),
        "a rule that sums over processes, under the counter's name": _with(plain, _summed(plain, RUNS)),
    }


def _endings(runs: Sequence[Run], realm: str, last: float) -> dict[str, Told]:
    """A tenant's series end within an hour and never return."""
    alone = _scraped([run for run in runs if run[1][0] == realm], name="alone", processes=1)
    others = _scraped([run for run in runs if run[1][0] != realm])
    return {
        "a tenant vanishes: its series are removed from processes that go on": _until(_scraped(runs), last, realm),
        "a tenant vanishes with its process": _with(others, _until(alone, last)),
    }


# ---- what is scraped -----------------------------------------------------------------------------------------------------


def _scraped(
    runs: Sequence[Run],
    *,
    restarts: int = 0,
    silent: tuple[float, float] | None = None,
    every: int = SCRAPE,
    name: str = "game",
    processes: int = PROCESSES,
) -> Told:
    """Processes that share the runs.

    Args:
        runs: All of them.
        restarts: Of each process, at random moments.
        silent: From which share of the time on nobody scrapes, and for how many seconds.
        every: Seconds between scrapes.
        name: What the names of the machines begin with.
        processes: How many.
    """
    dice = random.Random(20261130)
    first, last = runs[0][0] - 600, runs[-1][0] + 1800
    mute = (first + silent[0] * (last - first), silent[1]) if silent else (0.0, 0.0)
    shares: list[list[Run]] = [[] for _ in range(processes)]
    for run in runs:
        dice.choice(shares).append(run)
    told = Told([], Counter())
    for number, share in enumerate(shares):
        labels = {"job": "game", "instance": f"{name}-{number}:8000"}
        ends = [*sorted(dice.uniform(first, last) for _ in range(restarts)), last]
        shown: dict[Key, Shown] = defaultdict(list)
        started: Shown = []
        begin, at = first - dice.uniform(10, 20), 0
        phase = dice.uniform(0, every)
        for end in ends:
            count, unseen = Counter[Key](), Counter[tuple[str, int]]()
            moment = begin - begin % every + every + phase
            while moment < end:
                while at < len(share) and share[at][0] < moment:
                    count[share[at][1]] += 1
                    unseen[share[at][1][0], int(share[at][0] // 3600)] += 1
                    at += 1
                if not mute[0] <= moment < mute[0] + mute[1]:
                    unseen.clear()
                    started.append((moment, round(begin, 2)))
                    for key, value in count.items():
                        shown[key].append((moment, value))
                moment += every
            while at < len(share) and share[at][0] < end:
                unseen[share[at][1][0], int(share[at][0] // 3600)] += 1
                at += 1
            told.lost.update(unseen)
            begin = end + dice.uniform(1, 3)
        told.series.append((STARTED, labels, started))
        told.series += [
            (RUNS, {**labels, "realm": key[0], "strategy_type": key[1], "status": key[2]}, points)
            for key, points in shown.items()
        ]
    return told


def _with(one: Told, other: Told) -> Told:
    return Told([*one.series, *other.series], one.lost)


def _but(told: Told, wanted: object) -> Told:
    return Told([one for one in told.series if wanted(one[0], one[1])], told.lost)  # type: ignore[operator]


def _until(told: Told, last: float, realm: str | None = None) -> Told:
    """Nothing of a realm, or of all, is shown a minute later."""
    cut = [
        (name, labels, [point for point in points if point[0] < last + 60])
        for name, labels, points in told.series
        if realm in (None, labels.get("realm"))
    ]
    return Told([*cut, *(one for one in told.series if realm not in (None, one[1].get("realm")))], told.lost)


def _labelled(told: Told, **more: str) -> Told:
    return Told([(name, {**labels, **more}, points) for name, labels, points in told.series], told.lost)


def _renamed(told: Told) -> Told:
    renamed = [
        (name, {**labels, "instance": labels["instance"].replace("game-", "10.0.0.")}, points)
        for name, labels, points in told.series
    ]
    return Told(renamed, told.lost)


def _exported(told: Told) -> Told:
    moved = [
        (
            name,
            {
                **labels,
                "exported_job": labels["job"],
                "exported_instance": labels["instance"],
                "job": "federate",
                "instance": "far:9090",
            },
            points,
        )
        for name, labels, points in told.series
    ]
    return Told(moved, told.lost)


def _later(told: Told, seconds: float) -> Told:
    """As another server has them: at other moments, so with the values of before."""
    return Told(
        [(name, labels, [(t + seconds, v) for t, v in points]) for name, labels, points in told.series], told.lost
    )


def _summed(told: Told, name: str) -> Told:
    sums: dict[Key, dict[float, float]] = defaultdict(dict)
    moments = [t for t, _ in told.series[0][2]]
    for metric, labels, points in told.series:
        if metric != RUNS:
            continue
        key, at, value = (labels["realm"], labels["strategy_type"], labels["status"]), 0, 0.0
        for moment in moments:
            while at < len(points) and points[at][0] <= moment:
                value = points[at][1]
                at += 1
            if at:
                sums[key][moment] = sums[key].get(moment, 0.0) + value
    made = [
        (name, {"job": "game", "realm": key[0], "strategy_type": key[1], "status": key[2]}, sorted(points.items()))
        for key, points in sums.items()
    ]
    return Told(made, told.lost)


# ---- what is said of it --------------------------------------------------------------------------------------------------


def _audited(bench: Bench, kind: Kind, lake: Lake, runs: Sequence[Run], told: Told, *more: str) -> tuple[Compared, str]:
    """Never more than was, but for a run at either side of a full hour's scrape; less by what came before an end alone."""
    place = bench.place("hours")
    with kind.holding(told.series, place / "server", free_port(), *more) as url:
        answer = _command(lake, url)
    truth = Counter((key[0], int(moment // 3600)) for moment, key in runs)
    counted = {
        (one["realm_label"], int(_hour(one["hour"]))): one["counted_ok"] + one["counted_failed"]
        for one in answer["hours"]
        if one["counted_ok"] is not None
    }
    for key, value in counted.items():
        # A value stands for up to a minute and a scrape, in which runs of the neighbouring hours may fall.
        slack = 3.0 + 0.06 * max(truth[key], truth[key[0], key[1] - 1], truth[key[0], key[1] + 1])
        if not truth[key] - told.lost[key] - slack <= value <= truth[key] + slack:
            raise BrokenError(f"{key}: {value:.1f} counted where {truth[key]} were, {told.lost[key]} of them unseen")
    inside = {key: count for key, count in truth.items() if BEGIN <= _moment(key[1]) < UNTIL}
    total, known, lost = sum(inside.values()), sum(counted.values()), sum(told.lost.values())
    near = 3.0 * PROCESSES + lost * 4  # a minute between values is four scrapes
    if not total - near <= known <= total + 3 or inside.keys() - counted.keys():
        raise BrokenError(
            f"{known:.1f} counted of {total}; {lost} unseen; {sorted(inside.keys() - counted.keys())[:3]}"
        )
    notes = "; ".join(answer["notes"])
    return Compared(
        len(counted)
    ), f"{known:,.1f} counted of {total:,} runs, {lost} of them after a last scrape; {notes}"


def _reported(bench: Bench, kind: Kind, lake: Lake, runs: Sequence[Run]) -> tuple[Compared, str]:
    """As a user would: the log alone tells half of the runs, the counters all of them."""
    place = bench.place("report")
    true = sum(BEGIN <= _moment(int(at // 3600)) < UNTIL for at, _ in runs)
    with kind.holding(_scraped(runs).series, place / "server", free_port()) as url:
        alone, counted = (_estimated(lake, place / f"out-{len(more)}", *more) for more in ((), ("--counters", url)))
    if not abs(counted - true) < 0.01 * true < 0.4 * true < true - alone:
        raise BrokenError(f"{counted:,.0f} runs by the report, {alone:,.0f} without counters, where {true:,} were")
    return Compared(0), f"{counted:,.0f} runs of {true:,} by the report, {alone:,.0f} without counters"


def _estimated(lake: Lake, out: Path, *more: str) -> float:
    """The runs of all strategies that a report tells of."""
    words = ["report", "runaway_rules", "--all-realms", "--lake", str(lake.root), "--since", BEGIN, "--until", UNTIL]
    done = subprocess.run(
        [sys.executable, "-m", "analytics", *words, "--out", str(out), *more],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode:
        raise BrokenError(f"report ended with {done.returncode}: {done.stdout[:600]} {done.stderr[-600:]}")
    [path] = out.glob("*/summary.json")
    return sum(float(row["est_runs"]["value"]) for row in json.loads(path.read_text(encoding="utf-8"))["league"])


def _command(lake: Lake, url: str) -> Mapping[str, list[Mapping[str, float]]]:
    words = ["audit", "--all-realms", "--lake", str(lake.root), "--since", BEGIN, "--until", UNTIL, "--counters", url]
    done = subprocess.run(
        [sys.executable, "-m", "analytics", *words, "--by-hour", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "ANALYTICS_SAMPLE_RATE": "0.05"},
    )
    if done.returncode:
        raise BrokenError(f"audit ended with {done.returncode}: {done.stdout[:600]} {done.stderr[-600:]}")
    answer: Mapping[str, list[Mapping[str, float]]] = json.loads(done.stdout)
    return answer


def _hour(text: object) -> float:
    return datetime.fromisoformat(str(text)).timestamp() / 3600


def _moment(hour: int) -> str:
    return f"{datetime.fromtimestamp(hour * 3600, tz=UTC):%Y-%m-%dT%H:%M}"


def main() -> int:
    """``python -m tests.servers.hours``: try them; 1 when something did not hold."""
    from tests.servers.__main__ import tell

    with tempfile.TemporaryDirectory(prefix="hours-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        bench = Bench(Path(folder), tell=tell)
        bench.enter(hours)
    return 1 if any(line.broken for line in bench.lines) else 0


if __name__ == "__main__":
    sys.exit(main())
