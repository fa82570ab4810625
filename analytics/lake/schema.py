"""The source's tables and the lake's files, column by column: the one place camelCase becomes snake_case."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

LOG_TABLE = "strategyexecutionlog"
"""The engine's log of executions."""

DEFINITION_TABLE = "strategydefinition"
"""The programs. Optional: the table may be missing or unreadable, and rows may be gone."""


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """How one column of the source becomes one of the lake.

    Attributes:
        source: Name in PostgreSQL.
        lake: Name in the lake.
        types: PostgreSQL types (``format_type`` without a length) that are read without loss; another one is refused.
        is_optional: Without it the others are read all the same.
    """

    source: str
    lake: str
    types: tuple[str, ...]
    is_optional: bool = False


_TEXT = ("character varying", "text", "character")
_INTEGER = ("integer", "smallint")
_NUMBER = ("numeric", "double precision", "real", "integer", "bigint", "smallint")
_TIME = ("timestamp with time zone",)

EXECUTION_COLUMNS = (
    ColumnSpec("id", "execution_id", ("uuid",)),
    ColumnSpec("created_at", "created_at", _TIME),
    ColumnSpec("updated_at", "updated_at", _TIME),
    ColumnSpec("oauth_user_id", "oauth_user_id", _TEXT),
    ColumnSpec("strategyId", "strategy_id", _TEXT),
    ColumnSpec("strategyVersion", "strategy_version", _INTEGER),
    ColumnSpec("strategyType", "strategy_type", _TEXT),
    ColumnSpec("realmId", "realm_id", _TEXT),
    ColumnSpec("externalGameId", "external_game_id", _TEXT),
    ColumnSpec("externalTaskId", "external_task_id", _TEXT),
    ColumnSpec("externalUserId", "external_user_id", _TEXT),
    ColumnSpec("status", "status", _TEXT),
    ColumnSpec("errorCode", "error_code", _TEXT),
    ColumnSpec("points", "points", _NUMBER),
    ColumnSpec("caseName", "case_name", _TEXT),
    ColumnSpec("durationMs", "duration_ms", _NUMBER),
    ColumnSpec("nodesExecuted", "nodes_executed", _INTEGER),
    ColumnSpec("trace", "trace", ("jsonb",)),
    ColumnSpec("sampled", "sampled", ("boolean",)),
    ColumnSpec("parentStrategyId", "parent_strategy_id", _TEXT),
    ColumnSpec("notes", "notes", _TEXT),
)
"""What extraction reads. ``apiKey_used`` is a credential and is never extracted."""

NEVER_EXTRACTED = frozenset({"apiKey_used"})

DEFINITION_COLUMNS = (
    ColumnSpec("id", "strategy_id", ("uuid", *_TEXT)),
    ColumnSpec("realmId", "realm_id", _TEXT, is_optional=True),
    ColumnSpec("name", "name", _TEXT),
    ColumnSpec("description", "description", _TEXT, is_optional=True),
    ColumnSpec("type", "strategy_type", _TEXT, is_optional=True),
    ColumnSpec("parentStrategyId", "parent_strategy_id", _TEXT, is_optional=True),
    ColumnSpec("astJson", "ast_json", ("jsonb", "json")),
    ColumnSpec("version", "strategy_version", _INTEGER),
    ColumnSpec("status", "status", _TEXT, is_optional=True),
    ColumnSpec("createdBy", "created_by", _TEXT, is_optional=True),
    ColumnSpec("publishedAt", "published_at", _TIME, is_optional=True),
    ColumnSpec("created_at", "created_at", _TIME, is_optional=True),
    ColumnSpec("updated_at", "updated_at", _TIME, is_optional=True),
    ColumnSpec("experimentTag", "experiment_tag", _TEXT, is_optional=True),
)
"""What is read of the programs: older engines lack some columns, and a role may not see them all."""


TEXT_COLUMNS = (
    "strategy_id",
    "realm_id",
    "created_at_irregular",
    "oauth_user_id",
    "strategy_type",
    "external_game_id",
    "external_task_id",
    "external_user_id",
    "status",
    "error_code",
    "case_name",
    "parent_strategy_id",
    "notes",
)
"""Columns of ``lake/executions`` that hold text, in the order of ``sql/source/executions.sql``."""
PEOPLE_COLUMNS = ("external_user_id", "oauth_user_id")
"""Those whose whole text is somebody's id."""
FREE_TEXT_COLUMNS = ("external_game_id", "external_task_id", "error_code", "case_name", "notes")
"""Those that may name somebody: an erasure looks into them, and so does what keeps other tenants' words from a page."""


