"""Bytes at an address, and what is kept there: tables of distinct texts, and the templates of trace entries.

Loops work on addresses, not on arrays: handing arrays from function to function costs a reference count each, which for a
few nanoseconds of work per entry was nine tenths of the time. Callers keep the arrays alive, and eight readable bytes behind
every text, so that whole words can be loaded.

A table gives each text (a name or a value) a code in order of first sight. The template of a trace entry is everything but its
value: ``{"type": "…", "value": ▢, "branch": "…", "nodeId": "…"}``. A rule is evaluated for every event, so the same few hundred
templates come again and again, and in the same order: each remembers which template and which value followed last time, and a
right guess costs one comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

Compiler: TypeAlias = Any
"""What Numba and LLVM hand around while they generate code; neither ships types."""
Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile on first use and keep the machine code beside the source, or in the user's cache, for the next process.

    Where neither folder can be written every process compiles anew (a few seconds), which is slower and nothing else.
    """
    options = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to keep it in
        return numba.njit(**options)(function)


PADDING = 16
"""Readable bytes that must follow any buffer whose address is handed to these functions."""

_K1, _K2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)  # odd constants of splitmix64 and its kin


_KINDS = {8: types.uint8, 16: types.uint16, 32: types.int32, 64: types.int64}


def _loader(bits: int) -> Compiler:
    word = ir.IntType(bits)

    @intrinsic
    def load(typing: Compiler, address: Compiler) -> Compiler:
        def emit(context: Compiler, builder: Compiler, signature: Compiler, arguments: Compiler) -> Compiler:
            return builder.load(builder.inttoptr(arguments[0], word.as_pointer()), align=1, typ=word)

        return _KINDS[bits](types.int64), emit

    return load


def _storer(bits: int) -> Compiler:
    word = ir.IntType(bits)

    @intrinsic
    def store(typing: Compiler, address: Compiler, value: Compiler) -> Compiler:
        def emit(context: Compiler, builder: Compiler, signature: Compiler, arguments: Compiler) -> Compiler:
            builder.store(arguments[1], builder.inttoptr(arguments[0], word.as_pointer()), align=1)
            return context.get_dummy_value()

        return types.void(types.int64, _KINDS[bits]), emit

    return store


load8, load16, load32, load64 = _loader(8), _loader(16), _loader(32), _loader(64)
"""The integer at an address in the machine's byte order; signed from 32 bits on."""
store32, store64 = _storer(32), _storer(64)


@intrinsic
def swap32(typing: Compiler, value: Compiler) -> Compiler:
    """The four bytes of an integer in reverse."""

    def emit(context: Compiler, builder: Compiler, signature: Compiler, arguments: Compiler) -> Compiler:
        return builder.bswap(arguments[0])

    return types.int32(types.int32), emit


@intrinsic
def swap64(typing: Compiler, value: Compiler) -> Compiler:
    """The eight bytes of an integer in reverse."""

    def emit(context: Compiler, builder: Compiler, signature: Compiler, arguments: Compiler) -> Compiler:
        return builder.bswap(arguments[0])

    return types.int64(types.int64), emit


@intrinsic
def copy(typing: Compiler, target: Compiler, source: Compiler, size: Compiler) -> Compiler:
    """Copy ``size`` bytes between addresses that do not overlap."""

    def emit(context: Compiler, builder: Compiler, signature: Compiler, arguments: Compiler) -> Compiler:
        byte = ir.IntType(8).as_pointer()
        to, of = (builder.inttoptr(argument, byte) for argument in arguments[:2])
        cgutils.raw_memcpy(builder, to, of, arguments[2], ir.Constant(ir.IntType(64), 1), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), emit


@compiled
def equal(a: int, b: int, size: int) -> bool:
    """The same bytes at both addresses."""
    while size >= 8:
        if load64(a) != load64(b):
            return False
        a += 8
        b += 8
        size -= 8
    # of the last word only the bytes that belong to the text: on a little-endian machine the low ones
    return size == 0 or ((load64(a) ^ load64(b)) << (64 - 8 * size)) == 0


@compiled
def hashed(address: int, size: int, seed: int) -> int:
    """A 63-bit hash of some bytes; the seed is random, so that no author can choose texts that collide."""
    value = np.uint64(seed) ^ (np.uint64(size) * _K1)
    while size > 0:
        word = np.uint64(load64(address))
        if size < 8:
            unused = np.uint64(64 - 8 * size)
            word = (word << unused) >> unused
        value = (value ^ word) * _K2
        value ^= value >> np.uint64(32)
        address += 8
        size -= 8
    value *= _K1
    return np.int64((value ^ (value >> np.uint64(29))) >> np.uint64(1))


COUNT, USED, MOST, ROOM, SEED, MASK, BLOB, ENDS, HASHES, SLOTS = range(0, 80, 8)
"""Where the control block of a table holds: texts, their bytes, room for both; the hash's seed; addresses of the arrays."""
BEFORE, PARTS, NEXT_HINT, VALUE, FIRST_HINT = range(80, 120, 8)
"""The same, of what a table of templates has besides."""


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


TYPE_PART, BRANCH_PART, NODE_PART = range(3)
"""Columns of ``parts``."""

FIRST_HINTS = 4096


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


@compiled
def find_template(table: int, first: int, before: int, second: int, after: int) -> tuple[int, int, int]:
    """The template with this text before and after the value, or -1; with the hash and slot to add it under."""
    digest = hashed(second, after, hashed(first, before, load64(table + SEED)))
    mask, slots, hashes = load64(table + MASK), load64(table + SLOTS), load64(table + HASHES)
    ends, blob = load64(table + ENDS), load64(table + BLOB)
    place = digest & mask
    while True:
        code = np.int64(load32(slots + 4 * place)) - 1
        if code < 0:
            return code, digest, place
        if load64(hashes + 8 * code) == digest and load32(load64(table + BEFORE) + 4 * code) == before:
            start = np.int64(load32(ends + 4 * code))
            if (
                load32(ends + 4 * code + 4) - start == before + after
                and equal(blob + start, first, before)
                and equal(blob + start + before, second, after)
            ):
                return code, digest, place
        place = (place + 1) & mask


@compiled
def add_template(
    table: int, first: int, before: int, second: int, after: int, digest: int, place: int, parts: tuple[int, int, int]
) -> int:
    """A new template under the slot that ``find_template`` gave."""
    code = load64(table + COUNT)
    used = load64(table + USED)
    blob = load64(table + BLOB)
    copy(blob + used, first, before)
    copy(blob + used + before, second, after)
    store64(load64(table + HASHES) + 8 * code, digest)
    store32(load64(table + SLOTS) + 4 * place, np.int32(code + 1))
    store32(load64(table + ENDS) + 4 * code + 4, np.int32(used + before + after))
    store32(load64(table + BEFORE) + 4 * code, np.int32(before))
    for part in range(3):
        store32(load64(table + PARTS) + 12 * code + 4 * part, np.int32(parts[part]))
    store32(load64(table + NEXT_HINT) + 4 * code, np.int32(-1))
    store32(load64(table + VALUE) + 4 * code, np.int32(-1))
    store64(table + COUNT, code + 1)
    store64(table + USED, used + before + after)
    return code
