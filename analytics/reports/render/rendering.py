"""Notebook + parameters → executed notebook, self-contained HTML, ``summary.json``.

Everything is made in a staging folder and renamed at the end: a failing run keeps its half-run notebook and never replaces
the last good report.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from analytics import errors
from analytics.config import Settings
from analytics.errors import AnalyticsError, ReportError, UsageError, named
from analytics.findings.replay.run_evidence import days_around
from analytics.lake.lake import Lake
from analytics.reports import leak_gate
from analytics.reports.explore.open_lake import find_lake, tenant_of, warehouse_of
from analytics.reports.render import kernel
from analytics.reports.render.failure_page import publish
from analytics.reports.render.notebooks import REPORTS, checked, declared_parameters, notebook_path
from analytics.reports.render.publish_folder import (
    find_last,
    folder_name,
    put_in_place,
    scope_of_previous,
    slug,
    staging,
)
from analytics.reports.render.report_parameters import PARAMETERS
from analytics.reports.schedule import archive, cards
from analytics.reports.schedule.cards import Card
from analytics.reports.schedule.definition import Definition, window_of
from analytics.storage import place
from analytics.warehouse import lake_files
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window, midnight

__all__ = [
    "REPORTS",
    "Plan",
    "Rendered",
    "assemble",
    "folder_name",
    "notebook_path",
    "plan",
    "publish_failure",
    "render",
    "window_on",
]


_log = logging.getLogger(__name__)

_ENDED = (
    "mostly because memory ran out: the system's log tells (journalctl -k); take a shorter window or one tenant, or give the job "
    "more memory"
)
_MODULES: Mapping[str, Sequence[str]] = {
    "analytics.post_mortem": (
        "analytics.api",
        "pandas",
        "duckdb",
        "analytics.reports.post_mortem.report",
        "scipy.stats",
    ),
    "analytics.runaway_rules": ("analytics.api", "pandas", "duckdb", "analytics.reports.runaway.report", "scipy.stats"),
}
"""What a report's kernel will import, by its builder. Not matplotlib: the kernel says first how it is to show pictures."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Where a report's files are.

    Attributes:
        html: The page.
        notebook: The executed notebook.
        summary: The facts for programs.
        facts: The same, read.
        card: What the index shows of it.
    """

    html: Path
    notebook: Path
    summary: Path
    facts: dict[str, Any] = field(repr=False)
    card: Card


@dataclass(frozen=True, slots=True)
class Plan:
    """A report before it is rendered.

    Attributes:
        notebook: To execute.
        values: All its parameters; windows are fixed, folders absolute.
        scope: What it is about apart from its time.
        target: The folder it will be in.
        card: What is known of it so far.
        builder: What the notebook of the package calls with the values, ``analytics.post_mortem``: an error of ours in that cell
            is about what was asked for. Empty for a notebook of somebody else.
        lake: The lake with all tenants in sight, where planning had to ask it; it is not handed to another process.
    """

    notebook: Path
    values: dict[str, Any]
    scope: dict[str, Any]
    target: Path
    card: Card
    builder: str = ""
    lake: Warehouse | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """For the process that renders it. What JSON cannot carry is a default of the notebook, and is read there again."""
        plain = {
            name: value for name, value in self.values.items() if json.loads(json.dumps(value, default=str)) == value
        }
        return {
            "notebook": str(self.notebook),
            "values": plain,
            "scope": self.scope,
            "target": str(self.target),
            "card": cards.to_json(self.card),
            "builder": self.builder,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Plan:
        """As ``to_json`` has written it."""
        notebook = Path(values["notebook"])
        return cls(
            notebook,
            {**declared_parameters(notebook), **values["values"]},
            values["scope"],
            Path(values["target"]),
            cards.from_json(values["card"]),
            values["builder"],
        )


@dataclass(frozen=True, slots=True)
class _Resolved:
    """A report's parameters, none of which depends on the moment any more.

    Attributes:
        notebook: To execute.
        values: By name, with their defaults.
        window: Its window.
        lake: The lake with all tenants in sight, where it had to be asked.
    """

    notebook: Path
    values: dict[str, Any]
    window: Window
    lake: Warehouse | None


def _resolve(definition: Definition, parameters: Mapping[str, Any], today: date | None) -> _Resolved:
    source = notebook_path(definition.notebook)
    known = declared_parameters(source)
    given = {**definition.parameters, **parameters}
    values = checked(known, given)
    if given.get("realm") == "" and not values.get("no_realm"):
        # An unset variable of a script. The notebook takes an empty name for all tenants.
        raise UsageError(
            "the realm is empty",
            hint="name it; --no-realm for the runs without one, --all-realms (in a definition no realm at all) for all "
            "side by side, where those of a tenant with an empty name stand, too",
        )
    window, lake = _window(definition, parameters, values, today)
    values |= {"since": window.since.isoformat(), "until": window.until.isoformat()}
    settings = Settings.from_env(
        lake=values["lake"] or None, min_users=int(values.get("min_users") or 0), sample_rates=""
    )
    # The kernel may stand in another folder.
    values["lake"] = str(find_lake(values["lake"] or None, settings).resolve())
    if values.get("gathered"):
        values["gathered"] = str(place(str(values["gathered"])).resolve())
    if "counters" in known:
        values["counters"] = _counters(str(values["counters"]) or settings.counters, is_named=bool(values["counters"]))
    if "min_users" in known:
        values["min_users"] = settings.min_users
    return _Resolved(source, values, window, lake)


def _window(
    definition: Definition, parameters: Mapping[str, Any], values: Mapping[str, Any], today: date | None
) -> tuple[Window, Warehouse | None]:
    """The window, and the lake of all tenants where it was asked for it.

    It is fixed here: "yesterday" must mean the same day in every cell and in the name of the folder.
    """
    if definition.window and not {"since", "until"} & set(parameters):
        return window_of(definition.window, today or datetime.now(UTC).date()), None
    if values.get("execution_id") and not {"since", "until"} & {*parameters, *definition.parameters}:
        # The run tells when; a week back from now would not hold an older one.
        opened = warehouse_of(values["lake"], *tenant_of(values["realm"], values["no_realm"]))
        around = days_around(opened, values["execution_id"])
        window = Window.parse(around.get("since", values["since"]), around.get("until", values["until"]))
        return window, None if opened.is_scoped else opened
    return Window.parse(values["since"], values["until"], now=midnight(today) if today else None), None


def window_on(definition: Definition, parameters: Mapping[str, Any], day: date) -> Window:
    """The window that a report has when it is made on that day, whatever tenant and strategy it is about.

    Raises:
        UsageError: As ``plan``.
    """
    return _resolve(definition, parameters, day).window


def plan(
    definition: Definition,
    out: Path,
    parameters: Mapping[str, Any],
    *,
    today: date | None = None,
    every: str = "",
) -> Plan:
    """What rendering would do.

    Args:
        definition: Which notebook, and the parameters it always has.
        out: Folder of rendered reports; the report gets a folder of its own in it, and finds the last one there.
        parameters: As in the notebook's parameters cell, before those of the definition; what neither says keeps its default.
        today: From where relative words count; the present moment when not given.
        every: When it is due, where it was not asked for by hand.

    Raises:
        UsageError: A parameter is unknown or has another type, or the realm is empty.
    """
    resolved = _resolve(definition, parameters, today)
    values, window = resolved.values, resolved.window
    about, prefix = scope_of_previous(definition.name, values), slug(definition.name)
    if "previous" in values:
        values["previous"] = _previous(str(values["previous"]), out, prefix, about, window)
    realm = str(values.get("realm") or "") or None
    card = Card(
        name=definition.name,
        notebook=Path(definition.notebook).stem,
        realm=realm,
        is_scoped=realm is not None or bool(values.get("no_realm")),
        family=cards.subject(str(values.get("family") or ""), values.get("against")),
        since=window.since,
        until=window.until,
        made_at=datetime.now(UTC).replace(microsecond=0),
        state="failed",
        every=every,
    )
    target = out / folder_name(definition.name, values, window)
    builder = f"analytics.{definition.notebook}" if definition.notebook in REPORTS else ""
    return Plan(resolved.notebook, values, about, target, card, builder, resolved.lake)


def _check(planned: Plan) -> None:
    """Refuse at once what the kernel would refuse when it has started, as far as no row of the lake is asked.

    Raises:
        UsageError: It cannot be done as asked, or the lake holds nothing of the tenant.
        LakeError: There is no lake.
    """
    if kind := PARAMETERS.get(planned.builder.removeprefix("analytics.")):
        asked = kind.of(planned.values)
        asked.check()
        realm, any_realm = asked.tenant
        lake_files.check(Lake(place(planned.values["lake"])), None if any_realm else [realm])


def render(planned: Plan) -> Rendered:
    """Render one report.

    Args:
        planned: As `plan` gives it.

    Raises:
        UsageError: What is asked for does not exist; nothing was run.
        ReportError: The notebook failed. Its half-run copy is named; the last good report is as it was.
    """
    _check(planned)
    target, values = planned.target, planned.values
    began = time.monotonic()
    with (
        staging(target.parent) as made,
        kernel.Running(planned.notebook, made / "report.ipynb", values, _MODULES.get(planned.builder, ())) as running,
    ):
        forbidden = _forbidden(planned)  # while the kernel starts
        try:
            executed = _executed(running, made / "report.ipynb", planned, forbidden)
            _log.info("%s: the notebook ran for %.1f s", target.name, time.monotonic() - began)
            title, page, facts = assemble(executed, made_at=planned.card.made_at)
            (made / "report.html").write_text(page, encoding="utf-8")
            (made / "summary.json").write_text(
                json.dumps(
                    {"title": title, "scope": planned.scope, **facts}, indent=1, ensure_ascii=False, allow_nan=False
                )
                + "\n",
                encoding="utf-8",
            )
            card = cards.of_facts(replace(planned.card, folder=target.name), facts)
            cards.write(card, made)
            leak_gate.check(made, forbidden.about(leak_gate.tenants(values, facts)))
        except _Refused as refused:
            raise refused.error from None
        except ReportError as error:
            kept = publish(target, planned.card, error, made / "report.ipynb", forbidden)
            archive.refresh(target.parent, {target.name})
            repair = f"{error.hint}. " if error.hint else ""
            raise ReportError(
                error.message, hint=f"{repair}What happened: {kept}; the last good report was left alone", page=kept
            ) from None
        put_in_place(made, target)
    shutil.rmtree(target.with_name(target.name + cards.FAILED), ignore_errors=True)
    archive.refresh(target.parent, {target.name})
    return Rendered(target / "report.html", target / "report.ipynb", target / "summary.json", facts, card)


def publish_failure(planned: Plan, error: AnalyticsError) -> Path:
    """Publish why a report was not made, where it has not come so far as to do that itself.

    Returns:
        The page.
    """
    try:
        forbidden = _forbidden(planned)
    except (AnalyticsError, OSError, MemoryError):
        forbidden = None  # a lake that cannot be read is often what happened
    kept = publish(planned.target, planned.card, error, None, forbidden)
    archive.refresh(planned.target.parent, {planned.target.name})
    return kept


def _forbidden(planned: Plan) -> leak_gate.Forbidden:
    """What may not be read in a report, as far as it is known before that is made."""
    values = planned.values
    return leak_gate.Forbidden.of(
        planned.lake or values["lake"],
        planned.target.parent,
        window=Window(planned.card.since, planned.card.until),
        realms=leak_gate.tenants(values, {}),
        show_users=bool(values.get("show_users")),
        notebook=planned.notebook,
        said=[planned.card.name, planned.card.title, planned.target.name, *_said(values)],
    )


def _said(values: Mapping[str, Any]) -> list[str]:
    """What whoever asked for the report wrote about its subject."""
    places = ("lake", "previous", "counters", "gathered")
    return [value for name, value in values.items() if isinstance(value, str) and name not in places]


def _counters(where: str, *, is_named: bool) -> str:
    """Where the kernel finds the engine's counters; never with a password, which the notebook would keep.

    Args:
        where: Server or file; empty for none.
        is_named: Whoever asked for the report named it. An address in the environment is read there by the kernel itself.

    Raises:
        UsageError: The address has one.
    """
    if "://" not in where:
        return str(Path(where).resolve()) if where else ""
    if is_named and "@" in where.partition("://")[2].partition("/")[0]:
        raise UsageError(
            "an address with a password would be kept in the notebook",
            hint="put it into ANALYTICS_COUNTERS instead",
        )
    return where if is_named else ""


def _previous(said: str, out: Path, prefix: str, about: Mapping[str, Any], window: Window) -> str:
    """The last report's ``summary.json`` as the notebook is told: the one that was named, else the last in the folder."""
    if said == "none":
        return said
    found = Path(said) if said else find_last(out, prefix, about, window)
    return str(found.resolve()) if found else ""


