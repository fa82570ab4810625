"""What changes at the source in the middle of a run: a few cells of ``python -m tests.midrun``, which has them all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.fewer import one_in
from tests.midrun.changes import CHANGES
from tests.midrun.midrun import MOMENTS, Cell, make_template


@pytest.fixture(scope="module")
def template(database_url: str) -> Iterator[str]:
    name = make_template(database_url)
    yield name
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"drop database {name}")
        connection.execute("drop role midrun_reader")


@pytest.mark.parametrize(
    ("change", "moment", "shrinks", "outcome"),
    [
        ("truncated and loaded again", "behind the snapshot", True, "done"),
        *one_in(
            9,
            [
                ("a policy for some rows in place of one for all", "behind the snapshot", False, "SourceAccessError"),
                ("the policy's group taken away", "before it is asked what still exists", True, "SourceAccessError"),
                ("programs truncated and loaded", "before the tables are locked", False, "done"),
                ("select revoked", "between the programs' columns and rows", False, "SourceAccessError"),
                ("a column dropped", "between two jobs", False, "SourceSchemaError"),
                ("backends ended", "in the middle of a COPY", False, "done"),
            ],
        ),
    ],
)
def test_a_change_in_the_middle_leaves_one_instant_or_is_refused_in_a_sentence(
    database_url: str, template: str, tmp_path: Path, change: str, moment: str, shrinks: bool, outcome: str
) -> None:
    [what] = [one for one in CHANGES if one.name == change]
    [when] = [one for one in MOMENTS if one.name == moment]
    cell = Cell(database_url, template, tmp_path, what, when, shrinks)
    cell.run()
    assert cell.outcome.startswith(outcome)
