"""What a report's page must not say beside what it says elsewhere: functions over its plain text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

SECTIONS: Final = (
    "head",
    "strip",
    "since",
    "changed",
    "why",
    "how_much",
    "runs_explained",
    "who",
    "failures",
    "actions",
    "sure",
)
_SIGN: Final = r"[+−-]"
_NUMBER: Final = rf"{_SIGN}?[\d,]+(?:\.\d+)?"
_INTERVAL: Final = re.compile(rf"\[\s*({_NUMBER})\s*(?:%\s*)?–\s*({_NUMBER})\s*(%?)[^\]]*\]")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9•])|(?<=;)\s+|\n")
_UNKNOWING: Final = re.compile(
    r"\b(nothing|cannot (?:be )?(?:tell|told|decided?|say|said)|(?:may|can) be (?:nothing|chance)|as before|no change)\b",
    re.I,
)
#: Words before an interval that make it one of a difference, though its numbers bear no sign.
_OF_A_DIFFERENCE: Final = re.compile(
    r"(overpaid|underpaid|overpays|underpays|change of|difference|too many|too few points|% more|% fewer|% less)[^\[\]]{0,60}$",
    re.I,
)
_DAY: Final = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
_MOMENT: Final = re.compile(rf"\b({_DAY}) (\d{{1,2}} [A-Z][a-z]{{2}})[a-z]* (\d\d:\d\d)")
_VERSION: Final = re.compile(r"\b(?:v|[Vv]ersion )(\d+)\b")


@dataclass(frozen=True, slots=True)
class Page:
    """A page in plain words.

    Attributes:
        sections: Text by section.
        live: The version that is live at the end of the window; None where it is not known.
    """

    sections: Mapping[str, str] = field(default_factory=dict)
    live: int | None = None

    @classmethod
    def of(cls, report: Any) -> Page:
        """The page of a post-mortem; the queries at its end are left out."""
        sections = {name: getattr(report, name)().text for name in SECTIONS}
        sections["sure"] = sections["sure"].split("Queries, ready to paste")[0]
        return cls(sections, report.summary()["live_version"])

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.sections.values())

    def section(self, name: str) -> str:
        """One section; empty where there is none."""
        return self.sections.get(name, "")

    @property
    def sentence(self) -> str:
        """The verdict."""
        return self._line(1)

    @property
    def status(self) -> str:
        """What stands below it."""
        return self._line(2)

    def _line(self, number: int) -> str:
        lines = self.section("head").split("\n")
        return lines[number] if number < len(lines) else ""


def contradictions(page: Page) -> list[str]:
    """Everything the page says against itself."""
    return [words for check in CHECKS for words in check(page)]


def sentences(text: str) -> list[str]:
    """Sentences and lines."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part and part.strip()]


def certain_and_unknown(page: Page) -> Iterator[str]:
    """An interval of a difference without zero, in one sentence with nothing, cannot tell, may be chance."""
    for said in sentences(page.text):
        known = said.replace("paid nothing", "").replace("the rest", "")
        for found in _INTERVAL.finditer(known):
            low, high = _value(found[1]), _value(found[2])
            signed = found[1][0] in "+−-" or found[2][0] in "+−-"
            is_change = signed or _OF_A_DIFFERENCE.search(known[: found.start()])
            if is_change and low * high > 0 and any(_together(known, found, of) for of in _UNKNOWING.finditer(known)):
                yield f"{found[0]} has no zero: {said}"


def _together(said: str, interval: re.Match[str], unknowing: re.Match[str]) -> bool:
    """Whether the words are about the interval: what a colon after it introduces is split up, and each part has its own."""
    return ": " not in said[interval.end() : unknowing.start()]


def two_percents(page: Page) -> Iterator[str]:
    """The change of points per run in the sentence, in the strip and in the table; and that for the same runs."""
    for thing, pattern in _PERCENTS.items():
        found = {
            name: {_signed(match) for match in pattern.finditer(page.section(name))}
            for name in ("head", "strip", "why", "how_much", "actions")
        }
        found["changed"] = _table_percents(page.section("changed")) if thing == "points per run" else set()
        head = found.pop("head")
        for name, numbers in found.items():
            if head and numbers and not numbers <= head:
                yield f"{thing}: {_listed(head)} % on top, {_listed(numbers)} % in {name!r}"


_PERCENTS: Final = {
    "points per run": re.compile(
        rf"(?P<value>{_NUMBER}) % (?P<word>more|fewer|less) points per run(?! for the same)(?!, for the same)"
    ),
    "the same runs": re.compile(
        rf"(?P<value>{_NUMBER}) %(?: (?P<word>more|fewer|less))?(?: points)?(?: per run)?,? for the same runs"
    ),
}
_TABLE_ROW: Final = re.compile(
    rf"^Points per run(?:, as v\d+ pays all)?\t[^\t]*\t[^\t]*\t(?P<value>{_SIGN}[\d,.]+) %", re.M
)


def _table_percents(text: str) -> set[float]:
    return {_value(found["value"]) for found in _TABLE_ROW.finditer(text)}


def _signed(match: re.Match[str]) -> float:
    value = _value(match["value"])
    return -abs(value) if match["word"] in ("fewer", "less") else value


