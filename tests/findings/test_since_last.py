"""What a report says is new, worse, known and fixed since the last one, and what its definition sets."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analytics.cli import main
from analytics.cli.output import put
from analytics.errors import UnknownNameError, UsageError
from analytics.estimates.estimators import Estimate
from analytics.findings.runaway.finding import (
    CloseToCap,
    Finding,
    FindingType,
    Fixed,
    LimitHits,
    Recurrence,
    StalledLoop,
    Status,
    VersionGrowth,
    Waiting,
)
from analytics.findings.runaway.keys import Key
from analytics.findings.runaway.previous_report import CurrentWindow, compare_with_previous, read
from analytics.findings.runaway.runaway import is_over
from analytics.findings.runaway.thresholds import STANDARD, Thresholds, named
from analytics.findings.runaway.trend import NO_TREND, TrendState
from analytics.findings.runaway.version_growth import NOWHERE, RunsBelowCap
from analytics.findings.timing.time_split import TimeSplit, Verdict
from analytics.findings.timing.version_times import VersionTime
from analytics.reports.page.inline import plain
from analytics.reports.render.publish_folder import find_last, folder_name, scope_of_previous
from analytics.reports.render.rendering import Rendered
from analytics.reports.runaway.charts import growing_words
from analytics.reports.runaway.data_box import finding_facts
from analytics.reports.runaway.finding_sentences import sentence
from analytics.reports.runaway.wording import digest, headline
from analytics.reports.schedule.cards import Card, alarm, unseen
from analytics.reports.schedule.definition import Definition, find, says_subject, setting
from analytics.window import Window
from tests.runaway.rows import ranking_row

DAY = timedelta(days=1)
SINCE = datetime(2026, 7, 10, tzinfo=UTC)
LADDER = Key("sunny-gym", "Ladder", 2)


def runs(value: float) -> Estimate:
    return Estimate(value, 0.9 * value, 1.1 * value, int(value / 20), "good")


def hits(count: int = 30, key: Key = LADDER, *, before: int = 0, lowered: bool = False) -> LimitHits:
    """Runs that a cap stopped in this window; of a lowered one others passed with 600 nodes."""
    below = RunsBelowCap(None, 600 if lowered else None, fits_lowered=lowered)
    return LimitHits(
        status=Status.OPEN, key=key, since=SINCE, until=SINCE + timedelta(hours=1), count=count, past=Recurrence(before),
        burst_count=1, below=below, size=None, limits=STANDARD,
    )  # fmt: skip


def grown(key: Key = LADDER) -> VersionGrowth:
    return VersionGrowth(
        status=Status.WORSE, key=key, versions=(), median=runs(900), node_cap=1000, next_passes=True, ahead=NOWHERE
    )


CLOSE = CloseToCap(
    status=Status.OPEN, key=LADDER, p99=runs(950), node_cap=1000, trend=TrendState.NOT_GROWING, entries_max=None
)


def stall(count: int) -> StalledLoop:
    return StalledLoop(status=Status.OPEN, since=SINCE, until=SINCE, count=count, strategies=4, ends=None)


def report(folder: Path, findings: list[dict], ran: dict[tuple, float], day: int = 1, **more: object) -> Path:
    """A summary as a report ``day`` days earlier would have left it."""
    window = {"since": (SINCE - day * DAY).isoformat(), "until": (SINCE - (day - 1) * DAY).isoformat()}
    league = [
        {"realm": r, "family": f, "version": v, "est_runs": runs(value).to_dict()} for (r, f, v), value in ran.items()
    ]
    path = folder / "summary.json"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"report": "runaway_rules", **window, "findings": findings, "league": league} | more),
        encoding="utf-8",
    )
    return path


def entry(what: str = "limit", count: int | None = 30, kind: str = "new", key: Key = LADDER, **more: object) -> dict:
    until = (SINCE - timedelta(hours=5)).isoformat()
    return {"kind": kind, "what": what, "realm": key.realm, "family": key.strategy, "version": key.version, "since": until,
            "until": until, "count": count, "number": count, "unit": "runs"} | more  # fmt: skip


def now(value: float = 20_000, over: bool = False, key: Key = LADDER) -> CurrentWindow:
    return CurrentWindow(SINCE, SINCE + DAY, {key: runs(value)} if value else {}, lambda finding_type, family: over)


def kinds(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.status.value, finding.type.value) for finding in findings]


def test_what_the_last_report_did_not_have_is_new(tmp_path: Path) -> None:
    last = read(report(tmp_path, [entry("canary", 12)], {LADDER: 20_000}))
    assert kinds(compare_with_previous([hits()], last, now()))[0] == ("new", "limit")


def test_what_it_had_is_known_though_the_version_changed(tmp_path: Path) -> None:
    last = read(report(tmp_path, [entry(count=30)], {LADDER: 20_000}))
    later = LADDER._replace(version=3)
    assert kinds(compare_with_previous([hits(31, later)], last, now(key=later))) == [("finding", "limit")]


@pytest.mark.parametrize(
    ("version", "before", "lowered", "kind"),
    [
        (3, 0, True, "new"),  # never stopped: what stopped version 2 was another cap
        (3, 5, True, "finding"),
        (2, 0, True, "finding"),
        (3, 0, False, "finding"),  # it runs into the cap that version 2 ran into
    ],
)
def test_a_lowered_cap_is_new_to_a_version_that_was_never_stopped(
    tmp_path: Path, version: int, before: int, lowered: bool, kind: str
) -> None:
    last = read(report(tmp_path, [entry(count=30)], {LADDER: 20_000}))
    key = LADDER._replace(version=version)
    stop = hits(30, key, before=before, lowered=lowered)
    assert kinds(compare_with_previous([stop], last, now(key=key))) == [(kind, "limit")]


def test_a_rate_that_rose_by_more_than_chance_is_worse(tmp_path: Path) -> None:
    last = read(report(tmp_path, [entry(count=30)], {LADDER: 20_000}))
    assert kinds(compare_with_previous([hits(120)], last, now())) == [("worse", "limit")]


def test_four_times_the_runs_with_four_times_the_stops_are_not_worse(tmp_path: Path) -> None:
    last = read(report(tmp_path, [entry(count=30)], {LADDER: 20_000}))
    assert kinds(compare_with_previous([hits(120)], last, now(80_000))) == [("finding", "limit")]


def test_a_fixed_finding_of_the_last_report_is_new_when_it_comes_back(tmp_path: Path) -> None:
    last = read(report(tmp_path, [entry(kind="fixed")], {LADDER: 20_000}))
    assert kinds(compare_with_previous([hits()], last, now())) == [("new", "limit")]


def test_none_where_thirty_were_expected_is_fixed(tmp_path: Path) -> None:
    last = read(report(tmp_path, [entry(count=30)], {LADDER: 20_000}))
    [finding] = compare_with_previous([], last, now())
    assert isinstance(finding, Fixed) and finding.previous_count == 30
    assert finding.until == SINCE - timedelta(hours=5)


@pytest.mark.parametrize(
    ("count", "seen"),
    [
        # In at most 22,000 runs, then at least 18,000 a day without one: (22 / 40) ** 5 is 5.03 %, (22 / 58) ** 5 is 0.8 %.
        (5, ["waiting", "fixed", "new"]),
        # (22 / 40) ** 2 is 30 %, (22 / 58) ** 2 is 14 %, (22 / 76) ** 2 is 8 %.
        (2, ["waiting", "waiting", "waiting"]),
        (30, ["fixed", "new", "new"]),
    ],
)
def test_a_rare_stop_waits_until_enough_runs_went_by(tmp_path: Path, count: int, seen: list[str]) -> None:
    path = report(tmp_path, [entry(count=count)], {LADDER: 20_000})
    for day, wanted in enumerate(seen):
        if wanted == "new":
            break
        [finding] = compare_with_previous([], read(path), now(20_000))
        assert finding.status == wanted, day
        facts = finding_facts(finding)
        more = {name: facts[name] for name in ("kind", "waiting") if name in facts}
        path = report(tmp_path / str(day), [entry(count=count, **more)], {LADDER: 20_000})


def test_a_version_that_hardly_ran_since_is_not_fixed_by_the_runs_of_others(tmp_path: Path) -> None:
    """Ten stops in at most 22,000 runs of version 2; of 40,000 runs since, at most 60 are its own and the rest version 1's."""
    last = read(report(tmp_path, [entry(count=10)], {LADDER: 20_000}))
    other = now(40_000, key=LADDER._replace(version=1))
    [finding] = compare_with_previous([], last, replace(now(), runs={**other.runs, **now(50).runs}))
    assert finding.status == "waiting"
    [finding] = compare_with_previous([], last, other)
    assert isinstance(finding, Fixed) and not finding.is_live
    assert "no run of it is logged, these are others of the strategy" in str(sentence(finding).striptags())


