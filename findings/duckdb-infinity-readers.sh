#!/usr/bin/env bash
# DuckDB: an infinite timestamp is three times, by the way it is fetched
#
# Version:  duckdb 2.0.0, pandas 3.1.1, pyarrow 26.0.1
# Expected: 'infinity' is one value for whoever reads it: infinite, missing, or an error.
# Seen:     fetchall() gives the last microsecond of the year 9999; .df() and pandas' own reading of the Parquet file
#           give the year 294247, in reach since pandas 3 counts microseconds, so that it is neither NaT nor an error
#           and an average of dates is absurd; DuckDB reads its file as infinity again, and what pandas wrote as
#           infinity, too.
# Source:   duckdb.org/docs/2.0/sql/data_types/timestamp (infinity); pandas.pydata.org/docs/whatsnew/v3.0.0.html
#           (microseconds); tried here
#
# Fails where what is seen has changed. Installs into a temporary folder and leaves nothing behind.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.0 pandas==3.1.1 pyarrow==26.0.1
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import duckdb
import pandas as pd

con = duckdb.connect()
con.sql("copy (select 'infinity'::timestamp seen_at) to 'duckdb.parquet'")
frame = pd.read_parquet("duckdb.parquet")
frame.to_parquet("pandas.parquet")


def year_and_gaps(read):
    return str(read["seen_at"].iloc[0])[:10], int(read["seen_at"].isna().sum())


seen = {
    "fetchall": str(con.sql("from 'duckdb.parquet'").fetchall()[0][0]),
    "df": year_and_gaps(con.sql("from 'duckdb.parquet'").df()),
    "pandas": year_and_gaps(frame),
    "DuckDB of pandas": con.sql("select isinf(seen_at), seen_at::varchar from 'pandas.parquet'").fetchall()[0],
}
print(duckdb.__version__, pd.__version__, seen)
assert seen == {
    "fetchall": "9999-12-31 23:59:59.999999",
    "df": ("294247-01-", 0),
    "pandas": ("294247-01-", 0),
    "DuckDB of pandas": (True, "infinity"),
}, "changed"
PY
