"""Arrays that wait on disk instead of in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def to_disk(arrays: Sequence[Any], path: Path) -> list[Any]:
    """Move arrays to a file; the kernel reads back what is used, and forgets it when memory is short.

    Args:
        arrays: Those of wide elements first, so that all lie where their kind may lie.
        path: Of a new file. Its name is gone afterwards: nothing is left behind by a run that is killed.

    Returns:
        The same arrays, read only.

    Raises:
        OSError: No room, or no right to write.
    """
    with path.open("wb") as file:
        for array in arrays:
            np.ascontiguousarray(array).tofile(file)
    mapped, offset = [], 0
    for array in arrays:
        if array.size == 0:
            mapped.append(array)
            continue
        mapped.append(np.memmap(path, array.dtype, "r", offset, array.shape))
        offset += array.nbytes
    path.unlink()
    return mapped
