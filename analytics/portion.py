"""Coded rows of consecutive partitions, put in the order of their files: partition, strategy, version, time, id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from analytics.dictionary import Dictionary
from analytics.lexicon import Lexicon
from analytics.native import groups, tuples
from analytics.runs import Rows, Run
from analytics.spill import Spill

_LAST = np.iinfo(np.int64).max
_AFTER_ALL = b"\xff"  # no UTF-8 text begins so
_IN_MEMORY = 300_000
"""Rows; of a larger portion they wait on disk, 150 bytes each."""


class Portion:
    """Rows of the partitions ``first`` to ``last``.

    Args:
        first, last: Numbers of partitions, inclusive.
        runs: That may hold rows of them.
        disk: Where some of them may lie.

    Attributes:
        first, last: As given.
        lexicon: What codes mean.
        rows: In file order.
        bounds: Partition ``first + i`` has the rows ``bounds[i]`` to ``bounds[i + 1]``.
    """

    def __init__(self, first: int, last: int, runs: Sequence[Run], disk: Spill | None = None) -> None:
        self.first, self.last, self._disk = first, last, disk
        found = [(run, run.between(first, last)) for run in runs]
        self._runs = [run for run, rows in found if len(rows.froms)]
        slices = [rows for _, rows in found if len(rows.froms)]
        dictionaries: list[Dictionary] = []
        for run in self._runs:
            if run.dictionary not in dictionaries:
                dictionaries.append(run.dictionary)
        self.lexicon = Lexicon(dictionaries)
        self._places = np.array([dictionaries.index(run.dictionary) for run in self._runs], np.int64)
        slices = slices or [Rows.room(0)]
        origins = np.repeat(np.arange(len(slices), dtype=np.int32), [len(part.froms) for part in slices])
        codes = np.concatenate([part.codes for part in slices])
        if len(dictionaries) > 1:
            texts = codes[:, tuples.STRATEGY :]
            starts = self.lexicon.texts.starts.astype(np.int32)[self._places[origins]]
            np.add(texts, starts[:, None], out=texts, where=texts >= 0)
        order = self._order(codes, slices)
        codes = self._kept(codes[order])
        # Column by column: a tenant's day may have millions of rows, and two copies of all of them at once are too many.
        ids, times, numbers, froms = (
            self._kept(np.concatenate([getattr(part, name) for part in slices])[order])
            for name in ("ids", "times", "numbers", "froms")
        )
        self.rows, self._origins = Rows(ids, times, numbers, codes, froms), origins[order]
        self.bounds = np.searchsorted(self.rows.codes[:, tuples.NUMBER], np.arange(first, last + 2))

    def entries(self, start: int, end: int) -> tuple[Any, Any]:
        """Codes of heads and values of the entries of some rows, one row after the other."""
        # copies: loops are compiled once more for what lies on disk, which cannot be written
        froms, counts = np.array(self.rows.froms[start:end]), np.array(self.rows.codes[start:end, tuples.ENTRIES])
        origins = self._origins[start:end]
        total = int(counts.sum(dtype=np.int64))
        found = []
        for columns, starts in (
            ([run.heads for run in self._runs], self.lexicon.head_starts),
            ([run.values for run in self._runs], self.lexicon.values.starts),
        ):
            sources = np.array([column.ctypes.data for column in columns], np.int64)
            out = np.empty(total, np.int32)
            groups.gather(froms, counts, sources[origins], starts[self._places[origins]], out)
            found.append(out)
        return found[0], found[1]

    def forget_pages(self) -> None:
        """Some rows were written: let go of what was read back from disk for them."""
        if self._disk:
            self._disk.forget_pages()

    def flagged(self, flag: int, start: int = 0, end: int | None = None) -> Any:
        """Which of some rows carry a flag."""
        return self.rows.codes[start:end, tuples.FLAGS] & flag != 0

    def _kept(self, column: Any) -> Any:
        if self._disk is None or len(column) <= _IN_MEMORY:
            return column
        [waiting] = self._disk.keep([column])
        self._disk.forget_pages()  # also what the rows were read from
        return waiting

    def _order(self, codes: Any, slices: Sequence[Rows]) -> Any:
        """File order of all rows together; NULL times last, ids as their text sorts. Gives each strategy one code."""
        strategies, places = np.unique(codes[:, tuples.STRATEGY], return_inverse=True)
        names = [self.lexicon.texts[code].encode() if code >= 0 else _AFTER_ALL for code in strategies.tolist()]
        by_name = {name: rank for rank, name in enumerate(sorted(set(names)))}
        ranks = np.array([by_name[name] for name in names], np.int64)
        if len(by_name) < len(names):  # several dictionaries know the same one
            one_code = dict(zip(names, strategies.tolist(), strict=True))
            codes[:, tuples.STRATEGY] = np.array([one_code[name] for name in names], np.int32)[places]
        versions = codes[:, tuples.VERSION].astype(np.int64) + (1 << 31)
        within = (ranks[places] << 32) + versions
        created = np.concatenate([part.times[:, 0] for part in slices])
        times = np.where(codes[:, tuples.FLAGS] & tuples.NO_CREATED_AT, _LAST, created)
        keys = (times, within, codes[:, tuples.NUMBER])
        order = np.lexsort(keys)
        # Equal times within a strategy are rare: only then do the ids decide.
        sorted_keys = [key[order] for key in keys]
        if len(order) and np.any(np.logical_and.reduce([key[1:] == key[:-1] for key in sorted_keys])):
            halves = np.concatenate([part.ids for part in slices]).view(np.uint64)
            order = np.lexsort((halves[:, 1], halves[:, 0], *keys))
        return order
