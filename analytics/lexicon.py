"""What the codes of a portion's rows mean, where several dictionaries were filled one after the other.

The codes of each dictionary come after those of the one before. Nothing is united but the names of heads: what a file needs is
looked up for one row group at a time, so that a day's texts need not fit into memory together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics import arrays
from analytics.arrays import array
from analytics.dictionary import Dictionary
from analytics.native import groups

if TYPE_CHECKING:
    import pyarrow as pa


class Joined:
    """Arrays of texts, one after the other.

    Args:
        parts: The arrays.

    Attributes:
        starts: Of each part, the code of its first text; behind the last, how many there are.
    """

    def __init__(self, parts: Sequence[pa.StringArray]) -> None:
        self.parts = parts
        self.starts = np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, code: int) -> str:
        part = int(np.searchsorted(self.starts, code, side="right")) - 1
        return str(self.parts[part][code - int(self.starts[part])].as_py())

    def take(self, codes: Any) -> pa.StringArray:
        """The texts of some codes, which ascend unless there is one part only."""
        import pyarrow as pa

        if len(self.parts) == 1:
            return self.parts[0].take(array(codes))
        if not self.parts:
            return pa.array([], pa.string())
        found = [part.take(array(some)) for part, some in zip(self.parts, self.cut(codes), strict=True) if len(some)]
        return pa.concat_arrays(found or [self.parts[0].slice(0, 0)])

    def cut(self, codes: Any) -> list[Any]:
        """Ascending codes, part by part, as each part counts them."""
        places = np.searchsorted(codes, self.starts)
        return [
            codes[first:last] - start
            for first, last, start in zip(places[:-1], places[1:], self.starts[:-1].astype(np.int32), strict=True)
        ]


class Lexicon:
    """Meanings of the codes of several dictionaries.

    Args:
        dictionaries: In the order of their codes; the last may still grow, which changes nothing here.

    Attributes:
        texts: Names and columns' texts, by code.
        values: JSON texts of values, by code.
        parts: Of heads, by code: codes of type, branch and node id. Equal names have equal codes.
        head_starts: Of each dictionary, the code of its first head.
    """

    def __init__(self, dictionaries: Sequence[Dictionary]) -> None:
        self._facts = [one.value_facts() for one in dictionaries]
        # The facts first: a dictionary grows meanwhile, and every value here must have its own.
        self.values = Joined(
            [one.value_texts().slice(0, len(facts[0])) for one, facts in zip(dictionaries, self._facts, strict=True)]
        )
        parts = [one.heads.parts[: one.heads.count] for one in dictionaries]
        self.texts = Joined([one.texts() for one in dictionaries])
        self.head_starts = np.cumsum([0, *map(len, parts)])[:-1]
        self.is_single = len(dictionaries) == 1
        self.parts = parts[0] if self.is_single else self._united(parts)

    def facts(self, codes: Any) -> tuple[Any, Any]:
        """Kind (``native.groups``) and number of some values, whose codes ascend unless there is one dictionary only."""
        if self.is_single:
            [(kinds, numbers)] = self._facts
            return kinds[codes], numbers[codes]
        cut = [(facts, some) for facts, some in zip(self._facts, self.values.cut(codes), strict=True) if len(some)]
        return (
            np.concatenate([np.empty(0, np.uint8), *(kinds[some] for (kinds, _), some in cut)]),
            np.concatenate([np.empty(0), *(numbers[some] for (_, numbers), some in cut)]),
        )

    def all_facts(self) -> tuple[Any, Any]:
        """Kinds and numbers by value's code; only of a single dictionary."""
        [facts] = self._facts
        return facts

    def _united(self, parts: list[Any]) -> Any:
        shifted = [
            np.where(some >= 0, some + start, -1)
            for some, start in zip(parts, self.texts.starts.tolist(), strict=False)
        ]
        found = np.concatenate([np.empty((0, 3), np.int32), *shifted])
        codes = np.unique(found[found >= 0])
        first_with = np.full(len(codes) + 1, -1, np.int32)
        if len(codes):
            encoded = self.texts.take(codes).dictionary_encode()
            places = arrays.numbers(encoded.indices)
            _, firsts = np.unique(places, return_index=True)
            first_with[:-1] = codes[firsts[places]]
        where = np.searchsorted(codes, found)
        where[found < 0] = len(codes)
        return first_with[where]


class Picked:
    """Which texts some codes mean, each once.

    Attributes:
        indices: Of each code, its place in ``used``; -1 stays.
        used: The codes that occur.
    """

    def __init__(self, indices: Any, used: Any) -> None:
        self.indices, self.used = indices, used


class Coder:
    """Makes dictionaries that hold only what is used; for one thread.

    Args:
        lexicon: What codes mean.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        room = max(len(lexicon.texts), len(lexicon.values)) if lexicon.is_single else 0
        self._scratch, self._used = np.full(room, -1, np.int32), np.empty(room, np.int32)

    def pick(self, codes: Any) -> Picked:
        """Number the codes that occur anew; in ascending order where there are several dictionaries."""
        indices = np.empty(len(codes), np.int32)
        if self.lexicon.is_single:
            count = groups.compact(codes, self._scratch, self._used, indices)
            return Picked(indices, self._used[:count].copy())
        slots = np.full(1 << (2 * len(codes)).bit_length(), -1, np.int32)
        used = np.empty(len(codes), np.int32)
        count = groups.compact_among_many(codes, slots, np.empty_like(slots), used, indices)
        order = np.argsort(used[:count])
        return Picked(_renumbered(indices, order), used[order])

    def texts(self, codes: Any) -> pa.DictionaryArray:
        """Names and columns' texts of some codes; -1 is NULL."""
        return self.spelled(self.pick(codes), self.lexicon.texts)

    def spelled(self, picked: Picked, texts: Joined) -> pa.DictionaryArray:
        """Picked codes as texts; each text once, as a Parquet file wants it."""
        import pyarrow as pa

        some, indices = texts.take(picked.used), picked.indices
        if not self.lexicon.is_single:  # the same text may have been met by several
            encoded = some.dictionary_encode()
            some, places = encoded.dictionary, arrays.numbers(encoded.indices)
            indices = np.where(indices >= 0, places[indices], -1) if len(places) else indices
        return pa.DictionaryArray.from_arrays(array(indices, indices < 0), some)


def _renumbered(indices: Any, order: Any) -> Any:
    """Indices after what they point to was put in another order."""
    new = np.empty(len(order) + 1, np.int32)
    new[order] = np.arange(len(order), dtype=np.int32)
    new[-1] = -1  # where -1 points to
    return new[indices]
