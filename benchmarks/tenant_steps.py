"""The steps of the many-tenants benchmark, each in a process of its own."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Work = Callable[[], dict[str, Any]]


def extract(task: dict[str, Any]) -> Work:
    """All partitions into a new lake, watching how many files are open and counting the server's statements."""
    from benchmarks.extractors import ours

    work = ours(task)

    def watched() -> dict[str, Any]:
        before, stop, most = _statements(task["url"]), threading.Event(), [0]
        watcher = threading.Thread(target=_watch_descriptors, args=(stop, most), daemon=True)
        watcher.start()
        try:
            facts = work()
        finally:
            stop.set()
            watcher.join()
        after = _statements(task["url"])
        # the counting connections' own transactions are in it
        return facts | {
            "open_files": most[0],
            "transactions": after - before,
            "limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        }

    return watched


def _watch_descriptors(stop: threading.Event, most: list[int]) -> None:
    folder = Path("/proc/self/fd")
    while not stop.is_set() and folder.exists():
        most[0] = max(most[0], sum(1 for _ in folder.iterdir()))
        time.sleep(0.02)


def _statements(url: str) -> int:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select pg_stat_force_next_flush()")
        [(count,)] = connection.execute(
            "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()"
        ).fetchall()
    return int(count)


def again(task: dict[str, Any]) -> Work:
    """A run that finds nothing."""
    from benchmarks.extractors import ours

    return ours(task)


def open_lake(task: dict[str, Any]) -> Work:
    """``open_lake`` on all of it."""
    from analytics import api

    return lambda: {"realms": len(api.open_lake(task["lake"]).realms)}


def open_realm(task: dict[str, Any]) -> Work:
    """``open_lake`` on one tenant, and one question."""
    from analytics import api

    def work() -> dict[str, Any]:
        lake = api.open_lake(task["lake"], realm=task["realm"])
        [(rows,)] = lake.sql("select count(*) from executions").fetchall()
        return {"rows": rows}

    return work


def realm_query(task: dict[str, Any]) -> Work:
    """One tenant's question in a lake that is open on that tenant."""
    from analytics import api

    lake = api.open_lake(task["lake"], realm=task["realm"])
    return lambda: {
        "rows": len(lake.sql("select strategy_id, day, sum(logged_count) from strategy_days group by all").fetchall())
    }


def whole_aggregate(task: dict[str, Any]) -> Work:
    """A question over every tenant's runs."""
    from analytics import api

    lake = api.open_lake(task["lake"])

    def work() -> dict[str, Any]:
        [(rows,)] = lake.sql(
            "select sum(n) from (select realm_id, count(*) as n from executions group by all)"
        ).fetchall()
        return {"rows": int(rows)}

    return work


def whole_rollup(task: dict[str, Any]) -> Work:
    """The per-node totals of every tenant, from the rollup."""
    from analytics import api

    lake = api.open_lake(task["lake"])

    def work() -> dict[str, Any]:
        [(entries,)] = lake.sql("select sum(entry_count) from node_days").fetchall()
        return {"entries": int(entries)}

    return work
