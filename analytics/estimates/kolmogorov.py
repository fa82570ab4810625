"""Kolmogorov–Smirnov: whether two samples are of one distribution, as `scipy.stats.ks_2samp` says with ``method="asymp"``.

Its distribution has no public function outside ``scipy.stats``, which takes longer to import than a report's tests take. The choice
among its formulas, and the order in which they are computed, are those of scipy, so that a chance is the same to the last digit:
Simard & L'Ecuyer, *Computing the two-sided Kolmogorov–Smirnov distribution*, J. Stat. Softw. 39 (2011).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from analytics.estimates.arrays import Floats

_SMALL = 140
"""Sample size up to which the distribution is computed exactly."""
_SCALE = 128
_LARGE, _TINY = np.ldexp(np.longdouble(1), _SCALE), np.ldexp(np.longdouble(1), -_SCALE)
_STIRLING = (
    -2.955065359477124183e-2, 6.4102564102564102564e-3, -1.9175269175269175269e-3, 8.4175084175084175084e-4,
    -5.952380952380952381e-4, 7.9365079365079365079e-4, -2.7777777777777777778e-3, 8.3333333333333333333e-2,
)  # fmt: skip


def two_samples_p(first: Floats, second: Floats) -> float:
    """Chance that two samples of one distribution are as far apart as these, at the place where they are furthest apart."""
    first, second = np.sort(first), np.sort(second)
    both = np.concatenate([first, second])
    apart = np.searchsorted(first, both, side="right") / len(first)
    apart = apart - np.searchsorted(second, both, side="right") / len(second)
    distance = max(float(apart.max()), float(np.clip(-apart.min(), 0, 1)))
    large, small = float(max(len(first), len(second))), float(min(len(first), len(second)))
    return beyond(int(np.round(large * small / (large + small))), distance)


def beyond(n: int, distance: float) -> float:
    """Chance that a sample is further from its distribution than this (`scipy.stats.kstwo.sf`).

    Args:
        n: Size of the sample; of none there is no chance.
        distance: Between the two distributions, at most.
    """
    from scipy import special

    if n < 1:
        return math.nan
    steps = n * distance
    if distance >= 1.0 or steps <= 0.5:
        return 0.0 if distance >= 1.0 else 1.0
    if steps <= 1.0:
        return min(max(1.0 - _within_one_step(n, steps), 0.0), 1.0)
    if steps >= n - 1:
        return float(min(2 * (1.0 - distance) ** n, 1.0))
    square = steps * distance
    if n > _SMALL and distance < 0.5 and square >= 370.0:
        return 0.0
    if distance >= 0.5 or square > 4 or (n > _SMALL and square >= 2.2):
        return float(min(2 * special.smirnov(n, distance), 1.0))
    within: np.floating[Any] | float
    if n > _SMALL and (n > 100_000 or n * distance**1.5 > 1.4):
        within = _pelz_good(n, distance)
    elif n > _SMALL or square <= 0.754693:
        within = _durbin(n, distance)
    else:
        within = _pomeranz(n, distance)
    return float(np.clip(1.0 - np.clip(within, 0.0, 1.0), 0.0, 1.0))


def _within_one_step(n: int, steps: float) -> float:
    """Ruben & Gambino, *Comput. Stat. Data Anal.* 1 (1983)."""
    if n <= _SMALL:
        return float(np.prod(np.arange(1, n + 1) * (1.0 / n) * (2 * steps - 1)))
    per = 1.0 / n
    log = np.log(n) / 2 - n + np.log(2 * np.pi) / 2 + per * np.polyval(_STIRLING, per / n)
    return float(np.exp(log + n * np.log(2 * steps - 1)))


def _durbin(n: int, distance: float) -> np.floating[Any]:
    """By powers of Durbin's matrix: Marsaglia, Tsang & Wang, *J. Stat. Softw.* 8 (2003)."""
    k = math.ceil(n * distance)
    h, m = k - n * distance, 2 * k - 1
    numbers = np.arange(1, m + 1)
    column, inverse = 1.0 - h**numbers, np.empty(m)
    factor = 1.0
    for j in range(m):
        inverse[j] = factor
        factor /= j + 1
        column[j] *= factor
    column[-1] = (1.0 + (max(2 * h - 1.0, 0) ** m - 2 * h**m)) * factor
    matrix = np.zeros((m, m))
    for i in range(1, m):
        matrix[i - 1 :, i] = inverse[: m - i + 1]
    matrix[:, 0], matrix[-1, :] = column, np.flip(column, axis=0)
    power, left, exponents = np.eye(m), n, [0, 0]
    while left > 0:
        if left % 2:
            power = np.matmul(power, matrix)
            exponents[0] += exponents[1]
        matrix = np.matmul(matrix, matrix)
        exponents[1] *= 2
        if np.abs(matrix[k - 1, k - 1]) > _LARGE:
            matrix /= _LARGE
            exponents[1] += _SCALE
        left //= 2
    found, exponent = power[k - 1, k - 1], exponents[0]
    for i in range(1, n + 1):
        found = i * found / n
        if np.abs(found) < _TINY:
            found *= _LARGE
            exponent -= _SCALE
    return np.ldexp(found, exponent)  # type: ignore[no-any-return]


