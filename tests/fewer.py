"""Of many cases of one kind, a few in ``make test`` and all in ``make prove``; also a plugin of pytest, for conftest.py."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

ONE_IN = {
    "test_a_page_never_contradicts_itself_and_leaves_unsaid_what_is_not_so": 3,
    "test_no_verdict_is_wrong": 3,
    "test_the_kind_is_the_right_one": 2,
    "test_every_section_stands_and_every_trace_fits_its_program": 2,
    "test_every_section_stands_where_something_is_missing": 2,
    "test_every_decided_run_is_what_the_simulation_pays_and_every_bound_holds": 3,
    "test_a_versions_own_program_gives_its_runs_again": 3,
    "test_the_difference_lies_around_what_every_run_would_have_been_paid": 3,
    "test_every_tried_run_is_paid_what_the_simulation_pays": 3,
    "test_every_place_leads_to_its_value_and_only_that_changes": 3,
    "test_arrow_reads_the_traces_that_the_view_has": 2,
    "test_a_part_that_cannot_be_read_is_asked_again": 3,
    "test_other_windows_take_what_they_can": 2,
    "test_every_value_that_a_refusal_names_can_be_compared_with": 2,
    "test_an_incident_among_steady_failures_is_still_found": 2,
    "test_a_lake_that_remembers_holds_what_one_that_compares_everything_holds": 3,
    "test_what_versions_cost_is_covered_where_one_run_in_1500_stalls": 2,
    "test_intervals_hold_on_random_fleets": 2,
    "test_the_range_holds_the_day_of_growth_in_95_of_100_logs": 3,
    "test_a_quiet_log_is_not_called_silent": 3,
}
"""Tests whose cases differ in what they are tried on and not in what may go wrong: one in so many of them runs always."""


def one_in(count: int, cases: Iterable[Any]) -> list[Any]:
    """Parameters of which every ``count``-th runs always, and the others are marked long; a tuple is several arguments."""
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)), marks=[pytest.mark.long] if number % count else []
        )
        for number, case in enumerate(cases)
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The same for the tests of ``ONE_IN``, of those cases that run always."""
    seen: Counter[str] = Counter()
    for item in items:
        test = item.nodeid.partition("[")[0]
        count = ONE_IN.get(test.rpartition("::")[2], 1)
        if not item.get_closest_marker("long"):
            if seen[test] % count:
                item.add_marker(pytest.mark.long)
            seen[test] += 1


def examples(count: int) -> int:
    """How many examples a property is tried on: a third of those that ``make prove`` tries, which runs what is marked ``more``."""
    return count if "--long" in sys.argv else count // 3
