"""The nouns: windows as people write them, days, completeness."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.errors import AnalyticsError, LakeLockedError, UsageError
from analytics.model import DayRecord, Partition
from analytics.window import Window

NOW = datetime(2026, 7, 8, 9, 30, 15, tzinfo=UTC)


def at(day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 7, day, hour, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, (at(6), at(9))),  # three days, today included
        ("2026-07-01", "2026-07-02", (at(1), at(2))),
        ("2026-07-01 09:30", "2026-07-01T10:00", (at(1, 9, 30), at(1, 10))),
        ("2026-07-01T09:30+02:00", "2026-07-02", (at(1, 7, 30), at(2))),
        ("2026-07-01T00:00Z", "2026-07-02", (at(1), at(2))),
        ("today", None, (at(8), at(9))),
        ("yesterday", "today", (at(7), at(8))),
        ("today", "tomorrow", (at(8), at(9))),
        ("7d", None, (at(1), at(9))),
        ("0d", None, (at(8), at(9))),
        ("12h", "now", (at(7, 21, 30, 15), NOW)),
        (" Yesterday ", " TODAY ", (at(7), at(8))),
        (None, "2026-07-05", (at(2), at(5))),
        (date(2026, 7, 1), datetime(2026, 7, 2), (at(1), at(2))),  # without a zone means UTC
    ],
)
def test_a_window_is_read_the_way_people_write_one(
    since: str | date | None, until: str | date | None, expected: tuple[datetime, datetime]
) -> None:
    found = Window.parse(since, until, now=NOW)
    assert (found.since, found.until) == expected


def test_a_clock_in_another_zone_gives_utc_days() -> None:
    evening = datetime(2026, 7, 7, 22, 0, tzinfo=timezone(timedelta(hours=-5)))  # the 8th in UTC
    assert Window.parse("today", None, now=evening) == Window(at(8), at(9))


@pytest.mark.parametrize(
    "word", ["", " ", "soon", "8.7.2026", "2026-02-30", "2026-13-01", "07/08/2026", "-1d", "d", "1w", "1e3d", "99999d"]
)
def test_a_word_that_is_no_date_is_refused_with_examples(word: str) -> None:
    with pytest.raises(UsageError, match="is no date") as raised:
        Window.parse(word, "2027-01-01", now=NOW)
    assert repr(word) in raised.value.message
    assert "yesterday" in raised.value.hint


@pytest.mark.parametrize(
    ("since", "until"), [("2026-07-02", "2026-07-01"), ("2026-07-01", "2026-07-01"), ("tomorrow", None), ("1h", "2h")]
)
def test_a_window_that_holds_no_moment_is_refused(since: str, until: str | None) -> None:
    with pytest.raises(UsageError, match="the window is empty") as raised:
        Window.parse(since, until, now=NOW)
    assert "until is exclusive" in raised.value.hint


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (None, "0001-01-01"),
        (None, "0001-01-02"),
        ("9999-12-31", "9999-12-31T23:59:59+00:00"),
        ("0001-01-01T00:00+14:00", None),
    ],
)
def test_the_ends_of_the_calendar_are_a_window_or_a_usage_error(since: str | None, until: str | None) -> None:
    with contextlib.suppress(UsageError):
        assert Window.parse(since, until, now=NOW).days


@given(st.text(max_size=30), st.none() | st.text(max_size=30))
def test_whatever_is_typed_gives_a_window_or_a_usage_error(since: str, until: str | None) -> None:
    try:
        found = Window.parse(since, until, now=NOW)
    except UsageError:
        return
    assert found.since < found.until


def test_times_without_a_zone_are_refused() -> None:
    with pytest.raises(UsageError, match="time zone"):
        Window(datetime(2026, 7, 1), at(2))


def test_the_days_of_a_window_are_those_it_touches() -> None:
    assert Window(at(1), at(3)).days == [date(2026, 7, 1), date(2026, 7, 2)]
    assert Window(at(1, 23, 59), at(2, 0, 1)).days == [date(2026, 7, 1), date(2026, 7, 2)]
    assert Window(at(1, 9), at(1, 10)).days == [date(2026, 7, 1)]


def test_only_whole_days_are_whole_days() -> None:
    assert Window(at(1), at(3)).whole_days() == Window(at(1), at(3))
    for window in (Window(at(1, 0, 0, 1), at(3)), Window(at(1), at(2, 12))):
        with pytest.raises(UsageError, match="whole UTC days"):
            window.whole_days()


def test_a_window_says_itself_as_briefly_as_it_can() -> None:
    assert str(Window(at(1), at(3))) == "2026-07-01 to 2026-07-03"
    assert str(Window(at(1, 9, 30), at(3))) == "2026-07-01 09:30 to 2026-07-03 00:00"


@pytest.mark.parametrize(
    ("partition", "words"),
    [
        (Partition("acme", date(2026, 7, 8)), "acme · 2026-07-08"),
        (Partition(None, None), "(no realm) · no day"),
        (Partition("", date(2026, 7, 8)), "(empty realm) · 2026-07-08"),
        (Partition("\x1b[31m\n", None), "\\x1b[31m\\n · no day"),  # a terminal obeys no tenant
    ],
)
def test_a_partition_says_itself_on_one_harmless_line(partition: Partition, words: str) -> None:
    assert str(partition) == words


@pytest.mark.parametrize(
    ("complete_until", "covers_all", "expected"),
    [(at(9), True, True), (at(8, 23, 59, 59), True, False), (at(9), False, False), (None, True, False)],
)
def test_a_day_is_complete_when_all_realms_were_read_up_to_its_end(
    complete_until: datetime | None, covers_all: bool, expected: bool
) -> None:
    record = DayRecord(date(2026, 7, 8), {}, covers_all, complete_until, "", {}, NOW)
    assert record.is_complete is expected


def test_the_rows_without_a_day_are_never_complete() -> None:
    assert DayRecord(None, {}, True, at(9), "", {}, NOW).is_complete is False


def test_an_error_carries_its_facts_as_attributes_and_its_hint_in_its_words() -> None:
    error = AnalyticsError("The lake is dry.", hint="make it rain", depth=0)
    assert str(error) == "The lake is dry.\n  make it rain"
    assert error.depth == 0
    assert str(AnalyticsError("The lake is dry.")) == "The lake is dry."
    with pytest.raises(AttributeError):
        _ = error.width
    assert (AnalyticsError.exit_code, UsageError.exit_code, LakeLockedError.exit_code) == (3, 2, 75)
