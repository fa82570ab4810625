"""Names of arrays, by what they hold."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Whole: TypeAlias = NDArray[np.signedinteger[Any]]
"""Whole numbers, as narrow as they may be."""
Codes: TypeAlias = NDArray[np.int32]
"""Numbers of texts in a dictionary, and what else stands beside them in a row of codes."""
Bytes: TypeAlias = NDArray[np.uint8]
Bools: TypeAlias = NDArray[np.bool_]
Array: TypeAlias = NDArray[Any]
"""An array whose elements it does not matter what they are."""