@functools.cache
def execution_schema() -> pa.Schema:
    """Columns of ``lake/executions``. Grain: one row per logged run."""
    import pyarrow as pa

    entry = pa.struct(
        [
            ("node_id", pa.string()),
            ("type", pa.string()),
            ("branch", pa.string()),
            ("value", pa.string()),
            ("value_number", pa.float64()),
        ]
    )
    text, number, utc = pa.string(), pa.float64(), pa.timestamp("us", tz="UTC")
    return pa.schema(
        [
            ("execution_id", text),
            ("created_at", utc),
            ("created_at_irregular", text),
            ("updated_at", utc),
            ("oauth_user_id", text),
            ("strategy_id", text),
            ("strategy_version", pa.int32()),
            ("strategy_type", text),
            ("realm_id", text),
            ("external_game_id", text),
            ("external_task_id", text),
            ("external_user_id", text),
            ("status", text),
            ("error_code", text),
            ("points", number),
            ("case_name", text),
            ("duration_ms", number),
            ("nodes_executed", pa.int32()),
            ("trace", pa.list_(entry)),
            ("trace_irregular", text),
            ("sampled", pa.bool_()),
            ("parent_strategy_id", text),
            ("notes", text),
            ("sample_weight", number),
        ]
    )


@functools.cache
def node_day_schema() -> pa.Schema:
    """Columns of ``lake/node_days``. Grain: realm, day, strategy, version, node id, type, branch."""
    import pyarrow as pa

    return pa.schema(
        [
            ("realm_id", pa.string()),
            ("strategy_id", pa.string()),
            ("strategy_version", pa.int32()),
            ("node_id", pa.string()),
            ("type", pa.string()),
            ("branch", pa.string()),
            ("entry_count", pa.int64()),
            ("est_entries", pa.float64()),
            ("true_count", pa.int64()),
            ("false_count", pa.int64()),
            ("null_count", pa.int64()),
            ("text_count", pa.int64()),
            ("number_count", pa.int64()),
            ("number_sum", pa.float64()),
            ("number_sum_squares", pa.float64()),
            ("number_min", pa.float64()),
            ("number_max", pa.float64()),
        ]
    )


@functools.cache
def definition_schema() -> pa.Schema:
    """Columns of ``lake/definitions``. Grain: one row per version of a strategy ever seen."""
    import pyarrow as pa

    utc = pa.timestamp("us", tz="UTC")
    types = {
        "strategy_version": pa.int32(),
        "published_at": utc,
        "created_at": utc,
        "updated_at": utc,
    }
    fields = [(column.lake, types.get(column.lake, pa.string())) for column in DEFINITION_COLUMNS]
    return pa.schema([*fields, ("is_deleted", pa.bool_())])


@functools.cache
def program_history_schema() -> pa.Schema:
    """Columns of ``lake/program_history``. Grain: realm, version of a strategy, content it had before, why it is kept."""
    import pyarrow as pa

    return pa.schema(
        [
            *definition_schema(),
            ("reason", pa.string()),
            ("replaced_at", pa.timestamp("us", tz="UTC")),
            ("content_hash", pa.string()),
        ]
    )


@functools.cache
def definition_node_schema() -> pa.Schema:
    """Columns of ``lake/definition_nodes``. Grain: one row per node of a program, in walk order."""
    import pyarrow as pa

    return pa.schema(
        [
            ("strategy_id", pa.string()),
            ("strategy_version", pa.int32()),
            ("realm_id", pa.string()),
            ("family_name", pa.string()),
            ("position", pa.int32()),
            ("parent_position", pa.int32()),
            ("depth", pa.int32()),
            ("section", pa.string()),
            ("slot", pa.string()),
            ("rule_index", pa.int32()),
            ("node_id", pa.string()),
            ("type", pa.string()),
            ("path", pa.string()),
            ("operator", pa.string()),
            ("literal", pa.string()),
            ("case_name", pa.string()),
            ("key", pa.string()),
        ]
    )


TABLES = ("executions", "node_days", "definitions", "definition_nodes", "program_history")
"""Of the lake, in the order readers open them."""


def of_tables() -> dict[str, pa.Schema]:
    """Columns of every table of the lake, by its name."""
    return {
        "executions": execution_schema(),
        "node_days": node_day_schema(),
        "definitions": definition_schema(),
        "definition_nodes": definition_node_schema(),
        "program_history": program_history_schema(),
    }
