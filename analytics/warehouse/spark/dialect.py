"""DuckDB's SQL as Spark's: the same file is the statement of both engines.

sqlglot knows both languages; here is what it leaves as it is although it means something else, or that only we know.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import sqlglot
from sqlglot import exp

FILES = "files_"
"""Spark's temporary views have no schemas: ``files.executions`` is ``files_executions``."""


@functools.lru_cache(maxsize=256)
def transpiled(statement: str) -> str:
    """A query of DuckDB's as one of Spark's; of ``create view … as`` what is behind the ``as``.

    Args:
        statement: Of several the last query, or view, counts. ``$name`` becomes ``:name``.

    Raises:
        sqlglot.errors.SqlglotError: It is no SQL, or there is no such thing in Spark.
    """
    trees = [one for one in sqlglot.parse(statement, read="duckdb") if isinstance(one, exp.Create | exp.Query)]
    if not trees:
        raise sqlglot.errors.ParseError("there is no query in it")
    tree = trees[-1].expression if isinstance(trees[-1], exp.Create) else trees[-1]
    for node in reversed(list(tree.walk())):  # what is inside comes first
        if (handle := _HANDLED.get(type(node))) and (instead := handle(node)) is not node:
            node.replace(instead)
    return tree.sql(dialect="spark", comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE)


def _select(node: exp.Expression) -> exp.Expression:
    _unnest_together(node)
    _order_by_all(node)
    return node


def _table(node: exp.Expression) -> exp.Expression:
    if node.args.get("db") and node.text("db") == "files":
        node.set("this", exp.to_identifier(f"{FILES}{node.name}"))
        node.set("db", None)
    return node


def _cte(node: exp.Expression) -> exp.Expression:
    node.set("materialized", None)
    return node


def _function(node: exp.Expression) -> exp.Expression:
    if node.name.lower() == "isfinite":
        return _is_finite(node.expressions[0])
    if node.name.lower() == "getvariable":  # of the portions in which DuckDB gathers; Spark makes its own
        return exp.null()
    return node


def _is_finite(value: exp.Expression) -> exp.Expression:
    """NULL of NULL, as DuckDB has it."""
    text = value.sql(dialect="spark")
    return exp.maybe_parse(f"(abs({text}) < double('infinity'))", dialect="spark")


def _list(node: exp.Expression) -> exp.Expression:
    """A list of nothing is NULL."""
    if isinstance(node.parent, exp.Filter):
        return node
    return exp.Anonymous(this="nullif", expressions=[node.copy(), exp.Array(expressions=[])])


def _filter(node: exp.Expression) -> exp.Expression:
    if isinstance(node.this, exp.ArrayAgg):
        return _list(node)
    return node


def _quantiles(node: exp.Expression) -> exp.Expression:
    return exp.Anonymous(this="percentile", expressions=[node.this.copy(), node.expression.copy()])


def _round(node: exp.Expression) -> exp.Expression:
    """To a number of digits that differs from row to row, by the arithmetic that DuckDB does."""
    digits = node.args.get("decimals")
    if digits is None or isinstance(digits, exp.Literal):
        return node
    value, places = node.this.sql(dialect="spark"), digits.sql(dialect="spark")
    up, down = f"power(10.0D, ({places}))", f"power(10.0D, -({places}))"
    rounded = (
        f"case when ({places}) < 0 then round(({value}) / {down}) * {down} else round(({value}) * {up}) / {up} end"
    )
    # Where that leaves what a double can hold, DuckDB leaves the value as it is. To Spark, NaN is larger than infinity.
    text = f"case when abs({rounded}) >= double('infinity') then {value} else {rounded} end"
    return exp.maybe_parse(f"({text})", dialect="spark")


def _order_by_all(select: exp.Expression) -> None:
    order = select.args.get("order")
    if order and len(order.expressions) == 1 and order.expressions[0].this.sql().upper() == "ALL":
        if any(one.is_star for one in select.expressions):
            raise sqlglot.errors.UnsupportedError("order by all needs the columns by name")
        places = range(1, len(select.expressions) + 1)
        order.set("expressions", [exp.Ordered(this=exp.Literal.number(n), nulls_first=False) for n in places])


def _unnest_together(select: exp.Expression) -> None:
    """Several lists side by side: Spark takes one generator only."""
    lists = [one.this for one in select.expressions if isinstance(one, exp.Alias) and _is_unnest(one.this)]
    if len(lists) < 2:
        return
    zipped = exp.Anonymous(
        this="inline", expressions=[exp.Anonymous(this="arrays_zip", expressions=[_unnested(one) for one in lists])]
    )
    names = [exp.to_identifier(one.alias) for one in select.expressions]
    select.set("expressions", [exp.Aliases(this=zipped, expressions=names)])


def _is_unnest(node: exp.Expression) -> bool:
    return isinstance(node, exp.Explode | exp.Unnest)


def _unnested(node: exp.Expression) -> exp.Expression:
    inner: exp.Expression = node.this if isinstance(node, exp.Explode) else node.expressions[0]
    return inner.copy()


_HANDLED: dict[type, Callable[[Any], exp.Expression]] = {
    exp.Table: _table,
    exp.CTE: _cte,
    exp.Anonymous: _function,
    exp.PercentileCont: _quantiles,
    exp.Round: _round,
    exp.ArrayAgg: _list,
    exp.Filter: _filter,
    exp.Select: _select,
}
