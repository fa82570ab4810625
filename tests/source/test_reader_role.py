"""The role that ships as SQL: with it everything works and nothing else can be done; without a grant its name is told."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from analytics import api, sql
from analytics.cli import main
from analytics.config import Settings
from analytics.errors import SourceAccessError, SourceUnavailableError
from analytics.estimates.sampling_rates import Rates
from analytics.lake import schema
from analytics.lake.lake import Lake
from analytics.model import ExtractResult
from analytics.operations.doctor.doctor import check_all
from analytics.source.source import Source
from analytics.window import Window
from tests.conftest import Table
from tests.extracting import extract

LOG, DEFINITIONS = schema.LOG_TABLE, schema.DEFINITION_TABLE
ROLE = "strategy_reader"


@pytest.fixture(scope="module")
def made(module_table: Table) -> Iterator[Table]:
    """A database with the role in it, a log and one program; the grants that everybody has taken away."""
    module_table.execute(sql.text("role", "reader"))
    [(database,)] = module_table.execute("select current_database()")
    module_table.execute(f"revoke all on database {database} from public")
    module_table.execute("revoke all on schema public from public")
    module_table.insert(apiKey_used="sk-secret")
    module_table.define({"type": "program", "rules": []}, name="a")
    module_table.execute("create table other (secret text)")
    yield module_table
    module_table.execute(f"drop owned by {ROLE}")
    module_table.execute(f"drop role {ROLE}")


def extracted(made: Table, lake: Lake) -> ExtractResult:
    return extract(made.as_role(ROLE), lake, Window.parse("2026-07-08", "2026-07-09"), rates=Rates((), 0.05))


def test_the_grants_are_the_columns_that_are_read() -> None:
    text = sql.body(sql.text("role", "reader"))

    def granted(table: str) -> set[str]:
        lists = re.findall(rf"grant select \(([^)]*)\)\s*on {table} to", text)
        return {name.strip(' \n"') for name in ",".join(lists).split(",")} - {"xmin"}

    assert granted(LOG) == {column.source for column in schema.EXECUTION_COLUMNS}
    assert granted(DEFINITIONS) == {column.source for column in schema.DEFINITION_COLUMNS}
    assert not granted(LOG) & schema.NEVER_EXTRACTED


def test_with_the_role_an_extraction_a_report_and_the_doctor_work(made: Table, fresh: Lake) -> None:
    result = extracted(made, fresh)
    assert (result.row_count, result.definitions) == (1, 1)
    assert not [note for note in result.notes if "right" in note or "xmin" in note]
    assert "cannot see" not in result.horizon.reason
    settings = Settings(database_url=made.as_role(ROLE), lake=fresh.root, rates=Rates((), 0.05))
    found = {finding.name: finding for finding in check_all(settings)}
    assert not [finding for finding in found.values() if finding.level == "problem"]
    assert {
        found[name].level for name in ("rights", "updates", "other sessions", "definitions", "second connection")
    } == {"ok"}
    report = api.runaway_rules(str(fresh.root), since="2026-07-08", until="2026-07-09")
    assert len(report.summary()["league"]) == 1
    assert "Strategy" in report.league().text
    assert report.head().text


FORBIDDEN = {
    "insert": f"insert into {LOG} (id) values (gen_random_uuid())",
    "update": f"update {LOG} set notes = 'x'",
    "delete": f"delete from {LOG}",
    "truncate": f"truncate {LOG}",
    "the credential": f'select "apiKey_used" from {LOG}',
    "all columns": f"select * from {LOG}",
    "who made a program": f"select oauth_user_id from {DEFINITIONS}",
    "change a program": f"update {DEFINITIONS} set name = 'x'",
    "another table": "select * from other",
    "a table": "create table mine (a int)",
    "a temporary table": "create temporary table mine (a int)",
    "a role": "create role mine",
    "a file": "select pg_read_file('PG_VERSION')",
    "a program": "copy (select 1) to program 'true'",
}


@pytest.mark.parametrize("statement", FORBIDDEN.values(), ids=FORBIDDEN)
@pytest.mark.parametrize("read_only", [True, False])
def test_with_the_role_nothing_else_can_be_done(made: Table, statement: str, read_only: bool) -> None:
    refused = (errors.InsufficientPrivilege, *([errors.ReadOnlySqlTransaction] if read_only else []))
    with psycopg.connect(made.as_role(ROLE), autocommit=True) as connection:
        assert connection.execute("show default_transaction_read_only").fetchone() == ("on",)
        if not read_only:
            connection.execute("set default_transaction_read_only = off")  # whoever has the role can do that
        with pytest.raises(refused):
            connection.execute(statement)  # type: ignore[call-overload]


@pytest.mark.parametrize("column", [column.source for column in schema.EXECUTION_COLUMNS])
def test_without_a_column_of_the_log_the_error_names_it_and_the_grant(made: Table, column: str) -> None:
    made.execute(f'revoke select ("{column}") on {LOG} from {ROLE}')
    with pytest.raises(SourceAccessError) as refused, Source(made.as_role(ROLE)):
        pass
    assert refused.value.message == f"role {ROLE} may not read column {column} of {LOG}"
    made.execute(refused.value.hint)
    with Source(made.as_role(ROLE)):
        pass


@pytest.mark.parametrize("column", schema.DEFINITION_COLUMNS, ids=lambda column: column.source)
def test_without_a_column_of_the_definitions_a_note_names_it_and_the_grant(
    made: Table, column: schema.ColumnSpec
) -> None:
    with Source(made.as_role(ROLE)) as source:
        [whole] = source.definitions()
    made.execute(f'revoke select ("{column.source}") on {DEFINITIONS} from {ROLE}')
    with Source(made.as_role(ROLE)) as source:
        found = source.definitions()
        said = found if isinstance(found, str) else source.unread_of_programs.why
    assert isinstance(found, str) == (column.source in ("id", "name", "version", "astJson"))
    if not isinstance(found, str):
        assert found == [{**whole, column.lake: None}]  # type: ignore[dict-item]
    assert f"no right to read column {column.source} of {DEFINITIONS}" in said
    made.execute(said.split("(", 1)[1].split(";")[0])
    with Source(made.as_role(ROLE)) as source:
        assert source.definitions() == [whole]
        assert source.unread_of_programs.why == ""


@pytest.mark.parametrize("kind", ["database", "schema"])
def test_without_the_way_in_the_error_names_the_grant(made: Table, kind: str) -> None:
    [(database,)] = made.execute("select current_database()")
    made.execute(
        f"revoke connect on database {database} from {ROLE}"
        if kind == "database"
        else f"revoke usage on schema public from {ROLE}"
    )
    with pytest.raises(SourceAccessError) as refused, Source(made.as_role(ROLE)):
        pass
    expected = f'database "{database}"' if kind == "database" else 'schema "public"'
    assert refused.value.hint == f'grant {"connect" if kind == "database" else "usage"} on {expected} to "{ROLE}";'
    made.execute(refused.value.hint)
    with Source(made.as_role(ROLE)):
        pass


def test_without_xmin_a_note_says_what_is_lost_and_the_grant(made: Table, fresh: Lake) -> None:
    made.execute(f"revoke select (xmin) on {LOG} from {ROLE}")
    [note] = [note for note in extracted(made, fresh).notes if "xmin" in note]
    assert f'grant select (xmin) on {LOG} to "{ROLE}";' in note
    made.execute(note[note.index("grant") :].split(";")[0])
    assert not [note for note in extracted(made, fresh).notes if "xmin" in note]


def test_without_sight_of_other_sessions_the_reason_says_so_and_the_grant(made: Table, fresh: Lake) -> None:
    made.execute(f"revoke pg_read_all_stats from {ROLE}")
    with psycopg.connect(made.url) as other:
        other.execute("select 1")
        reason = extracted(made, fresh).horizon.reason
        assert f"grant pg_read_all_stats to {ROLE};" in reason
        made.execute(reason[reason.index("grant") :].split(";")[0])
        assert "cannot see" not in extracted(made, fresh).horizon.reason


def test_more_connections_than_the_role_may_have_are_said_to_be_too_many(made: Table) -> None:
    made.execute(f"alter role {ROLE} connection limit 1")
    with (
        psycopg.connect(made.as_role(ROLE)),
        pytest.raises(SourceUnavailableError) as refused,
        Source(made.as_role(ROLE)),
    ):
        pass
    made.execute(f"alter role {ROLE} connection limit 5")
    assert "no free connection" in refused.value.message
    assert "jobs=1" in refused.value.hint


def test_the_command_prints_the_role_by_another_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--role-sql"]) == 0
    assert capsys.readouterr().out.rstrip() == sql.text("role", "reader").rstrip()
    assert main(["doctor", "--role-sql", "night_shift"]) == 0
    said = capsys.readouterr().out
    assert 'create role "night_shift" login' in said
    assert ROLE not in said
    assert main(["doctor", "--role-sql", "x; drop table y"]) == 2
    assert "no plain name of a role" in capsys.readouterr().err


def test_a_role_may_be_called_by_a_word_of_sql(table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--role-sql", "user"]) == 0
    table.execute(capsys.readouterr().out)
    try:
        with psycopg.connect(table.as_role("user")) as connection:
            assert connection.execute("select count(id) from strategyexecutionlog").fetchone() == (0,)
    finally:
        table.execute('drop owned by "user"')
        table.execute('drop role "user"')
