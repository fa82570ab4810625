"""Nodes whose outcome or values differ most between two groups of runs, corrected for looking at many.

A node is one place in the program, found by alignment: an id that repeats is as many nodes as it has places, and a rule that
an inserted one has shifted is still the same rule. A run comes by a place at most once, so its values are independent.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import comparisons, kolmogorov, significance
from analytics.findings.post_mortem.groups import Group, group_of
from analytics.findings.replay.replay_run import Inputs, answer_of, read_inputs, wraps
from analytics.findings.replay.trace_variants import CONDITIONS, NUMBERS, Variants, read
from analytics.program import words
from analytics.program.compare import compare
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

STRAGGLERS = 2
"""So few rows inside another version's time come from a process that had not reloaded."""

_NEIGHBOURS = 50
"""Rows of the version on either side that say how densely it is seen there."""
_SURPRISE = 0.01
"""Gaps as long as this one, expected by chance alone among all of the version's rows, for it to have been away."""
_MOST_SPLITS = 200
"""Gaps that are looked into, the longest first."""


@dataclass(frozen=True, slots=True)
class Activation:
    """A span in which one version was seen in the log.

    Attributes:
        label: ``v3``.
        strategy_id, strategy_version: The version.
        first, last: Its first and last logged row, UTC.
        logged_count: Rows.
    """

    label: str
    strategy_id: str
    strategy_version: int
    first: datetime
    last: datetime
    logged_count: int


def activations(rows: pd.DataFrame) -> list[Activation]:
    """Spans of versions, the earliest first, from rows in time order.

    Each version is looked at alone. It was away where none of its rows is among more rows of others than its own share
    of the rows on either side explains. So a rollback ends a version; two versions that alternate (an experiment, a slow
    roll-out, a process that has not reloaded) overlap, with one span each; and the rows that one process still writes under
    the old version do not bring it back.
    """
    if rows.empty:
        return []
    import pandas as pd

    codes, labels = pd.factorize(rows["label"])
    found: list[tuple[int, NDArray[np.int64]]] = []
    for code in range(len(labels)):
        islands = _islands(np.flatnonzero(codes == code))
        kept = [island for island in islands if len(island) > STRAGGLERS or _is_at_an_end(island, len(codes))]
        # A version seen twice all in all was still seen.
        found += [(code, island) for island in kept or islands]
    found.sort(key=lambda item: int(item[1][0]))
    spans = []
    for code, island in found:
        first, last = rows.iloc[int(island[0])], rows.iloc[int(island[-1])]
        spans.append(
            Activation(
                str(labels[code]),
                str(first["strategy_id"]),
                int(first["strategy_version"]),
                first["created_at"].to_pydatetime(),
                last["created_at"].to_pydatetime(),
                len(island),
            )
        )
    return spans


def _is_at_an_end(island: NDArray[np.int64], count: int) -> bool:
    """What is seen last may be a version that has just come, not a straggler; so too at the start."""
    return bool(island[0] == 0 or island[-1] == count - 1)