def test_a_strategy_that_did_not_run_is_not_fixed_and_forgotten_after_a_fortnight(tmp_path: Path) -> None:
    old = (SINCE - 20 * DAY).isoformat()
    last = read(report(tmp_path, [entry(), entry("canary", 9, until=old)], {LADDER: 20_000}))
    assert kinds(compare_with_previous([], last, now(0))) == [("waiting", "limit")]


def test_only_what_lies_after_the_last_report_counts_as_passed(tmp_path: Path) -> None:
    """A window of a week whose last report ended a day ago, and had counted 1,000: a seventh of its runs is news."""
    waiting = {"last_seen": (SINCE - 9 * DAY).isoformat(), "runs": runs(20_000).to_dict(), "runs_since": 1_000.0}
    last = read(report(tmp_path, [entry(count=10, kind="waiting", waiting=waiting)], {LADDER: 20_000}))
    week = replace(now(28_000), since=SINCE - 6 * DAY)
    [finding] = compare_with_previous([], last, week)
    assert isinstance(finding, Waiting) and finding.runs_since == pytest.approx(1_000 + 0.9 * 28_000 / 7)


@pytest.mark.parametrize(("over", "kind"), [(True, "fixed"), (False, "waiting")])
def test_growth_is_over_only_when_the_log_can_tell(tmp_path: Path, over: bool, kind: str) -> None:
    days = Estimate(6.0, 4.0, 11.0, 900, "rough").to_dict()
    last = read(report(tmp_path, [entry("growing", None, number=days)], {LADDER: 20_000}))
    assert kinds(compare_with_previous([], last, now(over=over))) == [(kind, "growing")]


