"""Extract every hour, report every morning (UTC), with Airflow 3.

Put this file into Airflow's folder of DAGs. The workers need the checkout with its environment under `CHECKOUT`, and the settings
of `.env.example` in their own environment: the database URL without a password, which libpq takes from ~/.pgpass or PGPASSFILE.
No secret is in this file, and none in Airflow's database.

Exit 75, another run holds the lock, is shown as skipped. Exit 3 of the extraction is worth another try. A morning's findings (exit
1, where a definition says so) and days that were not extracted (exit 4) are not mended by trying again, so that task fails once;
the next morning renders what is missing.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

CHECKOUT = "/opt/strategy-analytics"
START = datetime(2026, 7, 1, tzinfo=UTC)
ANOTHER_RUN = 75

EXTRACT = {
    "bash_command": ".venv/bin/strategy-analytics extract",
    "cwd": CHECKOUT,
    "append_env": True,
    "skip_on_exit_code": ANOTHER_RUN,
    "retries": 2,
    "retry_delay": timedelta(minutes=5),
    "execution_timeout": timedelta(hours=3),
}

with DAG(
    dag_id="strategy_analytics_extract",
    description="Makes the lake equal to the execution log for the last three days",
    schedule="15 * * * *",
    start_date=START,
    catchup=False,  # one run looks at three days, so what was missed is made up for by the next
    max_active_runs=1,
    tags=["strategy-analytics"],
):
    BashOperator(task_id="extract", **EXTRACT)

with DAG(
    dag_id="strategy_analytics_reports",
    description="Renders every report that is due",
    schedule="30 5 * * *",
    start_date=START,
    catchup=False,  # a run renders what the mornings before have missed
    max_active_runs=1,
    tags=["strategy-analytics"],
):
    extract = BashOperator(task_id="extract", **EXTRACT)
    reports = BashOperator(
        task_id="reports",
        bash_command=".venv/bin/strategy-analytics report run reports/nightly.toml",
        cwd=CHECKOUT,
        append_env=True,
        skip_on_exit_code=ANOTHER_RUN,
        # The hourly run at work just now makes the extraction skip, and is no reason not to report.
        trigger_rule="none_failed",
        execution_timeout=timedelta(hours=3),
    )
    extract >> reports
