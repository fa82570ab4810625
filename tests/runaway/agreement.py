"""Numbers that the runaway page tells more than once, and where: all places must tell the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

SECTIONS: Final = ("head", "findings", "league", "when", "close", "actions", "sure")
_N: Final = r"([\d,]+)"

#: What is counted → places: the section, and a pattern whose groups, of all matches together, add up to the number.
TOLD: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "runs that a cap stopped": (
        ("answer", rf"{_N} runs? stopped by the cap"),
        ("strip", rf"{_N} × limit"),
        ("close", rf"{_N} runs? (?:was|were) stopped by a cap"),
        ("sure", rf"\({_N} limit,"),
        ("limits", rf"^{_N}$"),
    ),
    "sandbox canaries": (
        ("answer", rf"{_N} sandbox canar"),
        ("strip", rf"{_N} × sandbox canary"),
        ("sure", rf"limit, {_N} canary,"),
        ("canaries", rf"^{_N}$"),
    ),
    "timeouts": (
        ("answer", rf"{_N} timeouts?\b"),
        ("strip", rf"{_N} × timeout"),
        ("sure", rf"canary, {_N} timeout,"),
        ("sure", rf"of {_N} lie closer together"),
    ),
    "timeouts of stalls": (
        ("answer", rf"{_N} timeouts?(?: of \d+ strategies together)?, likely of"),
        ("sure", rf"{_N} of [\d,]+ lie closer together"),
        ("findings", rf"Likely a stalled event loop: {_N} runs?"),
    ),
    "timeouts beside stalls": (
        ("answer", rf"{_N} timeouts? (?:spread over|of one strategy)"),
        ("others", rf"^{_N}$"),
    ),
    "strategies that time out": (("answer", rf"spread over {_N} strategies"), ("lane", rf"{_N} strategies")),
    "strategies of one stall": (
        ("answer", rf"of {_N} strategies together"),
        ("findings", rf"Likely a stalled event loop: [\d,]+ runs? of {_N} strategies"),
        ("table", rf"{_N} strategies"),
        ("actions", rf"Timeouts of {_N} strategies together"),
    ),
    "versions that ran": (("league", rf"of {_N} (?:versions|strateg(?:y|ies)) (?:hit|is|are)"), ("ran", rf"^{_N}$")),
    **{
        f"findings that are {word}": (
            ("headline", rf"{_N} {said}\b"),
            ("digest", rf"{_N} {short} \("),
            ("findings", rf"(?m)^({word}):"),
        )
        for word, said, short in (("new", "new", "new"), ("worse", "worse", "worse"), ("fixed", "fixed", "fixed"))
    },
}


def pages(report: Any) -> dict[str, str]:
    """The page by section, and within them what is told of single things; the facts for programs as numbers."""
    said = {name: getattr(report, name)().text for name in SECTIONS}
    facts = report.summary()
    lines = said["when"].split("\n")
    of = {what: [row for row in facts["findings"] if row["what"] == what and row["kind"] not in ("fixed", "waiting")]
          for what in ("limit", "canary", "timeout")}  # fmt: skip
    answer, strip = lines[1] if len(lines) > 1 else "", _second(report.when().html)
    more = {
        "answer": answer,
        "strip": strip,
        # A lane of the picture has the timeouts of stalls, too.
        "lane": "" if "likely of" in answer else "".join(line for line in strip.split("\n") if "× timeout" in line),
        "table": "\n".join(line for line in lines if "\t" in line),
        "headline": said["head"].split("\n")[1],
        "digest": facts["digest"],
        "limits": str(sum(row["count"] for row in of["limit"])) if of["limit"] else "",
        "canaries": str(sum(row["count"] for row in of["canary"])) if of["canary"] else "",
        "others": "".join({found[1] for row in of["timeout"] if (found := re.search(r"of ([\d,]+) timeouts", row["sentence"]))}),
        "ran": str(len(facts["league"])),
    }  # fmt: skip
    return said | more


def _second(html: str) -> str:
    """The sentences of the phone's drawing: each lane stands in it once."""
    found = re.findall(r">([\d,]+ × [^<]*)<", html)
    return "\n".join(found[len(found) // 2 :])


def disagreements(said: Mapping[str, str]) -> Iterator[str]:
    """Numbers that are told differently in two places; a place that says nothing of it is no other number."""
    for what, places in TOLD.items():
        found = {}
        for section, pattern in places:
            values = re.findall(pattern, said.get(section, ""))
            if values:
                # Words are counted, numbers are added.
                found[f"{section}: {pattern}"] = sum(
                    int(value.replace(",", "")) if value[0].isdigit() else 1 for value in values
                )
        if len(set(found.values())) > 1:
            yield f"{what}: " + "; ".join(f"{number} in {place}" for place, number in found.items())