def _islands(places: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """One version's row numbers, cut where it was away; the longest gap is looked at first, then what is left on its sides."""
    gaps = np.diff(places) - 1
    long_gaps = np.flatnonzero(gaps > STRAGGLERS)
    long_gaps = long_gaps[np.argsort(-gaps[long_gaps], kind="stable")][:_MOST_SPLITS]
    cuts: list[int] = []
    for gap in long_gaps.tolist():
        start = max((cut + 1 for cut in cuts if cut < gap), default=0)
        stop = min((cut + 1 for cut in cuts if cut > gap), default=len(places))
        if _was_away(places, gap, start, stop, int(gaps[gap])):
            cuts.append(gap)
    return np.split(places, [cut + 1 for cut in sorted(cuts)])


def is_gone(own: int, among: int, later: int) -> bool:
    """Whether a version that none of the later rows is of would have been seen among them, were it still live.

    Args:
        own: Its rows.
        among: Rows of all versions from its first to its last.
        later: Rows of others since.
    """
    return own * _chance_of_gap(own, among, later) < _SURPRISE


def _was_away(places: NDArray[np.int64], gap: int, start: int, stop: int, length: int) -> bool:
    left = places[max(start, gap + 1 - _NEIGHBOURS) : gap + 1]
    right = places[gap + 1 : min(stop, gap + 1 + _NEIGHBOURS)]
    # A side of stragglers says nothing of how densely the version is seen when it is live.
    sides = [side for side in (left, right) if len(side) > STRAGGLERS] or [left, right]
    expected = max(len(places) * _chance_of_gap(len(side), int(side[-1] - side[0]) + 1, length) for side in sides)
    return expected < _SURPRISE


def _chance_of_gap(own: int, among: int, length: int) -> float:
    """Chance that none of the next rows is the version's, its share being known from ``own`` of ``among`` rows.

    Beta-binomial: ``B(own, others + 1 + length) / B(own, others + 1)``, the share's posterior being Beta(own, others + 1).
    """
    from scipy import special

    others = among - own + 1
    return float(np.exp(special.betaln(own, others + length) - special.betaln(own, others)))


_COLUMNS = ("place", "type", "path", "what", "before_value", "after_value", "before_count", "after_count", "q")
_MOST = 20_000
"""Runs of each side whose values are compared; more would tell ever smaller differences."""
_LONGEST = 40
_LEAST_ROWS = 10
"""Rows of one version on both sides, for its nodes to be compared rather than those of two versions."""
_SURE, _SURELY = 0.01, 1e-4
"""Chance (q) of a field that moved, and of one that did so for certain."""


class Measured(StrEnum):
    """What is compared of a node."""

    TRUE = "true"
    MEDIAN = "median"
    SHARE = "is"


@dataclass(frozen=True, slots=True)
class ValueChange:
    """Values of one node under both groups, summed up.

    Attributes:
        measured: The share that was true, the median, or the share of the value that was usual before.
        usual: That value as JSON, shortened; empty otherwise.
        before, after: The share, or the median.
        before_count, after_count: Logged runs that came by.
        p: Chance alone.
        distance: How far apart they are: of shares the difference, of medians the share of the earlier one.
    """

    measured: Measured
    before: float
    after: float
    before_count: int
    after_count: int
    p: float
    distance: float
    usual: str = ""

    @property
    def is_share(self) -> bool:
        """Both values are shares of the runs."""
        return self.measured is not Measured.MEDIAN

    @property
    def what(self) -> str:
        """``true``, ``median`` or ``is <value>``."""
        return f"{self.measured} {self.usual}" if self.measured is Measured.SHARE else str(self.measured)


@dataclass(frozen=True, slots=True)
class NodeChange:
    """A node that both groups came by.

    Attributes:
        place: In words.
        type: Of the node.
        path: Of a field; None for any other node.
        values: How it differs.
        q: Chance alone, corrected for looking at many (Benjamini–Hochberg).
    """

    place: str
    type: str | None
    path: str | None
    values: ValueChange
    q: float = math.nan


@dataclass(frozen=True, slots=True)
class NodeChanges:
    """The nodes that both groups came by.

    Attributes:
        nodes: The most different first.
        reason: Why there are none, in a sentence; empty otherwise.
    """

    nodes: tuple[NodeChange, ...] = ()
    reason: str = ""

    @property
    def frame(self) -> pd.DataFrame:
        """The same as a frame, for notebooks.

        Returns:
            Grain: node. ``place`` (in words), ``type``, ``path`` (of fields), ``what`` (``true``, ``median`` or ``is <value>``),
            ``before_value, after_value`` (a share, or the median), ``before_count, after_count`` (logged runs that came by),
            ``q``; most different first.
        """
        import pandas as pd

        rows = [
            (
                node.place, node.type, node.path, node.values.what, node.values.before, node.values.after,
                node.values.before_count, node.values.after_count, node.q,
            )
            for node in self.nodes
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    @property
    def moved_fields(self) -> list[str]:
        """Fields whose values moved beyond chance, the clearest first."""
        return [str(node.path) for node in self._fields(_SURE)]

    @property
    def most_moved(self) -> NodeChange | None:
        """The field whose values moved most clearly; None where none did beyond chance."""
        return next(iter(self._fields(_SURE)), None)

    @property
    def is_built_in(self) -> bool:
        """What moved most is the wrapped built-in's answer, and nothing else that the program reads moved for certain."""
        moved = self.moved_fields
        others = [node for node in self._fields(_SURELY) if not str(node.path).startswith("parent.")]
        return bool(moved) and moved[0].startswith("parent.") and not others

    def seen_by(self, least: int) -> NodeChanges:
        """Those that at least so many logged runs of either group came by."""
        nodes = (node for node in self.nodes if min(node.values.before_count, node.values.after_count) >= least)
        return replace(self, nodes=tuple(nodes))

    def _fields(self, largest_q: float) -> list[NodeChange]:
        return [node for node in self.nodes if node.type == "field" and node.q < largest_q]


def alike(before: Group, after: Group) -> tuple[Group, Group]:
    """The groups narrowed to one version each, where one holds several: nodes can only be compared between programs.

    The version with enough rows on both sides that has most; without one the usual version of each side.
    """
    if before.strategy_id is not None and after.strategy_id is not None:
        return before, after
    counts = [group.rows["label"].astype(str).value_counts() for group in (before, after)]
    both = {
        str(name): min(int(count), int(counts[1][name])) for name, count in counts[0].items() if name in counts[1].index
    }
    best = max(both, key=lambda name: both[name], default=None)
    usual = str(counts[0].index[0]), str(counts[1].index[0])
    names = (best, best) if best is not None and both[best] >= _LEAST_ROWS else usual
    old, new = (
        group_of(whole.label, whole.rows[(whole.rows["label"] == name).to_numpy(bool)])
        for whole, name in zip((before, after), names, strict=True)
    )
    return old, new


def node_changes(
    lake: Warehouse, before: Group, after: Group, old: Variants | None, new: Variants | None
) -> NodeChanges:
    """Compare conditions by how often they hold, fields and amounts by their values.

    Args:
        lake: Where the runs are.
        before, after: The two groups.
        old, new: Their variants; None where a group holds several versions, or the lake lacks the program.
    """
    if old is None or new is None:
        several = [side.label for side in (before, after) if side.strategy_id is None]
        why = f"several versions ran in {' and '.join(several)}" if several else "a definition is not in the lake"
        return NodeChanges(reason=why)
    if doubts := [side.doubt for side in (old, new) if side.doubt]:
        # The runs that do fit are those that took other ways: their values differ for that reason alone.
        return NodeChanges(reason=" and ".join(doubts))
    pairs = compare(old.definition.outline, new.definition.outline).pairs
    found = [*_conditions(old, new, pairs), *_fields(lake, old, new), *_amounts(lake, old, new, pairs)]
    adjusted = comparisons.adjusted([node.values.p for node in found])
    nodes = [replace(node, q=q) for node, q in zip(found, adjusted, strict=True)]
    nodes.sort(key=lambda node: (node.q, -node.values.distance))
    return NodeChanges(tuple(nodes), "" if nodes else "no node was come by in both groups")


def _conditions(old: Variants, new: Variants, pairs: dict[int, int]) -> list[NodeChange]:
    counts = [_outcomes(side) for side in (old, new)]
    found = []
    for here, there in pairs.items():
        (k0, n0), (k1, n1) = counts[0].get(here, (0, 0)), counts[1].get(there, (0, 0))
        node = new.definition.outline.nodes[there]
        if node.type in CONDITIONS and n0 and n1:
            p = significance.fisher_test([[k0, n0 - k0], [k1, n1 - k1]])
            values = ValueChange(Measured.TRUE, k0 / n0, k1 / n1, n0, n1, p, abs(k1 / n1 - k0 / n0))
            found.append(NodeChange(words.place(new.definition.outline, there), node.type, None, values))
    return found


def _outcomes(side: Variants) -> dict[int, tuple[int, int]]:
    """Position → logged runs in which it was true, and that came by."""
    true: Counter[int] = Counter()
    seen: Counter[int] = Counter()
    for variant in side.variants:
        for position in variant.beside.positions:
            seen[position] += variant.logged_count
            true[position] += variant.logged_count * (position in variant.true)
    return {position: (true[position], count) for position, count in seen.items()}


def _fields(lake: Warehouse, old: Variants, new: Variants) -> list[NodeChange]:
    """Every field that both versions read, by its values; and what the wrapped built-in answered, where no rule read that."""
    inputs = [read_inputs(lake, side, most=_MOST) for side in (old, new)]
    found = []
    if ("post", "parent.points") not in inputs[0].fields or ("post", "parent.points") not in inputs[1].fields:
        answers = [_answered(group) for group in inputs]
        tested = compared_values(answers[0], answers[1])
        if tested:
            found.append(NodeChange("parent.points", "field", "parent.points", tested))
    for key in inputs[0].fields:
        if key in inputs[1].fields:
            at = [side.fields.index(key) for side in inputs]
            texts = [[values[place] for values in side.values] for side, place in zip(inputs, at, strict=True)]
            tested = compared_values(texts[0], texts[1])
            if tested:
                found.append(NodeChange(key[1], "field", key[1], tested))
    return found


def field_values(
    lake: Warehouse, ways: tuple[Variants | None, Variants | None], path: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Times (microseconds since 1970) and numbers of a field of both groups, oldest first; None where it holds no numbers."""
    times: list[int] = []
    numbers: list[float] = []
    for group in ways:
        inputs = read_inputs(lake, group, most=_MOST) if group is not None else None
        at = [number for number, key in enumerate(inputs.fields) if key[1] == path] if inputs is not None else []
        if inputs is None or not at:
            return None
        when = inputs.rows["created_at"].dt.as_unit("us").astype("int64").tolist()
        for moment, row in zip(when, inputs.values, strict=True):
            value = _number(row[at[0]] or "")
            if value is not None:
                times.append(moment)
                numbers.append(value)
    order = np.argsort(times, kind="stable")
    return np.array(times, dtype=np.int64)[order], np.array(numbers)[order]


def _answered(inputs: Inputs) -> list[str | None]:
    """The built-in's points, where the runs were paid just that: no rule set others, none vetoed."""
    if not wraps(inputs.variants.definition):
        return []
    passed = [answer_of(inputs.variants.definition, variant.beside)[1] for variant in inputs.used]
    numbers = zip(inputs.rows["variant"].tolist(), inputs.rows["points"].tolist(), strict=True)
    return [repr(points) for variant, points in numbers if passed[variant]]


def _amounts(lake: Warehouse, old: Variants, new: Variants, pairs: dict[int, int]) -> list[NodeChange]:
    """Calculations and payments, by their values."""
    nodes = new.definition.outline.nodes
    both = [(here, there) for here, there in pairs.items() if nodes[there].type in NUMBERS]
    if not both:
        return []
    columns = [_read_places(lake, side, [pair[number] for pair in both]) for number, side in enumerate((old, new))]
    found = []
    for number, (_, there) in enumerate(both):
        tested = compared_values([row[number] for row in columns[0]], [row[number] for row in columns[1]])
        if tested:
            found.append(NodeChange(words.place(new.definition.outline, there), nodes[there].type, None, tested))
    return found


def _read_places(lake: Warehouse, side: Variants, positions: Sequence[int]) -> list[list[str | None]]:
    """Of some runs, the JSON texts that the entries at some positions hold."""
    wanted = {}
    for variant in side.variants:
        entries = {position: entry for entry, position in enumerate(variant.beside.positions)}
        if variant.beside.fits:
            wanted[variant.key] = [entries.get(position) for position in positions]
    share = min(1.0, _MOST / max(1, side.logged_count))
    table = read(lake, side, wanted, share=share)
    columns = [_listed(table[f"field_{place}"]) for place in range(max(map(len, wanted.values()), default=0))]
    return [list(row) for row in zip(*columns, strict=True)]


def _listed(column: pa.ChunkedArray) -> list[str | None]:
    """Texts in a dictionary, each of which becomes one object."""
    coded = column.combine_chunks()
    texts = [*coded.dictionary.to_pylist(), None]
    return [texts[number] for number in coded.indices.fill_null(-1).to_numpy().tolist()]


def compared_values(old: Sequence[str | None], new: Sequence[str | None]) -> ValueChange | None:
    """Medians where nearly all are numbers, else the share of what is usual; None when a side has too few."""
    known = [[text for text in side if text is not None] for side in (old, new)]
    counts = [len(side) for side in known]
    if min(counts) < 2:
        return None
    numbers = [np.array([number for text in side if (number := _number(text)) is not None]) for side in known]
    if all(len(side) >= 0.95 * count for side, count in zip(numbers, counts, strict=True)):
        p = kolmogorov.two_samples_p(*numbers)
        middle = [float(np.median(side)) for side in numbers]
        distance = abs(middle[1] - middle[0]) / max(abs(middle[0]), 1e-9)
        return ValueChange(Measured.MEDIAN, middle[0], middle[1], counts[0], counts[1], p, distance)
    [(usual, _)] = Counter(known[0]).most_common(1)
    hits = [side.count(usual) for side in known]
    p = significance.fisher_test([[hit, count - hit] for hit, count in zip(hits, counts, strict=True)])
    shares = [hit / count for hit, count in zip(hits, counts, strict=True)]
    answer = usual if len(usual) <= _LONGEST else usual[: _LONGEST - 1] + "…"
    return ValueChange(
        Measured.SHARE, shares[0], shares[1], counts[0], counts[1], p, abs(shares[1] - shares[0]), usual=answer
    )


def _number(text: str) -> float | None:
    """A JSON number; None for any other value, and for one that no float holds."""
    if text[:1] not in "-0123456789" or not text:
        return None
    number = float(text)  # what JSON takes for a number Python reads as the same one
    return number if math.isfinite(number) else None
