"""Coded rows in file order → Arrow columns of the lake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.estimates.sampling_rates import Rates
from analytics.extraction.encode.coded_rows import Portion
from analytics.extraction.encode.dictionaries import Coder, array, texts
from analytics.extraction.encode.native import aggregate, copy_tuples
from analytics.extraction.encode.native.entry_table import BRANCH_PART, NODE_PART, TYPE_PART
from analytics.lake import schema
from analytics.model import Partition

if TYPE_CHECKING:
    import pyarrow as pa

_TEXTS = (*schema.TEXT_COLUMNS, "trace_irregular")  # in the order of their codes
STATUS = copy_tuples.STRATEGY + _TEXTS.index("status")


def weights(portion: Portion, partitions: Sequence[Partition], rates: Rates) -> Any:
    """How many runs each row stands for; NaN where the rate is 0 and says nothing.

    A row drawn by the sampler stands for 1/rate runs, by the rate of its tenant at its time; one kept because it failed, for
    itself.

    Args:
        portion: The rows.
        partitions: Of the portion, first to last.
        rates: Fractions of ok runs that were logged.
    """
    usable = ~portion.flagged(copy_tuples.NO_CREATED_AT)
    rate = np.empty(len(usable))
    for place, partition in enumerate(partitions):
        rows = slice(int(portion.bounds[place]), int(portion.bounds[place + 1]))
        rate[rows] = rates.rates_at(partition.realm, portion.rows.times[rows, 0], usable[rows])
    statuses = portion.rows.codes[:, STATUS]
    ok = [code for code in np.unique(statuses).tolist() if code >= 0 and portion.lexicon.texts[code] == "ok"]
    drawn = portion.flagged(copy_tuples.SAMPLED) & np.isin(statuses, ok)
    rate[rate == 0] = np.nan
    found = np.divide(1.0, rate, out=rate)  # in place: a portion may have millions of rows
    found[~drawn] = 1.0
    return found


class Columns:
    """Makes tables of a portion's rows.

    Args:
        portion: The rows.
        row_weights: How many runs each stands for; NaN where that is unknown.
    """

    def __init__(self, portion: Portion, row_weights: Any) -> None:
        self._portion, self._weights = portion, row_weights
        self._coder = Coder(portion.lexicon)

    def table(self, start: int, end: int, *, coded: bool) -> pa.Table:
        """Some rows with the columns of ``schema.execution_schema()``.

        Args:
            start, end: Which.
            coded: Texts as dictionaries, which a Parquet file stores without looking at each; else as plain texts.
        """
        import pyarrow as pa

        portion = self._portion
        rows = portion.rows.take(slice(start, end))
        flags = rows.codes[:, copy_tuples.FLAGS]
        utc = pa.timestamp("us", tz="UTC")
        made: dict[str, Any] = {
            "execution_id": texts_of_ids(rows.ids),
            "created_at": array(rows.times[:, 0], flags & copy_tuples.NO_CREATED_AT != 0, utc),
            "updated_at": array(rows.times[:, 1], flags & copy_tuples.NO_UPDATED_AT != 0, utc),
            "points": array(rows.numbers[:, 0], flags & copy_tuples.NO_POINTS != 0),
            "duration_ms": array(rows.numbers[:, 1], flags & copy_tuples.NO_DURATION != 0),
            "strategy_version": array(rows.codes[:, copy_tuples.VERSION], flags & copy_tuples.NO_VERSION != 0),
            "nodes_executed": array(rows.codes[:, copy_tuples.NODES], flags & copy_tuples.NO_NODES != 0),
            "sampled": array(flags & copy_tuples.SAMPLED != 0, flags & copy_tuples.NO_SAMPLED != 0),
            "trace": self._trace(
                start, end, rows.codes[:, copy_tuples.ENTRIES], flags & copy_tuples.NO_LIST != 0, coded
            ),
        }
        some = self._weights[start:end]
        made["sample_weight"] = array(some, np.isnan(some))
        for place, name in enumerate(_TEXTS, copy_tuples.STRATEGY):
            codes = np.ascontiguousarray(rows.codes[:, place])
            made[name] = _spelled(self._coder.texts(codes), coded)
        names = schema.execution_schema().names
        return pa.table([made[name] for name in names], names=names)

    def _trace(self, start: int, end: int, counts: Any, absent: Any, coded: bool) -> pa.ListArray:
        import pyarrow as pa

        coder, lexicon = self._coder, self._portion.lexicon
        heads, values = self._portion.entries(start, end)
        offsets = np.zeros(len(counts) + 1, np.int32)
        np.cumsum(counts, out=offsets[1:])
        picked = coder.pick(values)
        number = np.empty(len(values), np.float64)
        no_number = np.empty(len(values), bool)
        aggregate.numbers_of(picked.indices, *lexicon.facts(picked.used), number, no_number)
        part = np.empty(len(heads), np.int32)
        fields = []
        for place in (NODE_PART, TYPE_PART, BRANCH_PART):
            aggregate.part_of(heads, lexicon.parts, place, part)
            fields.append(_spelled(coder.texts(part), coded))
        fields += [_spelled(coder.spelled(picked, lexicon.values), coded), array(number, no_number)]
        entries = pa.StructArray.from_arrays(fields, names=["node_id", "type", "branch", "value", "value_number"])
        return pa.ListArray.from_arrays(array(offsets), entries, mask=array(absent))


def _spelled(found: pa.DictionaryArray, coded: bool) -> pa.Array:
    return found if coded else found.dictionary_decode()


def texts_of_ids(halves: Any) -> pa.StringArray:
    """Execution ids, of two halves each, as text."""
    data = np.empty(len(halves) * copy_tuples.UUID_SIZE, np.uint8)
    copy_tuples.spell(np.array(halves), data)
    return texts(data, np.arange(len(halves) + 1, dtype=np.int32) * copy_tuples.UUID_SIZE)
