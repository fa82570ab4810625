"""The questions of a report on runaway rules, asked by Spark on executors of this machine; says what it took, as JSON.

python -m tests.scale.spark LAKE SINCE UNTIL EXECUTORS
"""

from __future__ import annotations

import json
import sys
import time

from analytics import Window, open_lake
from analytics.reports.render.builders import questions
from analytics.warehouse.spark import SparkEngine
from analytics.window import midnight


def main(lake: str, since: str, until: str, executors: str) -> None:
    """Start, ask, tell."""
    from pyspark.sql import SparkSession

    begun = time.monotonic()
    session = (
        SparkSession.builder.master(f"local-cluster[{executors},1,2048]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "OFF")
        .config("spark.sql.shuffle.partitions", "8")
        .getOrCreate()
    )
    started = time.monotonic()
    opened, engine = open_lake(lake), SparkEngine(lambda: session)
    rows = 0
    for question in questions(opened, Window.parse(since, until)):
        window = {"since": midnight(question.since), "until": midnight(question.until)}
        rows += engine.partial(opened, question.query, {**question.values, **window}).num_rows
    done = time.monotonic()
    session.stop()
    sys.stdout.write(json.dumps({"start": started - begun, "seconds": done - started, "rows": rows}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
