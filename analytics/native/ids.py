"""Uuids: two 64-bit halves ↔ text."""

from __future__ import annotations

from typing import Any

import numpy as np

from analytics.native.compiled import compiled

SIZE = 36
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


@compiled
def spell(ids: Any, out: Any) -> None:
    """Write each id of ``ids`` (two halves, most significant first) as its 36 characters into ``out``."""
    for row in range(ids.shape[0]):
        place = row * SIZE
        digit = 0
        for column in range(SIZE):
            if column == 8 or column == 13 or column == 18 or column == 23:
                out[place + column] = 45
                continue
            half = ids[row, digit >> 4]
            out[place + column] = _HEX[(half >> (60 - 4 * (digit & 15))) & 15]
            digit += 1


@compiled
def hash_of_texts(data: Any, ends: Any) -> tuple[int, int, bool]:
    """The sum over ids of their first 60 bits, in two parts (upper and lower 30 bits), and whether all were ids.

    Args:
        data: Bytes of the texts.
        ends: Text ``i`` is ``data[ends[i]:ends[i + 1]]``.
    """
    upper = lower = 0
    for row in range(ends.size - 1):
        if ends[row + 1] - ends[row] != SIZE:
            return 0, 0, False
        value = np.int64(0)
        for column in range(ends[row], ends[row] + 17):  # 15 digits and two dashes
            byte = data[column]
            if byte == 45:
                continue
            if 48 <= byte <= 57:
                digit = byte - 48
            elif 97 <= byte <= 102:
                digit = byte - 87
            else:
                return 0, 0, False
            value = (value << 4) | digit
        upper += value >> 30
        lower += value & 0x3FFFFFFF
    return upper, lower, True