def _pomeranz(n: int, distance: float) -> np.floating[Any]:
    """By Pomeranz's recursion, two rows of it at a time: *Commun. ACM* 17 (1974)."""
    steps = n * distance
    whole = math.floor(steps)
    part = steps - whole
    near, up, half_up = min(part, 1.0 - part), int(part > 0), int(part > 0.5)
    powers = [_powers(2 * (whole + 1), of) for of in (near / n, 2 * near / n, (1 - 2 * near) / n)]
    last, row = np.zeros(2 * (whole + 1)), np.zeros(2 * (whole + 1))
    row[0] = 1
    starts, exponent = [0, 0], 0
    first = _ends(0, n, whole, up, half_up)[0]
    for i in range(1, 2 * n + 2):
        before = first
        last, row = row, last
        starts.reverse()
        row.fill(0.0)
        first, end = _ends(i, n, whole, up, half_up)
        of = powers[0] if i in (1, 2 * n + 1) else powers[1] if i % 2 else powers[2]
        length = end - before + 1
        if length > 0:
            begin = before - starts[0]
            folded = np.convolve(last[begin : begin + length], of[:length])
            count = end - first + 1
            row[:count] = folded[first - before : first - before + count]
            if 0 < np.max(row) < _TINY:
                row *= _LARGE
                exponent -= _SCALE
            starts[1] = starts[0] + first - before
    found = row[n - starts[1]]
    for m in range(1, n + 1):
        if np.abs(found) > _LARGE:
            found *= _TINY
            exponent += _SCALE
        found *= m
    return np.ldexp(found, exponent)  # type: ignore[no-any-return]


def _powers(count: int, step: float) -> Floats:
    """Powers of a number, each over the factorial of its place."""
    found = np.ones(count)
    for m in range(1, count):
        found[m] = found[m - 1] * step / m
    return found


def _ends(i: int, n: int, whole: int, up: int, half_up: int) -> tuple[int, int]:
    """Where what is not nothing begins and ends in a row of Pomeranz's recursion."""
    middle, is_even = divmod(i + 1, 2)
    if i == 0:
        low, high = -whole - up - 1, whole + up - 1
    elif is_even:
        low, high = middle - 1 - whole - 1, middle + whole + half_up - 1
    elif middle == n + 1:
        low, high = n - whole - up - 1, n + whole + up - 1
    else:
        low, high = middle - 1 - whole - half_up - 1, middle + whole - 1 + up - 1
    return max(low + 2, 0), min(high, n)


def _pelz_good(n: int, distance: float) -> float:
    """By Pelz & Good's expansion: *J. R. Stat. Soc. B* 38 (1976)."""
    z = np.sqrt(n) * distance
    z2, z3, z4, z6 = z**2, z**3, z**4, z**6
    pi2, pi4, pi6 = np.pi**2, np.pi**4, np.pi**6
    log = -pi2 / 8 / z2
    if log < -708:
        return 0.0
    q, root = np.exp(log), np.sqrt(2 * np.pi)
    second = 6 * z6 + 2 * z4, (2 * z4 - 5 * z2) * pi2 / 4, pi4 * (1 - 2 * z2) / 16
    third = (
        -30 * z6 - 90 * z**8, pi2 * (135 * z4 - 96 * z6) / 4, pi4 * (-60 * z2 + 212 * z4) / 16, pi6 * (5 - 30 * z2) / 64,
    )  # fmt: skip
    terms = np.zeros(4)
    most = math.ceil(16 * z / np.pi)
    for k in range(most, 0, -1):
        m = 2 * k - 1
        m2, m4, m6 = m**2, m**4, m**6
        terms *= np.power(q, 8 * k)
        terms += np.array([
            1.0, -z2 + pi2 / 4 * m2, second[0] + second[1] * m2 + second[2] * m4,
            third[0] + third[1] * m2 + third[2] * m4 + third[3] * m6,
        ])  # fmt: skip
    terms *= q
    terms *= root
    terms /= np.array([z, 6 * z4, 72 * z**7, 6480 * z**10])
    places = np.arange(most, 0, -1)
    squares = places**2
    weights = np.exp(-pi2 / 2 / z2) ** squares
    terms[2] += np.sum(squares * weights) * (pi2 * root / (-36 * z3))
    wide, narrow = np.sqrt(3) * z, np.pi * places
    terms[3] += np.sum((wide + narrow) * (wide - narrow) * squares * weights) * (pi2 * root / (216 * z6))
    terms /= np.power(n * 1.0, np.arange(4) / 2.0)
    return float(sum(terms))
