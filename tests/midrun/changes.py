"""What somebody else does to the source while it is read, and how it is undone."""

from __future__ import annotations

from dataclasses import dataclass

LOG, DEFINITIONS = "strategyexecutionlog", "strategydefinition"
BACKENDS = "from pg_stat_activity where application_name = 'strategy-analytics' and datname = current_database()"
_GRANTS = (f"grant select on {LOG}, {DEFINITIONS} to midrun_reader",)
_OTHER = (
    f"create table other (like {LOG} including all); insert into other select * from {LOG}; "
    "update other set points = points + 500"
)


@dataclass(frozen=True)
class Change:
    """One of them.

    Attributes:
        name: In words.
        does: Statements of one transaction; with ``apart`` each is its own.
        undo: Statements after which the source can be read again.
        before: Statements before the run.
        apart: They cannot stand in a transaction, or are not meant to.
        loses: Rows are gone then, so that following the source without keeping them is of interest.
    """

    name: str
    does: tuple[str, ...]
    undo: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    apart: bool = False
    loses: bool = False


def _loaded_again(table: str, change: str = "", how: str = "truncate") -> str:
    changed = f"update t set {change}; " if change else ""
    copy = f"create temp table t on commit drop as select * from {table}; {changed}"
    return f"{copy}{how} {table}; insert into {table} select * from t"


_PARTS = (
    f"alter table {LOG} rename to flat",
    f"create table {LOG} (like flat) partition by range (created_at)",
    f"create table early partition of {LOG} for values from ('2026-07-01') to ('2026-07-03')",
    f"create table late partition of {LOG} default",
    f"insert into {LOG} select * from flat",
    *_GRANTS,
)
_VIEW = (f"alter table {LOG} rename to live", f"create view {LOG} as select * from live", *_GRANTS)
_OPEN = (
    f"alter table {LOG} enable row level security; alter table {DEFINITIONS} enable row level security",
    f"create policy p on {LOG} for select to midrun_reader using (true)",
    f"create policy p on {DEFINITIONS} for select to midrun_reader using (true)",
    f"grant select on {LOG}, {DEFINITIONS} to public",
)
_NO_ROWS = (
    f"drop policy p on {LOG}; create policy p on {LOG} for select to midrun_reader using (\"realmId\" = 'acme')",
)