def test_what_was_close_to_the_cap_and_hits_it_now_is_not_fixed(tmp_path: Path) -> None:
    last = read(report(tmp_path, [entry("close", None)], {LADDER: 20_000}))
    assert kinds(compare_with_previous([hits()], last, now(over=True))) == [("new", "limit")]


def test_a_stall_is_never_new_and_never_fixed(tmp_path: Path) -> None:
    told = entry("stall", 40) | {"realm": None, "family": None, "version": None}
    last = read(report(tmp_path, [told], {LADDER: 20_000}))
    assert compare_with_previous([], last, now()) == []
    assert kinds(compare_with_previous([stall(9)], last, now())) == [("finding", "stall")]


def test_the_null_realm_is_not_the_realm_named_none(tmp_path: Path) -> None:
    nobody, none = Key(None, "Ladder", 2), Key("None", "Ladder", 2)
    last = read(report(tmp_path, [entry(key=nobody)], {nobody: 20_000}))
    assert ("new", "limit") in kinds(compare_with_previous([hits(key=none)], last, now(key=none)))


@pytest.mark.parametrize(
    "text", ["", "[]", '{"report": "post_mortem"}', '{"report": "runaway_rules", "since": "2026-07-09"}']
)
def test_a_last_report_that_is_none_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "summary.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"summary\.json") as refused:
        read(path)
    assert "none" in str(refused.value.hint)


def test_two_versions_of_a_family_are_counted_together(tmp_path: Path) -> None:
    """31 stops before and 31 now are not worse; and where none came, 31 were expected, not the last version's one."""
    older, newer = LADDER, LADDER._replace(version=3)
    ran = {older: 10_000, newer: 10_000}
    last = read(report(tmp_path, [entry(count=30, key=older), entry(count=1, key=newer)], ran))
    again = compare_with_previous([hits(30, older), hits(1, newer)], last, now())
    assert kinds(again) == [("finding", "limit"), ("finding", "limit")]
    [finding] = compare_with_previous([], last, now(2_500))
    assert isinstance(finding, Fixed) and finding.previous_count == 31