def assemble(notebook: Path, *, made_at: datetime | None = None) -> tuple[str, str, dict[str, Any]]:
    """An executed notebook as a page.

    Only outputs that carry the package's own mark are taken: what else a notebook shows stays in the notebook.

    Args:
        notebook: The executed one.
        made_at: UTC; the page says it in its last line, and nowhere else.

    Returns:
        Title, HTML, and the facts of the summary cell.
    """
    import nbformat

    from analytics.reports import page

    book = nbformat.read(notebook, as_version=4)
    blocks: list[str] = []
    facts: dict[str, Any] = {}
    left_out = 0
    for cell in book.cells:
        for output in cell.get("outputs", []):
            marks = output.get("metadata", {})
            if "analytics" in marks.get("text/html", {}):
                blocks.append(output["data"]["text/html"])
            elif "analytics" in marks.get("application/json", {}):
                facts = output["data"]["application/json"]
            elif output.output_type in ("display_data", "execute_result") or output.get("name") == "stdout":
                left_out += 1
    if left_out or not blocks:
        blocks.append(_left_out(left_out, is_blank=not blocks))
    title = str(facts.get("title") or facts.get("report") or "Report")
    nav = [(str(href), str(label)) for href, label in facts.pop("nav", [])]
    code = [cell.source for cell in book.cells if cell.cell_type == "code"]
    when = f", {made_at:%Y-%m-%d %H:%M:%S} UTC" if made_at else ""
    footer = f"Made by strategy-analytics from the execution log{when}. Same facts for programs: summary.json"
    nav = [(archive.HOME, "Reports"), *nav]
    return title, page.document(title, blocks, nav=nav, footer=footer, code_cells=code, has_neighbours=True), facts


