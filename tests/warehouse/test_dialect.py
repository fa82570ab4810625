"""DuckDB's SQL as Spark's: every statement goes through, and what the library would leave wrong is put right."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp

from analytics import sql
from analytics.warehouse.catalog import VIEWS
from analytics.warehouse.spark.tables import transpiled

STATEMENTS = [
    *(("queries", name) for name in sql.names("queries")),
    *(("views", name) for name in VIEWS if name != "nodes"),
    *(("people", f"shared_{table}") for table in ("executions", "node_days")),
    ("audit", "executions"),
]


@pytest.mark.parametrize(("kind", "name"), STATEMENTS)
def test_every_statement_is_one_of_sparks(kind: str, name: str) -> None:
    text = sql.text(kind, name)
    [found] = sqlglot.parse(transpiled(text), read="spark", error_level=sqlglot.ErrorLevel.RAISE)
    assert isinstance(found, exp.Query)
    assert {one.name for one in found.find_all(exp.Placeholder)} == (
        set(sql.parameters(text)) if kind == "queries" else set()
    )
    assert {one.text("db") for one in found.find_all(exp.Table)} == {""}


@pytest.mark.parametrize("name", [name for name in sql.names("queries") if sql.gathered(sql.text("queries", name))])
def test_so_is_the_first_half_of_one_in_two(name: str) -> None:
    assert sqlglot.parse(transpiled(str(sql.gathered(sql.text("queries", name)))), read="spark")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("select isfinite(x) from t", "SELECT (ABS(x) < CAST('infinity' AS DOUBLE)) FROM t"),
        ("select list(x) from t", "SELECT NULLIF(COLLECT_LIST(x), ARRAY()) FROM t"),
        (
            "select list(x) filter (where y) from t",
            "SELECT NULLIF(COLLECT_LIST(x) FILTER(WHERE y), ARRAY()) FROM t",
        ),
        ("select x, y from t order by all", "SELECT x, y FROM t ORDER BY 1 NULLS LAST, 2 NULLS LAST"),
        ("select getvariable('realm_to') from t", "SELECT NULL FROM t"),
        ("select * from files.executions", "SELECT * FROM files_executions"),
        (
            "select unnest($a::int[]) as a, unnest($b::int[]) as b",
            "SELECT INLINE(ARRAYS_ZIP(CAST(:a AS ARRAY<INT>), CAST(:b AS ARRAY<INT>))) AS (a, b)",
        ),
        ("with a as materialized (select 1 as x) select x from a", "WITH a AS (SELECT 1 AS x) SELECT x FROM a"),
        ("create view v as select 1 as x; comment on view v is 'one';", "SELECT 1 AS x"),
    ],
)
def test_what_means_something_else_is_put_right(ours: str, theirs: str) -> None:
    assert transpiled(ours) == theirs


def test_what_is_no_query_is_refused() -> None:
    with pytest.raises(sqlglot.errors.ParseError, match="there is no query in it"):
        transpiled("selec")


def test_an_order_that_needs_the_columns_is_refused_without_them() -> None:
    with pytest.raises(sqlglot.errors.UnsupportedError, match="the columns by name"):
        transpiled("select * from t order by all")
