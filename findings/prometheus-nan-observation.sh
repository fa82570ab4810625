#!/usr/bin/env bash
# prometheus_client: one NaN, and Histogram and Summary count the same observations differently for ever
#
# Version:  prometheus_client 0.26.0
# Expected: A Histogram and a Summary that observe the same three values count three; or both refuse the NaN.
# Seen:     The Histogram counts 2, for NaN is below no bucket, not even +Inf; the Summary counts 3. Both sums are NaN
#           from then on, so rate() of the sum is NaN until the process restarts, and the mean that a dashboard draws
#           with it. In multiprocess mode a Counter takes NaN as well and keeps it in its file.
# Source:   github.com/prometheus/client_golang/issues/1275 (another client counts it; OpenMetrics forbids a sum of
#           NaN); of this client tried here
#
# Fails where what is seen has changed. Installs into a temporary folder and leaves nothing behind.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check prometheus_client==0.26.0
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import importlib.metadata
import math

import prometheus_client

registry = prometheus_client.CollectorRegistry()
histogram = prometheus_client.Histogram("histogram", "of points", buckets=(1, 2), registry=registry)
summary = prometheus_client.Summary("summary", "of points", registry=registry)
counter = prometheus_client.Counter("points", "of runs", registry=registry)
for points in (0.5, math.nan, 5.0):
    histogram.observe(points)
    summary.observe(points)
    counter.inc(points)
names = ("histogram_count", "histogram_sum", "summary_count", "summary_sum", "points_total")
seen = {name: str(registry.get_sample_value(name)) for name in names}
seen["+Inf"] = str(registry.get_sample_value("histogram_bucket", {"le": "+Inf"}))
print(importlib.metadata.version("prometheus_client"), seen)
assert seen == {
    "histogram_count": "2.0",
    "histogram_sum": "nan",
    "summary_count": "3.0",
    "summary_sum": "nan",
    "points_total": "nan",
    "+Inf": "2.0",
}, "changed"
PY
