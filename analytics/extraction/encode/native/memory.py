"""What compiled loops keep texts in: tables of distinct texts, and the templates of trace entries.

A table gives each text (a name or a value) a code in order of first sight. The template of a trace entry is everything but its
value: ``{"type": "…", "value": ▢, "branch": "…", "nodeId": "…"}``. A rule is evaluated for every event, so the same few hundred
templates come again and again, and in the same order: each remembers which template and which value followed last time, and a
right guess costs one comparison.
"""

from __future__ import annotations

import numpy as np

from analytics.extraction.encode.native.machine_code import INTEGER, Loop

PADDING = 16
"""Readable bytes that must follow any buffer whose address is handed to these functions."""

COUNT, USED, MOST, ROOM, SEED, MASK, BLOB, ENDS, HASHES, SLOTS = range(0, 80, 8)
"""Where the control block of a table holds: texts, their bytes, room for both; the hash's seed; addresses of the arrays."""
BEFORE, PARTS, NEXT_HINT, VALUE, FIRST_HINT = range(80, 120, 8)
"""The same, of what a table of templates has besides."""


TYPE_PART, BRANCH_PART, NODE_PART = range(3)
"""Columns of ``parts``."""

FIRST_HINTS = 4096


intern = Loop("memory.intern", INTEGER, INTEGER, INTEGER, returns=1)
"""The code of a text; a new one where it was not seen before. The caller has made sure that there is room."""


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
        count, used, most, room = self._control[:4].tolist()
        if count >= most or used + len(text) > room:
            raise MemoryError("a text is added to a full table")
        data = np.frombuffer(text + bytes(PADDING), np.uint8)
        return int(intern(self.address, data.ctypes.data, len(text)))


class EntryTemplates:
    """A table with room for so many templates of so many bytes together.

    Attributes:
        address: Of its control block, for compiled functions.
        parts: Per template the codes of type, branch and node id; -1 for none.
    """

    def __init__(self, count: int, size: int, seed: int) -> None:
        slots = 1 << (2 * count - 1).bit_length()
        self._blob, self._ends = np.empty(size + PADDING, np.uint8), np.zeros(count + 1, np.int32)
        self._hashes, self._slots = np.empty(count, np.int64), np.zeros(slots, np.int32)
        # bytes of the literal text that stand before the value; 0 for a template that no literal text belongs to
        self._before = np.empty(count, np.int32)
        self.parts = np.empty((count, 3), np.int32)
        # the template that came after this one last time, the value it had, the template that began a strategy's trace; -1 at first
        self._next_hint, self._value = np.empty(count, np.int32), np.empty(count, np.int32)
        self._first_hint = np.full(FIRST_HINTS, -1, np.int32)
        arrays = (self._blob, self._ends, self._hashes, self._slots, self._before, self.parts)
        hints = (self._next_hint, self._value, self._first_hint)
        addresses = [array.ctypes.data for array in (*arrays, *hints)]
        self._control = np.array([0, 0, count, size, seed, slots - 1, *addresses], np.int64)
        self.address = int(self._control.ctypes.data)

    @property
    def count(self) -> int:
        """Templates so far."""
        return int(self._control[0])

    def close(self) -> None:
        """No more templates: give back everything but the parts."""
        self._control[2:4] = 0  # no room
        empty = np.empty(0, np.int32)
        self._blob = self._ends = self._hashes = self._slots = self._before = empty
        self._next_hint = self._value = self._first_hint = empty

    def add(self, parts: tuple[int, int, int]) -> int:
        """A template that comes from the exact reader, not from a literal text; never guessed.

        Raises:
            MemoryError: No room; whoever adds has to look first.
        """
        code = self.count
        if code >= len(self.parts):
            raise MemoryError("a template is added to a full table")
        self.parts[code] = parts
        self._before[code] = 0
        self._ends[code + 1] = self._ends[code]
        self._hashes[code] = self._next_hint[code] = self._value[code] = -1
        self._control[0] = code + 1
        return code
