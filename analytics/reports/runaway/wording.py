"""How the runaway report names things: types of findings, windows, versions, bounds, numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, assert_never

from analytics.estimates.estimators import Estimate
from analytics.findings.runaway.finding import (
    CloseToCap,
    DailyGrowth,
    Finding,
    FindingType,
    Fixed,
    LargeProgram,
    LimitHits,
    SandboxCanary,
    SlowVersion,
    StalledLoop,
    Status,
    Timeouts,
    Unit,
    UnknownCode,
    VersionGrowth,
    Waiting,
)
from analytics.findings.runaway.keys import Key
from analytics.findings.runaway.program_sizes import ProgramGrowth
from analytics.findings.runaway.ranking import RankingRow
from analytics.findings.runaway.version_growth import Ahead
from analytics.reports import common, page
from analytics.reports.common import realm_name
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, Markup

if TYPE_CHECKING:
    from analytics.findings.runaway.thresholds import Thresholds

_WHY = 160
"""Letters of a reason: an author's word in it has 60 at most."""
_SHOWN = 5
"""Versions whose counts are told one by one."""


@dataclass(frozen=True, slots=True)
class TypeWords:
    """The words for one type of finding.

    Attributes:
        title: Above its steps.
        over: That it is not there any more.
        last: Before the moment when it was last seen.
        section: Of the page that shows it.
        query: Behind it.
    """

    title: str
    over: str
    last: str
    section: str
    query: str


def words_of(finding_type: FindingType) -> TypeWords:
    """The words; a type without any does not pass mypy."""
    match finding_type:
        case FindingType.LIMIT:
            return TypeWords("stopped by a cap", "not stopped by a cap", "last stopped by a cap", "when", "limit_runs")
        case FindingType.CANARY:
            return TypeWords("sandbox canary", "no sandbox canary", "last sandbox canary", "when", "limit_runs")
        case FindingType.UNKNOWN:
            title, last = "a code that is not known", "an unknown code last seen"
            return TypeWords(title, "no unknown code", last, "when", "limit_runs")
        case FindingType.TIMEOUT:
            last = "timeouts too many for chance last seen"
            return TypeWords("timeouts", "no timeout of its own", last, "when", "limit_runs")
        case FindingType.STALL:
            return TypeWords("timeouts of strategies together", "no stall", "a stall last seen", "when", "limit_runs")
        case FindingType.GROWING:
            over, last = "no longer growing towards the cap", "growth towards the cap last seen"
            return TypeWords("growing towards the cap", over, last, "growing", "nodes_by_day")
        case FindingType.VERSIONS:
            over, last = "its versions no longer grow towards the cap", "growth from version to version last seen"
            return TypeWords("growing from version to version", over, last, "growing", "nodes_by_day")
        case FindingType.CLOSE:
            over, last = "no longer close to the cap", "last close to the cap"
            return TypeWords("close to the cap", over, last, "close", "nodes_by_day")
        case FindingType.PROGRAM:
            title = "a program close to what the validator takes"
            over = "its program is no longer close to what the validator takes"
            return TypeWords(title, over, "program last close to what the validator takes", "league", "definition")
        case FindingType.SLOW:
            over, last = "no longer slower than its nodes explain", "last slower than its nodes explain"
            return TypeWords("slower than its nodes explain", over, last, "fields", "time_by_nodes")
        case _:
            assert_never(finding_type)


def program_words(finding: LargeProgram) -> list[Inline]:
    """What follows the name of the version where its program is large."""
    program, cap = finding.growth, write.count(finding.node_cap)
    count, room = program.nodes[-1][1], program.room
    if room < 0:
        text = f" has a program of {write.count(count)} nodes as the validator counts them, and {cap} is the most it takes: stored "
        text += f"past the validator or under another limit. A next version with more than {cap} is refused."
        return [text, _runs(finding)]
    what = (
        "is close to the most that the validator takes"
        if finding.is_close
        else "grows towards what the validator takes"
    )
    text = f" has a program that {what}: {write.count(count)} of {cap} nodes"
    text += f". A next version that adds more than {write.count(room)} is refused when it is saved, so it cannot be published"
    if program.smallest_rule is not None:
        text += f"; the smallest rule of this program has {write.count(program.smallest_rule)}"
    if program.refusal:
        reason = page.author(program.refusal, _WHY)
        return [text, ". As it is stored it is refused already: ", reason, ".", _runs(finding), *_grew(program)]
    return [text, ".", _runs(finding), *_grew(program)]


