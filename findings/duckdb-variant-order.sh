#!/usr/bin/env bash
# DuckDB: among VARIANT values that were JSON, every fraction is larger than every whole number
#
# Version:  duckdb 2.0.0
# Expected: JSON numbers are ordered by value, as in JSON itself: -2.5 < 9.5 < 10.
# Seen:     Whole numbers become integers and others DOUBLE, and the two are ordered one after the other: max() of 10,
#           9.5 and -2.5 is 9.5, the least of all is 10, and a filter for more than 9.7 keeps -2.5. Cast to DOUBLE, the
#           same rows are right.
# Source:   github.com/duckdb/duckdb/pull/23307, which orders VARIANT by buckets of types; tried here on what JSON text
#           becomes
#
# Fails where what is seen has changed. Installs into a temporary folder and leaves nothing behind.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.0
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import duckdb

con = duckdb.connect()
con.sql("create table amounts as select json::json::variant amount from (values ('10'), ('9.5'), ('-2.5')) written(json)")


def asked(expression):
    return con.sql(f"select {expression} from amounts").fetchall()[0][0]


seen = {
    "types": [kind for (kind,) in con.sql("select variant_typeof(amount) from amounts").fetchall()],
    "max": asked("max(amount)"),
    "min": asked("min(amount)"),
    "ordered": [value for (value,) in con.sql("from amounts order by amount").fetchall()],
    "more than 9.7": sorted(value for (value,) in con.sql("from amounts where amount > 9.7").fetchall()),
    "max of doubles": asked("max(amount::double)"),
}
print(duckdb.__version__, seen)
assert seen == {
    "types": ["UINT64", "DOUBLE", "DOUBLE"],
    "max": 9.5,
    "min": 10,
    "ordered": [10, -2.5, 9.5],
    "more than 9.7": [-2.5, 9.5, 10],
    "max of doubles": 10.0,
}, "changed"
PY