def test_timeouts_that_still_come_but_are_too_few_to_blame_are_not_fixed(tmp_path: Path) -> None:
    """Nine before and four now: eighteen times the runs that a fix needs went by, and still it is not over."""
    last = read(report(tmp_path, [entry("timeout", 9)], {LADDER: 20_000}))
    left = replace(now(120_000), left={(FindingType.TIMEOUT, LADDER.family): 4})
    [finding] = compare_with_previous([], last, left)
    assert isinstance(finding, Waiting) and finding.runs_since == 0.0
    assert "4 timeouts" in str(sentence(finding).striptags())


def test_growth_by_versions_is_worse_with_another_version_only(tmp_path: Path) -> None:
    last = read(report(tmp_path, [entry("versions", None)], {LADDER: 20_000}))
    assert kinds(compare_with_previous([grown()], last, now())) == [("finding", "versions")]
    later = grown(LADDER._replace(version=3))
    assert kinds(compare_with_previous([later], last, now())) == [("worse", "versions")]


@pytest.mark.parametrize("before", ["limit", "growing", "versions"])
def test_who_was_nearer_to_the_cap_and_is_only_close_now_is_no_news(tmp_path: Path, before: str) -> None:
    last = read(report(tmp_path, [entry(before)], {LADDER: 20_000}))
    assert kinds(compare_with_previous([CLOSE], last, now()))[0] == ("finding", "close")


def test_a_monthly_report_waits_for_the_next_one(tmp_path: Path) -> None:
    """A stop on the fifth of a month of which one was expected in the next: not fixed, and not forgotten either."""
    june = datetime(2026, 6, 5, tzinfo=UTC).isoformat()
    path = report(tmp_path, [entry(count=1, until=june)], {LADDER: 20_000}, since="2026-06-01T00:00:00+00:00",
                  until="2026-07-01T00:00:00+00:00")  # fmt: skip
    july = replace(now(), since=datetime(2026, 7, 1, tzinfo=UTC), until=datetime(2026, 8, 1, tzinfo=UTC))
    assert kinds(compare_with_previous([], read(path), july)) == [("waiting", "limit")]


def test_a_figure_that_is_missing_in_the_last_report_stays_missing(tmp_path: Path) -> None:
    last = read(report(tmp_path, [entry("close", None, number=None, unit="nodes")], {LADDER: 20_000}))
    [finding] = compare_with_previous([], last, now())
    assert finding.status == "waiting"
    assert finding_facts(finding)["number"] is None


def test_a_week_told_every_day_counts_all_runs_since_the_stop(tmp_path: Path) -> None:
    """The last stop left the window of seven days this morning: none of its 28,000 runs was stopped, and 30 were expected."""
    path = report(tmp_path, [entry(count=30, until=(SINCE - 6 * DAY - timedelta(hours=1)).isoformat())], {LADDER: 28_000},
                  since=(SINCE - 7 * DAY).isoformat())  # fmt: skip
    week = replace(now(28_000), since=SINCE - 6 * DAY)
    [finding] = compare_with_previous([], read(path), week)
    assert isinstance(finding, Fixed) and finding.runs_since == pytest.approx(0.9 * 28_000)


# ---- which report came before -------------------------------------------------------------------------------------------


def rendered(out: Path, day: int, about: dict, *, hours: int = 24) -> Path:
    since = SINCE - day * DAY
    until = since + timedelta(hours=hours)
    folder = out / f"runaway_rules_{since:%Y-%m-%d}_{until:%Y-%m-%d}_{day:08x}"
    return report(folder, [], {}, scope=about, since=since.isoformat(), until=until.isoformat())


def test_the_last_report_is_the_newest_of_the_same_scope_and_length_before_this_one(tmp_path: Path) -> None:
    about = scope_of_previous("runaway_rules", {"lake": "lake", "realm": "a", "no_realm": False})
    other = scope_of_previous("runaway_rules", {"lake": "demo/lake", "realm": "a", "no_realm": False})
    wanted = rendered(tmp_path, 3, about)
    rendered(tmp_path, 4, about)
    rendered(tmp_path, 1, other)  # another lake
    rendered(tmp_path, 7, about, hours=7 * 24)  # a week, which ends the day before
    rendered(tmp_path, 0, about)  # the same window, made before
    rendered(tmp_path, -1, about)  # a later one
    (tmp_path / "runaway_rules_2026-07-09_2026-07-10_ffffffff").mkdir()  # half-written
    assert find_last(tmp_path, "runaway_rules", about, Window(SINCE, SINCE + DAY)) == wanted


