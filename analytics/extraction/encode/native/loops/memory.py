"""Bytes at an address, and the tables that are kept there: load, compare, hash, copy, look up, add.

Loops work on addresses, not on arrays: handing arrays from function to function costs a reference count each, which for a
few nanoseconds of work per entry was nine tenths of the time. Callers keep the arrays alive, and eight readable bytes behind
every text, so that whole words can be loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from analytics.extraction.encode.native.memory import (
    BEFORE,
    BLOB,
    COUNT,
    ENDS,
    HASHES,
    MASK,
    MOST,
    NEXT_HINT,
    PARTS,
    ROOM,
    SEED,
    SLOTS,
    USED,
    VALUE,
)

Compiler: TypeAlias = Any
"""What Numba and LLVM hand around while they generate code; neither ships types."""
Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile on first use, without the interpreter's lock and without reference counts: nothing here makes an array.

    Python calls none of them by Numba's wrappers, which would be most of the code; see ``native.machine_code``.
    """
    wrapped = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return numba.njit(nogil=True, boundscheck=False, error_model="numpy", _nrt=False, **wrapped)(function)


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
