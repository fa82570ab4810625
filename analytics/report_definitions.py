"""Report definitions: which notebook, with which parameters and thresholds, and when its findings fail a job."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analytics.errors import UnknownNameError, UsageError

FAIL_ON = ("new", "any", "never")
"""When findings make the exit code 1: new ones, any that is open, or never."""
_KEYS = ("notebook", "fail_on", "parameters")


@dataclass(frozen=True, slots=True)
class Definition:
    """One report as it is to run again and again.

    Attributes:
        name: What the report is called; findings are compared with the last report of the same name.
        notebook: Which notebook makes it.
        parameters: The notebook's parameters that differ from its defaults, thresholds among them.
        fail_on: One of `FAIL_ON`.
    """

    name: str
    notebook: str
    parameters: dict[str, Any] = field(default_factory=dict)
    fail_on: str = "never"


def find(name: str, notebooks: Sequence[str], folder: Path = Path("reports")) -> Definition:
    """The definition of a report.

    Args:
        name: A file (``reports/morning.toml``), the name of one in ``folder`` (``morning``), or a notebook's name, which
            needs no file.
        notebooks: Those there are.
        folder: Where definitions lie.

    Raises:
        UnknownNameError: There is no such report.
        UsageError: The file cannot be read, or says something that is not known.
    """
    path = Path(name) if name.endswith(".toml") else folder / f"{name}.toml"
    if path.is_file():
        return read(path, notebooks)
    if name in notebooks:
        return Definition(name, name)
    known = sorted({*notebooks, *(found.stem for found in folder.glob("*.toml"))})
    raise UnknownNameError(
        f"there is no report {name!r}", hint=f"known: {', '.join(known)}, or a .toml file", name=name
    )


def read(path: Path, notebooks: Sequence[str]) -> Definition:
    """A definition from its file.

    Raises:
        UsageError: It cannot be read, or says something that is not known.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the report definition {path} cannot be read: {error}", hint="it is a TOML file") from None
    unknown = sorted(set(told) - set(_KEYS))
    if unknown:
        raise UsageError(
            f"{path} says {', '.join(unknown)}, which no report definition has",
            hint=f"it has: {', '.join(_KEYS)}; thresholds and the window go under [parameters]",
        )
    notebook, fail_on, parameters = str(told.get("notebook")), told.get("fail_on", "never"), told.get("parameters", {})
    if notebook not in notebooks:
        raise UsageError(f"{path} names the notebook {notebook!r}", hint=f"there are: {', '.join(notebooks)}")
    if fail_on not in FAIL_ON:
        raise UsageError(f"{path} says fail_on = {fail_on!r}", hint=f"one of: {', '.join(FAIL_ON)}")
    if not isinstance(parameters, dict):
        raise UsageError(f"parameters in {path} is not a table", hint="write [parameters] and one line for each below")
    # TOML writes a date without quotation marks; parameters are texts.
    values = {key: value.isoformat() if hasattr(value, "isoformat") else value for key, value in parameters.items()}
    return Definition(path.stem, notebook, values, fail_on)


def setting(text: str) -> tuple[str, Any]:
    """A parameter as typed on a command line: ``node_cap=600``.

    Raises:
        UsageError: There is no name, or no ``=``.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"{text!r} sets nothing", hint="write --set name=value, e.g. --set node_cap=600")
    try:
        read_value = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        read_value = value  # a word without quotation marks
    return name.strip(), read_value.isoformat() if hasattr(read_value, "isoformat") else read_value
