#!/usr/bin/env bash
# Airflow: a run triggered for a past date has that day's interval by the REST API, and this moment's by the command line
#
# Version:  apache-airflow 3.3.2
# Expected: `airflow dags trigger --logical-date D` and POST dagRuns with logical_date D make the same run: same interval.
# Seen:     By the API the data interval ends at D; by the command line it is that of the moment of triggering, months
#           later. So {{ data_interval_end }}, from which a task takes its window, is today where {{ ds }} is D, and a day
#           that is to be made up for is never read, without an error.
# Source:   github.com/apache/airflow/pull/54119 (not taken) and 64740 (the manual now says that nobody should rely on it);
#           that the API and the command line differ was found here
#
# Fails where what is seen has changed. Installs into a temporary folder and leaves nothing behind.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; wait; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check apache-airflow==3.3.2
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export PATH="$folder/venv/bin:$PATH" AIRFLOW_HOME="$folder/home" AIRFLOW__CORE__LOAD_EXAMPLES=False \
  AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=True AIRFLOW__API__HOST=127.0.0.1 AIRFLOW__API__PORT="$port" AIRFLOW__API__WORKERS=1
mkdir -p "$AIRFLOW_HOME/dags"
cat > "$AIRFLOW_HOME/dags/daily.py" <<'PY'
from datetime import datetime, timezone

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

with DAG("daily", schedule="30 5 * * *", start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), catchup=False):
    EmptyOperator(task_id="nothing")
PY
cd "$folder"
{ airflow db migrate && airflow dags reserialize; } > log 2>&1 || { cat log; exit 1; }
airflow api-server > server.log 2>&1 &
server=$!
airflow dags trigger daily --run-id by-command --logical-date 2026-03-01T05:30:00+00:00 > log 2>&1 || { cat log; exit 1; }
python - "$port" <<'PY'
import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from importlib.metadata import version

url = f"http://127.0.0.1:{sys.argv[1]}"


def asked(path, body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


for _ in range(120):
    try:
        token = asked("/auth/token")["access_token"]
        break
    except urllib.error.URLError:
        time.sleep(1)
run = {"dag_run_id": "by-api", "logical_date": "2026-03-01T05:30:01Z"}  # a date may have one run: a second later
asked("/api/v2/dags/daily/dagRuns", run, Authorization=f"Bearer {token}")
database = sqlite3.connect(f"{os.environ['AIRFLOW_HOME']}/airflow.db")
rows = database.execute("select run_id, logical_date, data_interval_end, date('now') from dag_run").fetchall()
seen = {name: (str(date)[:10], "today" if str(end)[:10] == today else str(end)[:10]) for name, date, end, today in rows}
print("apache-airflow", version("apache-airflow"), seen)
assert seen == {"by-command": ("2026-03-01", "today"), "by-api": ("2026-03-01", "2026-03-01")}, "changed"
PY
