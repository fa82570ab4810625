#!/usr/bin/env bash
# numba: whether np.median sees a NaN depends on where it stands
#
# Version:  numba 0.68.1, numpy 2.4.6
# Expected: As in NumPy: the median of values with a NaN among them is NaN, wherever it stands; np.max, np.mean and
#           np.percentile of numba do so.
# Seen:     With the NaN between the other two values the compiled median is NaN; with the NaN in front of them or
#           behind them it is the larger one of the two.
# Source:   numpy.org/doc/stable/reference/generated/numpy.median.html; github.com/numba/numba/pull/10385 tried a repair
#           and was closed; that the place decides was found here
#
# Fails where what is seen has changed. Installs into a temporary folder and leaves nothing behind.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numba==0.68.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import math

import numba
import numpy as np


def median(values):
    return np.median(values)


compiled = numba.njit(median)
seen = {}
for place in range(3):
    values = [1.0, 3.0]
    values.insert(place, math.nan)
    seen[place] = str(median(np.array(values))), str(compiled(np.array(values)))
print(numba.__version__, np.__version__, seen)
assert seen == {0: ("nan", "3.0"), 1: ("nan", "nan"), 2: ("nan", "3.0")}, "changed"
PY
