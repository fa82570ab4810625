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
        rows = Rows.together(slices) if slices else Rows.room(0)
        origins = np.repeat(np.arange(len(slices)), [len(part.froms) for part in slices])
        if len(dictionaries) > 1:
            rows.codes = rows.codes.copy()
            codes = rows.codes[:, tuples.STRATEGY :]
            starts = self.lexicon.texts.starts.astype(np.int32)[self._places[origins]]
            np.add(codes, starts[:, None], out=codes, where=codes >= 0)
        order = self._order(rows)
        self.rows, self._origins = rows.take(order), origins[order]
        self.bounds = np.searchsorted(self.rows.codes[:, tuples.NUMBER], np.arange(first, last + 2))

    def entries(self, start: int, end: int) -> tuple[Any, Any]:
        """Codes of heads and values of the entries of some rows, one row after the other."""
        froms, counts = self.rows.froms[start:end], self.rows.codes[start:end, tuples.ENTRIES]
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

    def _order(self, rows: Rows) -> Any:
        """File order, as positions in ``rows``; NULL times last, ids as their text sorts."""
        codes = rows.codes
        strategies, places = np.unique(codes[:, tuples.STRATEGY], return_inverse=True)
        names = [self.lexicon.texts[code].encode() if code >= 0 else _AFTER_ALL for code in strategies.tolist()]
        by_name = {name: rank for rank, name in enumerate(sorted(set(names)))}
        ranks = np.array([by_name[name] for name in names], np.int64)
        if len(by_name) < len(names):  # several dictionaries know the same one
            one_code = dict(zip(names, strategies.tolist(), strict=True))
            codes[:, tuples.STRATEGY] = np.array([one_code[name] for name in names], np.int32)[places]
        versions = codes[:, tuples.VERSION].astype(np.int64) + (1 << 31)
        within = (ranks[places] << 32) + versions
        times = np.where(codes[:, tuples.FLAGS] & tuples.NO_CREATED_AT, _LAST, rows.times[:, 0])
        keys = (times, within, codes[:, tuples.NUMBER])
        order = np.lexsort(keys)
        # Equal times within a strategy are rare: only then do the ids decide.
        sorted_keys = [key[order] for key in keys]
        if len(order) and np.any(np.logical_and.reduce([key[1:] == key[:-1] for key in sorted_keys])):
            halves = rows.ids.view(np.uint64)
            order = np.lexsort((halves[:, 1], halves[:, 0], *keys))
        return order