def _runs(finding: LargeProgram) -> str:
    """What that means for runs: nothing."""
    if finding.limit_count:
        return " That is another limit than the one that stopped runs."
    if not finding.ok_count or finding.nodes_max is None:
        return " It stops no run."
    logged, most = write.count(finding.ok_count), write.count(finding.nodes_max)
    return f" It stops no run: the largest of its {logged} logged ok runs took {most}."


def _grew(program: ProgramGrowth) -> list[Inline]:
    if not program.ahead.steps:
        return []
    shown = program.nodes[-_SHOWN:]
    counts = " → ".join(write.count(count) for _, count in shown)
    text = f" It grew from version to version: {counts}, v{shown[0][0]} to v{shown[-1][0]}. "
    return [text, versions_ahead(program.ahead, "is refused")]


def versions_ahead(leads: Ahead, meets: str) -> str:
    """Which of the next versions meets a limit, and when, as far as that can be said.

    Args:
        leads: Where the growth leads.
        meets: What that version does, as "is refused".
    """
    if not leads.steps:
        return ""
    versions, days = leads.versions, leads.days
    if not leads.has_interval:
        after = f"the {_nth(versions.value)} version from now would be the first that {meets}"
        text = f"Were every step like this one, {after}"
        text = f"Another step like this one {meets}" if versions.value == 1 else text
        return f"{text}; two versions give no interval, and cannot tell when."
    first = f"At steps like these the first version that {meets} is"
    if math.isinf(versions.high):
        which = f"the {_nth(versions.low)} from now at the earliest" if versions.low > 1 else "perhaps the next"
        return f"{first} {which}; when it comes cannot be said."
    which = "the next one" if versions.value == 1 else f"the {_nth(versions.value)} from now"
    if versions.high > versions.low:
        which += f" [{write.between(versions.low, versions.high)}]"
    if math.isinf(days.high) or math.isnan(days.value):
        return f"{first} {which}; when it comes cannot be said."
    if days.grade == "too few":  # the ends are all that can be said
        span = write.between(math.floor(days.low), math.ceil(days.high), unit="days")
        return f"{first} {which}, {span} from now if versions come as they did."
    about = write.number(days.value, days.low, days.high, unit="days")
    ends = write.bounds(days.value, days.low, days.high)
    return f"{first} {which}, in about {f'{about} {ends}'.strip()} if versions come as they did."


def _nth(number: float) -> str:
    whole = int(number)
    ending = "th" if 10 <= whole % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(whole % 10, "th")
    return f"{write.count(whole)}{ending}"


def programs_words(ranking: Sequence[RankingRow], limits: Thresholds) -> str | None:
    """How large the largest live program is as the validator counts it; None where no definition is readable."""
    counts = [row.program.nodes for row in ranking if row.is_live and row.program is not None]
    if not counts:
        return None
    cap, over = write.count(limits.node_cap), [count for count in counts if count > limits.node_cap]
    text = f"Programs: the validator counts the whole program, read by a run or not, against the same {cap} when a version is saved"
    if not over:
        return f"{text}; the largest has {write.count(max(counts))}."
    many = "stored past the validator or under another limit"
    if 2 * len(over) > len(counts):
        many += "; so many of them say that the report was given another limit than the engine has"
    return f"{text}; {len(over)} of {len(counts)} {'has' if len(over) == 1 else 'have'} more: {many}."


def program_cell(row: RankingRow, limits: Thresholds) -> Markup:
    """What the validator counts of a program, beside what it takes, and what is left."""
    if row.program is None:
        return page.mute("unknown")
    count = row.program.nodes
    left = limits.node_cap - count
    below = f"{write.count(left)} left" if left >= 0 else f"{write.count(-left)} too many"
    is_near = row.is_live and count >= limits.close * limits.node_cap
    near = page.worse(write.count(count)) if is_near else write.count(count)
    shown = page.finding(write.count(count)) if left < 0 else near
    versions = row.program_ahead.versions
    if row.is_live and left >= 0 and math.isfinite(versions.value) and versions.high < math.inf:
        ends = f" [{write.between(versions.low, versions.high)}]" if versions.high > versions.low else ""
        below += f" · {write.count(versions.value)} {'version' if versions.value == 1 else 'versions'}{ends}"
    return Markup('{}<br><span class="sa-ci">{}</span>').format(shown, below)


ROLE_WORDS = {"finding": page.finding, "worse": page.worse, "fixed": page.fixed}
TAG_ROLES = {Status.NEW: "finding", Status.WORSE: "worse", Status.FIXED: "fixed"}


def window_words(since: datetime, until: datetime, *, long: bool = True) -> str:
    """The window for a headline: a day by its name, otherwise from when to when."""
    return write.window(since, until, long=long)