def _left_out(count: int, *, is_blank: bool) -> str:
    """What a page says of outputs that it does not take: anybody's HTML, pictures that cannot be searched, printed text."""
    from analytics.reports import page

    are = "1 output of its notebook is" if count == 1 else f"{count} outputs of its notebook are"
    begin = "This report shows nothing" if is_blank else "This is not all"
    why = f": {are} in report.ipynb only" if count else ": no cell of its notebook shows anything"
    return page.note(
        f"{begin}{why}. A page takes answers of lake.sql() and what analytics and its pages make, such as page.table(), not the "
        "HTML, pictures and printed text of others."
    ).in_page


class _Refused(Exception):  # noqa: N818  # it never leaves this module
    """What was asked for does not exist, or cannot be: the kernel's own error, which is raised in its place."""

    def __init__(self, error: AnalyticsError) -> None:
        super().__init__(str(error))
        self.error = error


def _executed(running: kernel.Running, executed: Path, planned: Plan, forbidden: leak_gate.Forbidden) -> Path:
    """The notebook when it is done, cleaned.

    Raises:
        _Refused: The report's object could not be built, for a reason of ours: nothing of the report was made.
        ReportError: Another cell failed.
    """
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    def clean() -> None:
        if executed.is_file():
            leak_gate.clean(executed, forbidden, planned.target)

    try:
        running.wait()
    except DeadKernelError as error:
        clean()
        raise ReportError(f"the notebook's kernel was ended from outside ({named(error)})", hint=_ENDED) from None
    except PapermillExecutionError as error:
        # Our own errors are sentences that say their repair; of others ("3", "'points'") the class says more than the words.
        kind = errors.class_of(error.ename) if error.evalue else None
        if kind and planned.builder and f"{planned.builder}(" in error.source:
            message, _, hint = error.evalue.partition(errors.REPAIR)
            raise _Refused(kind(message, hint=hint)) from None
        clean()
        said = error.evalue if kind else ": ".join(filter(None, (error.ename, error.evalue)))
        said, repair = leak_gate.clean_text(said, forbidden), ""
        if kind:
            said, _, repair = said.partition(errors.REPAIR)
        raise ReportError(f"the notebook failed in cell {error.exec_count}: {said}", hint=repair) from None
    clean()
    return executed
