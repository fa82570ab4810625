"""A program tried on the inputs that recorded runs read: run by run, and how many of a log can be given again at all."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from analytics.findings.replay.run_evidence import EVENT_FIELDS, Definition, Evidence, event_ids, pieces, read_json
from analytics.findings.replay.trace_variants import MOST_RECORDED, Variant, Variants, read
from analytics.program import MAX_NODES, Alignment
from analytics.program.alternative import AlternativeProgram, PointsBounds, RecordedRun
from analytics.storage.typed_json import Json
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from analytics.estimates.arrays import Ints


@dataclass(frozen=True, slots=True)
class Inputs:
    """Ok runs with finite points whose traces fit their program, and what they read.

    Attributes:
        variants: Their ways through the program.
        used: Those of them that fit, in the order of the numbers in ``rows.variant``.
        fields: (phase, path) of each field that some run read; phase is ``post`` behind the built-in of DSL_EXTEND, else ``pre``.
        rows: Grain: logged run. ``execution_id``, ``created_at``, ``weight`` (runs it stands for, with the part that was taken),
            ``points``, ``case_name``, the event's ids, ``parent_strategy_id``, ``variant``.
        values: Of each run, JSON texts in the order of ``fields``; None where it did not read one.
        share: The part of the variants' runs that was taken.
        alike: A number per run: those of one number took the same way and read the same.
    """

    variants: Variants
    used: tuple[Variant, ...]
    fields: tuple[tuple[str, str], ...]
    rows: pd.DataFrame
    values: list[tuple[str | None, ...]]
    share: float
    alike: Ints


def read_inputs(lake: Warehouse, variants: Variants, *, most: int = MOST_RECORDED) -> Inputs:
    """Read the inputs of a version's runs, at most about so many."""
    used = tuple(variant for variant in variants.variants if variant.beside.fits)
    places = [first_reads(variants, variant) for variant in used]
    fields = tuple(dict.fromkeys(key for reads in places for key in reads))
    wanted = {variant.key: [reads.get(key) for key in fields] for variant, reads in zip(used, places, strict=True)}
    logged = sum(variant.logged_count for variant in used)
    share = min(1.0, most / logged) if logged else 1.0
    table = read(lake, variants, wanted, share=share)
    coded = [table[f"field_{place}"].combine_chunks() for place in range(len(fields))]
    table = table.drop([f"field_{place}" for place in range(len(fields))])
    numbers = [column.indices.fill_null(-1).to_numpy() for column in coded]
    alike, first = joined_codes([table["variant"].to_numpy(), *numbers])
    # All that runs have read that read the same is one object.
    texts = [[*column.dictionary.to_pylist(), None] for column in coded]
    read_first = [[of[number] for number in column[first].tolist()] for of, column in zip(texts, numbers, strict=True)]
    distinct = list(zip(*read_first, strict=True)) if fields else [() for _ in first]
    values = [distinct[number] for number in alike.tolist()]
    rows = table.to_pandas()
    rows["weight"] = rows["sample_weight"].to_numpy(float, na_value=math.nan) / (share * variants.part)
    return Inputs(variants, used, fields, rows, values, share, alike)


def joined_codes(columns: Sequence[ArrayLike]) -> tuple[Ints, Ints]:
    """Number rows by all of their values: of each row its number, and of each number the first row that has it.

    Args:
        columns: One or more, of one length; what is missing is a value as any other.
    """
    import numpy as np
    import pandas as pd

    codes: Ints = np.zeros(len(np.asarray(columns[0])), dtype=np.int64)
    for column in columns:
        of_column, known = pd.factorize(np.asarray(column))
        codes = pd.factorize(codes * (len(known) + 1) + of_column + 1)[0].astype(np.int64)
    first = np.full(int(codes.max()) + 1 if len(codes) else 0, len(codes), dtype=np.int64)
    np.minimum.at(first, codes, np.arange(len(codes)))
    return codes, first


def first_reads(variants: Variants, variant: Variant) -> dict[tuple[str, str], int]:
    """The entry at which each field was read first."""
    nodes = variants.definition.outline.nodes
    first: dict[tuple[str, str], int] = {}
    for entry, position in enumerate(variant.beside.positions):
        node = nodes[position]
        if node.type == "field" and node.path is not None:
            first.setdefault(("post" if node.section == "post_rules" else "pre", node.path), entry)
    return first


