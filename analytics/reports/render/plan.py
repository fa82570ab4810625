"""What rendering a report would do: its notebook, all its parameters, the folder it will be in. Made once, handed on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.config import Settings
from analytics.errors import UsageError
from analytics.lake.lake import Lake
from analytics.reports.explore.lake_folder import find_lake
from analytics.reports.parameter_values import Value
from analytics.reports.render.notebooks import (
    OF_ONE_STRATEGY,
    PARAMETERS,
    REPORTS,
    ReportParameters,
    checked,
    declared_parameters,
    notebook_path,
)
from analytics.reports.render.publish_folder import find_last, folder_name, scope_of_previous, slug
from analytics.reports.schedule import cards
from analytics.reports.schedule.cards import Card
from analytics.reports.schedule.definition import Definition, window_of
from analytics.storage import place
from analytics.warehouse import in_sight
from analytics.window import Window, midnight

if TYPE_CHECKING:
    pass


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
        last: Of such a notebook the last report's ``summary.json``; empty where there is none. Others are told in ``previous``.
    """

    notebook: Path
    values: dict[str, Value]
    scope: dict[str, Value]
    target: Path
    card: Card
    builder: str = ""
    last: str = ""

    def check(self) -> None:
        """Refuse at once what the report's process would refuse when it has started, as far as no row of the lake is asked.

        Raises:
            UsageError: It cannot be done as asked, or the lake holds nothing of the tenant.
            NotExtractedError: It is empty, and the report is of one tenant or one strategy.
            LakeError: There is no lake.
        """
        lake, realms = Lake(place(self.text("lake"))), [self.card.realm] if self.card.is_scoped else None
        name = self.builder.removeprefix("analytics.")
        if kind := PARAMETERS.get(name):
            report = kind.of(self.values)
            report.check()
            realm, any_realm = report.tenant
            realms = None if any_realm else [realm]
        lake.ensure_there(may_be_empty=True)
        if (realms is not None or name in OF_ONE_STRATEGY) and not lake.realms():
            raise in_sight.not_extracted(lake, Window(self.card.since, self.card.until).days)
        in_sight.check(lake, realms)

    def text(self, name: str) -> str:
        """A parameter as a text; empty where it is empty or the notebook has none of that name."""
        return _text(self.values, name)

    def to_json(self) -> dict[str, Any]:
        """For the process that renders it. What is a default of the notebook is read there again: JSON may not carry it."""
        defaults = declared_parameters(self.notebook)
        plain = {
            name: value
            for name, value in self.values.items()
            if name not in defaults or repr(value) != repr(defaults[name])  # 1 is not True, and NaN is itself
        }
        return {
            "notebook": str(self.notebook),
            "values": plain,
            "scope": self.scope,
            "target": str(self.target),
            "card": cards.to_json(self.card),
            "builder": self.builder,
            "last": self.last,
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
            values["last"],
        )


@dataclass(frozen=True, slots=True)
class _Resolved:
    """A report's parameters, none of which depends on the moment any more.

    Attributes:
        notebook: To execute.
        values: By name, with their defaults.
        window: Its window.
    """

    notebook: Path
    values: dict[str, Value]
    window: Window


