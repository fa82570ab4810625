"""Codes in file order → what a Parquet file and its rollup hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analytics.extraction.encode.native.memory import compiled, load32

if TYPE_CHECKING:
    from analytics.estimates.arrays import Bools, Bytes, Codes, Floats, Ints

NULL, TRUE, FALSE, TEXT, NUMBER, OTHER = range(6)
"""Kinds of a value, by the first byte of its JSON text."""

COUNT, TRUES, FALSES, NULLS, TEXTS, NUMBERS, FINITE, SQUARED = range(8)
_COUNTERS = (NULLS, TRUES, FALSES, TEXTS, NUMBERS)
"""By kind, which of the counts it adds to."""
WEIGHT, SUM, SQUARES, LEAST, GREATEST = range(5)
_LARGEST_SQUARED = 1e150
_SPREAD = 0x9E3779B97F4A7C1  # odd; neighbours come apart


@compiled
def gather(froms: Ints, counts: Codes, sources: Ints, shifts: Ints, out: Codes) -> None:
    """Copy the codes of some rows' entries one after the other.

    Args:
        froms, counts: Of each row: its first entry, and how many there are.
        sources: Of each row: address of the codes of its run.
        shifts: Of each row: to be added to its codes; -1 stays.
        out: Takes them.
    """
    place = 0
    for row in range(froms.size):
        at = sources[row] + 4 * froms[row]
        shift = shifts[row]
        for entry in range(counts[row]):
            code = np.int64(load32(at + 4 * entry))
            if code >= 0:
                code += shift
            out[place] = code
            place += 1


@compiled
def compact(codes: Codes, scratch: Codes, used: Codes, out: Codes) -> int:
    """Number the codes that occur anew, in order of first sight; -1 stays.

    Args:
        codes: To be numbered.
        scratch: By code, all -1; is so again afterwards.
        used: Takes the codes that occur.
        out: Takes the new numbers.

    Returns:
        How many occur.
    """
    count = 0
    for place in range(codes.size):
        code = codes[place]
        if code < 0:
            out[place] = -1
            continue
        number = scratch[code]
        if number < 0:
            number = count
            scratch[code] = number
            used[number] = code
            count += 1
        out[place] = number
    for number in range(count):
        scratch[used[number]] = -1
    return count


@compiled
def compact_among_many(codes: Codes, slots: Codes, numbers: Codes, used: Codes, out: Codes) -> int:
    """``compact`` where there are many more codes than occur.

    Args:
        codes: To be numbered.
        slots: All -1, a power of two of them, at least twice as many as codes.
        numbers: As many as slots.
        used: Takes the codes that occur.
        out: Takes the new numbers.

    Returns:
        How many occur.
    """
    mask = np.int64(slots.size - 1)
    count = 0
    for place in range(codes.size):
        code = codes[place]
        if code < 0:
            out[place] = -1
            continue
        slot = ((np.int64(code) * _SPREAD) >> 20) & mask
        while slots[slot] != code:
            if slots[slot] < 0:
                slots[slot] = code
                numbers[slot] = count
                used[count] = code
                count += 1
                break
            slot = (slot + 1) & mask
        out[place] = numbers[slot]
    return count


@compiled
def kinds_of(blob: Bytes, ends: Codes, first: int, out: Bytes) -> None:
    """The kind of each JSON value from code ``first`` on."""
    for code in range(first, out.size):
        byte = blob[ends[code]]
        if byte == 34:
            out[code] = TEXT
        elif byte == 116:
            out[code] = TRUE
        elif byte == 102:
            out[code] = FALSE
        elif byte == 110:
            out[code] = NULL
        elif byte == 45 or 48 <= byte <= 57:
            out[code] = NUMBER
        else:
            out[code] = OTHER


@compiled
def part_of(templates: Codes, parts: Codes, part: int, out: Codes) -> None:
    """One part's code of each template."""
    for place in range(templates.size):
        out[place] = parts[templates[place], part]


@compiled
def numbers_of(values: Codes, kinds: Bytes, numbers: Floats, out: Floats, absent: Bools) -> None:
    """The number of each value, and where there is none."""
    for place in range(values.size):
        value = values[place]
        is_number = value >= 0 and kinds[value] == NUMBER
        out[place] = numbers[value] if is_number else 0.0
        absent[place] = not is_number


@compiled
def _begin_group(whole: Ints, real: Floats, group: int, unit: int, template: int) -> None:
    """Nothing is in a group yet."""
    whole[group, 0] = unit
    whole[group, 1] = template
    whole[group, 2:] = 0
    real[group, WEIGHT] = real[group, SUM] = real[group, SQUARES] = 0.0
    real[group, LEAST] = np.inf
    real[group, GREATEST] = -np.inf


@compiled
def roll_up(
    units: Ints,
    counts: Codes,
    weights: Floats,
    entries: tuple[Codes, Codes],
    facts: tuple[Bytes, Floats],
    scratch: Codes,
    sums: tuple[Ints, Floats],
) -> int:
    """Count and add up entries per unit and template.

    Args:
        units: Of each row, the same for consecutive rows that belong together.
        counts, weights: Of each row: its entries, and how many runs it stands for.
        entries: Codes of their templates and values, row by row; -1 for no value at all.
        facts: By value's code: its kind, and its number.
        scratch: By template's code, all -1; is so again afterwards.
        sums: Take per group: unit, template, then ``COUNT`` … ``SQUARED``; and ``WEIGHT`` … ``GREATEST``.

    Returns:
        How many groups there are.
    """
    templates, values = entries
    kinds, numbers = facts
    whole, real = sums
    groups = 0
    first = 0  # of the groups of this unit
    entry = 0
    for row in range(units.size):
        if row > 0 and units[row] != units[row - 1]:
            for group in range(first, groups):
                scratch[whole[group, 1]] = -1
            first = groups
        for _ in range(counts[row]):
            template = templates[entry]
            group = scratch[template]
            if group < 0:
                group = groups
                scratch[template] = group
                _begin_group(whole, real, group, units[row], template)
                groups += 1
            whole[group, 2 + COUNT] += 1
            real[group, WEIGHT] += weights[row]
            value = values[entry]
            entry += 1
            if value < 0:
                continue
            kind = kinds[value]
            if kind != OTHER:
                whole[group, 2 + _COUNTERS[kind]] += 1
            if kind == NUMBER:  # not in a function of its own: handing the arrays over takes three times the time
                number = numbers[value]
                if abs(number) < np.inf:
                    real[group, SUM] += number
                    whole[group, 2 + FINITE] += 1
                if abs(number) < _LARGEST_SQUARED:
                    real[group, SQUARES] += number * number
                    whole[group, 2 + SQUARED] += 1
                real[group, LEAST] = min(real[group, LEAST], number)
                real[group, GREATEST] = max(real[group, GREATEST], number)
    for group in range(first, groups):
        scratch[whole[group, 1]] = -1
    return groups
