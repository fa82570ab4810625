"""Sampling rates with dates and tenants: which one holds, what is refused, and what the lake's weights are made of."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import api
from analytics.cli import main
from analytics.config import Settings
from analytics.errors import ConfigurationError
from analytics.estimates.sampling_rates import DEFAULT_SAMPLE_RATE, RateEntry, Rates, RateStep, described
from analytics.lake import ledger, small_partitions
from analytics.lake.lake import Lake
from analytics.model import Partition
from analytics.operations.doctor.doctor import check_all
from analytics.warehouse.coverage import coverage
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.fewer import examples

if TYPE_CHECKING:
    from tests.conftest import Table

DAY = date(2026, 7, 8)
CHANGE = datetime(2026, 7, 8, 14, 30, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EXAMPLE = """
# How many ok runs the engine logs (its DSL_EXECUTION_LOG_SAMPLE_RATE), and since when. Times without an offset are UTC.
[[rate]]
rate = 0.05
[[rate]]
rate = 0.2
since = 2026-07-08T14:30:00Z
[[rate]]
rate = 1.0
realm = "acme"
since = 2026-07-01
until = 2026-07-05
"""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rates_of(tmp_path: Path, text: str, otherwise: float = 0.5, is_default: bool = False) -> Rates:
    path = tmp_path / "rates.toml"
    path.write_text(text, encoding="utf-8")
    return Rates.read(path, otherwise=otherwise, otherwise_is_default=is_default)


def rate_at(rates: Rates, realm: str | None, moment: datetime | None) -> float:
    times = np.array([0 if moment is None else (moment - EPOCH) // MICROSECOND], np.int64)
    [found] = rates.rates_at(realm, times, np.array([moment is not None])).tolist()
    return float(found)


def naive(rates: Rates, realm: str | None, moment: datetime) -> tuple[float, bool]:
    """The rule, word by word; and whether nobody said the rate."""
    holding = [
        entry
        for entry in rates.entries
        if (entry.since is None or entry.since <= moment) and (entry.until is None or moment < entry.until)
    ]
    for scope in ([e for e in holding if realm in e.realms], [e for e in holding if not e.realms]):
        if scope:
            return max(
                scope, key=lambda e: datetime.min.replace(tzinfo=UTC) if e.since is None else e.since
            ).rate, False
    return rates.otherwise, rates.otherwise_is_default


# ---- which one holds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("realm", "moment", "rate"),
    [
        ("birch", "0001-01-01", 0.05),
        ("birch", "2026-07-08 14:29:59.999999", 0.05),
        ("birch", "2026-07-08 14:30", 0.2),
        ("birch", "9999-12-31 23:59:59.999999", 0.2),
        (None, "2026-07-02", 0.05),
        ("Acme", "2026-07-02", 0.05),  # another tenant
        ("acme", "2026-06-30 23:59:59.999999", 0.05),
        ("acme", "2026-07-01", 1.0),
        ("acme", "2026-07-04 23:59:59.999999", 1.0),
        ("acme", "2026-07-05", 0.05),  # until is exclusive
        ("acme", "2026-07-09", 0.2),
        ("acme", None, 0.2),
    ],
)
def test_the_example_of_the_documentation(tmp_path: Path, realm: str | None, moment: str | None, rate: float) -> None:
    assert rate_at(rates_of(tmp_path, EXAMPLE), realm, at(moment) if moment else None) == rate


def test_an_entry_that_names_the_tenant_goes_before_a_later_one_for_everybody(tmp_path: Path) -> None:
    rates = rates_of(
        tmp_path,
        """
        [[rate]]
        rate = 0.1
        realms = ["", "b"]
        null_realm = true
        [[rate]]
        rate = 0.2
        since = 2026-07-08
        [[rate]]
        rate = 0.3
        realm = "b"
        since = 2026-07-09
        until = 2026-07-10
        """,
    )
    assert [rate_at(rates, realm, at("2026-07-09")) for realm in ("", "b", None, "c")] == [0.1, 0.3, 0.1, 0.2]
    assert rate_at(rates, "b", at("2026-07-10")) == 0.1  # the earlier one goes on
    assert [rate_at(rates, realm, at("2026-07-07")) for realm in ("b", "c")] == [0.1, 0.5]


def test_times_may_be_dates_have_an_offset_or_none(tmp_path: Path) -> None:
    rates = rates_of(
        tmp_path,
        "[[rate]]\nrate = 0\nsince = 2026-07-08T16:30:00+02:00\nuntil = 2026-07-09T00:00:00.5\n"
        "[[rate]]\nrate = 1\nsince = 2026-07-10",
    )
    assert [(e.since, e.until) for e in rates.entries] == [
        (CHANGE, at("2026-07-09 00:00:00.5")),
        (at("2026-07-10"), None),
    ]
    assert [type(e.rate) for e in rates.entries] == [float, float]


def test_the_steps_of_a_day_are_those_in_force_within_it(tmp_path: Path) -> None:
    rates = rates_of(tmp_path, EXAMPLE + "[[rate]]\nrate = 0.2\nsince = 2026-07-08T20:00:00\n")
    assert rates.of_day("b", date(2026, 7, 7)) == (RateStep(None, 0.05),)
    assert rates.of_day("b", DAY) == (RateStep(None, 0.05), RateStep(CHANGE, 0.2))  # the second 0.2 is no step
    assert rates.of_day("b", date(2026, 7, 9)) == rates.of_day("b", None) == (RateStep(None, 0.2),)
    assert rates.of_day("acme", date(2026, 7, 1)) == (RateStep(None, 1.0),)  # from midnight to midnight
    assert described(rates.of_day("b", DAY)) == "0.05, 0.2 since 2026-07-08T14:30:00Z"
    for day in (date.min, date.max):
        assert len(rates.of_day("b", day)) == 1


def test_whether_somebody_said_the_rate_is_known_for_each_partition(tmp_path: Path) -> None:
    text = '[[rate]]\nrate = 0.05\nsince = 2026-07-08T14:30:00\n[[rate]]\nrate = 0.05\nrealm = "acme"\n'
    rates = rates_of(tmp_path, text, otherwise=0.05, is_default=True)
    told = [
        (r, d, rates.is_defaulted(r, d))
        for r in ("acme", None)
        for d in (date(2026, 7, 7), DAY, date(2026, 7, 9), None)
    ]
    assert [(r, d) for r, d, is_defaulted in told if is_defaulted] == [(None, date(2026, 7, 7)), (None, DAY)]
    assert rates.of_day(None, DAY) == (RateStep(None, 0.05),)  # the same rate, said or not
    assert rates.may_default
    assert not rates_of(tmp_path, text, otherwise=0.05).may_default


times = st.sampled_from(
    [at(f"2026-07-0{day} {clock}") for day in (7, 8, 9) for clock in ("00:00", "06:00", "12:30:00.000001")]
)
realms = st.sampled_from(["a", "b", "", None])
entries = st.builds(
    RateEntry,
    st.sampled_from([0.0, 0.05, 0.2, 1.0]),
    st.none() | times,
    st.none() | times,
    st.lists(realms, max_size=2, unique=True).map(tuple),
)


@pytest.mark.more
@settings(max_examples=examples(300), deadline=None)
@given(st.lists(entries, max_size=8), st.booleans(), realms)
def test_each_row_has_the_rate_the_rule_gives_it(some: list[RateEntry], is_default: bool, realm: str | None) -> None:
    fitting: list[RateEntry] = []
    for entry in some:  # those that contradict none before
        try:
            Rates((*fitting, entry), 0.5, is_default)
        except ConfigurationError:
            continue
        fitting.append(entry)
    rates = Rates(tuple(fitting), 0.5, is_default)
    ends = {end for entry in fitting for end in (entry.since, entry.until) if end}
    moments = sorted({m + d for m in ends | {at("2026-07-08")} for d in (-MICROSECOND, MICROSECOND * 0, MICROSECOND)})
    expected = [naive(rates, realm, moment) for moment in moments]
    found = rates.rates_at(realm, np.array([(m - EPOCH) // MICROSECOND for m in moments]), np.ones(len(moments), bool))
    assert found.tolist() == [rate for rate, _ in expected]
    far = datetime.max.replace(tzinfo=UTC)
    assert rate_at(rates, realm, None) == naive(rates, realm, far)[0] == rates.of_day(realm, None)[0].rate
    for day in (date(2026, 7, 6), date(2026, 7, 7), DAY, date(2026, 7, 9), date(2026, 7, 10)):
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        steps = rates.of_day(realm, day)
        assert (steps[0].since, steps[0].rate) == (None, naive(rates, realm, midnight)[0])
        assert all(a.rate != b.rate for a, b in itertools.pairwise(steps))
        within = [moment for moment in (midnight, *moments) if moment.date() == day]
        for moment in within:
            [*_, last] = [step for step in steps if step.since is None or step.since <= moment]
            assert last.rate == naive(rates, realm, moment)[0]
        assert rates.is_defaulted(realm, day) == any(naive(rates, realm, moment)[1] for moment in within)


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is none"),
        ("# nothing yet\n", "there is none"),
        ("rate = 0.05", "not written as a list of tables"),
        ("[rate]\nrate = 0.05", "not written as a list of tables"),
        ("[[rates]]\nrate = 0.05", "'rates' is nothing a file of rates can say"),
        ("[[rate]]\nrate = 0.05\n[other]\n", "'other' is nothing"),
        ("[[rate]]\nsince = 2026-07-01", "entry 1 has no rate"),
        ("[[rate]]\nrate = 0.05\n[[rate]]\nrate = 0.1\nfrom = 2026-07-01", "entry 2 has 'from', which means nothing"),
        ("[[rate]]\nrate = 1.01", "the rate of entry 1 must be a number from 0 to 1"),
        ("[[rate]]\nrate = -0.1", "must be a number from 0 to 1"),
        ("[[rate]]\nrate = 5", "must be a number from 0 to 1"),
        ("[[rate]]\nrate = 1e-10", "at least 1e-09"),
        ("[[rate]]\nrate = nan", "must be a number from 0 to 1"),
        ("[[rate]]\nrate = inf", "must be a number from 0 to 1"),
        ("[[rate]]\nrate = true", "must be a number from 0 to 1"),
        ("[[rate]]\nrate = []", "must be a number from 0 to 1"),
        ("[[rate]]\nrate = 2026-07-01", "must be a number from 0 to 1"),
        ("[[rate]]\nrate = 0x" + "f" * 300, "must be a number from 0 to 1"),
        ("[[rate]]\nrate = 0x" + "f" * 9000, "no TOML"),
        ("[[rate]]\nrate = 1" + "0" * 5000, "no TOML"),
        ('[[rate]]\nrate = "0.05"', "is text, not a number: '0.05'"),
        ("[[rate]]\nrate = 0.05\nsince = 2026-07-02\nuntil = 2026-07-02", "entry 1 ends before it begins"),
        ("[[rate]]\nrate = 0.05\nsince = 2026-07-02T00:00:00\nuntil = 2026-07-01", "entry 1 ends before it begins"),
        ("[[rate]]\nrate = 0.05\nsince = '2026-07-02'", "the since of entry 1 is no date"),
        ("[[rate]]\nrate = 0.05\nuntil = 07:30:00", "the until of entry 1 is no date"),
        ("[[rate]]\nrate = 0.05\nuntil = 20260702", "the until of entry 1 is no date"),
        ("[[rate]]\nrate = 0.05\nsince = 0001-01-01T00:00:00+01:00", "the since of entry 1 is no date"),
        ("[[rate]]\nrate = 0.05\n[[rate]]\nrate = 0.1", "entries 1 and 2 say a rate for the same tenant"),
        ("[[rate]]\nrate = 0.05\nuntil = 2026-07-01\n[[rate]]\nrate = 0.1", "entries 1 and 2"),
        (
            '[[rate]]\nrate = 0.05\nsince = 2026-07-01\nrealms = ["a", "b"]\n'
            '[[rate]]\nrate = 0.05\nsince = 2026-07-01T02:00:00+02:00\nrealm = "b"',
            "entries 1 and 2",
        ),
        ("[[rate]]\nrate = 0.05\nnull_realm = true\n[[rate]]\nrate = 0.1\nnull_realm = true", "entries 1 and 2"),
        ("[[rate]]\nrate = 0.05\nrealm = 5", "a realm of entry 1 is no text"),
        ("[[rate]]\nrate = 0.05\nrealms = ['a', ['b']]", "a realm of entry 1 is no text"),
        ("[[rate]]\nrate = 0.05\nrealms = 'a'", "the realms of entry 1 are no list"),
        ("[[rate]]\nrate = 0.05\nrealms = []", "the realms of entry 1 are no list"),
        ("[[rate]]\nrate = 0.05\nnull_realm = false", "can only be true"),
        ("[[rate]]\nrate = 0.05\nnull_realm = 'yes'", "can only be true"),
        ("[[rate]]\nrate = 0.05\n[[rate\n", "no TOML: .*line 3"),
        ("[[rate]]\nrate = 0,05", "no TOML: .*line 2"),
        ("[[rate]]\nrate = " + "[" * 100_000, "no TOML"),
    ],
    ids=lambda text: text[:50],
)
def test_what_cannot_be_is_refused_with_its_repair(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as raised:
        rates_of(tmp_path, text)
    assert str(tmp_path / "rates.toml") in raised.value.message
    assert raised.value.hint
    assert len(str(raised.value)) < 700
    assert raised.value.exit_code == 2


def test_a_file_that_cannot_be_read_is_refused_with_its_repair(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes('[[rate]]\nrate = 0.05\nrealm = "é"'.encode("latin-1"))
    for path, said in ((tmp_path / "none.toml", "cannot be read"), (tmp_path, "cannot be read"), ("a\0b", "no TOML")):
        with pytest.raises(ConfigurationError, match=said) as raised:
            Rates.read(path, otherwise=0.05)
        assert raised.value.hint
    with pytest.raises(ConfigurationError, match="no TOML: 'utf-8' codec"):
        Rates.read(tmp_path / "latin.toml", otherwise=0.05)


def test_what_editors_add_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "rates.toml").write_bytes(b"\xef\xbb\xbf" + EXAMPLE.replace("\n", "\r\n").encode())
    assert Rates.read(tmp_path / "rates.toml", otherwise=0.5) == rates_of(tmp_path, EXAMPLE)


def test_rates_made_by_a_program_are_looked_at_too() -> None:
    with pytest.raises(ConfigurationError, match="entry 1 has a time without a time zone"):
        Rates((RateEntry(0.05, since=datetime(2026, 7, 8)),), 0.05)
    with pytest.raises(ConfigurationError, match="sampling rate must be"):
        Rates((), 2.0)
    abroad = RateEntry(0.05, since=datetime(2026, 7, 8, 16, 30, tzinfo=timezone(timedelta(hours=2))))
    assert Rates((abroad,), 0.5).of_day(None, DAY)[1].since == CHANGE


# ---- where they come from --------------------------------------------------------------------------------------------


def test_the_nearest_file_wins_and_a_number_is_for_what_it_does_not_say(tmp_path: Path) -> None:
    ours, common = tmp_path / "ours.toml", tmp_path / "common.toml"
    ours.write_text("[[rate]]\nrate = 0.1\nsince = 2026-07-08")
    common.write_text("[[rate]]\nrate = 0.2")
    environment = {"ANALYTICS_SAMPLE_RATES": str(common)}
    assert Settings.from_env(environment).rates.entries == (RateEntry(0.2),)
    found = Settings.from_env({**environment, "ANALYTICS_SAMPLE_RATE": "0.3"}, sample_rates=ours).rates
    assert (rate_at(found, "a", at("2026-07-08")), rate_at(found, "a", at("2026-07-07"))) == (0.1, 0.3)
    assert not found.otherwise_is_default
    assert Settings.from_env({}, sample_rates=ours).rates.otherwise == DEFAULT_SAMPLE_RATE
    assert Settings.from_env({}, sample_rates=ours).rates.otherwise_is_default
    for call in ({"sample_rates": ""}, {"sample_rates": "", "sample_rate": 0.5}):
        assert Settings.from_env(environment, **call).rates.entries == ()  # type: ignore[arg-type]
    assert Settings.from_env({"ANALYTICS_SAMPLE_RATES": ""}).rates == Settings().rates


def test_readers_of_a_lake_need_no_file(table: Table, fresh: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    table.insert()
    table.extract(fresh)
    monkeypatch.setenv("ANALYTICS_SAMPLE_RATES", "gone.toml")
    assert api.open_lake(fresh.root).sql("select count(*) from executions").fetchall() == [(1,)]
    with pytest.raises(ConfigurationError, match=r"gone\.toml cannot be read"):
        api.extract(lake=fresh.root, database_url=table.url)


# ---- the lake --------------------------------------------------------------------------------------------------------


def weights(lake: Lake) -> dict[str, float | None]:
    return dict(Warehouse(lake).sql("select execution_id, sample_weight from executions").fetchall())


def partitions(lake: Lake) -> list[tuple[Any, ...]]:
    return (
        Warehouse(lake)
        .sql("select realm_id, day::varchar, sample_rate, sample_rates from partitions order by all")
        .fetchall()
    )


def test_the_weights_are_by_tenant_and_time(table: Table, fresh: Lake, tmp_path: Path) -> None:
    rates = rates_of(
        tmp_path, EXAMPLE.replace("2026-07-05", "2026-07-09") + "[[rate]]\nrate = 0.5\nnull_realm = true\n"
    )
    failure = {"status": "error", "sampled": False, "trace": "null", "points": None, "nodesExecuted": 0}
    expected = {
        table.insert(realmId="birch", created_at="2026-07-07 23:59:59.999999+00"): 20.0,
        table.insert(realmId="birch", created_at="2026-07-08 14:29:59.999999+00"): 20.0,
        table.insert(realmId="birch", created_at="2026-07-08 14:30:00+00"): 5.0,
        table.insert(realmId="birch", created_at="2026-07-08 16:40:00+02", updated_at=None): 5.0,
        table.insert(realmId="birch", created_at="2026-07-08 10:00:00+00", **failure): 1.0,
        table.insert(realmId="birch", created_at="2026-07-08 10:00:00+00", **{**failure, "sampled": True}): 1.0,
        table.insert(realmId="birch", created_at="2026-07-09 00:00:00+00"): 5.0,
        table.insert(realmId="birch", created_at=None): 5.0,
        table.insert(realmId="birch", created_at="infinity"): 5.0,
        table.insert(realmId="birch", created_at="-infinity"): 5.0,
        table.insert(realmId="acme", created_at="2026-07-08 12:00:00+00"): 1.0,
        table.insert(realmId="acme", created_at="2026-07-09 12:00:00+00"): 5.0,
        table.insert(realmId=None, created_at="2026-07-08 12:00:00+00"): 2.0,
        table.insert(realmId=None, created_at=None): 2.0,
        table.insert(realmId="", created_at="2026-07-08 12:00:00+00"): 20.0,
    }
    result = table.extract(fresh, rates=rates)
    assert weights(fresh) == expected
    assert result.sample_rates == [0.05, 0.2, 0.5, 1.0]
    assert not result.sample_rate_is_default
    assert partitions(fresh) == [
        ("", "2026-07-08", None, [0.05, 0.2]),
        ("acme", "2026-07-08", 1.0, [1.0]),
        ("acme", "2026-07-09", 0.2, [0.2]),
        ("birch", "2026-07-07", 0.05, [0.05]),
        ("birch", "2026-07-08", None, [0.05, 0.2]),
        ("birch", "2026-07-09", 0.2, [0.2]),
        ("birch", None, 0.2, [0.2]),
        (None, "2026-07-08", 0.5, [0.5]),
        (None, None, 0.5, [0.5]),
    ]
    found = Warehouse(fresh).sql("from node_days select realm_id, est_entries where day = '2026-07-08' order by all")
    assert found.fetchall() == [("", 20.0), ("acme", 1.0), ("birch", 30.0), (None, 2.0)]
    footer = pq.read_metadata(fresh.path("executions", Partition("birch", DAY))).metadata
    assert footer[b"strategy_analytics.sample_rate"] == b"0.05, 0.2 since 2026-07-08T14:30:00Z"
    assert coverage(Warehouse(fresh), Window.parse("2026-07-08", "2026-07-09")).sample_rates == [0.05, 0.2, 0.5, 1.0]
    again = table.extract(fresh, rates=rates)
    assert (again.nothing_to_do, again.notes, again.sample_rates) == (True, result.notes, result.sample_rates)
    assert all(
        check.passed
        for check in Warehouse(fresh).check()
        if check.severity == "error" and check.name != "rows_have_a_day"
    )


@pytest.mark.parametrize("jobs", [1, 2])
def test_kept_rows_are_weighed_by_their_own_time(table: Table, fresh: Lake, tmp_path: Path, jobs: int) -> None:
    early, late = table.insert(created_at="2026-07-08 10:00:00+00"), table.insert(created_at="2026-07-08 20:00:00+00")
    table.extract(fresh)
    table.execute("truncate strategyexecutionlog")
    table.extract(fresh, rates=rates_of(tmp_path, EXAMPLE), jobs=jobs)
    assert weights(fresh) == {early: 20.0, late: 5.0}


def test_a_rate_of_0_leaves_only_its_own_rows_without_a_weight(table: Table, fresh: Lake, tmp_path: Path) -> None:
    def trace(node: str) -> str:
        return json.dumps([{"nodeId": node, "type": "literal", "value": 1}])

    early, late = "2026-07-08 10:00:00+00", "2026-07-08 20:00:00+00"
    expected = {
        table.insert(created_at=early, trace=trace("early")): None,  # though none should be there
        table.insert(created_at=early, trace=trace("both")): None,
        table.insert(created_at=late, trace=trace("both")): 20.0,
        table.insert(created_at=late, trace=trace("late")): 20.0,
        table.insert(created_at=early, trace=trace("failed"), status="error", sampled=False): 1.0,
        table.insert(created_at=early, trace=trace("other"), realmId="birch"): 2.0,
    }
    text = (
        "[[rate]]\nrate = 0\n[[rate]]\nrate = 0.05\nsince = 2026-07-08T14:30:00\n[[rate]]\nrate = 0.5\nrealm = 'birch'"
    )
    table.extract(fresh, rates=rates_of(tmp_path, text))
    assert weights(fresh) == expected
    found = Warehouse(fresh).sql("select node_id, entry_count, est_entries from node_days").fetchall()
    assert sorted(found) == [
        ("both", 2, 20.0),  # of the runs whose weight is known, as sum() over the traces gives it
        ("early", 1, None),
        ("failed", 1, 1.0),
        ("late", 1, 20.0),
        ("other", 1, 2.0),
    ]
    traced = Warehouse(fresh).sql("select node_id, count(*), sum(sample_weight) from nodes group by all").fetchall()
    assert sorted(traced) == sorted(found)
    assert partitions(fresh)[0] == ("acme", "2026-07-08", None, [0.0, 0.05])
    for path in fresh.root.rglob("*.parquet"):
        for column in ("sample_weight", "est_entries"):
            if column in pq.read_schema(path).names:
                values = pq.read_table(path, columns=[column])[column].to_pylist()
                assert not any(value is not None and not math.isfinite(value) for value in values)


def test_a_file_that_changed_is_said_and_force_weighs_again(table: Table, fresh: Lake, tmp_path: Path) -> None:
    early, late = table.insert(created_at="2026-07-08 10:00:00+00"), table.insert(created_at="2026-07-08 20:00:00+00")
    other = table.insert(created_at="2026-07-07 12:00:00+00")
    table.extract(fresh)
    changed = rates_of(tmp_path, EXAMPLE)
    again = table.extract(fresh, rates=changed)
    assert again.nothing_to_do
    assert again.notes[-1:] == [
        "1 unchanged partitions were weighted with another sampling rate than 0.05, 0.2 since 2026-07-08T14:30:00Z; "
        "--force weighs them again"
    ]
    assert again.sample_rates == [0.05]  # what the weights were made with
    assert weights(fresh) == {early: 20.0, late: 20.0, other: 20.0}
    assert table.extract(fresh, rates=changed, force=True).sample_rates == [0.05, 0.2]
    assert weights(fresh) == {early: 20.0, late: 5.0, other: 20.0}
    assert table.extract(fresh, rates=changed).notes == []
    moved = rates_of(tmp_path, EXAMPLE.replace("14:30", "15:30"))
    assert len(table.extract(fresh, rates=moved).notes) == 1
    table.extract(fresh, rates=moved, force=True)
    assert len(table.extract(fresh).notes) == 1  # and back to one


def test_many_different_rates_are_not_all_said(table: Table, fresh: Lake, tmp_path: Path) -> None:
    text = ""
    for number in range(1, 7):
        table.insert(realmId=f"r{number}")
        text += f"[[rate]]\nrate = 0.{number}\nrealm = 'r{number}'\n"
    table.extract(fresh)
    [note] = table.extract(fresh, rates=rates_of(tmp_path, text)).notes
    assert "6 unchanged partitions" in note
    assert "than 0.1 or 0.2 or 0.3 (and 3 more);" in note


# ---- older ledgers ---------------------------------------------------------------------------------------------------


def test_a_ledger_of_before_reads_as_one_step_and_an_upgrade_alone_reads_nothing(table: Table, fresh: Lake) -> None:
    table.insert()
    table.insert(realmId=None, created_at=None)
    table.extract(fresh)
    records = {day: fresh.recorded(day) for day in (DAY, None)}
    for path in (fresh.root / "ledger").glob("*.json"):
        told = json.loads(path.read_text(encoding="utf-8"))
        for item in told["partitions"]:
            assert item.pop("sample_rates") == [{"since": None, "rate": 0.05}]
            item["sample_rate"] = 0.05
        path.write_text(json.dumps(told), encoding="utf-8")
    upgraded = Lake(fresh.root)
    assert {day: upgraded.recorded(day) for day in records} == records
    result = table.extract(upgraded)
    assert (result.nothing_to_do, result.unchanged, result.notes, result.sample_rates) == (True, 2, [], [0.05])


def test_the_ledger_gives_back_the_steps(table: Table, fresh: Lake, tmp_path: Path) -> None:
    table.insert()
    table.extract(fresh, rates=rates_of(tmp_path, EXAMPLE))
    record = fresh.recorded(DAY)
    assert record
    assert record.partitions["acme"].sample_rates == (RateStep(None, 0.05), RateStep(CHANGE, 0.2))
    assert ledger.from_json(ledger.to_json(record)) == record
    assert json.loads(ledger.to_json(record))["partitions"][0]["sample_rates"] == [
        {"since": None, "rate": 0.05},
        {"since": "2026-07-08T14:30:00+00:00", "rate": 0.2},
    ]


def test_day_files_know_the_rates(table: Table, fresh: Lake, tmp_path: Path) -> None:
    table.insert()
    [info] = table.extract(fresh).written
    table.extract(fresh, rates=rates_of(tmp_path, EXAMPLE), force=True)
    record = fresh.recorded(DAY)
    assert record
    marks = set()
    for steps in ((RateStep(None, 0.05),), (RateStep(None, 0.2),), record.partitions["acme"].sample_rates):
        object.__setattr__(info, "sample_rates", steps)
        marks.add(small_partitions.digest([info]))
    assert len(marks) == 3


# ---- what is said ----------------------------------------------------------------------------------------------------


def run(table: Table, lake: Lake, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], str]:
    window = ("--since", "2026-07-07", "--until", "2026-07-10")
    code = main(["extract", "--json", "--lake", str(lake.root), "--database-url", table.url, *window, *words])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out), err


@pytest.mark.parametrize("variable", ["ANALYTICS_SAMPLE_RATE", "ANALYTICS_SAMPLE_RATES"])
def test_the_command_says_the_rates_and_every_use_of_the_default(
    table: Table,
    fresh: Lake,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.delenv(variable, raising=False)
    table.insert(created_at="2026-07-07 12:00:00+00")
    table.insert(created_at="2026-07-08 20:00:00+00")
    table.insert(created_at="2026-07-09 12:00:00+00")
    path = tmp_path / "rates.toml"
    path.write_text("[[rate]]\nrate = 0.2\nsince = 2026-07-08T14:30:00\n")
    told, err = run(table, fresh, capsys, "--sample-rates", str(path))
    assert "sampling rates 0.05, 0.2\n" in err
    assert "sampling rate 0.05, the engine's default for 2 of 3 partitions (acme · 2026-07-07, …); set" in err
    assert (told["sample_rates"], told["sample_rate_is_default"], told["partitions_at_default_rate"]) == (
        [0.05, 0.2],
        True,
        2,
    )
    told, err = run(table, fresh, capsys, "--sample-rates", str(path), "--sample-rate", "0.05")
    assert told["nothing_to_do"] and not told["notes"]
    assert "default" not in err and "sampling rates 0.05, 0.2\n" in err
    path.write_text("[[rate]]\nrate = 0.2\n")
    told, err = run(table, fresh, capsys, "--sample-rates", str(path), "--force")
    assert (told["sample_rates"], told["sample_rate_is_default"]) == (
        [0.2],
        False,
    )  # there is one, but nothing needs it
    assert "sampling rate" not in err
    monkeypatch.setenv("ANALYTICS_SAMPLE_RATES", str(path))
    assert run(table, fresh, capsys)[0]["sample_rates"] == [0.2]


def test_a_run_over_nothing_says_the_default_only_where_nothing_was_said(
    table: Table, fresh: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANALYTICS_SAMPLE_RATE", raising=False)
    monkeypatch.delenv("ANALYTICS_SAMPLE_RATES", raising=False)
    told, err = run(table, fresh, capsys)
    assert (told["sample_rates"], told["sample_rate_is_default"]) == ([0.05], True)
    assert "sampling rate 0.05, the engine's default; set ANALYTICS_SAMPLE_RATE" in err
    path = tmp_path / "rates.toml"
    path.write_text(EXAMPLE)
    told, err = run(table, fresh, capsys, "--sample-rates", str(path))
    assert not told["sample_rate_is_default"]
    assert "default" not in err


def test_a_file_that_is_wrong_stops_the_command(
    table: Table, fresh: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rates.toml"
    path.write_text("[[rate]]\nrate = 5\n")
    assert main(["extract", "--database-url", table.url, "--lake", str(fresh.root), "--sample-rates", str(path)]) == 2
    assert "the rate of entry 1 must be a number from 0 to 1" in capsys.readouterr().err
    assert not fresh.root.exists()


@pytest.mark.parametrize(
    ("entries", "is_default", "level", "said"),
    [
        ((), False, "ok", "the engine logs this fraction of the ok runs: 0.05"),
        ((), True, "advice", "nobody has said how many ok runs the engine logs; 0.05 is its default"),
        (
            (RateEntry(0.2, realms=(None, "a\n\x1b")),),
            False,
            "ok",
            r"0.2 for rows without a realm, 'a\n\x1b'; otherwise 0.05",
        ),
        (
            (RateEntry(0.2, since=CHANGE),),
            True,
            "advice",
            "0.2 since 2026-07-08T14:30:00Z; otherwise 0.05, the engine's default",
        ),
        ((RateEntry(0.2),), True, "ok", "ok runs: 0.2"),
    ],
)
def test_the_doctor_says_the_rates_in_one_line(
    fresh: Lake, entries: Sequence[RateEntry], is_default: bool, level: str, said: str
) -> None:
    rates = Rates(tuple(entries), 0.05, is_default)
    options = Settings(database_url="postgresql://nobody@127.0.0.1:1/none", lake=fresh.root, rates=rates)
    [found] = [finding for finding in check_all(options) if finding.name == "sampling rate"]
    assert found.level == level
    assert said in found.sentence
    assert "\n" not in found.sentence
    assert bool(found.repair) == (level == "advice")