class Decoder:
    """JSON texts to values, each text once."""

    def __init__(self) -> None:
        self._known: dict[str, Json] = {}

    def fields(self, inputs: Inputs, values: tuple[str | None, ...], phase: str) -> dict[str, Json]:
        """Path → value of what was read in a phase."""
        found = {}
        for (of, path), text in zip(inputs.fields, values, strict=True):
            if text is not None and of == phase:
                if text not in self._known:
                    self._known[text] = read_json(text)
                found[path] = self._known[text]
        return found


MOST = 200
"""Runs that are replayed with every entry."""
_STRETCHES = 20
"""Moments in which they ran, where there are many: traces lie so far apart that each of 200 moments is a file's part to be read."""


@dataclass(frozen=True, slots=True)
class ReplayShare:
    """Logged ok runs replayed with all their entries, evenly spread over the time.

    Attributes:
        looked_at: Runs that have a trace and a definition.
        reproduced: Of them, those with every recorded entry, the points and the case the same.
        undecided: Those whose cut trace lacks what the rest of the run read; what is recorded is the same.
        unfit: Those whose definition is not the program that ran.
        edited: Of these, those that fit the program which their version had before it was edited in place; that one was replayed.
        example: A run that differs or does not fit, and why; empty when there is none.
    """

    looked_at: int
    reproduced: int
    undecided: int
    unfit: int
    example: str = ""
    edited: int = 0

    def __str__(self) -> str:
        if not self.looked_at:
            return "none could be replayed: no trace, or no definition in the lake"
        text = f"replay reproduced every entry of {self.reproduced:,} of {self.looked_at:,} runs looked at"
        if self.undecided:
            text += f"; {self.undecided:,} cut ones as far as they are stored"
        if self.edited:
            text += f"; {self.edited:,} ran before their version was edited in place, and were replayed with the program it had"
        if self.unfit > self.edited:
            text += f"; {self.unfit - self.edited:,} do not fit their definition"
        return f"{text}; {self.example}" if self.example else text


