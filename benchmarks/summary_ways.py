"""The two ways of the summary benchmark; each prepares a question and returns the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Work = Callable[[], dict[str, Any]]

PLAIN = """
    select realm_id, strategy_id, strategy_version,
           count(*)                                                    as logged_count,
           count(*) filter (where status <> 'ok')                      as failed_count,
           avg(points)                                                 as points_mean,
           sum(points)                                                 as points_sum,
           quantile_cont(duration_ms, [.5, .95, .99])                  as duration,
           quantile_cont(duration_ms, .99) filter (where status = 'ok') as duration_ok_p99,
           quantile_cont(nodes_executed, [.5, .99])                    as nodes
      from executions
     where day >= $since::date and day < $until::date and created_at >= $since::timestamptz and created_at < $until::timestamptz
     group by all"""


def ours(task: dict[str, Any]) -> Work:
    """The named query, as ``lake.run`` answers it."""
    import pyarrow as pa
    import scipy.special  # noqa: F401  # imports come before the clock

    from analytics import api

    lake = api.open_lake(task["lake"])
    return lambda: {
        "answer": pa.Table.from_pandas(
            lake.run("strategy_summary", since=task["since"], until=task["until"]), preserve_index=False
        )
    }


def plain(task: dict[str, Any]) -> Work:
    """What a dashboard asks: the same numbers of logged rows, as if rows were runs."""
    import pandas  # noqa: F401  # imports come before the clock
    import pyarrow as pa

    from analytics import api

    lake = api.open_lake(task["lake"])
    window = {"since": task["since"], "until": task["until"]}
    return lambda: {"answer": pa.Table.from_pandas(lake.sql(PLAIN, **window).df(), preserve_index=False)}