def test_without_a_report_before_there_is_none(tmp_path: Path) -> None:
    about = scope_of_previous("runaway_rules", {"lake": "lake"})
    assert find_last(tmp_path / "nowhere", "runaway_rules", about, Window(SINCE, SINCE + DAY)) is None


# ---- definitions and thresholds -----------------------------------------------------------------------------------------


def test_a_definition_names_notebook_thresholds_and_when_to_fail(tmp_path: Path) -> None:
    (tmp_path / "night.toml").write_text(
        'notebook = "runaway_rules"\nfail_on = "any"\n[parameters]\nnode_cap = 600\nsince = 2026-07-01\n'
    )
    definition = find("night", ["runaway_rules"], tmp_path)
    assert (definition.name, definition.notebook, definition.fail_on) == ("night", "runaway_rules", "any")
    assert definition.parameters == {"node_cap": 600, "since": "2026-07-01"}
    assert find(str(tmp_path / "night.toml"), ["runaway_rules"]) == definition


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("notebook = ", "cannot be read"),
        ('notebook = "runaway_rules"\nnode_cap = 5', r"\[parameters\]"),
        ('notebook = "explore"', "explore"),
        ('notebook = "runaway_rules"\nfail_on = "sometimes"', "sometimes"),
        ('notebook = "runaway_rules"\nparameters = 5', "table"),
    ],
)
def test_a_definition_that_says_something_unknown_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "night.toml").write_text(text)
    with pytest.raises(UsageError) as refused:
        find("night", ["runaway_rules"], tmp_path)
    assert __import__("re").search(says, f"{refused.value} {refused.value.hint}")


def test_an_unknown_report_is_refused_with_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "night.toml").write_text("")
    with pytest.raises(UnknownNameError) as refused:
        find("day", ["runaway_rules"], tmp_path)
    assert "night, runaway_rules" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("node_cap=600", "600"),
        ("since=2026-07-01", "2026-07-01"),
        ("realm=acme", "acme"),
        ("realm=a=b", "a=b"),
        ("realm=007", "007"),
        ("realm=true", "true"),
        ('realm="7 "', "7 "),
        ("many=[1, 2]", [1, 2]),
    ],
)
def test_a_parameter_of_the_command_is_what_was_written_until_its_notebook_gives_it_a_type(
    text: str, value: object
) -> None:
    assert setting(text)[1] == value


def test_not_the_null_realm_does_not_say_whose_rows_are_shown() -> None:
    assert not says_subject({}) and not says_subject({"no_realm": False}) and not says_subject({"no_realm": "false"})
    assert says_subject({"no_realm": "true"}) and says_subject({"realm": "acme"})


def test_a_threshold_that_makes_no_sense_is_refused() -> None:
    assert named({"node_cap": 600}) == Thresholds(node_cap=600)
    for wrong in (
        {"node_cap": 0},
        {"close": 1.5},
        {"horizon_days": float("nan")},
        {"nodecap": 5},
        {"time_limit_ms": "5"},
    ):
        with pytest.raises(UsageError):
            named(wrong)  # type: ignore[arg-type]


def card(**given: Any) -> Card:
    return Card("r", "runaway_rules", None, False, "", SINCE, SINCE + DAY, SINCE, "quiet", **given)


# ---- the exit code and the line for a chat -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fail_on", "counts", "missing", "fails"),
    [
        ("new", {"new": 1}, [], True),
        ("new", {"worse": 1, "finding": 2}, [], False),
        ("any", {"worse": 1}, [], True),
        ("any", {"finding": 1}, [], True),
        ("any", {"fixed": 3, "waiting": 1}, [], False),
        ("never", {"new": 5}, ["2026-07-10"], False),
        ("new", {}, ["2026-07-10"], False),
    ],
)
def test_the_exit_code_follows_the_kinds_and_a_day_that_is_missing_has_one_of_its_own(
    fail_on: str, counts: dict, missing: list, fails: bool
) -> None:
    told = card(counts=counts, missing_days=missing)
    assert bool(alarm(told, fail_on)) is fails
    assert bool(unseen(told, fail_on)) is (bool(missing) and fail_on != "never")


