"""Small random lakes: which oddities a log has is drawn by hypothesis, its rows by a seed."""

from __future__ import annotations

import math
import random
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from analytics.demo import engine
from analytics.demo.engine import TRACE_LIMIT
from analytics.estimates.sampling_rates import RateEntry, Rates
from analytics.lake.lake import Lake
from analytics.program import ParentResult, compile_program
from tests.odd import log, programs
from tests.odd.programs import BUILT_IN, EXTENDING, HOSTILE, KINDS

FIRST = datetime(2026, 7, 6, tzinfo=UTC)
REALMS: tuple[str | None, ...] = (None, "", "acme", f"../{HOSTILE}=/")
WINDOWS = {
    "days": (0.0, None),
    "day": (0.0, 1.0),
    "last day": (None, None),
    "minute": (0.5, 0.5 + 1 / 1440),
    "40 days": (-38.0, 2.0),
    "mid-day": (0.4, 1.7),
    "future": (70.0, 72.0),
    "before": (-9.0, -8.0),
}
"""Days from the first one on; ``None`` is the last day, and the end of it."""
ODD_NUMBERS = (math.nan, math.inf, -math.inf, 1e300, -1e300, -9007199254740993.0, 5e-324, -0.0, 0.0)
CODES = {
    "error": ("DSL_ARITH_DIV_BY_ZERO", "DslExecutionError", "DSL_NEW_IN_2031", None, HOSTILE, "DSL_UNEXPECTED"),
    "timeout": ("DSL_TIMEOUT", None),
    "limit": ("DSL_LIMIT_EXCEEDED", "DSL_LIMIT_OF_SOMETHING"),
    "canary": ("DSL_FIELD_NOT_PRECOMPUTED", "DSL_UNKNOWN_STATEMENT", "DslValidationError"),
}


@dataclass(frozen=True)
class Strategy:
    """A family.

    Attributes:
        kind: Of its programs.
        realm: Its tenant.
        name: Of the family.
        versions: How many there are, one after the other.
        shares_id: All of them under one id.
    """

    kind: str
    realm: str | None
    name: str
    versions: int
    shares_id: bool

    def strategy_id(self, version: int) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.realm!r}/{self.name}/{0 if self.shares_id else version}"))

    def ast(self, version: int) -> Any:
        return programs.program(self.kind, version + 1)


@dataclass(frozen=True)
class Shape:
    """What is odd about a lake.

    Attributes:
        seed: Of its rows.
        rows: Logged, at most.
        days: They spread over.
        strategies: Who ran.
        definitions: Which of their programs the lake knows: ``all``, ``some``, ``none``, ``no table``, ``broken``.
        failing: Statuses of failed runs; ``unknown`` is a status that nobody has heard of.
        failed_share: How many of the rows they are.
        traces: ``real``, ``null`` (SQL's), ``json null``, ``cut``, ``no list``, ``also failed``, ``odd ids``.
        points: ``real``, ``odd``, ``null``, ``huge``.
        durations: ``real``, ``zero``, ``odd``, ``alike``, ``stalls``.
        nodes: ``real``, ``zero``, ``huge``.
        texts: Of games, users and cases: ``plain``, ``null``, ``hostile``.
        undated: Share of rows without a time.
        bursts: Failures come within a minute.
        sampled: ``right``, ``wrong``.
        rate: ``half``, ``all``, ``rare``, ``steps``, ``zero``.
        window: One of ``WINDOWS``.
    """

    seed: int = 0
    rows: int = 20
    days: int = 2
    strategies: tuple[Strategy, ...] = (Strategy("plain", "acme", "Ride", 2, False),)
    definitions: str = "all"
    failing: tuple[str, ...] = ("error",)
    failed_share: float = 0.2
    traces: str = "real"
    points: str = "real"
    durations: str = "real"
    nodes: str = "real"
    texts: str = "plain"
    undated: float = 0.0
    bursts: bool = False
    sampled: str = "right"
    rate: str = "half"
    window: str = "days"

    @property
    def until(self) -> datetime:
        return FIRST + timedelta(days=self.days)

    @property
    def asked(self) -> tuple[datetime, datetime]:
        """The window of its reports."""
        first, last = WINDOWS[self.window]
        since = self.until - timedelta(days=1) if first is None else FIRST + timedelta(days=first)
        return since, self.until if last is None else FIRST + timedelta(days=last)

    @property
    def rates(self) -> Rates:
        if self.rate == "steps":
            steps = (RateEntry(0.2, since=FIRST + timedelta(hours=30)), RateEntry(1.0, realms=("acme",)))
            return Rates(steps, 0.05)
        return Rates((), {"half": 0.5, "all": 1.0, "rare": 0.01, "zero": 0.0}[self.rate])


