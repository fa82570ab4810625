"""The notebooks that make reports: where they are, and the one declaration of what each can be asked.

The first cell of a notebook says the names and defaults of the parameters that are declared here, the library's call has the same
keywords, and the command's options have the same names.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import json
import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import date
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from analytics.errors import ReportError, UnknownNameError, UsageError, did_you_mean
from analytics.findings.rehearsal.gate import Condition, conditions, version_number
from analytics.findings.runaway.thresholds import Thresholds, named
from analytics.reports.explore.lake_folder import check_engine, tenant_of
from analytics.reports.parameter_values import Value, understood
from analytics.storage import LakePath

if TYPE_CHECKING:
    from analytics.findings.rehearsal.lake_program import VersionProgram
    from analytics.findings.runaway.previous_report import Previous
    from analytics.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportParameters:
    """Parameters that all reports have.

    Attributes:
        lake: An open lake, or its folder; empty for ``ANALYTICS_LAKE``, else ``lake``, else the demo's.
        realm: Tenant; empty for all (a strategy must then be in one only), ``None`` for the NULL realm.
        no_realm: The NULL realm, where a parameter cannot be ``None``.
        since, until: The window in question, ``2026-07-08``, ``yesterday``, ``7d`` …; until is exclusive.
        min_users: For a report to be passed on: users that whatever it shows must rest on; 0 for ``ANALYTICS_MIN_USERS``, else 1,
            which leaves nothing out.
        counters: Prometheus server or exported file with the engine's counters; empty for ``ANALYTICS_COUNTERS``, else none.
        engine: Who asks the runs: ``spark``, or DuckDB when empty.
    """

    NAME: ClassVar[str] = ""

    lake: Warehouse | str | LakePath | None = ""
    realm: str | None = ""
    no_realm: bool | None = False
    since: str | date = ""
    until: str | date = ""
    min_users: int = 0
    counters: str = ""
    engine: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Of values by name, as a notebook has them."""
        return cls(**{one.name: values[one.name] for one in fields(cls) if one.name in values})

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Names and defaults, as the first cell of the notebook says them."""
        return {one.name: one.default for one in fields(cls) if one.default is not MISSING}

    @property
    def tenant(self) -> tuple[str | None, bool]:
        """The realm, and whether any will do.

        Raises:
            UsageError: A realm and none were asked for.
        """
        return tenant_of(self.realm, self.no_realm)

    def check(self) -> None:
        """Refuse what needs no row of the lake to be seen as wrong.

        Raises:
            UsageError: It cannot be done as asked.
        """
        _ = self.tenant
        check_engine(self.engine, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostMortemParameters(ReportParameters):
    """Parameters of the post-mortem of one strategy.

    Attributes:
        strategy_id: Id of any of its versions.
        family: Its name; one of the two is needed, or ``execution_id``.
        baseline: What to compare with: a version (``v2``, ``v2@<start of its id>``) or a window
            (``2026-07-01..2026-07-05``); empty to let the report choose.
        against: Another strategy of the same tenant to compare with in the same window: its name, ``tag:NAME`` for the versions
            of a strategy that carry an experiment's tag, or an id; ``family`` may be a tag, too. Empty for none.
        execution_id: A run to explain before the three that the report chooses; its first letters do.
        show_users: Show user ids; not together with ``min_users``.
    """

    NAME: ClassVar[str] = "post_mortem"

    since: str | date = "7d"
    until: str | date = "now"
    strategy_id: str = ""
    family: str = ""
    baseline: str = ""
    against: str = ""
    execution_id: str = ""
    show_users: bool = False

    def check(self) -> None:
        """See ``ReportParameters``."""
        clash = {"--baseline": self.baseline, "--execution": self.execution_id}
        if self.against and (clashing := [name for name, value in clash.items() if value]):
            raise UsageError(
                f"--against with {' and '.join(clashing)}: two strategies are compared in one window, without a before",
                hint=f"leave out --against, or {' and '.join(clashing)}",
            )
        if self.min_users > 1 and self.show_users:
            raise UsageError(
                "user ids cannot be shown in a report that leaves out what few users did",
                hint="leave out --show-users, or set --min-users 1",
            )
        ReportParameters.check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunawayParameters(ReportParameters):
    """Parameters of the report on runaway rules.

    Attributes:
        previous: ``summary.json`` of the last report, which says what is new, worse and fixed; empty or ``none`` to compare with
            the days before the window.
        gathered: Folder of what ``gather`` has asked already; empty for none.
        thresholds: Those that were named, of `analytics.findings.runaway.thresholds.Thresholds`; in the notebook each is a
            parameter.
    """

    NAME: ClassVar[str] = "runaway_rules"

    since: str | date = "yesterday"
    until: str | date = "today"
    previous: str | Path = ""
    gathered: str = ""
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """See ``ReportParameters``."""
        limits = {one.name: values[one.name] for one in fields(Thresholds) if one.name in values}
        plain = {one.name: values[one.name] for one in fields(cls) if one.name in values}
        return cls(**{**plain, "thresholds": limits})

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """See ``ReportParameters``."""
        plain = {one.name: one.default for one in fields(cls) if one.default is not MISSING}
        return plain | {one.name: one.default for one in fields(Thresholds)}

    def limits(self) -> Thresholds:
        """All thresholds.

        Raises:
            UsageError: One is unknown or makes no sense.
        """
        return named(self.thresholds)

    def last_report(self) -> Previous | None:
        """The report before; ``None`` where the days before the window say what is new.

        Raises:
            UsageError: It cannot be read.
        """
        if str(self.previous) in ("", "none"):
            return None
        from analytics.findings.runaway import previous_report

        return previous_report.read(self.previous)

    def check(self) -> None:
        """See ``ReportParameters``."""
        self.limits()
        self.last_report()
        _ = self.tenant
        check_engine(self.engine, self.gathered)


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalParameters(ReportParameters):
    """Parameters of the rehearsal of a draft.

    Attributes:
        strategy_id: Id of any version of the strategy whose runs the draft is tried on, or
        family: Its name.
        draft: A JSON file with the program, as the engine's editor exports it; in a call also the program itself, or one of the
            lake. Empty for a version.
        version: A version of the strategy to try; 0 for its newest draft in the lake, where no file is given.
        against: A version, ``v2``, whose pay for the same runs the draft is held against; empty for what they were paid.
        most: Logged runs that are tried at most; of more, an even part, and intervals are wider.
        show_users: Show user ids; not together with ``min_users``.
        fail_on: Conditions that refuse the draft, with commas between them: ``points>5%, failures``.
    """

    NAME: ClassVar[str] = "rehearsal"

    since: str | date = "7d"
    until: str | date = "now"
    strategy_id: str = ""
    family: str = ""
    draft: str | Path | Mapping[str, Any] | VersionProgram = ""
    version: int = 0
    against: str = ""
    most: int = 1_000_000
    show_users: bool = False
    fail_on: str = ""

    @property
    def conditions(self) -> list[Condition]:
        """The conditions, read.

        Raises:
            UsageError: One is none.
        """
        return conditions(self.fail_on.split(","))

    def check(self) -> None:
        """See ``ReportParameters``."""
        if self.draft and self.version:
            raise UsageError("a draft and a version: which one is to be tried?", hint="leave out --draft, or --version")
        _ = self.conditions
        version_number(self.against)
        if self.most < 1:
            raise UsageError("at least one run has to be tried", hint="leave out --set most, or name more")
        if self.min_users > 1 and self.show_users:
            raise UsageError(
                "user ids cannot be shown in a report that leaves out what few users did",
                hint="leave out --show-users, or set --min-users 1",
            )
        ReportParameters.check(self)


PARAMETERS: Mapping[str, type[ReportParameters]] = {
    kind.NAME: kind for kind in (PostMortemParameters, RunawayParameters, RehearsalParameters)
}
"""By the name of the report's notebook."""