def version_name(key: Key, family: str | None = "") -> Markup:
    """Name and version in strong letters; an id, where no definition gives a name, in short."""
    if family is None:
        return Markup("<b>{}</b> v{}").format(page.mono(page.author(key.strategy, 12)), key.version)
    return Markup("<b>{}</b> v{}").format(page.author(key.strategy), key.version)


def labels(keys: Iterable[Key], *, versions: bool = True) -> dict[Key, str]:
    """A label for each version that no other one has: the realm is added where names repeat."""
    wanted = list(dict.fromkeys(keys))
    plain = {key: _label(key, versions) for key in wanted}
    twins = {label for label in plain.values() if list(plain.values()).count(label) > 1}
    return {key: f"{label} · {realm_name(key.realm)}" if label in twins else label for key, label in plain.items()}


def _label(key: Key, versions: bool) -> str:
    name = key.strategy if len(key.strategy) <= 30 else f"{key.strategy[:12]}…"
    return f"{name} v{key.version}" if versions else name


def number(finding: Finding) -> Markup:
    """The figure at the end of a finding."""
    match finding:
        case LimitHits() | SandboxCanary() | UnknownCode() | Timeouts() | StalledLoop():
            return _logged(write.count(finding.count), finding.count)
        case DailyGrowth():
            return _days(finding)
        case VersionGrowth() | CloseToCap():
            value = finding.number
            words = write.at_least(value.value) if value.is_at_least else write.number(value.value)
            return Markup("{} {}").format(page.strong(f"{words} nodes"), page.grade(value.grade))
        case LargeProgram():
            counted = f"{write.count(finding.number.value)} of {write.count(finding.node_cap)} nodes"
            return Markup("<b>{}</b>").format(counted)  # of a definition: counted, and not in the log
        case SlowVersion():
            return Markup("<b>{}</b> of time").format(write.percent(round(finding.number, 2)))
        case Fixed():
            return _logged("0", 0)
        case Waiting():
            is_count = finding.count is not None and finding.unit == Unit.RUNS
            return _logged(str(finding.left), finding.left) if is_count else Markup("")
        case _:
            assert_never(finding)


def _logged(number: str, count: int) -> Markup:
    words = f"{number} {'run' if count == 1 else 'runs'}"
    return Markup("{} {}").format(page.strong(words), page.grade("logged"))


def _days(finding: DailyGrowth) -> Markup:
    days = finding.days_to_cap
    if days.high == math.inf:
        # Growth that may end: the first day that is not ruled out, and no last one.
        text = write.at_least(days.low, unit=finding.unit) if days.low >= 0.5 else "cannot tell when"
        return Markup("{} {}").format(page.strong(text), page.grade(days.grade))
    return page.est(days, TAG_ROLES.get(finding.status), unit=finding.unit)


def headline(found: Sequence[Finding], *, is_compared: bool = False) -> list[tuple[str, str | None]]:
    """How many findings of each kind, as text and colour; see `kind_word`."""
    parts: list[tuple[str, str | None]] = []
    words = Counter(kind_word(finding, is_compared=is_compared) for finding in found)
    for word, role in (("new", "finding"), ("worse", "worse"), ("fixed", "fixed"), ("known", None), ("finding", None)):
        shown = word if word != "finding" else "more to know" if parts else "to know"
        if words[word]:
            parts.append((f"{words[word]} {shown}", role))
    return parts


def kind_word(finding: Finding, *, is_compared: bool) -> str:
    """What a finding is called: where there is a last report, what is not new in it is known, but for what happens once."""
    is_known = finding.status is Status.OPEN and is_compared and not finding.type.is_event
    return "known" if is_known else finding.status


def share_words(share: Estimate) -> Markup:
    """The share of runs that a cap stopped; its upper bound where none was."""
    if share.value > 0:
        value = write.percent(share.value, share.low, share.high)
        bounds = write.bounds(share.value * 100, share.low * 100, share.high * 100)
        return Markup('{}<br><span class="sa-ci">{}</span>').format(page.finding(value), bounds)
    if not math.isfinite(share.high):
        return page.mute("–")
    return page.mute(write.at_most(rounded(share.high * 100), unit="%"))


def rounded(percent: float, *, up: bool = True) -> float:
    """A bound with two digits, upper ones rounded up and lower ones down: a bound never says more than it can.

    Lower bounds near 100 % keep the digits that matter, those of the rest.
    """
    part = percent if up else 100 - percent
    step = 10.0 ** (math.floor(math.log10(part)) - 1) if part > 0 else 1.0
    part = round(math.ceil(part / step - 1e-9) * step, 12)
    return part if up else 100 - part


