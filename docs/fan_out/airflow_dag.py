"""A report a day by eight mapped tasks, and one task that renders it, with Airflow 3.

The workers need the checkout with its environment under `CHECKOUT`, and reach the lake (`ANALYTICS_LAKE`) and the folder or bucket
that the shares are gathered into (`GATHERED`), which should delete what is older than a day: it holds user ids.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

CHECKOUT = "/opt/strategy-analytics"
SHARES = 8
# Not `ds`: whoever triggers a run may give it no date, and where Airflow counts in intervals a run's date is a day old. Nor the
# end of the interval: for a run triggered with a date on the command line, Airflow 3.3 makes it of the moment of triggering.
MOMENT = "(dag_run.logical_date if dag_run.run_type == 'manual' and dag_run.logical_date else dag_run.run_after)"
YESTERDAY = f"--all-realms --since {{{{ macros.ds_add({MOMENT} | ds, -1) }}}} --until {{{{ {MOMENT} | ds }}}}"
GATHERED = f'"${{GATHERED:-s3://analytics/gathered}}/{{{{ {MOMENT} | ds }}}}"'

with DAG(
    dag_id="strategy_analytics_fan_out",
    description="Runaway rules of yesterday, gathered by many workers",
    schedule="30 5 * * *",
    start_date=datetime(2026, 7, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["strategy-analytics"],
):
    here = {"cwd": CHECKOUT, "append_env": True, "retries": 2, "retry_delay": timedelta(minutes=5)}
    gather = BashOperator.partial(task_id="gather", **here).expand(
        bash_command=[
            f".venv/bin/strategy-analytics gather {YESTERDAY} --share {share}/{SHARES} --into {GATHERED}"
            for share in range(1, SHARES + 1)
        ]
    )
    report = BashOperator(
        task_id="report",
        bash_command=f".venv/bin/strategy-analytics report runaway_rules {YESTERDAY} --gathered {GATHERED}",
        # A share that failed for good is asked by the report itself.
        trigger_rule="all_done",
        **here,
    )
    gather >> report
