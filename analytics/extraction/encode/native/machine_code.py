"""Loops as machine code that is kept from process to process, without the compiler that made it.

Numba keeps compiled functions too, but whoever calls one loads the whole compiler first: half a second of CPU and a hundred
megabytes, as much as all else in the extraction of a few rows. The code itself is a hundred kilobytes. So it is compiled once, for
the types that are said here, kept beside the source or in the user's cache, and linked by LLVM alone in every later process. Where
neither folder can be written every process compiles anew (a few seconds), which is slower and nothing else.

A function is called as Numba's own wrappers call it (``numba.core.callconv.CPUCallConv``): the address of the result, the address
of an error, then all arguments, tuples item by item, and of each array seven or more words (``numba.np.arrayobj``): owner, parent,
items, bytes of an item, address, shape, strides.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import importlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np


class ArrayOf(NamedTuple):
    """An array that lies in memory row by row.

    Attributes:
        item: Type of its items, as numpy calls it.
        ndim: Number of its axes.
    """

    item: str
    ndim: int = 1


INTEGER = "int64"
Kind: TypeAlias = "str | ArrayOf | tuple[Kind, ...]"
"""What an argument is: ``INTEGER`` (also an address), an array, or a tuple of such."""

_ITEMS = {name: np.dtype(name) for name in ("bool", "uint8", "int32", "int64", "float64")}
_MODULES = ("memory", "trace_parser", "copy_tuples", "aggregate")
_loops: dict[str, Loop] = {}


class Loop:
    """A compiled function, callable with integers and numpy's arrays. Other threads run meanwhile.

    Args:
        name: Of the module in ``loops`` and the function in it.
        arguments: What it takes.
        returns: How many integers it gives back: none, one, or a tuple.
    """

    def __init__(self, name: str, *arguments: Kind, returns: int = 0) -> None:
        self.name, self.arguments, self._returns = name, arguments, returns
        self._result = ctypes.c_int64 * max(1, returns)
        self._function: Callable[..., int] | None = None
        _loops[name] = self

    def __call__(self, *arguments: object) -> Any:  # as many integers as it was made for
        """Run it.

        Raises:
            TypeError: An argument is not what the loop was compiled for.
        """
        words: list[int] = []
        self._flatten(self.arguments, arguments, words)
        function = self._function or self._linked(len(words))
        result, error = self._result(), ctypes.c_void_p()
        if function(ctypes.byref(result), ctypes.byref(error), *words):
            raise RuntimeError(f"{self.name} failed, though nothing in it raises")
        if not self._returns:
            return None
        return result[0] if self._returns == 1 else tuple(result)

    def _flatten(self, kinds: Sequence[Kind], arguments: Sequence[object], words: list[int]) -> None:
        if len(kinds) != len(arguments):
            raise TypeError(f"{self.name} takes {len(kinds)} values here, not {len(arguments)}")
        for kind, value in zip(kinds, arguments, strict=True):
            if isinstance(kind, ArrayOf):
                item = _ITEMS[kind.item]
                if value.dtype != item or value.ndim != kind.ndim or not value.flags.c_contiguous:
                    raise TypeError(
                        f"{self.name} takes an array of {kind.item} in one piece here, not {value.dtype}{value.strides}"
                    )
                words += (0, 0, value.size, item.itemsize, value.ctypes.data, *value.shape, *value.strides)
            elif isinstance(kind, tuple):
                self._flatten(kind, value, words)
            else:
                words.append(int(value))

    def _linked(self, words: int) -> Callable[..., int]:
        self._function = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * words)(
            _addresses()[self.name]
        )
        return self._function


class _Code(NamedTuple):
    """What the compiler made of a loop: the name of the function, and the object file it is in."""

    symbol: str
    data: bytes


_OF_C = {"memcpy": ctypes.memmove, "memmove": ctypes.memmove, "memset": ctypes.memset}
"""What LLVM calls to copy and fill memory, and all that the code needs besides itself; where nothing overlaps memmove is memcpy."""

_turn = threading.Lock()
_linked: dict[str, int] = {}
_engines: list[object] = []  # who forgets one gives its code back


def _addresses() -> dict[str, int]:
    """Where the loops are, once for a process."""
    with _turn:
        if not _linked:
            _linked.update(_link(_machine_code()))
        return _linked


def _link(code: dict[str, _Code]) -> dict[str, int]:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for symbol, function in _OF_C.items():
        if not llvm.address_of_symbol(symbol):
            llvm.add_symbol(symbol, ctypes.cast(function, ctypes.c_void_p).value)
    machine = llvm.Target.from_default_triple().create_target_machine(codemodel="jitdefault", jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    for one in code.values():
        engine.add_object_file(llvm.ObjectFileRef.from_data(one.data))
    engine.finalize_object()
    _engines.append(engine)
    return {name: engine.get_function_address(one.symbol) for name, one in code.items()}


def _machine_code() -> dict[str, _Code]:
    """Kept, or else compiled and kept."""
    name = f"loops-{_digest()}.json"
    for folder in _folders():
        if kept := _kept(folder / name):
            return kept
    code = _compile()
    for folder in _folders():
        with suppress(OSError):  # the next one, or none
            _keep(folder / name, code)
            break
    return code


def _folders() -> Iterator[Path]:
    """Where code may be kept."""
    yield Path(__file__).parent / "__pycache__"
    with suppress(RuntimeError):  # a user without a home
        yield Path.home() / ".cache" / "strategy-analytics"


def _digest() -> str:
    """Changes with everything that the code depends on: its source, its compiler, the machine."""
    import llvmlite.binding as llvm

    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), *sorted((here / "loops").glob("*.py"))]
    told = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    told += [metadata.version("numba"), metadata.version("llvmlite")]
    told += [llvm.get_default_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:32]


def _kept(path: Path) -> dict[str, _Code] | None:
    """What ``_keep`` wrote; ``None`` where nothing is kept, or not all of it."""
    try:
        told, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if told != hashlib.sha256(content).hexdigest().encode():
        return None
    return {name: _Code(symbol, base64.b64decode(data)) for name, (symbol, data) in json.loads(content).items()}


def _keep(path: Path, code: dict[str, _Code]) -> None:
    """Write it down in one step: another process may be reading, or doing the same."""
    content = json.dumps(
        {name: (one.symbol, base64.b64encode(one.data).decode()) for name, one in code.items()}
    ).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _compile() -> dict[str, _Code]:
    """All loops, with Numba; half a second each.

    Raises:
        RuntimeError: One was written that cannot do without the compiler's own library.
    """
    for module in _MODULES:
        importlib.import_module(f"{__package__}.{module}")
    code = {}
    for name, loop in _loops.items():
        module, _, function = name.partition(".")
        compiled = getattr(importlib.import_module(f"{__package__}.loops.{module}"), function)
        types = tuple(map(_numba_type, loop.arguments))
        compiled.compile(types)
        made = compiled.overloads[types]
        if needed := re.findall(r"^declare [^@]*@\"?(?!llvm\.)([^\"(]+)", made.library.get_llvm_str(), re.MULTILINE):
            raise RuntimeError(f"{name} needs {needed}, which only Numba has: make no array in it")
        _, _, (data, _) = made.library.serialize_using_object_code()
        code[name] = _Code(made.fndesc.mangled_name, bytes(data))
    return code


def _numba_type(kind: Kind) -> object:
    from numba.core import types

    if isinstance(kind, ArrayOf):
        item = "boolean" if kind.item == "bool" else kind.item
        return types.Array(getattr(types, item), kind.ndim, "C")
    if isinstance(kind, tuple):
        return types.Tuple(tuple(map(_numba_type, kind)))
    return types.int64
