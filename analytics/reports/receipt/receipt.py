"""The receipt of one run, shown: in a notebook, in a terminal, and to programs."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final, cast

from analytics.extraction.privacy.policy import is_pseudonym
from analytics.findings.receipt import wording as words
from analytics.findings.receipt.receipt import Receipt, receipt
from analytics.findings.receipt.steps import State, Step
from analytics.findings.receipt.wording import Line, SeenValue
from analytics.findings.replay.run_evidence import Definition, Evidence, evidence, find_run, other_version
from analytics.reports import page
from analytics.reports.common import masked, realm_name
from analytics.reports.page import number
from analytics.reports.page.inline import Inline
from analytics.storage.typed_json import Json
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window

_SHORT = 4


class Mask:
    """Hides one user's id in values and sentences.

    Args:
        user: The id; None hides nothing.
    """

    def __init__(self, user: object) -> None:
        self.user = user if isinstance(user, str) and user else None
        self.shown = masked(self.user)
        # A short id may be part of any word, so only values that are nothing else are hidden then.
        self._anywhere = self.user if self.user and len(self.user) > _SHORT else None

    def text(self, sentence: str) -> str:
        """A sentence without the id."""
        return sentence.replace(self._anywhere, self.shown) if self._anywhere else sentence

    def line(self, line: Line) -> Line:
        """A line of a receipt: only what the run saw can be the id."""
        if self.user is None:
            return line
        whole = words.value(self.user)
        return tuple(
            (SeenValue(words.value(self.shown)) if part == whole else SeenValue(self.text(part)))
            if isinstance(part, SeenValue)
            else part
            for part in line
        )

    def value(self, found: Json) -> Json:
        """A JSON value without the id in any of its texts."""
        if self.user is None:
            return found
        if isinstance(found, str):
            return self.shown if found == self.user else self.text(found)
        if isinstance(found, Mapping):
            return {key: self.value(item) for key, item in found.items()}
        return [self.value(item) for item in found] if isinstance(found, list) else found


_COLUMN: Final = 8
_MOST_BITS: Final = 13_000  # Python writes integers of up to 4,300 digits
_STATES: Final[Mapping[State, page.StepState]] = {
    State.MATCHED: "matched",
    State.SKIPPED: "skipped",
    State.OFF: "off",
    State.UNKNOWN: "off",
    State.FAILED: "failed",
    State.BUILT_IN: "skipped",
    State.TOTAL: "total",
}
"""How a page shows them."""
_PERSONAL: Final = ("external_user_id", "oauth_user_id")


def explain(
    lake: Warehouse,
    execution_id: str,
    *,
    since: str | date | None = None,
    until: str | date | None = None,
    show_users: bool = False,
    versus: int | None = None,
) -> Explained:
    """Why one run paid what it paid.

    Args:
        lake: Where to look.
        execution_id: Id of the run, or its first letters where only one run has them.
        since, until: Only look at runs of this time.
        show_users: Show user ids.
        versus: Another version of the strategy, to run on the same inputs.

    Raises:
        UsageError: Several runs have such an id.
        UnknownNameError: No run has it, or the lake holds no program of that version.
    """
    window = None if since is None and until is None else Window.parse(date.min if since is None else since, until)
    found = evidence(lake, find_run(lake, execution_id, window))
    other = other_version(lake, found, versus) if versus is not None else None
    return of_evidence(found, other=other, label=f"Version {versus}", show_users=show_users)


def of_evidence(
    evidence: Evidence, *, other: Definition | None = None, label: str = "", show_users: bool = False
) -> Explained:
    """The same of a run that is loaded already; ``label`` is what to call the other version."""
    family = evidence.definition.family_name if evidence.definition is not None else None
    return Explained(receipt(evidence, other=other, other_label=label), family, show_users=show_users)


class Explained:
    """A receipt that shows itself: as HTML in a notebook, as text elsewhere.

    Args:
        found: The receipt.
        family: Name of the strategy; None when not known.
        show_users: Show user ids; masked otherwise, also where a rule has read them.
    """

    def __init__(self, found: Receipt, family: str | None, *, show_users: bool = False) -> None:
        self.found, self.family, self._show_users = found, family, show_users
        self._mask = Mask(None if show_users else found.run.external_user_id)

    # ---- for people ------------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """The question that the receipt answers."""
        run = self.found.run
        if not run.is_ok:
            return "Why did this run fail?"
        if run.points is None:
            return "Why did this run get no points?"
        return f"Why did this run get {_written(run.points)} point{'s' * (run.points != 1)}?"

    def text(self, width: int = 100) -> str:
        """Plain columns for a terminal: points at the left, lines at most ``width`` wide."""
        lines = [self.title, *_wrapped(" · ".join(self._facts()), width), ""]
        for step in self.found.steps:
            head = f"{step.name}: {_verdict(step)}" if _verdict(step) else step.name
            wrapped = _wrapped(head, width, _COLUMN + 2)
            lines.append(f"{_amount(step):>{_COLUMN}}  {wrapped[0].lstrip()}")
            lines += wrapped[1:]
            for arrow, found in (("", step.conditions), ("→ ", step.effects)):
                for line in found:
                    lines += _wrapped(arrow + words.plain(self._mask.line(line)), width, _COLUMN + 6)
        for sentence in self._sentences():
            lines += ["", *_wrapped(sentence, width)]
        lines += ["", *[line for wrapped in self._about_the_request() for line in _wrapped(wrapped, width)]]
        if request := self._request():
            lines += ["", page.visible(request, lines=True)]
        return "\n".join(lines)

    def parts(self) -> list[page.Block]:
        """The blocks: decision path, what is not known about it, and the request that runs it again, folded."""
        found, after = self.found, []
        if found.versus:
            after = [page.before(self._mask.text(found.versus)), " "]
        listed = page.receipt(map(self._page_step, found.steps), [*after, self._mask.text(found.replay)])
        lines = [page.note(lines) for lines in self._about_the_request()]
        request = self._request()
        if request:
            lines = [page.fold("Reproduce it: the simulate request", [page.code(request), *lines])]
        return [listed, *[page.note(self._mask.text(note)) for note in found.notes], *lines]

    def document(self) -> str:
        """A page of its own."""
        blocks = [
            page.head(self._inline_facts(), self.title),
            page.section("one", "Decision path", [], None, self.parts()),
        ]
        return page.document(self.title, [block._repr_mimebundle_()[0]["text/html"] for block in blocks])

    def _repr_mimebundle_(self, **_asked_for: object) -> tuple[dict[str, str], dict[str, Any]]:
        inner = [page.subhead(self.title), page.note(self._inline_facts()), *self.parts()]
        html = page.Markup("").join(block.html for block in inner)
        shown = page.Block(html, self.text(), "head")  # a head brings the style sheet; it is none of a report's blocks
        return shown._repr_mimebundle_()[0], {}

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    # ---- for programs ----------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Json]:
        """All of it as JSON has it, values in full; NaN and infinities are null. User ids are masked unless shown."""
        found, mask = self.found, self._mask
        run = {**found.run.columns, "family_name": self.family}
        for column in () if self._show_users else _PERSONAL:
            run[column] = masked(run[column]) if run.get(column) is not None else None
        simulation = found.simulation
        facts: dict[str, object] = {
            "run": run,
            "steps": [_step_dict(step, mask) for step in found.steps],
            "fields": mask.value(found.fields),
            "replay": {"verdict": found.verdict, "says": mask.text(found.replay)},
            "versus": mask.text(found.versus) or None,
            "simulate": {
                "path": simulation.path,
                "body": mask.value(simulation.body),
                "verdict": mask.text(simulation.verdict),
                "is_reproduced": simulation.is_reproduced,
                "notes": simulation.notes,
            },
            "notes": [mask.text(note) for note in found.notes],
        }
        return {name: _plain(value) for name, value in facts.items()}

    # ---- parts -----------------------------------------------------------------------------------------------------

    def _facts(self) -> list[str]:
        run = self.found.run
        user = run.external_user_id if self._show_users else masked(run.external_user_id)
        strategy = words.name(self.family or run.strategy_id)
        return [
            str(run.execution_id),
            f"{number.when(run.created_at, year=True, seconds=True)} UTC" if run.created_at else "no usable time",
            f"realm {words.name(realm_name(run.realm_id))}",
            f"{strategy} v{run.strategy_version}",
            f"user {words.name(user or '–')}",
            number.counted(run.nodes_executed, "node"),
            number.ms(run.duration_ms),
        ]

    def _inline_facts(self) -> list[Inline]:
        first, *others = self._facts()
        return [page.mono(first), *[part for fact in others for part in (" · ", page.author(fact))]]

    def _sentences(self) -> list[str]:
        found = self.found
        return [self._mask.text(sentence) for sentence in (found.versus, found.replay, *found.notes) if sentence]

    def _about_the_request(self) -> list[str]:
        simulation = self.found.simulation
        lines = [simulation.verdict, *simulation.notes]
        user = self.found.run.external_user_id
        if simulation.body is not None and isinstance(user, str) and is_pseudonym(user):
            lines.append("The lake holds a pseudonym; the engine needs the real id, which only the log table has.")
        elif simulation.body is not None and self._mask.user is not None:
            lines.append("The user id is masked; the engine needs the real one (--show-users).")
        return [self._mask.text(sentence) for sentence in lines]

    def _request(self) -> str:
        simulation = self.found.simulation
        if simulation.body is None:
            return ""
        body = json.dumps(_plain(self._mask.value(simulation.body)), ensure_ascii=False, indent=1)
        return f"POST …{simulation.path}\n{body}"

    def _page_step(self, step: Step) -> page.Step:
        why: list[Inline] = []
        for arrow, found in (("; ", step.conditions), (" → ", step.effects)):
            for line in found:
                why += [arrow] if why or arrow == " → " else []
                why += [page.strong(part) if isinstance(part, SeenValue) else part for part in self._mask.line(line)]
        return page.Step(step.name, why or None, _amount(step), _STATES[step.state], _verdict(step))


def _step_dict(step: Step, mask: Mask) -> dict[str, object]:
    masked_lines = {"conditions": map(mask.line, step.conditions), "effects": map(mask.line, step.effects)}
    return {**step.to_dict(), **{name: list(map(words.plain, lines)) for name, lines in masked_lines.items()}}


def _verdict(step: Step) -> str:
    return ", ".join(filter(None, (step.verdict, "computed, not recorded" if step.is_computed else "")))


def _amount(step: Step) -> str:
    return "–" if step.points is None else _written(step.points, sign=step.is_change)


def _written(points: object, *, sign: bool = False) -> str:
    """Points as they are: no rounding up to 15 digits; what is no finite number by its name."""
    if isinstance(points, bool) or not isinstance(points, int | float) or points != points:
        return str(words.value(points))
    return number.exact(points, sign=sign)


def _wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    """Lines of at most so many columns, what cannot be seen written out."""
    room = " " * indent
    return textwrap.wrap(
        page.visible(text),
        max(width, indent + 20),
        initial_indent=room,
        subsequent_indent=room,
        break_on_hyphens=False,
    ) or [room]


def _plain(value: object) -> Json:
    """The same as JSON has it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > _MOST_BITS:
        return str(words.value(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime | date) else cast("Json", value)
