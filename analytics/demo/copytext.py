"""PostgreSQL's COPY text format, for the columns of the log table."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

#: The columns that rows are written in, as the source spells them.
COLUMNS: Final = (
    "id",
    "created_at",
    "updated_at",
    "apiKey_used",
    "oauth_user_id",
    "strategyId",
    "strategyVersion",
    "strategyType",
    "realmId",
    "externalGameId",
    "externalTaskId",
    "externalUserId",
    "status",
    "errorCode",
    "points",
    "caseName",
    "durationMs",
    "nodesExecuted",
    "trace",
    "sampled",
    "parentStrategyId",
    "notes",
)
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def line(values: Iterable[str | None]) -> str:
    """One row; None is SQL NULL."""
    return "\t".join("\\N" if value is None else value.translate(_ESCAPES) for value in values) + "\n"


def number(value: int | float | None) -> str | None:
    """A number as PostgreSQL's `numeric` gets it from the engine: a float by its exact binary expansion."""
    if value is None:
        return None
    if isinstance(value, float):
        return format(Decimal(value), "f") if value - value == 0.0 else repr(value)
    return str(value)
