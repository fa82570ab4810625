"""Arrays that wait on disk instead of in memory."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_FILE_BYTES = 256 << 20
"""A mapping keeps a file open, so many arrays share one; larger ones have their own."""


class Spill:
    """Files that hold arrays; one for all threads of a run's share.

    The files have no name: nothing is left behind by a run that is killed, and their space is free when the last array of one
    is forgotten.

    Args:
        folder: Where they are made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None
        self._mappings: list[mmap.mmap] = []
        self._used = self._room = 0
        self._turn = threading.Lock()

    def keep(self, arrays: Sequence[Any]) -> list[Any]:
        """Move arrays to disk.

        Returns:
            The same arrays, read only; the kernel reads back what is used.

        Raises:
            OSError: No room, or no right to write.
        """
        with self._turn:
            return [self._keep(np.ascontiguousarray(array)) for array in arrays]

    def forget_pages(self) -> None:
        """Let go of what was read back: it stays in the kernel's cache, and is no longer this process's memory."""
        with self._turn:
            for mapping in self._mappings:
                mapping.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """No more arrays; those that were given stay."""
        with self._turn:
            self._mappings = []
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _keep(self, array: Any) -> Any:
        if array.size == 0:
            return array
        start = -(-self._used // 8) * 8
        file = self._file
        if file is None or start + array.nbytes > self._room:
            file, start = self._next(array.nbytes), 0
        data, place = memoryview(array).cast("B"), start
        while data:  # a disk that fills up writes less than it was given, and refuses only then
            written = os.pwrite(file, data, place)
            data, place = data[written:], place + written
        self._used = place
        return np.frombuffer(self._mappings[-1], array.dtype, array.size, start).reshape(array.shape)

    def _next(self, least: int) -> int:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        path = self._folder / "waiting.tmp"
        self._room = max(_FILE_BYTES, least)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        path.unlink()
        os.truncate(self._file, self._room)  # takes no space before it is written
        self._mappings.append(mmap.mmap(self._file, self._room, prot=mmap.PROT_READ))
        return self._file
