"""Report definitions: which notebook, which tenants, which window in words, when, and when its findings fail a job."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from analytics.errors import UnknownNameError, UsageError, did_you_mean
from analytics.findings.rehearsal.gate import conditions
from analytics.reports.parameter_values import Value, understood
from analytics.window import ONE_DAY, Window, midnight

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DRAFTS = ("each", "changed")
"""Which strategies a rehearsal is of: those that have a draft, or of these the ones whose draft has changed."""
EVERY = ("day", *WEEKDAYS, "month")
"""When a report is due: each day, on a weekday, or on the first of a month."""


def window_of(words: str, today: date) -> Window:
    """The whole UTC days that words mean, seen from a day. None of them but "today" holds a day that is not over.

    Args:
        words: ``yesterday``, ``today``, ``last 7 days``, ``last week`` (Monday to Sunday) or ``last month``.
        today: The day of the report.

    Raises:
        UsageError: The words mean nothing.
    """
    text = " ".join(words.lower().split())
    monday, first = today - today.weekday() * ONE_DAY, today.replace(day=1)
    spans = {
        "today": (today, today + ONE_DAY),
        "yesterday": (today - ONE_DAY, today),
        "last week": (monday - 7 * ONE_DAY, monday),
        "last month": ((first - ONE_DAY).replace(day=1), first),
    }
    if text in spans:
        since, until = spans[text]
    elif (match := re.fullmatch(r"last (\d{1,3}) days?", text)) and int(match[1]):
        since, until = today - int(match[1]) * ONE_DAY, today
    else:
        raise UsageError(
            f"{words!r} is no window", hint='write "yesterday", "last 7 days", "last week", "last month" or "today"'
        )
    return Window(midnight(since), midnight(until))


def due_days(every: str, today: date, catch_up: int) -> list[date]:
    """The days of the last ones on which a report is due, oldest first.

    Args:
        every: One of `EVERY`.
        today: The last day.
        catch_up: How many days to look at, today included: a machine that was off makes up for them.
    """
    return [day for back in range(catch_up - 1, -1, -1) if is_due(every, day := today - back * ONE_DAY)]


def is_due(every: str, day: date) -> bool:
    """A report is due on that day."""
    if every in WEEKDAYS:
        return day.weekday() == WEEKDAYS.index(every)
    return every == "day" or (every == "month" and day.day == 1)


FAIL_ON = ("new", "any", "never")
"""When findings make the exit code 1: new ones, any that is open, or never."""

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "name": str,
    "notebook": str,
    "realms": (str, list),
    "no_realm": bool,
    "families": (str, list),
    "drafts": str,
    "window": str,
    "every": str,
    "catch_up_days": int,
    "keep_days": int,
    "timeout_minutes": (int, float),
    "fail_on": (str, list),
    "out": str,
    "parameters": dict,
}


@dataclass(frozen=True, slots=True)
class Definition:
    """One report as it is to run again and again.

    Attributes:
        name: What the report is called; findings are compared with the last report of the same name.
        notebook: Which notebook makes it: one of the package's, or a file.
        parameters: The notebook's parameters that differ from its defaults, thresholds among them.
        fail_on: One of `FAIL_ON`; of a rehearsal, conditions are among its parameters.
        realms: ``all`` together in one report, ``each`` in one of its own, or the names of those that get one.
        no_realm: With names: the runs without a realm get one too.
        families: Of a post-mortem or rehearsal: ``each`` strategy that ran in the window, or the names of those that get one.
        drafts: Of a rehearsal: ``each`` strategy that has a draft, or those whose draft has ``changed`` since the last page of it.
        window: Relative words, see `window_of`; empty where the parameters or the notebook say it.
        every: When it is due, one of `EVERY`.
        catch_up_days: How many days, today included, are looked at for what is due.
        keep_days: How long scheduled renderings are kept after the end of their window; 0 for ever.
        timeout_minutes: After so long a report is stopped, and has failed.
        out: Folder of rendered reports; empty for the usual one.
        says_realms: Whose rows it shows was said, by itself or for it; several tenants are not shown side by side unasked.
    """

    name: str
    notebook: str
    parameters: dict[str, Value] = field(default_factory=dict)
    fail_on: str = "never"
    realms: str | tuple[str, ...] = "all"
    no_realm: bool = False
    families: str | tuple[str, ...] = ()
    drafts: str = ""
    window: str = ""
    every: str = "day"
    catch_up_days: int = 3
    keep_days: int = 90
    timeout_minutes: float = 60.0
    out: str = ""
    says_realms: bool = False

    @property
    def is_one(self) -> bool:
        """It makes one report, not one for each of several tenants or strategies."""
        return self.realms == "all" and not self.families and not self.drafts


def find(
    name: str, notebooks: Sequence[str], folder: Path = Path("reports"), own: Mapping[str, Path] | None = None
) -> Definition:
    """The definition of one report.

    Args:
        name: A file (``reports/morning.toml``), the name of one in ``folder`` (``morning``), or a notebook's name or file,
            which needs no definition.
        notebooks: Those of the package.
        folder: Where definitions lie, before those of the package.
        own: Notebooks of the user's own by name.

    Raises:
        UnknownNameError: There is no such report.
        UsageError: The file cannot be read, says something that is not known, or defines several reports.
    """
    path = Path(name) if name.endswith(".toml") else folder / f"{name}.toml"
    if not path.is_file():
        path = shipped().get(f"{name}.toml", path)
    if path.is_file():
        found = read(path, notebooks)
        if len(found) == 1 and found[0].is_one:
            return found[0]
        raise UsageError(
            f"{path} defines several reports", hint=f"render all that are due: strategy-analytics report run {path}"
        )
    if name in notebooks:
        return Definition(name, name)
    if name.endswith(".ipynb") and Path(name).is_file():
        return Definition(Path(name).stem, name)
    own = own or {}
    if name in own:
        return Definition(name, str(own[name]))
    known = sorted({*notebooks, *(found.stem for found in folder.glob("*.toml")), *own})
    raise UnknownNameError(
        f"there is no report {name!r}",
        hint=f"{did_you_mean(name, known)}known: {', '.join(known)}, or a .toml or .ipynb file",
        name=name,
    )


def shipped() -> dict[str, Path]:
    """File name → path of the definitions that lie in an installed package; a checkout has its own in ``reports/``."""
    folder = Path(str(resources.files("analytics"))) / "definitions"
    return {path.name: path for path in sorted(folder.glob("*.toml"))}


def read(path: Path, notebooks: Sequence[str]) -> list[Definition]:
    """All definitions of a file: itself, or its ``[[report]]`` tables with what stands before them as their default.

    Raises:
        UsageError: It cannot be read, or says something that is not known.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no report definition {path}", hint="reports/nightly.toml is one to copy") from None
    except (OSError, ValueError, RecursionError) as error:  # also no UTF-8, endless digits, endless brackets
        raise UsageError(f"the report definition {path} cannot be read: {error}", hint="it is a TOML file") from None
    several = told.pop("report", None)
    if several is None:
        return [_definition(path, path.stem, told, notebooks)]
    if not isinstance(several, list) or not all(isinstance(one, dict) for one in several) or not several:
        raise UsageError(f"report in {path} is no list of tables", hint="write [[report]], and its lines below")
    parts = [{**told, **one, "parameters": _merged(path, told, one)} for one in several]
    found = [_definition(path, str(part.get("notebook")), part, notebooks) for part in parts]
    names = [one.name for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(
            f"{path} has two reports called {', '.join(twice)}", hint='give each a name of its own: name = "…"'
        )
    return found


def _merged(path: Path, told: Mapping[str, Any], one: Mapping[str, Any]) -> Any:
    tables = [part.get("parameters", {}) for part in (told, one)]
    if not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"parameters in {path} is not a table", hint="write [parameters] and one line for each below")
    return {**tables[0], **tables[1]}


