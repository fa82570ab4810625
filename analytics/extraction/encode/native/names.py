"""A table of distinct texts: each gets a code, in order of first sight, and lies in one block of bytes."""

from __future__ import annotations

import numpy as np

from analytics.extraction.encode.native.memory import (
    PADDING,
    compiled,
    copy,
    equal,
    hashed,
    load32,
    load64,
    store32,
    store64,
)

COUNT, USED, MOST, ROOM, SEED, MASK, BLOB, ENDS, HASHES, SLOTS = range(0, 80, 8)
"""Where the control block of a table holds: texts, their bytes, room for both; the hash's seed; addresses of the arrays."""


class Names:
    """A table with room for so many texts of so many bytes together.

    Attributes:
        address: Of its control block, for compiled functions.
        blob: The texts, one after the other.
        ends: Text ``c`` is ``blob[ends[c]:ends[c + 1]]``.
    """

    def __init__(self, texts: int, size: int, seed: int) -> None:
        slots = 1 << (2 * texts - 1).bit_length()
        self.blob = np.empty(size + PADDING, np.uint8)
        self.ends = np.empty(texts + 1, np.int32)
        self.ends[0] = 0
        self._hashes, self._slots = np.empty(texts, np.int64), np.zeros(slots, np.int32)
        arrays = [array.ctypes.data for array in (self.blob, self.ends, self._hashes, self._slots)]
        self._control = np.array([0, 0, texts, size, seed, slots - 1, *arrays], np.int64)
        self.address = int(self._control.ctypes.data)

    @property
    def count(self) -> int:
        """Texts so far."""
        return int(self._control[0])

    @property
    def used(self) -> int:
        """Their bytes."""
        return int(self._control[1])

    def close(self) -> None:
        """No more texts: give back what only looking up needs."""
        self._control[2:4] = 0  # no room
        self._hashes = self._slots = np.empty(0, np.int64)

    def code(self, text: bytes) -> int:
        """The code of one text.

        Raises:
            MemoryError: No room; whoever adds has to look first.
        """
        if not has_room(self.address, 1, len(text)):
            raise MemoryError("a text is added to a full table")
        data = np.frombuffer(text + bytes(PADDING), np.uint8)
        return int(intern(self.address, data.ctypes.data, len(text)))


@compiled
def has_room(table: int, texts: int, size: int) -> bool:
    """So many more texts of so many bytes fit."""
    return load64(table + COUNT) + texts <= load64(table + MOST) and load64(table + USED) + size <= load64(table + ROOM)


@compiled
def intern(table: int, address: int, size: int) -> int:
    """The code of a text; a new one where it was not seen before. The caller has made sure that there is room."""
    digest = hashed(address, size, load64(table + SEED))
    mask, slots, hashes = load64(table + MASK), load64(table + SLOTS), load64(table + HASHES)
    ends, blob = load64(table + ENDS), load64(table + BLOB)
    place = digest & mask
    while True:
        code = np.int64(load32(slots + 4 * place)) - 1
        if code < 0:
            break
        if load64(hashes + 8 * code) == digest:
            start = np.int64(load32(ends + 4 * code))
            if load32(ends + 4 * code + 4) - start == size and equal(blob + start, address, size):
                return code
        place = (place + 1) & mask
    code = load64(table + COUNT)
    used = load64(table + USED)
    copy(blob + used, address, size)
    store64(hashes + 8 * code, digest)
    store32(slots + 4 * place, np.int32(code + 1))
    store32(ends + 4 * code + 4, np.int32(used + size))
    store64(table + COUNT, code + 1)
    store64(table + USED, used + size)
    return code
