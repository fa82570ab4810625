"""What decides which node is behind which entry, as one number a trace: of a million traces a few dozen are told apart.

The ids, types, branches, the turns that values made the run take (true or not, as Python sees a JSON value) and the literals,
which tell an edited program. Each text of a file's dictionary is hashed once, and a trace's number is the sum of its entries'
hashes, each times an odd number of its place (a multilinear hash: Lemire and Kaser, *Comput. J.* 57, 2014). Of 64 bits, so that
among a hundred thousand shapes two share one by chance once in four billion times.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from analytics.warehouse.run_traces import COLUMNS, SomeTraces

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from analytics.estimates.arrays import Array, Bools, Codes, Ints

    Hashes = NDArray[np.uint64]

_SEED: Final = 20_261_130
_FALSE: Final = frozenset({"null", "false", '""', "[]", "{}"})
_MAY_BE_NOTHING: Final = r"^-?[0.]*([eE]|$)|[eE]-|^-?0\.0{30}"
"""Numbers that may be 0 as a float: only of these is it worked out."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """Some traces as numbers.

    Attributes:
        shapes: A number per trace: the same of those that take the same way.
        is_wanted: Of each entry whether its value is.
        values: Of each entry the number of its value in the dictionary; -1 for NULL.
        dictionary: Texts of values.
    """

    shapes: Hashes
    is_wanted: Bools
    values: Codes
    dictionary: pa.Array


class TraceShapes:
    """Numbers the shapes of traces: what was told of one dictionary holds for all traces whose entries refer to it.

    Args:
        types: Types of the entries whose values are wanted.
    """

    def __init__(self, types: Collection[str]) -> None:
        import numpy as np

        self._types = types
        self._tables: dict[str, _Table] = {}
        self._odd: Hashes = np.empty(0, dtype=np.uint64)

    def of(self, traces: SomeTraces) -> Shaped:
        """Of some traces.

        Args:
            traces: As they are read.
        """
        import numpy as np

        codes: dict[str, Codes] = {}
        for name in COLUMNS:
            codes[name] = self._coded(name, traces.entries[name])
        kind = self._tables["type"]
        is_literal = kind.marks("literal", lambda text: text == "literal")[codes["type"]]
        is_wanted = kind.marks("wanted", lambda text: text in self._types)[codes["type"]]
        found = self._tables["node_id"].hashes()[codes["node_id"]]
        found += kind.hashes()[codes["type"]]
        found += self._tables["branch"].hashes()[codes["branch"]]
        values, value = self._tables["value"], codes["value"]
        found += values.turns()[value]
        literal = value[is_literal]
        found[is_literal] += values.hashes(literal)[literal]
        ends = np.cumsum(traces.lengths)
        starts = ends - traces.lengths
        found *= self._at(np.arange(len(found)) - np.repeat(starts, traces.lengths))
        sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(found)])  # modulo 2^64, as differences of it are
        return Shaped(sums[ends] - sums[starts], is_wanted, value, values.dictionary)

    def _at(self, places: Ints) -> Hashes:
        """An odd number for each place in a trace."""
        import numpy as np

        longest = int(places.max(initial=-1)) + 1
        if longest > len(self._odd):
            size = 2 * longest
            self._odd = np.random.default_rng(_SEED).integers(0, 2**64, size, dtype=np.uint64) | np.uint64(1)
        return self._odd[places]

    def _coded(self, name: str, column: pa.Array) -> Codes:
        import pyarrow as pa

        if not isinstance(column, pa.DictionaryArray):
            column = column.dictionary_encode()
        known = self._tables.get(name)
        if known is None or not known.dictionary.equals(column.dictionary):  # batches of a part of a file share one
            self._tables[name] = _Table(name, column.dictionary)
        codes: Codes = column.indices.fill_null(-1).to_numpy()
        return codes


class _Table:
    """What is told of the texts of one dictionary, by their numbers; that of NULL, number -1, is the last."""

    def __init__(self, name: str, dictionary: pa.Array) -> None:
        import numpy as np

        self._name, self.dictionary = name, dictionary
        self._marks: dict[str, Bools] = {}
        self._turns: Hashes | None = None
        self._hashes: Hashes = np.zeros(len(dictionary) + 1, dtype=np.uint64)
        self._is_hashed: Bools = np.zeros(len(dictionary) + 1, dtype=bool)

    def marks(self, name: str, holds: Any) -> Bools:
        """Of each text whether something holds; never of NULL."""
        import numpy as np

        if name not in self._marks:
            self._marks[name] = np.array([*(holds(text) for text in self.dictionary.to_pylist()), False], dtype=bool)
        return self._marks[name]

    def hashes(self, wanted: Codes | None = None) -> Hashes:
        """Of each text a number; of values only of those that are wanted, for a dictionary may hold a million others."""
        import numpy as np

        codes: Array = np.arange(len(self._hashes)) if wanted is None else wanted[~self._is_hashed[wanted]]
        if not len(codes) or (wanted is None and self._is_hashed.all()):
            return self._hashes
        codes = np.unique(codes % len(self._hashes))
        texts = [*self.dictionary.take(codes[codes < len(self.dictionary)]).to_pylist()]
        texts += [None] * (len(codes) - len(texts))
        self._hashes[codes] = [_hash(self._name, text) for text in texts]
        self._is_hashed[codes] = True
        return self._hashes

    def turns(self) -> Hashes:
        """Of each value one of two numbers: as Python sees it, it is true or not."""
        import numpy as np

        if self._turns is None:
            is_false = np.append(_is_false(self.dictionary), True)
            true, false = (np.uint64(_hash("turn", text)) for text in ("true", "false"))
            self._turns = np.where(is_false, false, true)
        return self._turns


def _is_false(texts: pa.Array) -> Bools:
    """Which JSON texts are false, null, empty, or a number that is 0 as a float."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    found: Bools = pc.is_in(texts, value_set=pa.array(sorted(_FALSE))).to_numpy(zero_copy_only=False).copy()
    may = np.flatnonzero(pc.match_substring_regex(texts, _MAY_BE_NOTHING).to_numpy(zero_copy_only=False))
    for place, text in zip(may.tolist(), texts.take(may).to_pylist(), strict=True):
        if text[:1] in "-0123456789" and text:
            found[place] = float(text) == 0
    return found


@lru_cache(100_000)
def _hash(name: str, text: str | None) -> int:
    told = b"" if text is None else text.encode("utf-8", "surrogatepass")
    return int.from_bytes(
        blake2b(told, digest_size=8, key=name.encode(), person=b"null" if text is None else b"").digest()
    )


def with_flag(shapes: Hashes, flag: Bools) -> Array:
    """Shapes told apart by one more thing, which is true or not."""
    import numpy as np

    return np.where(flag, shapes ^ np.uint64(_hash("flag", "true")), shapes)