REPORTS = ("post_mortem", "runaway_rules", "rehearsal")
"""Notebooks of the package."""
OF_ONE_STRATEGY = ("post_mortem", "rehearsal")
"""Those that are about one strategy, and thereby about one tenant."""
EVERY_REPORT = ("lake", "since", "until")
"""Parameters without which a notebook is no report."""


def skip_iri_grammar() -> None:
    """Keep ``nbformat`` from compiling a grammar of internationalised addresses, which takes a second and which no notebook needs.

    Where JupyterLab is installed, ``jsonschema`` finds the package of that grammar and loads it. For processes of our own only:
    whoever checks such addresses in the same process could not.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # what makes an import fail, and is handled there


_FORMATS = ("fqdn", "isoduration", "rfc3986_validator", "uri_template", "webcolors")
"""Packages that ``jsonschema`` takes for formats of texts, where they are installed; the schema of notebooks has no such format."""
_STORES = ("boto3",)
"""Clients of object stores that papermill takes for notebooks kept there, where they are installed; ours lie on the disk."""


def skip_unused() -> None:
    """Keep ``nbformat`` and papermill from importing what a report's notebook never needs: a fifth of what they import.

    For processes of our own only, as `skip_iri_grammar`; a notebook of somebody else's runs in a kernel, which is another process.
    """
    skip_iri_grammar()
    for name in (*_FORMATS, *_STORES):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # as above


def notebook_path(report: str) -> Path:
    """The notebook of a report: a file of the user's, else the checkout's own, else the one shipped with the package.

    Raises:
        UnknownNameError: There is no such report.
    """
    if report.endswith(".ipynb") and Path(report).is_file():
        return Path(report)
    if report not in REPORTS:
        raise UnknownNameError(
            f"there is no report {report!r}",
            hint=f"{did_you_mean(report, REPORTS)}known: {', '.join(REPORTS)}",
            name=report,
        )
    package = Path(str(resources.files("analytics")))
    for folder in (package.parent / "notebooks", package / "notebooks"):
        if (folder / f"{report}.ipynb").is_file():
            return folder / f"{report}.ipynb"
    raise ReportError(
        f"the notebook {report}.ipynb is missing", hint="install the package from a checkout, with its notebooks/"
    )


def declared_parameters(notebook: Path) -> dict[str, Value]:
    """Names and defaults of a notebook's parameters cell.

    Raises:
        UsageError: It has no such cell, or not the parameters that every report has.
    """
    seen = notebook.stat()
    return dict(_declared(notebook, seen.st_mtime_ns, seen.st_size))


@functools.lru_cache(maxsize=64)
def _declared(notebook: Path, _changed_ns: int, _size: int) -> dict[str, Value]:
    """Read once for the many reports of one run."""
    cells = [source for tags, source in _cells(notebook) if "parameters" in tags]
    if len(cells) != 1:
        raise UsageError(
            f"{notebook} has {len(cells)} cells with the tag parameters",
            hint="a report's notebook has one, with a line for each parameter: in JupyterLab, Property Inspector, Cell Tags, "
            '"parameters"; see docs/own-report.md',
        )
    found: dict[str, Value] = {}
    try:
        statements = ast.parse(cells[0]).body
    except SyntaxError as error:
        raise UsageError(
            f"the parameters cell of {notebook} cannot be read: {error.msg} in line {error.lineno}",
            hint="it holds a line for each parameter, name = value, and no % or ! command",
        ) from None
    for statement in statements:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name), *_], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                try:
                    found[name] = ast.literal_eval(value)
                except (ValueError, TypeError):
                    raise UsageError(
                        f"the default of the parameter {name} of {notebook} is no plain value: {ast.unparse(value)[:80]}",
                        hint="a text, a number, True, False or None is written out; what is computed belongs into the next cell",
                    ) from None
    if missing := [name for name in EVERY_REPORT if name not in found]:
        raise UsageError(
            f"{notebook} has no parameter {', '.join(missing)}", hint="every report is about a window of a lake"
        )
    return found


def _cells(notebook: Path) -> list[tuple[list[str], str]]:
    """Tags and source of each cell. Jupyter's own reader, which imports much, is for notebooks of an older form."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):  # that reader says what is wrong with it
        book = json.loads(notebook.read_text(encoding="utf-8"))
        if book["nbformat"] == 4:
            return [(cell["metadata"].get("tags", []), "".join(cell["source"])) for cell in book["cells"]]
    import nbformat

    cells = nbformat.read(notebook, as_version=4).cells
    return [(cell.metadata.get("tags", []), str(cell.source)) for cell in cells]


def checked(known: Mapping[str, Value], given: Mapping[str, Value]) -> dict[str, Value]:
    """The parameters with their defaults, in the types of the defaults.

    Raises:
        UsageError: A name is unknown (papermill would only warn) or a value has another type.
    """
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UsageError(
            f"the report has no parameter {', '.join(unknown)}", hint=f"it has: {', '.join(known)}", names=unknown
        )
    return {**known, **{name: _of_kind(name, value, known[name]) for name, value in given.items()}}


def _of_kind(name: str, value: Value, default: Value) -> Value:
    """A value as the type of its default; lists and the like have to be what they are."""
    if isinstance(default, str | bool | int | float):
        plain: Value = understood(name, value, frozenset({type(default).__name__}))
        return plain
    if default is not None and not isinstance(value, type(default)):
        raise UsageError(
            f"parameter {name} must be {type(default).__name__}, not {type(value).__name__}",
            hint=f"its default is {default!r}",
            name=name,
        )
    return value
