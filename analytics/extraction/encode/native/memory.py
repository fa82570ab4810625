"""Bytes at an address.

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
