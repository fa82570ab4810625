"""One summary of a post-mortem against its story. What the summary calls things is known here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from tests.planted.story import Story
from tests.verdicts.truths import Truths

Outcome = Literal["right", "in part", "cannot tell", "silent", "wrong", "acquitted", "false alarm"]
Facts = Mapping[str, Any]

#: A version that changes the points of its runs by less is not held against a page that calls it the same.
MATERIAL: Final = 0.01
#: Words of a sentence that let every version go.
_ACQUITS: Final = ("not the version", "nothing to do", "only ids")
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Stated:
    """A number with its interval, and what is true.

    Attributes:
        value, low, high: As stated.
        true: What is true.
    """

    value: float
    low: float
    high: float
    true: float

    @property
    def is_certain(self) -> bool:
        """Whether the interval has no width: every run alike."""
        return self.high - self.low <= 1e-9 * max(1.0, abs(self.true))

    @property
    def inside(self) -> bool:
        """Whether the interval has the truth; to a billionth of it, for certain amounts have no width."""
        slack = 1e-9 * max(1.0, abs(self.true))
        return self.low - slack <= self.true <= self.high + slack


@dataclass(frozen=True, slots=True)
class Judged:
    """What one page said of one story.

    Attributes:
        outcome: Of the page in a word.
        why: What is wrong with it; empty for what is not.
        overpaid: The points of the sentence; None where it has none, or no truth is defined.
        same: Its percent, where it is that of the same runs.
        raw: Its percent, where it compares groups.
        hours: How far its moment is off, where what happened is named.
    """

    outcome: Outcome
    why: str = ""
    overpaid: Stated | None = None
    same: Stated | None = None
    raw: Stated | None = None
    hours: float | None = None


def judge(story: Story, facts: Facts, truths: Truths) -> Judged:
    """Judge a summary.

    Raises:
        KeyError: The summary lacks what it must have.
    """
    numbers = {"overpaid": _overpaid(story, facts, truths), **_percent(story, facts, truths)}
    freed = _acquitted(story, facts, truths)
    if freed:
        return Judged("acquitted", freed, **numbers)
    if is_quiet(story):
        told = [one for one in facts["stories"] if not _says_steady(story, one)]
        alarms = [*_accused(facts, truths), *(f"told: {_said(one)}" for one in told)]
        return Judged("false alarm" if alarms else "right", "; ".join(alarms), **numbers)
    wrongs = [*_accused(facts, truths), *(why for told in facts["stories"] if (why := _wrong(story, told)))]
    if wrongs:
        return Judged("wrong", "; ".join(wrongs), **numbers)
    heard = _heard(story, facts)
    return Judged(heard, **numbers, hours=_hours(story, facts) if heard in ("right", "in part") else None)


def is_quiet(story: Story) -> bool:
    """Whether nothing is to be told of it."""
    return not story.to_blame and "duration" not in story.kinds


def _says_steady(story: Story, told: Mapping[str, Any]) -> bool:
    """A rate of failures that has always been there, told as that."""
    return story.steady is not None and told["code"] == story.steady and told["since"] is None and not told["is_over"]


def _acquitted(story: Story, facts: Facts, truths: Truths) -> str:
    """How the page lets a guilty version go; empty when it does not."""
    for tried in facts["versions"]:
        if tried["verdict"] == "same" and tried["earlier"] is not None:
            true = truths.effect(tried["version"], tried["earlier"])
            if true.runs and (abs(true.relative) >= MATERIAL if true.relative is not None else true.points):
                return f"v{tried['version']} is said to be the same as v{tried['earlier']}; it pays {true.points:+,.0f} points"
    sentence = facts["verdict"].lower()
    said = [words for words in _ACQUITS if words in sentence]
    return f"the sentence says {said[0]!r}" if said and story.blamed else ""


def _accused(facts: Facts, truths: Truths) -> list[str]:
    """Versions that are said to differ and pay every run of theirs the same."""
    pairs = [(tried["version"], tried["earlier"]) for tried in facts["versions"] if tried["verdict"] == "differs"]
    return [f"v{one} is said to differ from v{other}" for one, other in pairs if not truths.effect(one, other).points]


def _wrong(story: Story, told: Mapping[str, Any]) -> str:
    """What a told story says against the truth; empty when it does not."""
    kind, version, cause = told["kind"], told["version"], told["cause"]
    names = story.blamed | ({story.version} if story.version else set())
    # A series is one story of several versions.
    strangers = {version, *told.get("versions", ())} - names - {None}
    if strangers:
        return f"v{min(strangers)} is named: {_said(told)}"
    if kind == "duration":
        return "" if "duration" in story.kinds else f"no duration changed: {_said(told)}"
    if cause != _UNKNOWN and cause not in story.to_blame:
        return f"the cause is not {cause}: {_said(told)}"
    if kind == "failures" and told["code"] not in (None, story.code, *(["DSL_TIMEOUT"] if story.stalls else [])):
        return f"another code is named: {_said(told)}"
    if cause in ("inputs", "built-in") and story.path and told["field"] not in (None, story.path):
        return f"another field is named: {_said(told)}"
    # What has no moment is told of the window as a whole: not that it goes on.
    goes_on = told["since"] is not None and not told["is_over"]
    if (story.ended or story.rollback) and goes_on and not (story.stalls and kind == "version"):
        return f"it is said to go on: {_said(told)}"
    return ""


def _heard(story: Story, facts: Facts) -> Outcome:
    """Of a page without a wrong word: does it name what happened?"""
    unknown = any(tried["verdict"] == "cannot tell" and tried["version"] in story.blamed for tried in facts["versions"])
    if not facts["stories"]:
        return "cannot tell" if unknown else "silent"
    head, kinds = facts["stories"][0], {told["kind"] for told in facts["stories"]}
    if head["kind"] == "duration":
        return "right"
    named = head["cause"] in story.to_blame
    if head["kind"] == "failures":
        named = named and head["code"] == story.code  # which begins with a version, or with none
    elif head["cause"] == "program":
        named = named and head["version"] in story.blamed
    if head["cause"] in ("inputs", "built-in") and story.path:
        named = named and head["field"] == story.path
    if not named:
        return "cannot tell"
    return "right" if story.told <= kinds else "in part"


def _hours(story: Story, facts: Facts) -> float | None:
    since = facts["stories"][0]["since"]
    if story.moment is None or since is None:
        return None
    return abs((_moment(since) - story.moment).total_seconds()) / 3600


def _overpaid(story: Story, facts: Facts, truths: Truths) -> Stated | None:
    found = facts["overpaid"]
    if found is None or found["value"] is None or not story.blamed or _fails_itself(story):
        return None
    return _stated(found, truths.overpaid())


def _percent(story: Story, facts: Facts, truths: Truths) -> dict[str, Stated | None]:
    found, heads = facts["percent"], facts["stories"]
    if found is None or not heads or _fails_itself(story):
        return {}
    if found["of"] == "same runs":
        head = heads[0]["version"]
        pairs = [(tried["version"], tried["earlier"]) for tried in facts["versions"] if tried["version"] == head]
        trues = [truths.effect(*pair).relative_ok for pair in pairs]
        if len(story.blamed) > 1:  # of several versions the sentence may mean the one or all of them
            trues.append(truths.relative(story.blamed))
        known = [_stated(found, true) for true in trues if true is not None]
        best = sorted(known, key=lambda stated: abs(stated.value - stated.true))
        return {"same": best[0]} if best else {}
    spans = [facts[side] and (_moment(facts[side]["since"]), _moment(facts[side]["until"])) for side in _SIDES]
    # Where a version did its part too, a finding about inputs says what these did by themselves.
    of_inputs = bool(story.blamed) and heads[0]["cause"] == "inputs"
    raw = truths.change(spans[0], spans[1], of_inputs=of_inputs) if all(spans) else None
    return {} if raw is None else {"raw": _stated(found, raw)}


_SIDES: Final = ("before", "after")


def _fails_itself(story: Story) -> bool:
    """A version that fails where the earlier one paid: points overpaid and percents of paid runs say little of it."""
    return "failures" in story.causes and not story.stalls


def _stated(found: Mapping[str, Any], true: float) -> Stated:
    low, high = found["low"], found["high"]  # an open end has no number
    return Stated(found["value"], -math.inf if low is None else low, math.inf if high is None else high, true)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _said(told: Mapping[str, Any]) -> str:
    words = (told["kind"], told["cause"], told["version"] and f"v{told['version']}", told["field"], told["code"])
    return " ".join(str(word) for word in words if word)