CHANGES = (
    # rights
    Change("select revoked", (f"revoke all on {LOG} from midrun_reader",), _GRANTS),
    Change(
        "a column's right revoked",
        (f"revoke select on {LOG} from midrun_reader", f"grant select (id, created_at) on {LOG} to midrun_reader"),
        _GRANTS,
    ),
    Change(
        "the schema's right revoked",
        ("revoke usage on schema public from public",),
        ("grant usage on schema public to public",),
    ),
    Change("the role's group taken away", ("revoke midrun_reader from {role}",), ("grant midrun_reader to {role}",)),
    Change("the role dropped", ("drop role {role}",), ("create role {role} login in role midrun_reader",)),
    Change("login taken away", ("alter role {role} nologin",), ("alter role {role} login",)),
    Change(
        "connect revoked",
        ("revoke connect on database {database} from public",),
        ("grant connect on database {database} to public",),
    ),
    Change(
        "row security on",
        (f"alter table {LOG} enable row level security",),
        (f"alter table {LOG} disable row level security",),
    ),
    Change(
        "the policy's group taken away",
        ("revoke midrun_reader from {role}",),
        ("grant midrun_reader to {role}",),
        before=_OPEN,
        loses=True,
    ),
    Change(
        "a policy for some rows in place of one for all",
        _NO_ROWS,
        (f"drop policy p on {LOG}; create policy p on {LOG} for select to midrun_reader using (true)",),
        before=_OPEN,
        loses=True,
    ),
    # the table
    Change("renamed", (f"alter table {LOG} rename to gone",), (f"alter table gone rename to {LOG}",)),
    Change(
        "renamed, another in its place",
        (_OTHER, f"alter table {LOG} rename to gone", f"alter table other rename to {LOG}", *_GRANTS),
        loses=True,
    ),
    Change(
        "exchanged by two renames",
        (f"alter table {LOG} rename to gone", f"alter table other rename to {LOG}"),
        before=(_OTHER, "grant select on other to midrun_reader"),
        apart=True,
    ),
    Change(
        "dropped and made again",
        (_OTHER, f"drop table {LOG}", f"alter table other rename to {LOG}", *_GRANTS),
        loses=True,
    ),
    Change(
        "dropped and made empty",
        (f"drop table {LOG}", "alter table other rename to " + LOG, *_GRANTS),
        before=(f"create table other (like {LOG} including all)",),
    ),
    Change("a view in its place", _VIEW),
    Change("a table in place of the view", (f"drop view {LOG}", f"alter table live rename to {LOG}"), before=_VIEW),
    Change(
        "what the view reads truncated and loaded",
        (_loaded_again("live"),),
        before=_VIEW,
        loses=True,
    ),
    Change("truncated", (f"truncate {LOG}",), loses=True),
    Change(
        "truncated and loaded again",
        (_loaded_again(LOG, "points = points + 500"),),
        loses=True,
    ),
    Change(
        "deleted and loaded again",
        (_loaded_again(LOG, "points = points + 500", how="delete from"),),
        loses=True,
    ),
    Change("all deleted", (f"delete from {LOG}",), loses=True),
    Change("all moved to another day", (f"update {LOG} set created_at = '2026-07-05 12:00+00'",), loses=True),
    Change("a column added", (f"alter table {LOG} add column extra text default 'x'",)),
    Change(
        "a column dropped",
        (f"alter table {LOG} drop column notes",),
        (f"alter table {LOG} add column notes text", *_GRANTS),
    ),
    Change(
        "a column renamed",
        (f"alter table {LOG} rename column points to score",),
        (f"alter table {LOG} rename column score to points",),
    ),
    Change(
        "a column's type changed to one that is not read",
        (f"alter table {LOG} alter column points type text",),
        (f"alter table {LOG} alter column points type numeric using points::numeric",),
    ),
    Change(
        "a column's type changed to one that is read",
        (f'alter table {LOG} alter column "caseName" type text, alter column "strategyVersion" type smallint',),
    ),
    Change(
        "created_at without a time zone",
        (f"alter table {LOG} alter column created_at type timestamp",),
        (f"alter table {LOG} alter column created_at type timestamptz",),
    ),
    Change("the key dropped", (f"alter table {LOG} drop constraint {LOG}_pkey",)),
    Change("an index dropped", ('drop index "ix_strategyexecutionlog_realmId"',)),
    Change("the schema renamed", ("alter schema public rename to hidden",), ("alter schema hidden rename to public",)),
    # its parts
    Change(
        "a part attached",
        (
            f"create table hours (like {LOG}); "
            f"insert into hours select (r).* from (select jsonb_populate_record(null::{LOG}, to_jsonb(f) "
            "|| jsonb_build_object('id', gen_random_uuid(), 'created_at', '1999-01-01 12:00:00+00')) as r from flat f limit 3) x",
            f"update hours set created_at = '2026-07-03 12:00+00'; alter table {LOG} detach partition late; "
            "delete from late where created_at >= '2026-07-03' and created_at < '2026-07-04'; "
            f"alter table {LOG} attach partition hours for values from ('2026-07-03') to ('2026-07-04')",
            f"alter table {LOG} attach partition late default",
            *_GRANTS,
        ),
        before=_PARTS,
        loses=True,
    ),
    Change("a part detached", (f"alter table {LOG} detach partition early",), before=_PARTS, loses=True),
    Change(
        "a part truncated and loaded",
        (_loaded_again("early", "points = points + 500"),),
        before=_PARTS,
        loses=True,
    ),
    Change("vacuumed full", (f"vacuum full {LOG}",), apart=True),
    Change("clustered", (f"cluster {LOG} using {LOG}_pkey",), apart=True),
    # the session and the server
    Change("backends ended", (f"select pg_terminate_backend(pid) {BACKENDS}",)),
    Change("queries cancelled", (f"select pg_cancel_backend(pid) {BACKENDS}",)),
    Change(
        "a statement timeout for the role",
        ("alter role {role} set statement_timeout = 1",),
        ("alter role {role} reset all",),
    ),
    Change(
        "timeouts of the server",
        (
            "alter system set idle_in_transaction_session_timeout = 100",
            "alter system set idle_session_timeout = 100",
            "alter system set lock_timeout = 1",
            "select pg_reload_conf()",
        ),
        ("alter system reset all", "select pg_reload_conf()"),
        apart=True,
    ),
    Change(
        "the database renamed",
        ("alter database {database} rename to {database}_x",),
        ("alter database {database}_x rename to {database}",),
        apart=True,
    ),
    Change(
        "the database made unreachable",
        (
            "alter database {database} allow_connections false",
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = '{database}' and application_name = 'strategy-analytics'",
        ),
        ("alter database {database} allow_connections true",),
        apart=True,
    ),
    # the programs
    Change("programs truncated", (f"truncate {DEFINITIONS}",)),
    Change(
        "programs truncated and loaded",
        (_loaded_again(DEFINITIONS, "description = 'new'"),),
    ),
    Change("programs deleted", (f"delete from {DEFINITIONS}",)),
    Change(
        "programs exchanged",
        (
            f"create table d (like {DEFINITIONS} including all); insert into d select * from {DEFINITIONS}",
            f"drop table {DEFINITIONS}; alter table d rename to {DEFINITIONS}",
            *_GRANTS,
        ),
    ),
    Change(
        "programs dropped",
        (f"alter table {DEFINITIONS} rename to gone",),
        (f"alter table gone rename to {DEFINITIONS}",),
    ),
    Change("the programs' right revoked", (f"revoke all on {DEFINITIONS} from midrun_reader",), _GRANTS),
    Change(
        "row security on programs",
        (f"alter table {DEFINITIONS} enable row level security",),
        (f"alter table {DEFINITIONS} disable row level security",),
    ),
    Change("an optional column of programs dropped", (f'alter table {DEFINITIONS} drop column "experimentTag"',)),
    Change(
        "a needed column of programs renamed",
        (f'alter table {DEFINITIONS} rename "astJson" to ast',),
        (f'alter table {DEFINITIONS} rename ast to "astJson"',),
    ),
)
