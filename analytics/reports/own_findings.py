"""Findings of a notebook of one's own: told to the page, to the index and to ``--fail-on`` by one call."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

from analytics.errors import UsageError, did_you_mean
from analytics.reports import page
from analytics.reports.common import realm_name, state_of
from analytics.reports.parameter_values import typed, understood
from analytics.storage import typed_json

Severity: TypeAlias = Literal["new", "worse", "known", "fixed"]
SEVERITIES: Final[tuple[str, ...]] = get_args(Severity)
"""Worst first."""

_KINDS: Final = {"known": "finding"}
"""How ``counts`` of a report call a severity, where it has another name there: open, and told before."""

_NUMBER: Final = re.compile(r"\d(?:[\d.,:/\u2009\u202f\u00a0-]*\d)?")
_WORSE_BY: Final = 0.1
"""Of its number in the last report; less is how a sample errs from day to day."""


class FindingBlock:
    """One finding, as a cell shows it and as the renderer finds it among the outputs."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = dict(facts)

    def _repr_mimebundle_(self, **_asked_for: object) -> tuple[dict[str, Any], dict[str, Any]]:
        block = listed([self.facts])
        shown, _ = page.Block(block.html, block.text, "answer")._repr_mimebundle_()
        return {**shown}, {"text/html": {"analytics": {"block": "finding", "finding": self.facts}}}

    def __repr__(self) -> str:
        return listed([self.facts]).text


@typed
def add_finding(
    text: str, *, severity: str = "", realm: Any = "", family: Any = "", key: str = "", number: float | None = None
) -> None:
    """Tell a finding of a notebook of one's own.

    The cell shows it at once. On the page it stands under the title with the others; the index takes the colour of the worst one,
    ``summary.json`` holds them all, and ``--fail-on`` counts them as those of the package's reports.

    Args:
        text: What was found, in a sentence.
        severity: ``new``; ``worse``; ``known`` for what is open and was told before; ``fixed`` for what is over. Empty to let the
            page compare with the last one: what was not told there is new, and what is told here no more is fixed. ``--fail-on
            new`` counts the first, ``any`` the first three.
        realm: The tenant it is about; empty for none in particular, ``None`` (or what pandas writes for it) for the NULL realm.
        family: The strategy it is about; empty or ``None`` for none.
        key: What makes it the same finding in another report, with its realm and family; its text without numbers when empty.
        number: How bad it is, more is worse: a finding of the last report is worse where this is more by a tenth, else known.

    >>> analytics.add_finding("12 users reached 1,000 points", severity="worse", realm="acme-cycling")  # doctest: +SKIP

    Raises:
        UsageError: There is no such severity, or the sentence is empty.
    """
    if severity and severity not in SEVERITIES:
        raise UsageError(
            f"there is no severity {severity!r}",
            hint=f"{did_you_mean(severity, SEVERITIES)}known: {', '.join(SEVERITIES)}",
        )
    if not text.strip():
        raise UsageError("a finding says nothing", hint="write what was found, in a sentence")
    from IPython.display import display

    facts: dict[str, Any] = {"severity": severity or "new", "text": " ".join(text.split())}
    if not severity:
        facts["is_compared"] = True
    if key:
        facts["key"] = key
    if number is not None and math.isfinite(number):
        facts["number"] = float(number)
    names = {"realm": _name("realm", realm), "family": _name("family", family)}
    if names["realm"] != "":
        facts["realm_id"] = names["realm"]
    if names["family"]:
        facts["family_name"] = names["family"]
    display(FindingBlock(facts))  # type: ignore[no-untyped-call]


def _name(parameter: str, value: Any) -> str | None:
    """A name as a row of a frame has it, where a missing one is NaN."""
    if value is None or type(value).__name__ == "NAType" or value != value:
        return None
    name: str = understood(parameter, value, frozenset({"str"}))
    return name


def checked(told: Any) -> dict[str, Any]:
    """A finding of a ``summary.json``, which somebody may have edited.

    Raises:
        TypeError, ValueError: It is none, see ``typed_json``.
    """
    finding = dict(typed_json.fields(told))
    for name in ("severity", "text"):
        typed_json.text(finding[name])
    for name in ("realm_id", "family_name", "key"):
        typed_json.text_or_none(finding.get(name))
    typed_json.number(finding.get("number", 0))
    return finding


def _identity(finding: Mapping[str, Any]) -> tuple[object, ...]:
    """What makes it the same finding in another report: numbers change from day to day, the rest of its words stay."""
    what = finding.get("key") or _NUMBER.sub("#", finding["text"])
    return what, finding.get("realm_id", ""), finding.get("family_name", "")


def compared(
    findings: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]] | None, *, is_whole: bool
) -> list[dict[str, Any]]:
    """Findings beside those of the last report: new, worse, known; and what was open there and is told no more.

    Only those whose severity the notebook has left to the page.

    Args:
        findings: As ``add_finding`` has told them.
        before: Those of the last report; ``None`` where there is none.
        is_whole: The lake holds all of the window; where it does not, what is not told may be there all the same.
    """
    then = {
        _identity(one): one
        for one in before or ()
        if one.get("is_compared") and one.get("severity") in SEVERITIES and one["severity"] != "fixed"
    }
    now, here = [dict(one) for one in findings], {_identity(one) for one in findings}
    for one in now:
        if one.get("is_compared") and (last := then.get(_identity(one))):
            is_worse = one.get("number", 0.0) > last.get("number", math.inf) + _WORSE_BY * abs(last.get("number", 0.0))
            one["severity"] = "worse" if is_worse else "known"
    now_is = {"severity": "fixed"} if is_whole else {"severity": "known", "is_unseen": True}
    return [*now, *({**one, **now_is} for identity, one in then.items() if identity not in here)]


def listed(findings: Sequence[Mapping[str, Any]]) -> page.Block:
    """Findings as a page lists them, worst first."""
    return page.findings(
        page.Finding(one["severity"], one["text"], page.mute(_about(one)) if _about(one) else None)
        for one in _by_severity(findings)
    )


def _about(finding: Mapping[str, Any]) -> page.Markup:
    parts = [page.author(realm_name(finding["realm_id"]))] if "realm_id" in finding else []
    parts += [page.author(finding["family_name"])] if "family_name" in finding else []
    if finding.get("is_compared") and finding["severity"] == "fixed":
        parts.append(page.inline("told by the last report, and not by this one"))
    elif finding.get("is_unseen"):
        parts.append(page.inline("told by the last report; this one lacks days"))
    return page.Markup(" · ").join(parts)


def _by_severity(findings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(findings, key=lambda one: SEVERITIES.index(one["severity"]))


def facts_of(findings: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> dict[str, Any]:
    """What ``summary.json`` and the index say of a report with findings of its own.

    Args:
        findings: As ``add_finding`` has told them.
        facts: Those of a cell with a summary, which say what they say; empty without one.
    """
    counts = {str(kind): int(count) for kind, count in (facts.get("counts") or {}).items()}
    for one in findings:
        kind = _KINDS.get(one["severity"], one["severity"])
        counts[kind] = counts.get(kind, 0) + 1
    told: dict[str, Any] = {**facts, "counts": counts}
    told.setdefault("findings", [dict(one) for one in _by_severity(findings)])
    if findings or facts.get("state", "quiet") == "quiet":
        told["state"] = state_of(counts, [str(day) for day in facts.get("missing_days") or ()])
    if findings and "verdict" not in facts:
        first, *others = _by_severity(findings)
        told["verdict"] = first["text"] + (f" (and {len(others)} more)" if others else "")
    return told
