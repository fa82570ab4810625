#!/usr/bin/env bash
# Arrow: 0.0 equals -0.0, and yet they are two groups and do not join
#
# Version:  pyarrow 26.0.1, duckdb 2.0.0, polars 2.1.0
# Expected: Values that are equal are one group and join, as in PostgreSQL, DuckDB and Polars; a NaN joins a NaN there,
#           though it equals nothing in Arrow.
# Seen:     pyarrow.compute.equal says yes; group_by makes two groups, unique two values, a join finds no partner and
#           is_in is false. NaN, of which equal says no, is one group and joins. DuckDB and Polars make one group of the
#           two zeros.
# Source:   tried here; github.com/apache/datafusion/pull/22835 mends the same in another engine
#
# Fails where what is seen has changed. Installs into a temporary folder and leaves nothing behind.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.0 polars==2.1.0 pyarrow==26.0.1
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import math

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

zeros = pa.table({"points": [0.0, -0.0]})
other = pa.table({"points": [-0.0, math.nan], "found": [True, True]})
joined = pa.table({"points": [0.0, math.nan]}).join(other, "points").to_pylist()
seen = {
    "equal": pc.equal(zeros["points"][0], zeros["points"][1]).as_py(),
    "groups": zeros.group_by("points").aggregate([([], "count_all")]).num_rows,
    "unique": len(pc.unique(zeros["points"])),
    "is_in": pc.is_in(pa.array([-0.0]), value_set=pa.array([0.0])).to_pylist(),
    "joined": sorted((str(row["points"]), row["found"]) for row in joined),
    "NaN equals NaN": pc.equal(math.nan, math.nan).as_py(),
    "DuckDB": duckdb.sql("select count(*) from (select points from zeros group by points)").fetchall()[0][0],
    "Polars": pl.from_arrow(zeros).group_by("points").len().height,
}
print(pa.__version__, duckdb.__version__, pl.__version__, seen)
assert seen == {
    "equal": True,
    "groups": 2,
    "unique": 2,
    "is_in": [False],
    "joined": [("0.0", None), ("nan", True)],
    "NaN equals NaN": False,
    "DuckDB": 1,
    "Polars": 1,
}, "changed"
PY