@st.composite
def _strategies(draw: st.DrawFn) -> tuple[Strategy, ...]:
    realms = draw(st.lists(st.sampled_from(REALMS), min_size=1, max_size=3, unique=True))
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    one_name = draw(st.booleans())
    found = [
        Strategy(
            kind,
            realms[number % len(realms)],
            "Ride" if one_name else draw(st.sampled_from((f"{kind} {'abcd'[number]}", HOSTILE + "abcd"[number]))),
            draw(st.integers(1, 3)),
            draw(st.sampled_from((False, False, True))),
        )
        for number, kind in enumerate(kinds)
    ]
    return tuple({(one.realm, one.name): one for one in found}.values())  # one realm has a name once


def _mostly(*usual_and_odd: Any) -> st.SearchStrategy[Any]:
    """The first one half of the time: where all is odd at once, hardly anything is looked at."""
    usual, *odd = usual_and_odd
    return st.one_of(st.just(usual), st.sampled_from(odd))


SHAPES: st.SearchStrategy[Shape] = st.builds(
    Shape,
    seed=st.integers(0, 2**32),
    rows=st.sampled_from((0, 1, 2, 6, 20, 60, 60, 240)),
    days=st.integers(1, 4),
    strategies=_strategies(),
    definitions=_mostly("all", "some", "none", "no table", "broken"),
    failing=st.lists(st.sampled_from((*CODES, "unknown")), min_size=1, max_size=3).map(tuple),
    failed_share=_mostly(0.2, 0.0, 0.03, 1.0),
    traces=_mostly("real", "null", "json null", "cut", "no list", "also failed", "odd ids"),
    points=_mostly("real", "odd", "null", "huge"),
    durations=_mostly("real", "zero", "odd", "alike", "stalls"),
    nodes=_mostly("real", "zero", "huge"),
    texts=_mostly("plain", "null", "hostile"),
    undated=_mostly(0.0, 0.2, 1.0),
    bursts=st.booleans(),
    sampled=_mostly("right", "wrong"),
    rate=_mostly("half", "all", "rare", "steps", "zero"),
    window=_mostly("days", *list(WINDOWS)[1:]),
)


def make(shape: Shape, folder: Path) -> Lake:
    """Its lake, with the days of the log and one more on either side."""
    lake, chance = Lake(folder), random.Random(shape.seed)
    rows = [_row(shape, chance) for _ in range(shape.rows)]
    around = (FIRST - timedelta(days=1)).date(), (shape.until + timedelta(days=1)).date()
    log.fill(lake, rows, _definitions(shape, chance), *around, shape.rates)
    return lake


def _definitions(shape: Shape, chance: random.Random) -> list[dict[str, Any]] | str:
    if shape.definitions == "no table":
        return "table strategydefinition is not there: families and programs are unknown"
    rows = [_definition(one, version) for one in shape.strategies for version in range(1, one.versions + 1)]
    if shape.definitions == "broken":
        texts = (None, "null", "[]", '"x"', "{", '{"rules": 3}')
        return [{**row, "ast_json": chance.choice(texts), "name": row["name"] or None} for row in rows]
    kept = {"all": 1.0, "some": 0.5, "none": 0.0}[shape.definitions]
    return [row for row in rows if chance.random() < kept]


def _definition(one: Strategy, version: int) -> dict[str, Any]:
    published: date = (FIRST - timedelta(days=9 - version)).date()
    return {
        "strategy_id": one.strategy_id(version),
        "realm_id": one.realm,
        "name": one.name,
        "strategy_type": "DSL_EXTEND" if one.kind in EXTENDING else "DSL_FULL",
        "parent_strategy_id": BUILT_IN if one.kind in EXTENDING else None,
        "ast_json": log.jsonb(one.ast(version)),
        "strategy_version": version,
        "status": "PUBLISHED" if version == one.versions else "ARCHIVED",
        "created_by": HOSTILE if version == 2 else None,
        "published_at": None if version == 3 else f"{published} 09:00:00+00",
        "experiment_tag": "arm" if version == 1 else None,
    }