def _definition(path: Path, name: str, told: Mapping[str, Any], notebooks: Sequence[str]) -> Definition:
    unknown = sorted(set(told) - set(_TYPES))
    if unknown:
        raise UsageError(
            f"{path} says {', '.join(unknown)}, which no report definition has",
            hint=f"it has: {', '.join(_TYPES)}; thresholds go under [parameters]",
        )
    for key, value in told.items():
        wanted = _TYPES[key]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            kinds = " or ".join(kind.__name__ for kind in (wanted if isinstance(wanted, tuple) else (wanted,)))
            raise UsageError(f"{key} in {path} is {value!r}", hint=f"it must be {kinds.replace('dict', 'a table')}")
    notebook = str(told.get("notebook"))
    beside = path.parent / notebook
    if notebook.endswith(".ipynb") and beside.is_file():
        notebook = str(beside)
    elif notebook not in notebooks:
        raise UsageError(
            f"{path} names the notebook {notebook!r}", hint=f"there are: {', '.join(notebooks)}, or a file beside it"
        )
    parameters = _parameters(path, told, notebook)
    told = {key: value for key, value in told.items() if key != "fail_on" or value in FAIL_ON}
    for key, allowed in (("drafts", DRAFTS), ("every", EVERY)):
        if key in told and told[key] not in allowed:
            raise UsageError(f"{path} says {key} = {told[key]!r}", hint=f"one of: {', '.join(allowed)}")
    for key, least in (("catch_up_days", 1), ("keep_days", 0), ("timeout_minutes", 0.01)):
        if told.get(key, least) < least:
            raise UsageError(f"{path} says {key} = {told[key]}", hint=f"at least {least}")
    rest = {key: told[key] for key in told if key not in ("name", "notebook", "parameters", "realms", "families")}
    made = Definition(
        name=str(told.get("name", name)) or name,
        notebook=notebook,
        parameters=parameters,
        realms=_names(path, "realms", told.get("realms", "all"), ("all", "each")),
        families=_names(path, "families", told.get("families", ()), ("each",)),
        says_realms="realms" in told or says_subject(parameters),
        **rest,
    )
    _check(path, made)
    return made


