"""The page: how often the verdict was right, how often it could not tell, and that it was never wrong."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.planted.story import Story
from tests.verdicts.judge import Judged, Stated, is_quiet
from tests.verdicts.seeds import ALL, Told

#: At this rate most pages must know.
KNOWN_AT: Final = 0.05
_MOST_UNKNOWN: Final = 0.20
_MOST_ALARMS: Final = 0.01
_COVERED: Final = (0.93, 0.99)
#: Fewer intervals say nothing of a share between 93 and 99 %.
_ENOUGH: Final = 200
_STORIES: Final = {story.key: story for story in ALL}


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised of all pages together.

    Attributes:
        words: What.
        found: As it is, in words.
        is_kept: Whether it holds.
    """

    words: str
    found: str
    is_kept: bool


def promises(told: Sequence[Told]) -> list[Promise]:
    """Every promise, kept or not."""
    eventful = [found for found in told if found.judged and not is_quiet(_STORIES[found.key])]
    quiet = [found for found in told if found.judged and is_quiet(_STORIES[found.key])]
    known = [found for found in eventful if found.rate == KNOWN_AT]
    unknown = _count(known, "cannot tell", "silent")
    alarms, failed = _count(quiet, "false alarm"), sum(found.judged is None for found in told)
    never = [
        Promise(f"{words}: never", f"{count:,} of {len(told):,}", not count)
        for words, count in (
            ("No page", failed),
            ("A guilty version acquitted", _count(told, "acquitted")),
            ("A wrong cause, version, field or code named", _count(eventful, "wrong")),
        )
    ]
    return [
        *never,
        Promise(
            f"Cannot tell, at rate {KNOWN_AT:g}: at most {100 * _MOST_UNKNOWN:.0f} %",
            _share(unknown, len(known)),
            unknown <= _MOST_UNKNOWN * len(known),
        ),
        Promise(
            f"False alarms on quiet strategies: at most {100 * _MOST_ALARMS:.0f} %",
            _share(alarms, len(quiet)),
            alarms <= _MOST_ALARMS * len(quiet),
        ),
        _coverage("Points overpaid within their 95 % interval", told, lambda judged: judged.overpaid),
        _coverage("Percent for the same runs within its 95 % interval", told, lambda judged: judged.same),
        _coverage("Percent of groups within its 95 % interval", told, lambda judged: judged.raw),
    ]


def page(told: Sequence[Told], seeds: int) -> str:
    """The whole page in Markdown."""
    rates = sorted({found.rate for found in told})
    kept = promises(told)
    lines = [
        "# Is the verdict ever wrong?",
        "",
        f"Written by `make prove-verdicts` (seed {min(found.seed for found in told)}). "
        f"{len({found.key for found in told})} stories are planted in a simulated engine, which knows of every run what each "
        f"version would have paid for it, built-in and variables included. Each is simulated {seeds} times; from each "
        f"simulation a log is drawn at the sampling rates {', '.join(f'{rate:g}' for rate in rates)}, loaded into PostgreSQL, "
        f"extracted, and asked for its post-mortem: {len(told):,} pages. What a page states is judged by the truth of all "
        "runs, logged or not.",
        "",
        "| what is promised | found | kept |",
        "|---|---:|---|",
        *(f"| {found.words} | {found.found} | {'yes' if found.is_kept else '**no**'} |" for found in kept),
        "",
        "## By rate",
        "",
        "| rate | right | in part | cannot tell | silent | wrong | acquitted | quiet ones left alone | false alarms |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(_of_rate(rate, [found for found in told if found.rate == rate]) for rate in rates),
        "",
        "*Right*: cause, version, field and code are those of the story, and every kind of finding it has is told. *In part*: so "
        "far as it is told. *Cannot tell*: the page says that it does not know the cause. *Silent*: it tells nothing, and lets no "
        "version go. *Wrong*: anything that is not true, in any of the page's findings. *Acquitted*: a version that moves the "
        "points of its runs by a hundredth or more is said to be the same, or not to be it.",
        "",
        "## Story by story",
        "",
        "Right · in part · cannot tell · silent; of quiet ones, left alone; what is wrong in words. Percent (for the same runs) "
        f"is the mean over all seeds at rate {KNOWN_AT:g}, hours off the median between the moment that is named and the true "
        "one.",
        "",
        f"| story | {' | '.join(f'{rate:g}' for rate in rates)} | overpaid inside | percent inside | "
        f"percent stated, at {KNOWN_AT:g} | true | hours off |",
        f"|---|{'---:|' * len(rates)}---:|---:|---:|---:|---:|",
        *(_of_story(key, rates, found) for key, found in _by_story(told)),
        "",
        "## The stories",
        "",
        *(f"- `{key}`: {_STORIES[key].words}" for key, _ in _by_story(told)),
        "",
    ]
    return "\n".join(lines)


