"""The per-node daily rollup: sums per partition, strategy, version, node id, type and branch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.extraction.encode.coded_rows import Portion
from analytics.extraction.encode.dictionaries import Coder, Lexicon, array, texts, to_numpy
from analytics.extraction.encode.native import aggregate, copy_tuples
from analytics.extraction.encode.native.entry_table import BRANCH_PART, NODE_PART, TYPE_PART
from analytics.lake import schema

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 20_000  # at a time
_NAMES = {"node_id": NODE_PART, "type": TYPE_PART, "branch": BRANCH_PART}


class Rollup:
    """The rollup of a portion, in file order: partition, strategy, version, then node id, type and branch as text sorts.

    Args:
        portion: The rows.
        weights: How many runs each row stands for; NaN where that is unknown.

    Attributes:
        bounds: The portion's partition ``i`` has the rows ``bounds[i]`` to ``bounds[i + 1]``.
    """

    def __init__(self, portion: Portion, weights: Any) -> None:
        self._portion, self._coder = portion, Coder(portion.lexicon)
        units, firsts = _units(portion)
        whole, real = _partial_sums(portion, self._coder, units, np.nan_to_num(weights, nan=0.0))
        ranks, parts = _ranked(portion.lexicon, whole[:, 1])
        # Units are in file order already. A long one was counted in pieces: equal keys are added up.
        keys = whole[:, 0] * (len(parts) + 1) + ranks[whole[:, 1]]
        order = np.argsort(keys, kind="stable")
        keys, self._whole, self._real = keys[order], whole[order, 2:], real[order]
        at = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.empty(0, np.int64)
        if len(at) < len(keys):
            least = np.minimum.reduceat(self._real[:, aggregate.LEAST], at)
            greatest = np.maximum.reduceat(self._real[:, aggregate.GREATEST], at)
            self._whole, self._real = np.add.reduceat(self._whole, at), np.add.reduceat(self._real, at)
            self._real[:, aggregate.LEAST], self._real[:, aggregate.GREATEST] = least, greatest
        self._units = portion.rows.codes[firsts][whole[order[at], 0]]
        self._parts = parts[keys[at] % (len(parts) + 1)]
        self.bounds = np.searchsorted(self._units[:, copy_tuples.NUMBER], np.arange(portion.first, portion.last + 2))

    def table(self, place: int, realm: str | None) -> pa.Table:
        """The rollup of one partition, with the columns of ``schema.node_day_schema()``; texts as dictionaries.

        Args:
            place: Of the partition within the portion.
            realm: Its tenant.
        """
        import pyarrow as pa

        which = slice(self.bounds[place], self.bounds[place + 1])
        units, whole, real = self._units[which], self._whole[which], self._real[which]
        name = (realm or "").encode()
        no_realm = np.full(len(units), realm is None)
        realms = pa.DictionaryArray.from_arrays(
            array(np.zeros(len(units), np.int32), no_realm),
            texts(np.frombuffer(name, np.uint8), np.array([0, len(name)], np.int32)),
        )

        def number(column: int, count: int) -> pa.Array:
            return array(real[:, column], whole[:, count] == 0)

        made = {
            "realm_id": realms,
            "strategy_id": self._coder.texts(np.ascontiguousarray(units[:, copy_tuples.STRATEGY])),
            "strategy_version": array(units[:, copy_tuples.VERSION]),
            **{
                name: self._coder.texts(np.ascontiguousarray(self._parts[which, part])) for name, part in _NAMES.items()
            },
            "entry_count": array(whole[:, aggregate.COUNT]),
            # a rate of 0 says nothing of how many runs there were: no known weight is below 1, so 0 means that none was known
            "est_entries": array(real[:, aggregate.WEIGHT], real[:, aggregate.WEIGHT] == 0),
            "true_count": array(whole[:, aggregate.TRUES]),
            "false_count": array(whole[:, aggregate.FALSES]),
            "null_count": array(whole[:, aggregate.NULLS]),
            "text_count": array(whole[:, aggregate.TEXTS]),
            "number_count": array(whole[:, aggregate.NUMBERS]),
            "number_sum": number(aggregate.SUM, aggregate.FINITE),
            "number_sum_squares": number(aggregate.SQUARES, aggregate.SQUARED),
            "number_min": number(aggregate.LEAST, aggregate.NUMBERS),
            "number_max": number(aggregate.GREATEST, aggregate.NUMBERS),
        }
        names = schema.node_day_schema().names
        return pa.table([made[name] for name in names], names=names)


def _units(portion: Portion) -> tuple[Any, Any]:
    """Of each row a number that changes with partition, strategy or version; and the first row of each."""
    rows = portion.rows.codes
    if not len(rows):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    changes = np.zeros(len(rows), bool)
    for column in (copy_tuples.NUMBER, copy_tuples.STRATEGY, copy_tuples.VERSION):
        changes[1:] |= rows[1:, column] != rows[:-1, column]
    return np.cumsum(changes), np.concatenate([[0], np.flatnonzero(changes)])


def _partial_sums(portion: Portion, coder: Coder, units: Any, weights: Any) -> tuple[Any, Any]:
    """Sums per unit and head, a few thousand rows at a time; see ``groups.roll_up``."""
    lexicon = portion.lexicon
    scratch = np.full(len(lexicon.parts), -1, np.int32)
    whole, real = [np.empty((0, 10), np.int64)], [np.empty((0, 5), np.float64)]
    for start in range(0, len(units), _ROWS):
        end = min(start + _ROWS, len(units))
        heads, values = portion.entries(start, end)
        counts = np.array(portion.rows.codes[start:end, copy_tuples.ENTRIES])
        if lexicon.is_single:
            kinds, numbers = lexicon.all_facts()
        else:
            picked = coder.pick(values)
            values, (kinds, numbers) = picked.indices, lexicon.facts(picked.used)
        some, more = np.empty((len(heads), 10), np.int64), np.empty((len(heads), 5), np.float64)
        count = aggregate.roll_up(
            *(units[start:end], counts, weights[start:end], heads, values),
            *(kinds, numbers, scratch, some, more),
        )
        whole.append(some[:count].copy())
        real.append(more[:count].copy())
    return np.concatenate(whole), np.concatenate(real)


def _ranked(lexicon: Lexicon, heads: Any) -> tuple[Any, Any]:
    """By head's code, the place of its names among those that occur, as text sorts and NULL last; and the sorted names' codes."""
    import pyarrow as pa

    used: Any = np.flatnonzero(np.bincount(heads, minlength=1))
    columns: Any = lexicon.parts
    parts, places = np.unique(columns[used], axis=0, return_inverse=True)
    names = {name: _names(lexicon, parts[:, part]) for name, part in _NAMES.items()}
    table = pa.table({**names, "place": array(np.arange(len(parts)))}).sort_by([(name, "ascending") for name in names])
    order = to_numpy(table["place"].combine_chunks())
    ranks_of_parts = np.empty(len(parts), np.int64)
    ranks_of_parts[order] = np.arange(len(parts))
    ranks = np.zeros(len(lexicon.parts), np.int64)
    ranks[used] = ranks_of_parts[places.reshape(-1)]
    return ranks, parts[order]


def _names(lexicon: Lexicon, codes: Any) -> pa.StringArray:
    """Texts of some codes in any order; -1 is NULL."""
    some, places = np.unique(codes[codes >= 0], return_inverse=True)
    indices = np.full(len(codes), -1, np.int64)
    indices[codes >= 0] = places
    return lexicon.texts.take(some).take(array(indices, indices < 0))