def _parameters(path: Path, told: Mapping[str, Any], notebook: str) -> dict[str, Value]:
    """The notebook's parameters; those of a rehearsal with the conditions that stand under ``fail_on``."""
    # TOML writes a date without quotation marks; parameters are texts.
    found = {
        key: value.isoformat() if hasattr(value, "isoformat") else value
        for key, value in told.get("parameters", {}).items()
    }
    fail_on = told.get("fail_on", "never")
    if fail_on in FAIL_ON:
        return found
    texts = fail_on if isinstance(fail_on, list) else [fail_on]
    if notebook != "rehearsal" or not texts or not all(isinstance(one, str) for one in texts):
        raise UsageError(
            f"{path} says fail_on = {fail_on!r}",
            hint=f"one of: {', '.join(FAIL_ON)}; conditions such as points>5% are for a rehearsal",
        )
    if "fail_on" in found:
        raise UsageError(f"{path} says fail_on twice", hint="leave out the one under [parameters]")
    conditions(part for text in texts for part in text.split(","))
    return {**found, "fail_on": ", ".join(texts)}


def _names(path: Path, key: str, value: Any, words: Sequence[str]) -> str | tuple[str, ...]:
    if isinstance(value, str) and value in words:
        return value
    if isinstance(value, list | tuple) and all(isinstance(name, str) and name for name in value):
        return tuple(value)
    raise UsageError(f"{key} in {path} is {value!r}", hint=f"{' or '.join(map(repr, words))}, or a list of names")


def _check(path: Path, made: Definition) -> None:
    own = set(made.parameters)
    if made.window:
        window_of(made.window, date(2000, 1, 1))
        if clash := own & {"since", "until"}:
            raise UsageError(
                f"{path} says window and {', '.join(sorted(clash))}",
                hint="a window has both ends: leave out the others",
            )
    if made.realms != "all" and (clash := own & {"realm", "no_realm"}):
        raise UsageError(f"{path} says realms and {', '.join(sorted(clash))}", hint="leave out one of them")
    if made.realms == () and not made.no_realm:
        raise UsageError(f"realms in {path} is empty", hint="'all', 'each', or names")
    if made.no_realm and isinstance(made.realms, str):
        raise UsageError(
            f"no_realm in {path} goes with a list of realms",
            hint="'each' has the runs without a realm among them; for them alone: realms = [] and no_realm = true",
        )
    _check_strategies(path, made, own)


def _check_strategies(path: Path, made: Definition, own: set[str]) -> None:
    kind = {"post_mortem": "post-mortem", "rehearsal": "rehearsal"}.get(made.notebook, "")
    names_one = own & {"family", "strategy_id", "execution_id"}
    if kind and not made.families and not made.drafts and not names_one:
        raise UsageError(
            f"{path} does not say which strategies the {kind} is of",
            hint='families = "each" (those that ran in the window), families = ["Speed bonus"], or family under [parameters]',
        )
    if made.families == "each" and "against" in own and kind == "post-mortem":
        raise UsageError(
            f"{path} says families = 'each' and against: a strategy would be compared with itself",
            hint='name those to compare: families = ["Speed bonus"]',
        )
    if made.families and (not kind or names_one):
        raise UsageError(
            f"{path} says families, but its report is {'of one strategy' if kind else 'no post-mortem and no rehearsal'}",
            hint="leave out one of them",
        )
    if made.drafts and (made.notebook != "rehearsal" or names_one):
        raise UsageError(
            f"{path} says drafts, but its report is {'of one strategy' if names_one else 'no rehearsal'}",
            hint="leave out one of them",
        )
    tried = own & {"draft", "version"}
    if (tried and made.drafts) or ("draft" in tried and made.families):
        raise UsageError(
            f"{path} says {'drafts' if made.drafts else 'families'} and {', '.join(sorted(tried))}: which program is tried?",
            hint="leave out one of them",
        )
    if kind == "rehearsal" and made.families == "each" and not made.drafts and "version" not in own:
        raise UsageError(
            f"{path} says families = 'each', and not every strategy has a draft",
            hint='write drafts = "each" (those that have one) or drafts = "changed" in its place',
        )


def says_subject(parameters: Mapping[str, Value]) -> bool:
    """Whether parameters of a notebook say whose rows it shows; that it is not the NULL realm's does not."""
    no_realm = understood("no_realm", parameters.get("no_realm", False), frozenset({"bool"}))
    return bool(no_realm) or parameters.get("realm") is not None


def setting(text: str) -> tuple[str, Value]:
    """A parameter as typed on a command line: ``node_cap=600``.

    Raises:
        UsageError: There is no name, or no ``=``.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"{text!r} sets nothing", hint="write --set name=value, e.g. --set node_cap=600")
    try:
        read_value = tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        read_value = value  # a word without quotation marks
    # Whether 7 is a number or a tenant's name is for the parameter to say.
    return name.strip(), read_value if isinstance(read_value, str | list | dict) else value.strip()
