"""numpy → Arrow without a copy, and without pandas.

``pyarrow.array`` asks pandas what it was given, and so imports it: half a second in every extraction, for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


def array(values: Any, absent: Any = None, kind: pa.DataType | None = None) -> pa.Array:
    """One-dimensional numbers or booleans as an Arrow array.

    Args:
        values: numpy's; kept alive by the result where it needs no packing.
        absent: Where there is NULL.
        kind: Arrow's type; that of the numbers when not given. Must have their width.
    """
    import pyarrow as pa

    found = kind or pa.from_numpy_dtype(values.dtype)
    data = np.packbits(values, bitorder="little") if values.dtype == bool else np.ascontiguousarray(values)
    valid = None
    if absent is not None and absent.any():
        valid = pa.py_buffer(np.packbits(~absent, bitorder="little"))
    return pa.Array.from_buffers(found, len(values), [valid, pa.py_buffer(data)])


def texts(data: Any, ends: Any) -> pa.StringArray:
    """Texts from their bytes and ends: text ``i`` is ``data[ends[i]:ends[i + 1]]``; one fewer than there are ends."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.string(), len(ends) - 1, [None, pa.py_buffer(ends), pa.py_buffer(data)])


def numbers(found: pa.Array) -> Any:
    """The numbers of an Arrow array without NULL, as numpy sees them; read only."""
    width = found.type.bit_width // 8
    kind = np.dtype(f"{'f' if str(found.type) == 'double' else 'i'}{width}")
    return np.frombuffer(found.buffers()[1], kind, len(found), found.offset * width)
