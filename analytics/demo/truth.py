"""The shape of the truth: one row per run of the simulated engine, logged or not."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

_TIME = pa.timestamp("us", tz="UTC")
#: Durations in milliseconds. `visits` and `nodes_true` are what the walk did (up to the failure; for a timeout, what it
#: would have done), `nodes_executed` is what the log says. `story` is the key of a planted story or null.
TRUTH_SCHEMA: Final = pa.schema(
    [
        ("execution_id", pa.string()),
        ("created_at", _TIME),
        ("committed_at", _TIME),
        ("realm_id", pa.string()),
        ("family", pa.string()),
        ("strategy_id", pa.string()),
        ("strategy_version", pa.int32()),
        ("strategy_type", pa.string()),
        ("status", pa.string()),
        ("error_code", pa.string()),
        ("points", pa.float64()),
        ("case_name", pa.string()),
        ("duration_ms", pa.float64()),
        ("visits", pa.int32()),
        ("nodes_true", pa.int32()),
        ("nodes_executed", pa.int32()),
        ("external_game_id", pa.string()),
        ("external_task_id", pa.string()),
        ("external_user_id", pa.string()),
        ("logged", pa.bool_()),
        ("story", pa.string()),
        ("analytics_queries", pa.int32()),
    ]
)
