#!/usr/bin/env bash
# numba: an unsigned number and a literal make a signed one, or a negative float
#
# Version:  numba 0.68.1, numpy 2.4.6
# Expected: As in NumPy 2: a uint64 and a Python int that fits make a uint64, in compiled code too; at worst a float
#           that is near.
# Seen:     A scalar uint64 plus 1 is an int64 and negative beyond 2**63; an array of uint64 plus 1, and one divided by
#           2, is float64, and negative there as well: hashes and ids go wrong without an error. np.uint64(1) instead of
#           1 keeps the type.
# Source:   numpy.org/neps/nep-0050-scalar-promotion.html; github.com/numba/numba/issues/4631 knew of float64 in 2019,
#           not of the sign; tried here
#
# Fails where what is seen has changed. Installs into a temporary folder and leaves nothing behind.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numba==0.68.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import warnings

import numba
import numpy as np

warnings.simplefilter("ignore")


def plus(value):
    return value + 1


def half(value):
    return value // 2


def plus_unsigned(value):
    return value + np.uint64(1)


large = np.uint64(2**63 + 4)
array = np.array([large])
seen = {
    "NumPy, scalar": int(plus(large)),
    "numba, scalar": int(numba.njit(plus)(large)),
    "numba, array": (str(numba.njit(plus)(array).dtype), float(numba.njit(plus)(array)[0])),
    "numba, half": float(numba.njit(half)(array)[0]),
    "NumPy, half": int(half(array)[0]),
    "numba, unsigned literal": int(numba.njit(plus_unsigned)(large)),
}
print(numba.__version__, np.__version__, seen)
assert seen == {
    "NumPy, scalar": 2**63 + 5,
    "numba, scalar": -(2**63) + 5,
    "numba, array": ("float64", -float(2**63)),
    "numba, half": -float(2**62),
    "NumPy, half": 2**62 + 2,
    "numba, unsigned literal": 2**63 + 5,
}, "changed"
PY