def _resolve(definition: Definition, parameters: Mapping[str, Value], today: date | None) -> _Resolved:
    source = notebook_path(definition.notebook)
    known = declared_parameters(source)
    given = {**definition.parameters, **parameters}
    wanted = given if "min_users" in known else {name: value for name, value in given.items() if name != "min_users"}
    values = checked(known, wanted)
    if given.get("realm") == "" and not values.get("no_realm"):
        # An unset variable of a script. The notebook takes an empty name for all tenants.
        raise UsageError(
            "the realm is empty",
            hint="name it; --no-realm for the runs without one, --all-realms (in a definition no realm at all) for all "
            "side by side, where those of a tenant with an empty name stand, too",
        )
    # Also of a notebook of one's own: the leak gate looks at names of before it.
    window = _window(definition, parameters, values, today).of_report()
    values |= {"since": window.since.isoformat(), "until": window.until.isoformat()}
    folder, counters = _text(values, "lake") or None, _text(values, "counters")
    users = values.get("min_users") or given.get("min_users") or ""
    settings = Settings.from_env(
        lake=folder, min_users=int(users) if isinstance(users, int | float) else str(users), sample_rates=""
    )
    # A notebook's kernel may stand in another folder.
    values["lake"] = str(find_lake(folder, settings).resolve())
    if gathered := _text(values, "gathered"):
        values["gathered"] = str(place(gathered).resolve())
    if draft := _text(values, "draft"):
        values["draft"] = str(
            Path(draft).absolute()
        )  # a link is the draft's name, and a loop of them a file that cannot be read
    if "counters" in known:
        values["counters"] = _counters(counters or settings.counters, is_named=bool(counters))
    if "min_users" in known:
        values["min_users"] = settings.min_users
    elif settings.min_users > 1:
        raise UsageError(
            f"nothing that fewer than {settings.min_users} users did may be shown, and the notebook {source.name} has no parameter "
            "min_users, so it would show it",
            hint="give its parameters cell min_users = 1, and leave small groups out: lake.estimate(…) does so, of a table of your "
            "own you do it; or --min-users 1 for readers who may see all",
        )
    return _Resolved(source, values, window)


def _window(
    definition: Definition, parameters: Mapping[str, Value], values: Mapping[str, Value], today: date | None
) -> Window:
    """The window. It is fixed here: "yesterday" must mean the same day in every cell and in the name of the folder."""
    if definition.window and not {"since", "until"} & set(parameters):
        return window_of(definition.window, today or datetime.now(UTC).date())
    if values.get("execution_id") and not {"since", "until"} & {*parameters, *definition.parameters}:
        from analytics.findings.replay.run_evidence import days_around
        from analytics.reports.explore.open_lake import warehouse_of

        # The run tells when; a week back from now would not hold an older one.
        report = ReportParameters.of(values)
        opened = warehouse_of(report.lake, *report.tenant)
        around = days_around(opened, _text(values, "execution_id"))
        return Window.parse(around.get("since", report.since), around.get("until", report.until))
    report = ReportParameters.of(values)
    return Window.parse(report.since, report.until, now=midnight(today) if today else None)


def window_on(definition: Definition, parameters: Mapping[str, Value], day: date) -> Window:
    """The window that a report has when it is made on that day, whatever tenant and strategy it is about.

    Raises:
        UsageError: As ``plan``.
    """
    return _resolve(definition, parameters, day).window


def plan(
    definition: Definition,
    out: Path,
    parameters: Mapping[str, Value],
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
        values["previous"] = _previous(_text(values, "previous"), out, prefix, about, window)
    realm = _text(values, "realm") or None
    card = Card(
        name=definition.name,
        notebook=Path(definition.notebook).stem,
        realm=realm,
        is_scoped=realm is not None or bool(values.get("no_realm")),
        family=cards.subject(_text(values, "family"), _text(values, "against")),
        since=window.since,
        until=window.until,
        made_at=datetime.now(UTC).replace(microsecond=0),
        state="failed",
        every=every,
    )
    target = out / folder_name(definition.name, values, window)
    builder = f"analytics.{definition.notebook}" if definition.notebook in REPORTS else ""
    last = None if builder else find_last(out, prefix, about, window, is_own=True)
    return Plan(resolved.notebook, values, about, target, card, builder, str(last.resolve()) if last else "")


def _counters(where: str, *, is_named: bool) -> str:
    """Where the report finds the engine's counters; never with a password, which the notebook would keep.

    Args:
        where: Server or file; empty for none.
        is_named: Whoever asked for the report named it. An address in the environment is read there by the report itself.

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


def _previous(name: str, out: Path, prefix: str, about: Mapping[str, Value], window: Window) -> str:
    """The last report's ``summary.json`` as the notebook is told: the one that was named, else the last in the folder."""
    if name == "none":
        return name
    path = Path(name) if name else find_last(out, prefix, about, window)
    return str(path.resolve()) if path else ""


def _text(values: Mapping[str, Value], name: str) -> str:
    return str(values.get(name) or "")