def beyond(p50: Estimate, p99: Estimate) -> str:
    """Median and p99 as text; what lies among stopped runs is "at least"."""
    words = [write.at_least(part.value) if part.is_at_least else write.number(part.value) for part in (p50, p99)]
    return words[0] if words[0] == words[1] else f"{words[0]} – {words[1]}"


def plain_number(value: Any) -> Any:
    """A number of a frame as JSON holds it; None for what is not finite."""
    if isinstance(value, Estimate):
        return value.to_dict()
    if isinstance(value, str):
        return str(value)  # of an enum, too
    if isinstance(value, bool) or value is None:
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat() if value == value else None  # NaT differs from itself
    return (int(value) if float(value).is_integer() else float(value)) if math.isfinite(float(value)) else None


_LETTERS = 30
"""Of a name: the line is read on a phone."""


_MOST_NAMED = 3
"""Findings of a kind that are named."""


_DIGEST_KINDS = (("new", "new"), ("worse", "worse"), ("known", "known"), ("finding", "to know"), ("fixed", "fixed"))


def digest(
    found: Sequence[Finding],
    since: datetime,
    until: datetime,
    *,
    versions: int,
    missing_days: int = 0,
    lost_days: int = 0,
    is_compared: bool = False,
) -> str:
    """One line of plain text: what is new, worse, known and fixed, named.

    Args:
        found: The findings.
        since, until: The window, UTC.
        versions: How many versions ran; 0 where nothing is logged.
        missing_days: Days of the window that were not extracted.
        lost_days: Days of the window with partitions whose files are lost.
        is_compared: There is a last report, so what is not new is known.
    """
    parts = []
    for kind, word in _DIGEST_KINDS:
        alike = [finding for finding in found if kind_word(finding, is_compared=is_compared) == kind]
        if alike:
            more = f"; {len(alike) - _MOST_NAMED} more" if len(alike) > _MOST_NAMED else ""
            parts.append(f"{len(alike)} {word} ({'; '.join(_short(one) for one in alike[:_MOST_NAMED])}{more})")
    if not parts:
        held = " in what is held" if missing_days or lost_days else ""
        parts.append(f"nothing new{held}, {write.counted(versions, 'version')} ran" if versions else "nothing logged")
    if lost_days:
        parts.insert(0, f"{lost_days} {'day' if lost_days == 1 else 'days'} with lost files")
    if missing_days:
        parts.insert(0, f"{missing_days} {'day' if missing_days == 1 else 'days'} not extracted")
    return f"runaway {_window(since, until)}: {', '.join(parts)}"


def _window(since: datetime, until: datetime) -> str:
    last = until - timedelta(microseconds=1)
    if since.time() == until.time() == datetime.min.time():
        return f"{since:%Y-%m-%d}" if last.date() == since.date() else f"{since:%Y-%m-%d} – {last:%Y-%m-%d}"
    return f"{since:%Y-%m-%d %H:%M} – {until:%Y-%m-%d %H:%M}"


def _short(finding: Finding) -> str:
    times = f" ×{write.count(finding.count)}" if finding.count else ""
    match finding:
        case StalledLoop():
            return f"likely a stalled event loop ×{finding.count}"
        case Fixed() | Waiting():
            return _version(finding.key)
        case LimitHits():
            return f"{_version(finding.key)} hit cap{times}"
        case SandboxCanary():
            return f"canary{times} {_name(realm_name(finding.key.realm))}"
        case UnknownCode():
            return f"unknown code{times} {_name(realm_name(finding.key.realm))}"
        case DailyGrowth():
            days = finding.days_to_cap
            if not math.isfinite(days.value):
                return f"{_version(finding.key)} growing"
            ends = write.bounds(days.value, days.low, days.high)
            return f"{_version(finding.key)}, cap in {write.number(days.value, days.low, days.high)} d{' ' + ends if ends else ''}"
        case LargeProgram():
            return f"{_version(finding.key)} {'program near its limit' if finding.is_close else 'program grows'}"
        case VersionGrowth():
            return f"{_version(finding.key)} grows by versions"
        case CloseToCap():
            return f"{_version(finding.key)} close to cap"
        case SlowVersion():
            return f"{_version(finding.key)} slow"
        case Timeouts():
            return f"{_version(finding.key)} timeouts{times}"
        case _:
            assert_never(finding)


def _version(key: Key) -> str:
    return f"{_name(key.strategy)} v{key.version}"


def _name(text: str) -> str:
    """An author's text that a chat shows as it is."""
    return common.name(text, _LETTERS)