def test_the_digest_is_one_line_and_no_name_in_it_can_call_anybody() -> None:
    evil = Key("<!channel>\n@here", "[win](https://example.test) *now* <@U1>", 3)
    told = digest(
        [hits(37, evil).with_status(Status.NEW),
         Fixed(type=FindingType.LIMIT, key=LADDER, since=None, until=SINCE, previous_count=4)],
        SINCE, SINCE + DAY, versions=5,
    )  # fmt: skip
    assert told.startswith("runaway 2026-07-10: 1 new (") and told.endswith("hit cap ×37), 1 fixed (Ladder v2)")
    assert told.isprintable() and not set(told) & set("@<>[]*`&") and "://" not in told


def test_the_digest_of_a_quiet_day_says_so_and_of_a_missing_one_too() -> None:
    assert digest([], SINCE, SINCE + DAY, versions=12) == "runaway 2026-07-10: nothing new, 12 versions ran"
    assert (
        digest([], SINCE, SINCE + DAY, versions=0, missing_days=1)
        == "runaway 2026-07-10: 1 day not extracted, nothing logged"
    )


def test_a_report_with_other_limits_is_not_the_last_one(tmp_path: Path) -> None:
    """``--set node_cap=600`` is for once: what it found or missed says nothing about the next morning's."""
    usual = scope_of_previous("runaway_rules", {"lake": "lake", "realm": "a", "node_cap": 1000, "since": "yesterday"})
    once = scope_of_previous("runaway_rules", {"lake": "lake", "realm": "a", "node_cap": 600, "since": "yesterday"})
    wanted = rendered(tmp_path, 2, usual)
    rendered(tmp_path, 1, once)
    assert find_last(tmp_path, "runaway_rules", usual, Window(SINCE, SINCE + DAY)) == wanted


@pytest.mark.parametrize(
    "broken",
    ['{"scope":', "[]", "[" * 100_000, "no-league", "naive", "odd-grade"],
    ids=["half", "list", "deep", "no league", "naive times", "odd grade"],
)
def test_a_broken_last_report_is_passed_over_and_the_one_before_it_is_taken(tmp_path: Path, broken: str) -> None:
    about = scope_of_previous("runaway_rules", {"lake": "lake"})
    wanted, bad = rendered(tmp_path, 2, about), rendered(tmp_path, 1, about)
    told = json.loads(bad.read_text())
    changed = {
        "no-league": {key: value for key, value in told.items() if key != "league"},
        "naive": told | {"since": "2026-07-09", "until": "2026-07-10"},
        "odd-grade": told | {"findings": [entry(number={"value": 1, "low": 0})]},
    }
    bad.write_text(json.dumps(changed[broken]) if broken in changed else broken)
    assert find_last(tmp_path, "runaway_rules", about, Window(SINCE, SINCE + DAY)) == wanted


def test_a_name_without_latin_letters_finds_its_last_report(tmp_path: Path) -> None:
    window, values = Window(SINCE - DAY, SINCE), {"lake": "lake", "realm": ""}
    about, name = scope_of_previous("日報", values), folder_name("日報", values, window)
    assert name != folder_name("週報", values, window), "two definitions, one folder"
    wanted = report(tmp_path / name, [], {}, scope=about)
    assert find_last(tmp_path, "", about, Window(SINCE, SINCE + DAY)) == wanted


def test_set_reaches_the_report_where_no_option_says_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, object] = {}

    def render(definition: Definition, *, out: object, **parameters: object) -> Rendered:
        asked.update(definition.parameters | parameters)
        return Rendered(tmp_path, tmp_path, tmp_path, {}, card())

    monkeypatch.setattr("analytics.api.render", render)
    assert main(["report", "runaway_rules", "--set", "realm=acme", "--set", "since=7d", "--since", "3d"]) == 0
    assert (asked["realm"], asked["since"]) == ("acme", "3d")


