"""A new column of the log has to say whether it may name a person."""

from __future__ import annotations

import re

from analytics import sql
from analytics.lake.schema import FREE_TEXT_COLUMNS, PEOPLE_COLUMNS, TEXT_COLUMNS

NAMES_NOBODY = {
    "strategy_id", "realm_id", "created_at_irregular", "strategy_type", "status", "parent_strategy_id",
}  # fmt: skip
"""What the engine or the operator writes, not a client or an author."""


def test_every_text_of_a_run_is_somebodys_id_or_may_name_somebody_or_is_the_engines_own():
    assert {*PEOPLE_COLUMNS, *FREE_TEXT_COLUMNS} | NAMES_NOBODY == set(TEXT_COLUMNS)
    assert not {*PEOPLE_COLUMNS, *FREE_TEXT_COLUMNS} & NAMES_NOBODY


def test_who_looks_for_a_person_or_for_a_tenants_words_looks_into_all_of_them():
    for folder, name in (("people", "found"), ("leaks", "words_of_rows")):
        named = set(re.findall(r"\w+", sql.text(folder, name)))
        assert set(FREE_TEXT_COLUMNS) - named == set(), name