def replay_share(lake: Warehouse, rows: pd.DataFrame, *, most: int = MOST) -> ReplayShare:
    """Replay some of the ok runs.

    Args:
        lake: Where their traces and definitions are.
        rows: As ``family_runs`` gives them.
        most: How many; of more, every so-manieth is taken; of more than are replayed at all, some after each of a few moments.
    """
    import numpy as np  # who explains one run needs no arrays

    ok = np.flatnonzero((rows["status"] == "ok").to_numpy())
    if len(ok) > MOST_RECORDED:
        starts = np.linspace(0, len(ok) - 1, _STRETCHES + 1).astype(np.int64)[:-1]
        places = ok[(starts[:, None] + np.arange(most // _STRETCHES)).ravel()]
    else:
        places = ok[:: max(1, -(-len(ok) // most))]
    chosen = rows[["execution_id", "created_at"]].iloc[places]
    when = chosen["created_at"].dt.to_pydatetime().tolist()
    tried = [found for found in pieces(lake, chosen["execution_id"].tolist(), when) if found.alignment is not None]
    verdicts = [found.replay.verdict if found.replay else "unfit" for found in tried]
    edited = sum(found.definition is not None and found.definition.replaced_at is not None for found in tried)
    unfit = edited + sum(not found.fits for found in tried)
    wrong = next(
        (found for found in tried if not found.fits or (found.replay and found.replay.verdict == "differs")), None
    )
    return ReplayShare(
        len(tried),
        verdicts.count("reproduced"),
        verdicts.count("undecided"),
        unfit,
        _told(wrong) if wrong is not None else "",
        edited,
    )


def _told(evidence: Evidence) -> str:
    why = evidence.replay.says if evidence.replay else evidence.alignment.mismatch if evidence.alignment else ""
    return f"for example {evidence.run.execution_id} {why}"


#: The run did end, so whatever its cap was, it is not what ended it.
_NO_CAP: Final = 10**9
_LARGE: Final = re.compile(r"(?<![\d.])\d{17,}(?![\d.])")
"""A whole number that may have been a float when it was logged."""


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What a program pays on one run's inputs.

    Attributes:
        low, high: Its points, twice the same when they are decided; else the least and the most.
        case_name: The case; None when none is or when it is not decided.
        code: Error code when the program fails there: it then pays nothing.
        missing: What it needs and the trace does not hold, in words; None when decided.
        knows_case: Whether the case is decided, too: points may be where the case is not.
        visits: Nodes that one phase visits at most; None where the run is not known to its end.
        nodes: Entries of its trace; None likewise.
        hits: The branches of rules that it took, a bit each as `program.branches` numbers them; none of a run that fails.
        untold: What the log does not tell of the run, also where its points are decided; None when all of it is known.
        may_fail: The run may fail on that, which `low` and `high` leave out.
    """

    low: float
    high: float
    case_name: object = None
    code: str | None = None
    missing: str | None = None
    knows_case: bool = True
    visits: int | None = None
    nodes: int | None = None
    hits: int = 0
    untold: str | None = None
    may_fail: bool = False

    @property
    def at_worst(self) -> ReplayOutcome:
        """The same, with the nothing that a failing run pays among what may come."""
        if not self.may_fail:
            return self
        low, high = min(0.0, self.low), max(0.0, self.high)
        missing = None if low == high else self.missing or self.untold
        return replace(self, low=low, high=high, case_name=None, knows_case=False, missing=missing)


def wraps(program: Definition) -> bool | None:
    """Whether a program wraps a built-in; None for one without a type and without any rules, which may be either."""
    if (known := {"DSL_FULL": False, "DSL_EXTEND": True}.get(program.strategy_type or "")) is not None:
        return known
    if program.ast.get("pre_rules") or program.ast.get("post_rules"):
        return True
    return False if program.ast.get("rules") or program.ast.get("default") else None


class PaidRun(NamedTuple):
    """What one row of ``Inputs.rows`` holds besides what the run read.

    Attributes:
        points, case_name: What it was paid; None for no case.
        variant: Its way through the program, by its number among ``Inputs.used``.
        external_game_id, external_task_id, external_user_id: Of its event.
        parent_strategy_id: The built-in that its row names.
    """

    points: float
    case_name: str | None
    variant: int
    external_game_id: str | None = None
    external_task_id: str | None = None
    external_user_id: str | None = None
    parent_strategy_id: str | None = None

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Iterator[PaidRun]:
        """Of each row; what is missing in a frame may be a NaN."""
        texts = [[value if isinstance(value, str) else None for value in rows[name].tolist()] for name in _TEXTS]
        case_names, *ids = texts
        return map(cls, rows["points"].tolist(), case_names, rows["variant"].tolist(), *ids)


_TEXTS: Final = ("case_name", "external_game_id", "external_task_id", "external_user_id", "parent_strategy_id")


class Replayer:
    """One program on many inputs; equal inputs are tried once.

    Args:
        program: To be tried.
        inputs: What the runs of some version read.
    """

    def __init__(self, program: Definition, inputs: Inputs) -> None:
        ran = inputs.variants.definition
        self._inputs, self._decoder = inputs, Decoder()
        self._done: dict[tuple[object, ...], ReplayOutcome] = {}
        self._plain: dict[
            tuple[object, ...], ReplayOutcome
        ] = {}  # those that depend on nothing but what was read: a million runs ask for few
        kind = wraps(ran)
        self._is_extend = bool(wraps(program) if kind is None else kind)
        self._own = instead_of(ran, ran, is_extend=self._is_extend)
        self._instead = instead_of(program, ran, is_extend=self._is_extend)
        self._answers = [answer_of(inputs.variants.definition, variant.beside) for variant in inputs.used]
        # Only where the program asks for the event's ids do equal inputs need equal ids.
        asked = {node.path for node in program.outline.nodes}
        self._ids = not asked.isdisjoint(EVENT_FIELDS)

    def run(self, run: PaidRun, values: tuple[str | None, ...]) -> ReplayOutcome:
        """Try the program on one run's inputs."""
        read = (run.variant, values)
        if (known := self._plain.get(read)) is not None:
            return known
        ids = event_ids(run) if self._ids else {}
        is_large = any(text is not None and len(text) > 16 and _LARGE.search(text) is not None for text in values)
        paid = (run.points, run.case_name, run.parent_strategy_id) if self._is_extend or is_large else None
        key = (*read, paid, tuple(ids.items()))
        found = self._done.get(key)
        if found is None:
            recorded = self._recorded(run, values, ids)
            if is_large:
                recorded = as_it_ran(self._own, recorded, run.points, run.case_name)
            answer = self._instead.pays(recorded)
            missing = None if answer.is_decided else answer.missing or "points that are no number"
            found = self._done[key] = ReplayOutcome(
                answer.low, answer.high, answer.case_name, answer.code, missing, answer.knows_case, answer.visits,
                answer.nodes, answer.hits, answer.missing or missing, answer.may_fail,
            )  # fmt: skip
            if paid is None and not self._ids:
                self._plain[read] = found
        return found

    def all(self) -> tuple[list[ReplayOutcome], Ints]:
        """Try the program on every run: some outcomes, and for each run the number of its own."""
        inputs, rows = self._inputs, self._inputs.rows
        texts = {text for read in set(inputs.values) for text in read if text is not None}
        columns: list[ArrayLike] = [inputs.alike]
        if self._ids:
            columns += [rows[name] for name in _TEXTS[1:4]]
        if self._is_extend or any(len(text) > 16 and _LARGE.search(text) is not None for text in texts):
            columns += [rows[name] for name in ("points", "case_name", "parent_strategy_id")]
        numbers, first = joined_codes(columns)
        runs = PaidRun.of(rows.iloc[first])
        return [self.run(run, inputs.values[at]) for run, at in zip(runs, first.tolist(), strict=True)], numbers

    def _recorded(self, run: PaidRun, values: tuple[str | None, ...], ids: Mapping[str, str]) -> RecordedRun:
        fields = {**ids, **self._decoder.fields(self._inputs, values, "pre")}
        if not self._is_extend:
            return RecordedRun(fields)
        read = self._decoder.fields(self._inputs, values, "post")
        return _around_built_in(
            fields, read, self._answers[run.variant], (run.points, run.case_name), run.parent_strategy_id
        )


def instead_of(program: Definition, ran: Definition, *, is_extend: bool) -> AlternativeProgram:
    """One version to be run instead of another, with the built-ins of both.

    Args:
        program: This one.
        ran: The one that ran.
        is_extend: The one that ran wraps a built-in.
    """
    kind = None if program is ran else wraps(program)
    return AlternativeProgram(
        program.program,
        ran.program,
        is_extend=is_extend if kind is None else kind,
        ran_is_extend=is_extend,
        max_nodes=_NO_CAP if program is ran else MAX_NODES,
        wraps=program.built_in,
        ran_wraps=ran.built_in,
    )


def recorded(evidence: Evidence) -> RecordedRun | None:
    """What one run left that another program can be tried on; None where it is not known what it read."""
    beside, run = evidence.alignment, evidence.run
    if evidence.definition is None or beside is None or not beside.fits:
        return None
    fields = {**event_ids(run), **beside.fields}
    if not evidence.is_extend:
        return RecordedRun(fields)
    answer = answer_of(evidence.definition, beside) if evidence.is_ok else (beside.vetoed, False, False)
    return _around_built_in(fields, beside.post_fields, answer, (run.points, run.case_name), run.parent_strategy_id)


def as_it_ran(own: AlternativeProgram, found: RecordedRun, points: float | None, case_name: str | None) -> RecordedRun:
    """Large whole numbers as floats, where the program that ran only then gives what was paid.

    Args:
        own: The program that ran, instead of itself.
        found: What the run left.
        points, case_name: What it was paid.
    """

    def is_paid(answer: PointsBounds) -> bool:
        return bool(answer.low == answer.high == points and answer.case_name == case_name)

    restored = found.as_written()
    same = is_paid(own.pays(found)) or not is_paid(own.pays(restored))
    return found if same else restored


def _around_built_in(
    fields: Mapping[str, Json],
    read: Mapping[str, Any],
    answer: tuple[bool, bool, bool],
    paid: tuple[float | None, str | None],
    parent_id: str | None,
) -> RecordedRun:
    """What a run around a built-in left: what the built-in answered was read by the post phase, or is what was paid."""
    vetoed, points_are_paid, case_is_paid = answer
    rest = {path: value for path, value in read.items() if path not in ("parent.points", "parent.case_name")}
    return RecordedRun(
        fields,
        rest,
        read.get("parent.points", paid[0]),
        read.get("parent.case_name", paid[1]),
        knows_points=points_are_paid or "parent.points" in read,
        knows_case=case_is_paid or "parent.case_name" in read,
        vetoed=vetoed,
        parent_id=parent_id,
    )


def answer_of(program: Definition, beside: Alignment) -> tuple[bool, bool, bool]:
    """Whether a veto ended a run; whether what it paid, and for which case, is the built-in's answer.

    What a rule has set is the rule's; of a cut trace it is not known whether a later rule has set it.
    """
    nodes = program.outline.nodes
    wrote = {nodes[at].type for at in beside.positions if nodes[at].section == "post_rules"}
    # Past the validator a payment or a veto may stand behind the built-in: both set points and case.
    passed_on = beside.end == "finished" and not beside.vetoed and not wrote & {"assign_points", "veto"}
    return beside.vetoed, passed_on and "set_points" not in wrote, passed_on and "set_case_name" not in wrote