@pytest.mark.parametrize("word", ["out=x", "report=x", "nodecap=5", f"horizon_days=1{'0' * 400}"])
def test_a_setting_the_report_does_not_know_is_a_usage_error(word: str, tmp_path: Path) -> None:
    assert main(["report", "runaway_rules", "--out", str(tmp_path), "--set", word]) == 2


def test_a_stall_of_today_is_not_called_known_and_without_a_last_report_nothing_is() -> None:
    loop, known = stall(40), hits(5)
    told = digest([loop, known], SINCE, SINCE + DAY, versions=5, is_compared=True)
    assert "1 known (Ladder v2 hit cap ×5), 1 to know (likely a stalled event loop ×40)" in told
    assert "2 to know (" in digest([loop, known], SINCE, SINCE + DAY, versions=5)
    assert [text for text, _ in headline([loop, known], is_compared=True)] == ["1 known", "1 more to know"]


def test_a_bare_domain_in_a_name_makes_no_link_and_a_version_number_stays() -> None:
    told = digest([hits(key=Key("r", "win.example.test 1.5", 2))], SINCE, SINCE + DAY, versions=1)
    assert "win.example" not in told and "example.test" not in told and "1.5" in told


@pytest.mark.parametrize("is_told", [True, False])
def test_growth_that_is_over_is_not_asked_for_its_slope(tmp_path: Path, is_told: bool) -> None:
    """The morning after: the page must tell who grows, and what the last report had is not among them."""
    last = read(report(tmp_path, [entry("growing", None, number=5.0, unit="days")], {LADDER: 20_000}))
    gone = compare_with_previous([], last, now(over=is_told))
    assert kinds(gone) == [("fixed" if is_told else "waiting", "growing")]
    row = ranking_row(LADDER, trend=replace(NO_TREND, state=TrendState.NOT_GROWING))
    assert plain(growing_words((row,), gone, 30)) == "Day by day no strategy is seen heading for the cap."


def test_a_page_about_one_tenant_does_not_name_what_the_last_report_had_of_others(tmp_path: Path) -> None:
    other = Key("other-gym", "Secret rules", 1)
    last = read(report(tmp_path, [entry(), entry(key=other)], {LADDER: 20_000, other: 20_000}))
    assert [one.key for one in last.of(["sunny-gym"]).known] == [LADDER]


@pytest.mark.parametrize("told", [{"realm": "other-gym"}, {"realm": "", "no_realm": True}])
def test_a_last_report_about_another_tenant_is_refused(tmp_path: Path, told: dict) -> None:
    last = read(report(tmp_path, [entry()], {LADDER: 20_000}, scope=told))
    for realms in (["sunny-gym"], ["other-gym", None, "sunny-gym"]):
        with pytest.raises(UsageError):
            last.of(realms)


def test_a_digest_is_printed_whatever_letters_the_terminal_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback would have made the exit code 1, which means findings."""
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii", write_through=True))
    put("Ladder v2 hit cap ×5")
    assert written.getvalue() == b"Ladder v2 hit cap \\xd75\n"


@pytest.mark.parametrize(
    ("verdict", "ms", "over"),
    [
        (Verdict.FINE, 4.0, True),
        (Verdict.RULES, 60.0, False),
        (Verdict.FINE, 60.0, False),
        (Verdict.FINE, float("nan"), False),
    ],
    ids=["as fast as its nodes", "heavy by its nodes", "nothing to compare with", "no run timed"],
)
def test_slowness_is_over_only_where_the_time_fell(verdict: Verdict, ms: float, over: bool) -> None:
    """A heavy version is no longer called slow once the lighter one before it is out of sight: that mends nothing."""
    took, due = Estimate(ms, ms, ms, 400, "good"), Estimate(3.0, 2.0, 4.0, 400, "good")
    split = TimeSplit(LADDER, took, 20.0, (), due, own_slope=True, explained=due, verdict=verdict, blamed=())
    version = VersionTime(
        split, took, took, took, is_slow=False, fields=(), new_fields=None, earlier_version=None, earlier_ms_p50=None,
        slow_since=None, since_is_version=False, time_share=0.1,
    )  # fmt: skip
    evidence = SimpleNamespace(times=SimpleNamespace(versions=(version,)), thresholds=Thresholds())
    assert is_over(evidence, FindingType.SLOW, LADDER.family) is over  # type: ignore[arg-type]
