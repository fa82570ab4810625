"""The recorded runs of a strategy with what another program makes of each: points, case, failure, visits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analytics.findings.post_mortem.groups import Group
from analytics.findings.replay.replay_run import Inputs, Replayer, ReplayOutcome, read_inputs, wraps
from analytics.findings.replay.run_evidence import Definition, past_definitions
from analytics.findings.replay.says_same import says_same
from analytics.findings.replay.trace_variants import find_variants
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

    from analytics.estimates.arrays import Array, Bools, Floats, Ints

MOST_RUNS = 1_000_000
"""Runs that are tried; of more, an even part is taken."""
NEAR = 1e-9
"""Two amounts that differ by less, beside their size, are one amount."""

_LOOKED_AT, _LEAST_LOOKED_AT = 1.5, 5_000
"""Times the runs to be tried whose traces are read, and how many at least: of some the trace is missing or does not fit."""

_CHANCE = 4.0
"""Standard deviations of a binomial count, within which a part of the runs is as large as it should be."""

_COLUMNS = ("execution_id", "created_at", "external_user_id", "points", "case_name", "weight")
_TRIED = (
    "label", "low", "high", "would_case", "knows_case", "code", "visits", "nodes", "own_nodes", "hits", "missing", "may_fail",
    "is_decided", "is_changed", "is_own", "is_contradicted", "is_base_known", "is_same",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class VersionRuns:
    """How far the logged runs of one version could be tried.

    Attributes:
        label: ``v3``.
        strategy_id, strategy_version: The version.
        logged_count: Its logged ok runs with finite points.
        failed_count: Its logged failed runs: they leave no input to try.
        unpaid_count: Its logged ok runs without points that can be added up: none, NaN or infinite.
        tried_count: Runs that were tried; less than logged where a part was taken, or a trace is missing or does not fit.
        own_count: Of the tried ones, those whose points and case their own program gives again.
        contradicted_count: Those for which it gives something else; of the rest a cut trace does not tell.
        reason: Why none was tried, in a clause; empty otherwise.
    """

    label: str
    strategy_id: str
    strategy_version: int
    logged_count: int
    failed_count: int
    tried_count: int
    own_count: int
    reason: str = ""
    contradicted_count: int = 0
    unpaid_count: int = 0

    @property
    def open_count(self) -> int:
        """Tried runs of which a cut trace does not tell whether their own program gives them again."""
        return self.tried_count - self.own_count - self.contradicted_count


@dataclass(frozen=True, slots=True)
class RehearsedRuns:
    """All runs that a program was tried on.

    Attributes:
        rows: Grain: tried logged run. ``execution_id``, ``created_at``, ``external_user_id``, ``points`` and ``case_name`` as they
            were paid, ``weight`` (runs it stands for), ``label`` of its version; ``low`` and ``high``, the least and the most
            that the program pays, the same where that is decided; ``would_case``, ``knows_case``, ``code`` of a failure, ``visits``
            (nodes, as the cap counts them; NaN where not known), ``nodes`` (as the log counts them, entries of the trace; NaN
            likewise) and ``own_nodes`` (the same of its own program), ``hits`` (the branches of rules that it takes, a bit each as
            `program.branches` numbers them), ``missing`` (what the log does not tell, also where the points are decided all the
            same), ``may_fail`` (the run may fail on that: 0 is then within ``low`` and ``high``), ``is_decided`` (the points are),
            ``is_changed`` (decided, and paid otherwise than it was), ``is_own`` (its own program gives the run again),
            ``is_contradicted`` (its own program gives something else: what ran was another one), ``is_base_known`` (what the run
            is held against is known), ``is_same`` (the program says the same as what it is held against, so that no run is paid
            otherwise, logged or not). Where the program is held against another one, ``points`` and ``case_name`` are that one's.
        versions: Of the strategy, in the order in which they ran.
        share: The part of the runs that was taken, 1 for all.
    """

    rows: pd.DataFrame
    versions: tuple[VersionRuns, ...]
    share: float

    @property
    def logged_count(self) -> int:
        """Logged ok runs with finite points."""
        return sum(version.logged_count for version in self.versions)

    @property
    def unpaid_count(self) -> int:
        """Logged ok runs without points that can be added up."""
        return sum(version.unpaid_count for version in self.versions)

    @property
    def failed_count(self) -> int:
        """Logged failed runs, none of which was tried."""
        return sum(version.failed_count for version in self.versions)


class RunInputs:
    """What the logged runs of a strategy read: read once, for as many programs as are tried on it.

    Args:
        lake: Where the runs are.
        realm: Their tenant.
        groups: Label → the logged runs of a version in the window.
        most: Runs to try at most; of more, an even part of every version is taken.
        part: The part of the drawn runs that the groups hold.
    """

    def __init__(
        self,
        lake: Warehouse,
        realm: str | None,
        groups: Mapping[str, Group],
        *,
        most: int = MOST_RUNS,
        part: float = 1.0,
    ) -> None:
        self._lake, self._realm, self._groups, self._part = lake, realm, groups, part
        self._logged = {label: group.paid_count for label, group in groups.items()}
        self._quotas = quotas(self._logged, most)
        self._share = min(1.0, most / max(1, sum(self._logged.values())))
        self._read: dict[str, Inputs | str] = {}
        self._own: dict[str, tuple[list[ReplayOutcome], Ints]] = {}  # a column each would be as much as all rows

    def tried(self, program: Definition, beside: Definition | None = None) -> RehearsedRuns:
        """Try a program on the runs of each version.

        Args:
            program: What is tried.
            beside: A program whose pay the runs are held against, in place of what they were paid; None for that.
        """
        import pandas as pd

        parts, versions = [], []
        for label, group in self._groups.items():
            inputs = self._inputs(label, group, (program,) if beside is None else (program, beside))
            rows = self._tried(label, inputs, program, beside) if isinstance(inputs, Inputs) else None
            if rows is not None:
                parts.append(rows)
            versions.append(
                VersionRuns(
                    label,
                    group.strategy_id or "",
                    group.strategy_version or 0,
                    self._logged[label],
                    len(group.failed),
                    0 if rows is None else len(rows),
                    0 if rows is None else int(rows["is_own"].sum()),
                    inputs if isinstance(inputs, str) else "",
                    0 if rows is None else int((rows["is_contradicted"] & ~rows["is_own"]).sum()),
                    int((group.rows["status"] == "ok").sum()) - self._logged[label],
                )
            )
        # In the order of these columns already: picking them would copy a million rows.
        rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*_COLUMNS, *_TRIED])
        return RehearsedRuns(rows, tuple(versions), self._share)

    def _inputs(self, label: str, group: Group, programs: Iterable[Definition]) -> Inputs | str:
        """What a version's runs read, or why that is not known, or is of no use to these programs."""
        if label not in self._read:
            self._read[label] = self._read_inputs(group, self._quotas[label])
        found = self._read[label]
        if isinstance(found, str):
            return found
        own = wraps(found.variants.definition)
        if any({own, wraps(program)} == {True, False} for program in programs):
            return "one program stands alone and the other wraps a built-in, which would have been asked anew"
        return found

    def _read_inputs(self, group: Group, quota: int) -> Inputs | str:
        if not group.paid_count:
            return "none of its logged runs was paid"
        if group.strategy_id is None:
            return "its rows are of several versions"
        if not quota:
            return "fewer runs are tried than there are versions"
        looked_at = min(1.0, max(_LEAST_LOOKED_AT, _LOOKED_AT * quota) / group.paid_count)
        variants = find_variants(self._lake, self._realm, group, part=self._part, most=quota, looked_at=looked_at)
        if variants is None:
            return "its definition is not in the lake"
        if variants.doubt:
            return variants.doubt
        read = _as_many(read_inputs(self._lake, variants, most=quota), group.paid_count, self._part)
        # What was kept beside the variants has been read.
        inputs = replace(_at_most(read, quota), variants=replace(variants, kept=None))
        return inputs if len(inputs.rows) else "no run of it has a trace that fits its program"

    def _tried(self, label: str, inputs: Inputs, program: Definition, beside: Definition | None) -> pd.DataFrame:
        """Rows of ``RehearsedRuns`` of one version. What is alike for many runs is worked out once."""
        own, other, rows = self._own_outcomes(label, inputs), self._outcomes(label, inputs, program), inputs.rows
        points, case_name = rows["points"].to_numpy(float), _texts(rows["case_name"].tolist())
        is_contradicted = own.contradict(points, case_name)
        if beside is None:
            base = _Base.of(points, case_name, other)
            is_same = not is_contradicted.any() and self._ran(inputs, program)
        else:
            base = _Base.beside(points, other, self._outcomes(label, inputs, beside))
            is_same = says_same(program, beside)
            base = base.alike() if is_same else base
        is_missing = _is_text(base.missing)
        is_decided = ~is_missing & np.isfinite(base.low)
        low = np.where(is_decided, base.low, base.points)
        return rows[list(_COLUMNS)].assign(
            label=label,
            points=base.points,
            case_name=base.case_name,
            low=base.low,
            high=base.high,
            would_case=other.case_name,
            knows_case=other.knows_case & base.knows_case,
            code=other.code,
            visits=other.visits,
            nodes=other.nodes,
            own_nodes=own.nodes,
            hits=other.hits,
            missing=np.where(is_missing, base.missing, other.untold),
            may_fail=other.may_fail,
            is_decided=is_decided,
            is_changed=is_decided & ~np.isclose(base.points, low, rtol=NEAR, atol=NEAR),
            is_own=(own.low == points) & (own.high == points) & (own.case_name == case_name),
            is_contradicted=is_contradicted,
            is_base_known=base.is_known,
            is_same=is_same,
        )

    def _own_outcomes(self, label: str, inputs: Inputs) -> Outcomes:
        """What the program that ran makes of its own runs, as far as their traces tell."""
        if label not in self._own:
            # These runs did not fail, whatever a cut trace lacks.
            self._own[label] = Replayer(inputs.variants.definition, inputs).all()
        return Outcomes.of(*self._own[label])

    def _outcomes(self, label: str, inputs: Inputs, program: Definition) -> Outcomes:
        """What a program makes of the runs: of the one that ran the log tells it, however much a cut trace leaves out."""
        if not self._ran(inputs, program):
            return _outcomes(program, inputs)
        rows = inputs.rows
        points, case_name = rows["points"].to_numpy(float), _texts(rows["case_name"].tolist())
        return self._own_outcomes(label, inputs).as_paid(points, case_name)

    def _ran(self, inputs: Inputs, program: Definition) -> bool:
        """The program says the same as the one that ran, which was not edited in place since, and asked its own built-in."""
        of = inputs.variants
        if not says_same(program, of.definition) or of.group.strategy_id is None or of.group.strategy_version is None:
            return False
        asked = inputs.rows["parent_strategy_id"].dropna()
        if wraps(program) and not (asked == of.definition.built_in.strategy_id).all():
            return False
        past = past_definitions(self._lake, of.group.strategy_id, of.group.strategy_version)
        return all(one.replaced_at is not None and one.replaced_at <= of.group.since for one in past)