def mistakes(told: Iterable[Told]) -> list[str]:
    """Every page that was wrong, with what it said."""
    wrong = ("wrong", "acquitted", "false alarm")
    return [
        f"{found.key}, rate {found.rate:g}, seed {found.seed}, {found.judged.outcome if found.judged else 'no page'}: "
        f"{found.judged.why if found.judged else found.error}. {found.sentence}"
        for found in told
        if found.judged is None or found.judged.outcome in wrong
    ]


def misses(told: Iterable[Told]) -> list[str]:
    """Every interval without the truth."""
    return [
        f"{found.key}, rate {found.rate:g}, seed {found.seed}, {name}: {stated.value:g} [{stated.low:g}, {stated.high:g}], "
        f"true {stated.true:g}"
        for found in told
        if found.judged
        for name, stated in (
            ("overpaid", found.judged.overpaid),
            ("percent of the same runs", found.judged.same),
            ("percent of groups", found.judged.raw),
        )
        if stated and not stated.inside
    ]


def _coverage(words: str, told: Sequence[Told], of: Callable[[Judged], Stated | None]) -> Promise:
    numbers = [number for found in told if found.judged and (number := of(found.judged))]
    # Where every run is alike the interval is a point, and right whenever it is there: that is no coverage.
    stated = [number for number in numbers if not (number.is_certain and number.inside)]
    inside = sum(number.inside for number in stated)
    low, high = _COVERED
    enough = len(stated) >= _ENOUGH
    kept = not enough or low <= inside / len(stated) <= high
    return Promise(f"{words}: {100 * low:.0f} to {100 * high:.0f} %", _share(inside, len(stated), few=not enough), kept)


def _share(part: int, whole: int, *, few: bool = False) -> str:
    words = f"{100 * part / whole:.1f} % of {whole:,}" if whole else "none"
    return f"{words}, too few to say" if few else words


def _count(told: Iterable[Told], *outcomes: str) -> int:
    return sum(found.judged is not None and found.judged.outcome in outcomes for found in told)


def _of_rate(rate: float, told: Sequence[Told]) -> str:
    eventful = [found for found in told if not is_quiet(_STORIES[found.key])]
    quiet = [found for found in told if is_quiet(_STORIES[found.key])]
    counts = [_count(eventful, outcome) for outcome in ("right", "in part", "cannot tell", "silent", "wrong")]
    counts += [_count(told, "acquitted"), _count(quiet, "right"), _count(quiet, "false alarm")]
    return f"| {rate:g} | {' | '.join(f'{count:,}' for count in counts)} |"


def _by_story(told: Sequence[Told]) -> list[tuple[str, list[Told]]]:
    found: dict[str, list[Told]] = {story.key: [] for story in ALL}
    for one in told:
        found[one.key].append(one)
    return [(key, ones) for key, ones in found.items() if ones]


def _of_story(key: str, rates: Sequence[float], told: Sequence[Told]) -> str:
    cells = [_cell(_STORIES[key], [found for found in told if found.rate == rate]) for rate in rates]
    judged = [found.judged for found in told if found.judged]
    overpaid = [number.inside for found in judged if (number := found.overpaid)]
    same = [number.inside for found in judged if (number := found.same)]
    known = [
        number
        for found in told
        if found.rate == KNOWN_AT and found.judged and (number := found.judged.same) is not None
    ]
    cells += [f"{sum(insides)} of {len(insides)}" if insides else "–" for insides in (overpaid, same)]
    cells += [_percent([number.value for number in known]), _percent([number.true for number in known])]
    hours = [
        found.judged.hours
        for found in told
        if found.rate == KNOWN_AT and found.judged and found.judged.hours is not None
    ]
    cells.append(f"{statistics.median(hours):.1f}" if hours else "–")
    return f"| {key} | {' | '.join(cells)} |"


def _cell(story: Story, told: Sequence[Told]) -> str:
    counts = Counter(found.judged.outcome if found.judged else "no page" for found in told)
    usual = ("right",) if is_quiet(story) else ("right", "in part", "cannot tell", "silent")
    words = " · ".join(str(counts[outcome]) for outcome in usual)
    rest = ", ".join(f"**{count} {outcome}**" for outcome, count in counts.items() if outcome not in usual)
    return f"{words} {rest}".strip()


def _percent(values: Sequence[float]) -> str:
    return f"{100 * statistics.fmean(values):+.1f} %" if values else "–"