def two_amounts(page: Page) -> Iterator[str]:
    """The points overpaid in the sentence, in the strip and in what to do."""
    head = {_value(found[1]) for found in _AMOUNTS["head"].finditer(page.section("head"))}
    for name in ("strip", "actions"):
        numbers = {_value(found[1]) for found in _AMOUNTS[name].finditer(page.section(name))}
        if head and not numbers <= head:
            yield f"points overpaid: {_listed(head)} on top, {_listed(numbers)} in {name!r}"


_AMOUNTS: Final = {
    "head": re.compile(r"\b(?:over|under)pa(?:id|ys)(?: by)? ([\d,.]*\d)"),
    "strip": re.compile(r"^Points (?:over|under)paid: ([\d,.]*\d)", re.M),
    "actions": re.compile(r"Decide on the ([\d,.]*\d) points"),
}


def two_moments(page: Page) -> Iterator[str]:
    """The moment on top and the one under Since when."""
    top = _moments(page.section("head"))
    below = _moments("\n".join(page.section("since").split("\n")[:2]))
    if top and below and not top & below:
        yield f"since when: {_listed(top)} on top, {_listed(below)} below"


def _moments(text: str) -> set[str]:
    return {f"{found[2]} {found[3]}" for found in _MOMENT.finditer(text)}


def impossible_percents(page: Page) -> Iterator[str]:
    """Nothing falls by more than all of it, and no share is more than all."""
    for said in sentences(page.text):
        for found in _FALLS.finditer(said):
            if _value(found[1] or found[2]) > 100:
                yield f"{found[0]}: {said}"
        for found in _INTERVAL.finditer(said):
            if found[3] and min(_value(found[1]), _value(found[2])) < -100:
                yield f"{found[0]}: {said}"
        for found in _SHARES.finditer(said):
            if _value(found[1]) > 100:
                yield f"{found[0]}: {said}"


_FALLS: Final = re.compile(r"(?:[−-]([\d,.]*\d) %|\b([\d,.]*\d) % (?:fewer|less)\b)")
_SHARES: Final = re.compile(r"\b([\d,.]*\d) % of (?:its|all|the|these)? ?runs\b")


def acquits_and_blames(page: Page) -> Iterator[str]:
    """A version's story beside "not the version" or "nothing to do"."""
    blamed = _BLAMES.search(page.section("head"))
    freed = re.search(r"not the version|\bnothing to do\b", page.text, re.I)
    if blamed and freed:
        yield f"{freed[0]!r} beside {blamed[0]!r}"


_BLAMES: Final = re.compile(
    r"\b[Vv]ersion \d+ of [^.]*?\b(?:over|under)?(?:paid|pays|fails|failed)\b|\b[Ii]t begins with v\d+"
    r"|\bbecause of v(?:ersion )?\d+"
)


def outside_and_begins(page: Page) -> Iterator[str]:
    """Whoever is told that it begins with a version is not sent to look outside the rules."""
    begins = re.search(r"[Bb]egins with v\d+", page.text)
    if begins and "outside the rules" in page.text:
        yield f"'outside the rules' beside {begins[0]!r}"


def since_and_over(page: Page) -> Iterator[str]:
    """What has ended is not introduced by since."""
    if not re.match(r"Over\b|It (?:is|was) over|Ended", page.status):
        return
    first = sentences(page.sentence)[:1]
    for said in [*first, *page.section("strip").split("\n")]:
        if re.search(rf"\bsince (?:then\b|{_DAY})", said):
            yield f"'since' of what is over: {said}"


def pays_and_gone(page: Page) -> Iterator[str]:
    """Only what is live at the end pays; what is gone paid."""
    if page.live is None:
        return
    for said in sentences(page.section("head")):
        for found in _PAYS.finditer(said):
            # What it pays when it is tried on the runs of another is no claim that it is live.
            tried = re.search(r"\b(?:what|as|than) $", said[: found.start()]) or said[found.end() :].startswith(
                " the same"
            )
            if int(found[1]) != page.live and not tried and not re.search(r"same (?:runs|inputs)|would", said):
                yield f"v{found[1]} is not live, v{page.live} is: {said}"


_PAYS: Final = re.compile(r"\b(?:v|[Vv]ersion )(\d+)(?: of [^.;]{1,200}?)? (?:still )?(?:over|under)?pays\b")


def bounds_a_decrease(page: Page) -> Iterator[str]:
    """What became less is not to be bounded."""
    less = re.search(r"% (?:fewer|less) points per run", page.sentence)
    bound = re.search(r"\b(?:bound|clamp)\b", page.section("actions"), re.I)
    if less and bound:
        yield f"{bound[0]!r} beside {less[0]!r}"


CHECKS: Final[tuple[Callable[[Page], Iterable[str]], ...]] = (
    certain_and_unknown,
    two_percents,
    two_amounts,
    two_moments,
    impossible_percents,
    acquits_and_blames,
    outside_and_begins,
    since_and_over,
    pays_and_gone,
    bounds_a_decrease,
)


def _value(text: str | None) -> float:
    """A number as it is written on a page."""
    return float((text or "0").replace(",", "").replace("−", "-").replace("+", ""))


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(f"{value:,g}" if isinstance(value, float) else str(value) for value in sorted(values))