def quotas(logged: Mapping[str, int], most: int) -> dict[str, int]:
    """How many runs of each version are tried: in proportion, together at most so many, and of each version one while that can be.

    Args:
        logged: Label → logged runs.
        most: Together.
    """
    count = sum(logged.values())
    if count <= most:
        return dict(logged)
    found = {label: max(min(1, own), most * own // count) for label, own in logged.items()}
    over = sum(found.values()) - most
    for label in sorted(found, key=lambda one: -found[one]):
        less = min(max(0, over), found[label] - 1) if found[label] else 0
        found[label], over = found[label] - less, over - less
    for label in sorted(found, key=lambda one: logged[one]):  # there are more versions than runs to try
        if over > 0 and found[label]:
            found[label], over = 0, over - 1
    return found


def _as_many(inputs: Inputs, logged: int, part: float) -> Inputs:
    """Weights of a part that together stand for as many runs as are logged: how many it holds is the chance of a hash of ids.

    Where fewer are there than that chance tells, some cannot be tried, and the others do not stand for them.

    Args:
        inputs: What was read.
        logged: Logged ok runs with finite points, of which they are a part.
        part: The part of the drawn runs that these are.
    """
    share = inputs.share * inputs.variants.part / part
    found = len(inputs.rows) / share
    if share >= 1 or not found or abs(found - logged) > _CHANCE * math.sqrt(logged * (1 - share) / share):
        return inputs
    return replace(inputs, rows=inputs.rows.assign(weight=inputs.rows["weight"] * (logged / found)))


def _at_most(inputs: Inputs, quota: int) -> Inputs:
    """Not more runs than wanted: a part by a hash of ids holds a few more or less.

    The rows are in the order of their ids, which are random: every so-manieth of them is an even part again.
    """
    count = len(inputs.rows)
    if count <= quota:
        return inputs
    taken = np.arange(quota) * count // quota
    rows = inputs.rows.iloc[taken].reset_index(drop=True)
    rows["weight"] = rows["weight"] * (count / quota)
    values = [inputs.values[place] for place in taken.tolist()]
    return replace(
        inputs, rows=rows, values=values, share=inputs.share * quota / count, alike=inputs.alike[taken]
    )  # fmt: skip


def _outcomes(program: Definition, inputs: Inputs) -> Outcomes:
    """A program on each run, which may fail on what the log does not tell."""
    found, numbers = Replayer(program, inputs).all()
    return Outcomes.of([one.at_worst for one in found], numbers)


@dataclass(frozen=True, slots=True)
class _Base:
    """What the runs are held against, and what is then known of the program that is tried.

    Attributes:
        points, case_name: Of what they are held against; of a run for which that is open, what it was paid.
        is_known: That is not open.
        knows_case: Their case is known.
        low, high: The least and the most that the program pays; where it is open what it is held against, so far that the
            difference to ``points`` holds all that the two may differ by.
        missing: What the log does not tell.
    """

    points: Floats
    case_name: Array
    is_known: Bools
    knows_case: Bools
    low: Floats
    high: Floats
    missing: Array

    @classmethod
    def of(cls, points: Floats, case_name: Array, tried: Outcomes) -> _Base:
        """What they were paid."""
        known = np.ones(len(points), dtype=bool)
        return cls(points, case_name, known, known, tried.low, tried.high, tried.missing)

    @classmethod
    def beside(cls, points: Floats, tried: Outcomes, other: Outcomes) -> _Base:
        """What another program pays for them."""
        known: Bools = ~other.is_missing & np.isfinite(other.low)
        with np.errstate(invalid="ignore"):
            low, high = points + (tried.low - other.high), points + (tried.high - other.low)
        missing = np.where(known | tried.is_missing, tried.missing, other.missing)
        return cls(
            np.where(known, other.low, points), other.case_name, known, other.knows_case, np.where(known, tried.low, low),
            np.where(known, tried.high, high), missing,
        )  # fmt: skip

    def alike(self) -> _Base:
        """The same where both programs say the same: whatever a run is paid, it is paid by both."""
        return replace(self, low=self.points, high=self.points)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a program makes of each run, a column each, as ``ReplayOutcome`` has it. A case that is no text is none."""

    low: Floats
    high: Floats
    case_name: Array
    knows_case: Bools
    code: Array
    has_failed: Bools
    visits: Floats
    nodes: Floats
    hits: Array
    missing: Array
    is_missing: Bools
    untold: Array
    may_fail: Bools

    @classmethod
    def of(cls, found: Sequence[ReplayOutcome], numbers: Ints) -> Outcomes:
        """Of some outcomes, and for each run the number of its own."""

        def floats(name: str) -> Floats:
            values = [getattr(one, name) for one in found]
            return np.array([math.nan if value is None else value for value in values], dtype=float)[numbers]

        def texts(name: str) -> Array:
            return _texts([getattr(one, name) for one in found])[numbers]

        hits = np.empty(len(found), dtype=object)  # a bit for each branch may be more than any number of numpy has
        hits[:] = [one.hits for one in found]
        code, missing = texts("code"), texts("missing")
        return cls(
            floats("low"), floats("high"), texts("case_name"), floats("knows_case").astype(bool), code, _is_text(code),
            floats("visits"), floats("nodes"), hits[numbers], missing, _is_text(missing), texts("untold"),
            floats("may_fail").astype(bool),
        )  # fmt: skip

    def as_paid(self, points: Floats, case_name: Array) -> Outcomes:
        """The same of the program that ran: what it paid is known, though a cut trace may not tell how it came to that.

        A run that was surely not paid by it stays as it is.

        Args:
            points, case_name: What each run was paid.
        """
        is_paid = ~self.contradict(points, case_name)
        missing, untold = self.missing.copy(), self.untold.copy()
        missing[is_paid] = untold[is_paid] = None
        return replace(
            self, low=np.where(is_paid, points, self.low), high=np.where(is_paid, points, self.high),
            case_name=np.where(is_paid, case_name, self.case_name), knows_case=self.knows_case | is_paid,
            missing=missing, is_missing=self.is_missing & ~is_paid, untold=untold, may_fail=self.may_fail & ~is_paid,
        )  # fmt: skip

    def contradict(self, points: Floats, case_name: Array) -> Bools:
        """Which runs were surely not paid by this program; what a cut trace leaves open is no contradiction.

        Args:
            points, case_name: What each run was paid.
        """
        near = NEAR * np.maximum(1.0, np.abs(points))
        is_outside = (points < self.low - near) | (points > self.high + near)
        is_other_case: Bools = self.knows_case & ~self.is_missing & (self.case_name != case_name)
        return is_outside | self.has_failed | is_other_case


def _texts(values: list[object]) -> Array:
    """Texts, and None for all else: a case that is no text is one that the log cannot hold."""
    found = np.empty(len(values), dtype=object)
    found[:] = [value if isinstance(value, str) else None for value in values]
    return found


def _is_text(values: Array) -> Bools:
    return np.array([value is not None for value in values.tolist()], dtype=bool)
