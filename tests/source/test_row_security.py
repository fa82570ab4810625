"""Rows that a policy hides from the reader are not taken for rows that are not there."""

from __future__ import annotations

import pytest

from analytics.config import Settings
from analytics.errors import SourceAccessError
from analytics.estimates.sampling_rates import Rates
from analytics.lake.lake import Lake
from analytics.model import ExtractResult
from analytics.operations.doctor.doctor import check_all
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.conftest import Table
from tests.extracting import extract
from tests.fewer import one_in

LOG, DEFINITIONS = "strategyexecutionlog", "strategydefinition"
ENABLED = f"alter table {LOG} enable row level security;"
ONE_TENANT = f"{ENABLED} create policy p on {LOG} for select to {{role}} using (\"realmId\" = 'acme');"
ALL = f"{ENABLED} create policy p on {LOG} for select using (true);"
BEHIND_A_VIEW = f"alter table {LOG} rename to behind; create view {LOG} {{options}} as select * from behind;"

SEEN = {
    "no row security": "",
    "a role that bypasses it": f"{ONE_TENANT} alter role {{role}} bypassrls;",
    "a policy that lets all through": ALL,
    "an owner, who is not subject to it": f"{ONE_TENANT} alter table {LOG} owner to {{role}};",
    "a view of the owner's": f"{ONE_TENANT} {BEHIND_A_VIEW}",
}
HIDDEN = {
    "a policy for one tenant": ONE_TENANT,
    "no policy": ENABLED,
    "a policy for somebody else": f"{ENABLED} create policy p on {LOG} for select to postgres using (true);",
    "a policy for writing": f"{ENABLED} create policy p on {LOG} for insert with check (true);",
    "a restrictive policy besides": f"{ALL} create policy q on {LOG} as restrictive using (status = 'ok');",
    "an owner who is forced": f"{ENABLED} alter table {LOG} owner to {{role}}, force row level security;",
    "a view that asks as the reader": f"{ONE_TENANT} {BEHIND_A_VIEW.format(options='with (security_invoker = true)')}"
    " grant select on behind to {role};",
    "a view whose owner is subject to it": f"{ONE_TENANT} {BEHIND_A_VIEW} alter view {LOG} owner to {{role}};",
}


def under(table: Table, role: str, setting: str) -> None:
    """Runs of two tenants and a reader, and what stands between them."""
    for realm in ("acme", "harbor"):
        table.insert(realmId=realm)
    for statement in setting.format(role=role, options="").split(";"):
        if statement.strip():
            table.execute(statement)
    for name in (LOG, DEFINITIONS):
        table.execute(f"grant select on {name} to {role}")
    [(behind,)] = table.execute("select to_regclass('behind')::text")
    if behind:
        table.execute(f"grant select on behind to {role}")


def extracted(table: Table, role: str, lake: Lake, **options: bool) -> ExtractResult:
    window = Window.parse("2026-07-08", "2026-07-09")
    return extract(table.as_role(role), lake, window, rates=Rates((), 0.05), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("setting", one_in(2, SEEN))
def test_a_reader_of_every_row_reads_every_row(table: Table, role: str, fresh: Lake, setting: str) -> None:
    under(table, role, SEEN[setting])
    assert extracted(table, role, fresh).row_count == 2


@pytest.mark.parametrize("setting", one_in(3, HIDDEN))
def test_a_reader_of_some_rows_is_refused_and_loses_nothing(table: Table, role: str, fresh: Lake, setting: str) -> None:
    for realm in ("acme", "harbor"):
        table.insert(realmId=realm)
    table.extract(fresh)
    table.execute(f"delete from {LOG}")
    under(table, role, HIDDEN[setting])
    with pytest.raises(SourceAccessError, match=f"row security hides rows of {LOG} from role {role}") as refused:
        extracted(table, role, fresh, allow_shrink=True, force=True)
    assert f'alter role "{role}" bypassrls;' in refused.value.hint
    assert Warehouse(fresh).sql("select count(*) from executions").fetchall() == [(2,)]
    found = {one.name: one for one in check_all(Settings(database_url=table.as_role(role), lake=fresh.root))}
    assert found["source"].level == "problem"


def test_the_repairs_that_are_told_are_repairs(table: Table, role: str, fresh: Lake) -> None:
    under(table, role, ONE_TENANT)
    with pytest.raises(SourceAccessError) as refused:
        extracted(table, role, fresh)
    bypass, policy, _ = refused.value.hint.split("; ")
    table.execute(policy[policy.index("create policy") :])
    assert extracted(table, role, fresh).row_count == 2
    table.execute(f"drop policy reads_all on {LOG}")
    table.execute(bypass)
    assert extracted(table, role, fresh).nothing_to_do
    rights = {one.name: one for one in check_all(Settings(database_url=table.as_role(role), lake=fresh.root))}["rights"]
    assert "row security" not in rights.sentence


def test_programs_that_are_hidden_are_not_taken_for_deleted(table: Table, role: str, fresh: Lake) -> None:
    table.insert()
    table.execute(
        f'insert into {DEFINITIONS} (id, "realmId", name, type, "astJson", version, status) '
        "values (gen_random_uuid(), 'acme', 'a', 'DSL_FULL', '{}', 1, 'PUBLISHED')"
    )
    table.extract(fresh)
    table.execute(f"alter table {DEFINITIONS} enable row level security")
    for name in (LOG, DEFINITIONS):
        table.execute(f"grant select on {name} to {role}")
    [note] = [note for note in extracted(table, role, fresh).notes if "row security" in note]
    assert f'alter role "{role}" bypassrls;' in note
    assert Warehouse(fresh).sql("select is_deleted from definitions").fetchall() == [(False,)]