def _row(shape: Shape, chance: random.Random) -> dict[str, Any]:
    one = chance.choice(shape.strategies)
    at = chance.random()
    version = 1 + int(at * one.versions)
    failed = chance.random() < shape.failed_share
    created = FIRST + at * timedelta(days=shape.days)
    if failed and shape.bursts:
        created = FIRST + timedelta(days=shape.days / 2, seconds=chance.random() * 40)
    row = {
        "execution_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "created_at": None if chance.random() < shape.undated else created,
        "strategy_id": one.strategy_id(version),
        "strategy_version": version,
        "strategy_type": "DSL_EXTEND" if one.kind in EXTENDING else "DSL_FULL",
        "parent_strategy_id": BUILT_IN if one.kind in EXTENDING else None,
        "realm_id": one.realm,
        "external_game_id": _text(shape, chance, f"game-{chance.randrange(2)}"),
        "external_task_id": _text(shape, chance, "task"),
        "external_user_id": _text(shape, chance, f"user-{chance.randrange(9)}"),
        "sampled": failed == (shape.sampled == "wrong"),
        "status": "ok",
        "nodes_executed": 0,
    }
    row |= _failure(shape, one, version, chance) if failed else _success(shape, one, version, chance)
    return row | {"duration_ms": _duration(shape, chance, late=row["status"] == "timeout")}


def _text(shape: Shape, chance: random.Random, usual: str) -> str | None:
    if shape.texts == "plain" or chance.random() < 0.5:
        return usual
    return chance.choice((HOSTILE, HOSTILE * 30, "")) if shape.texts == "hostile" else None


def _failure(shape: Shape, one: Strategy, version: int, chance: random.Random) -> dict[str, Any]:
    kind = chance.choice(shape.failing)
    trace = log.jsonb(_entries(one, version, chance)[0]) if shape.traces == "also failed" else "null"
    return {
        "status": {"unknown": "aborted", "canary": "error"}.get(kind, kind),
        "error_code": chance.choice(CODES.get(kind, ("DSL_ABORTED", None))),
        "trace": None if shape.traces == "null" else trace,
    }


def _success(shape: Shape, one: Strategy, version: int, chance: random.Random) -> dict[str, Any]:
    trace, points, case, nodes = _entries(one, version, chance)
    notes = None
    if shape.traces == "cut":
        trace, nodes = [*trace, *trace][:4], nodes + 512
    if len(trace) < nodes or len(trace) > TRACE_LIMIT:
        trace = trace[:TRACE_LIMIT]
        notes = f"trace truncated: {nodes} -> {len(trace)} entries"
    if shape.traces == "odd ids":
        trace = [{**entry, "nodeId": chance.choice((None, "same", entry["nodeId"]))} for entry in trace]
    text: str | None = log.jsonb(trace) if trace else "null"
    if shape.traces == "no list":
        text = chance.choice(
            ('"text"', "{}", "3", "[]", "[null, 3, []]", '[{"nodeId": [1], "type": {"a": 1}, "value": {}}]')
        )
    elif shape.traces in ("null", "json null"):
        text = None if shape.traces == "null" else "null"
    if shape.points != "real" and chance.random() < 0.6:
        points = {"null": None, "odd": chance.choice(ODD_NUMBERS), "huge": 10 ** chance.randrange(60, 300) / 3}[
            shape.points
        ]
    return {
        "trace": text,
        "notes": notes,
        "points": points,
        "case_name": _text(shape, chance, case) if case else None,
        "nodes_executed": {"real": nodes, "zero": 0, "huge": nodes + chance.randrange(900, 2**31 - 2000)}[shape.nodes],
    }


def _duration(shape: Shape, chance: random.Random, *, late: bool) -> float:
    usual = (500 if late else 1) * math.exp(chance.gauss(0.5, 0.4))
    if shape.durations == "odd" and chance.random() < 0.6:
        return chance.choice((*ODD_NUMBERS, -1.0, 1e7))
    if shape.durations == "stalls":
        return usual * 200 if chance.random() < 0.05 else usual
    return {"zero": 0.0, "alike": 2.0}.get(shape.durations, usual)


def _entries(one: Strategy, version: int, chance: random.Random) -> tuple[list[Any], Any, str | None, int]:
    """What an event leaves: entries, points, case and nodes; of no program some entries that fit none."""
    ast = one.ast(version)
    event = {
        "user.measurements_count": chance.randrange(6),
        "user.avg_time": chance.choice((chance.uniform(1, 30), -1.0)),
        "all.avg_time": 15.0,
        "data.distance": round(chance.expovariate(0.4), 2),
        f"data.{HOSTILE}": chance.choice((HOSTILE, None, [1, {"nodeId": "x"}])),
        "data.bonus": 3,
    }
    if isinstance(ast, dict):
        parent = (lambda _: ParentResult(10, "Basic")) if one.kind in EXTENDING else None
        ran = engine.run(compile_program(ast), parent, event, max_nodes=2_000, keep_trace=True)
        if ran.ok:
            return ran.trace or [], ran.points, ran.case_name, ran.nodes
    amount = chance.randrange(9)
    return [{"nodeId": "x", "type": "assign_points", "value": amount, "branch": "match"}], amount, "Case", 1
