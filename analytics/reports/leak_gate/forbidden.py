"""What may not be read in one report: secrets, places, other tenants, users; and which words stand there anyway."""

from __future__ import annotations

import ast
import calendar
import contextlib
import functools
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, unquote, urlsplit

from analytics import sql
from analytics.config import Settings, home, secret_variables
from analytics.errors import ConfigurationError
from analytics.extraction.privacy.policy import Policy, PseudonymKey
from analytics.extraction.privacy.tombstones import ErasedIndex, is_distinctive, recognisable
from analytics.lake.lake import Lake
from analytics.reports.leak_gate.decode_text import key, words_of
from analytics.storage import LakePath, place
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window

_TELLING, _LONG = 6, 12
_OWN_MACHINE = ("", "localhost", "127.0.0.1", "::1")


def secrets(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Texts that may stand nowhere, and what each is, in words for an error.

    A password that is an ordinary word ("game") cannot be told from the word: it is looked for where a password stands
    (``:game@``, ``password=game``). One of six characters or more with letters and others, or of twelve, is looked for anywhere.

    Args:
        env: The environment; that of the process when not given.
    """
    found: dict[str, str] = {}
    variables = secret_variables(env)
    for name, value in variables.items():
        if name in ("PGHOST", "PGUSER", "PGPASSFILE", "PGSERVICEFILE"):
            continue
        if "://" in value or re.search(r"\bpassword\s*=", value):
            if name in ("ANALYTICS_DATABASE_URL", "DATABASE_URL") or _passwords(value):
                _add(found, value, f"the address in {name}", is_password=False)
                # Another driver is another word before the same address.
                _add(found, value.partition("://")[2], f"the address in {name}", is_password=False)
            for password in _passwords(value):
                _add(found, password, f"the password in {name}")
        else:
            _add(found, value, f"the value of {name}", is_password="PASS" in name.upper())
    for path, what in _files(variables):
        for password in _kept(path):
            _add(found, password, f"a password of {what}")
    return found


def hosts(env: Mapping[str, str] | None = None) -> set[tuple[str, str]]:
    """User and host of the database: they may not stand in an address. Either may be empty."""
    variables = secret_variables(env)
    found = {(variables.get("PGUSER", ""), variables.get("PGHOST", ""))}
    for name in ("ANALYTICS_DATABASE_URL", "DATABASE_URL"):
        value = variables.get(name, "")
        if "://" in value:
            user, _, host = _parts(value)
            found.add((user, host))
        else:
            parts = dict(re.findall(r"\b(user|host)\s*=\s*'?([^\s']+)", value))
            found.add((parts.get("user", ""), parts.get("host", "")))
    return {(user, "" if host in _OWN_MACHINE or host.startswith("/") else host) for user, host in found}


def folders(lake: LakePath | None, out: Path | None) -> dict[str, str]:
    """Absolute paths of this machine, and what each is."""
    named = [
        (lake if isinstance(lake, Path) else None, "the lake's folder"),
        (out, "the folder of reports"),
        (Path.cwd(), "the working folder"),
        (home(), "the home folder"),
        (Path(sys.prefix), "the folder of Python"),
        (Path(str(resources.files("analytics"))).parent, "the folder of the package"),
        (_temporary(), "the folder of temporary files"),
    ]
    found: dict[str, str] = {}
    for path, what in named:
        for form in (path.absolute(), path.resolve()) if path is not None else ():
            if len(form.parts) > 1:
                found.setdefault(str(form), what)
    # The longest first: a lake in the home folder is named as the lake.
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _temporary() -> Path | None:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:  # a container may have none
        return None


def is_distinctive_secret(text: str) -> bool:
    """Whether a secret can be told from ordinary words wherever it stands."""
    kinds = (str.isdigit, str.islower, str.isupper, lambda letter: not letter.isalnum())
    mixed = sum(any(kind(letter) for letter in text) for kind in kinds) > 1
    return len(text) >= _LONG or (len(text) >= _TELLING and mixed)


def _add(found: dict[str, str], secret: str, what: str, *, is_password: bool = True) -> None:
    if is_distinctive_secret(secret):
        for form in (secret, quote(secret, safe=""), quote_plus(secret), unquote(secret)):
            found.setdefault(form, what)
        return
    for form in {secret, quote(secret, safe="")} if is_password and secret else ():
        for setting in (
            f":{form}@",
            f"password={form}",
            f"password='{form}'",
            f"PGPASSWORD={form}",
            f'password": "{form}"',
        ):
            found.setdefault(setting, what)


def _parts(address: str) -> tuple[str, str, str]:
    """User, password and host as they are written, also where the password should have been percent-encoded."""
    before, _, after = address.partition("://")[2].rpartition("@")
    user, _, password = before.partition(":")
    return unquote(user), password, re.sub(r":\d+$", "", re.split(r"[/?#]", after, maxsplit=1)[0])


def _passwords(value: str) -> list[str]:
    """The passwords in an address or in a libpq string."""
    found = [match.strip("'") for match in re.findall(r"\bpassword\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&]+)", value)]
    if "://" in value:
        found.append(_parts(value)[1])
        # What is no address after all has been read as far as it can be.
        with contextlib.suppress(ValueError):
            found += parse_qs(urlsplit(value).query).get("password", [])
    return list(dict.fromkeys(form for text in found if text for form in (text, unquote(text))))


def _files(variables: Mapping[str, str]) -> list[tuple[Path, str]]:
    own = home()
    named = [
        (variables.get("PGPASSFILE") or (own and own / ".pgpass"), "the password file"),
        (variables.get("PGSERVICEFILE") or (own and own / ".pg_service.conf"), "the service file"),
    ]
    return [(Path(path), what) for path, what in named if path]


def _kept(path: Path) -> list[str]:
    """Passwords in a libpq password file (the fifth field) or service file (``password=``)."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []  # there is none, or it is not ours to read: then nothing of it can have come out
    found = []
    for line in lines:
        if line.startswith("password="):
            found.append(line.partition("=")[2].strip())
        elif not line.startswith("#") and len(fields := re.split(r"(?<!\\):", line, maxsplit=4)) == 5:
            found.append(re.sub(r"\\(.)", r"\1", fields[4]))
    return found


_MODULES = ("reports/**/*.py", "findings/**/*.py", "program/*.py", "operations/sampling_audit.py")
_NOT_WRITING = ("explore", "leak_gate")
"""Modules whose texts a report may hold: those that write pages, and what they say; not the rooms that never write one."""
_BESIDE = (
    "reports/page/templates/*",
    "sql/queries/*.sql",
    "sql/views/*.sql",
    "sql/variants/*.sql",
    "sql/audit/*.sql",
    "notebooks/*.ipynb",
    "../notebooks/*.ipynb",
)
"""Files that it holds parts of: the frame of its page, and the queries that it shows."""
_SVG = "rect clipPath clip-path patternUnits userSpaceOnUse polyline polygon ellipse viewBox stroke-width text-anchor"
_COUNTED = "one two three four five six seven eight nine ten eleven twelve twenty hundred thousand million billion"


def is_own_word(text: str) -> bool:
    """The reports themselves say it, whoever else does."""
    made = key(text)
    if made is None or made.text != text:
        return False
    return any(words.issuperset(made.words) and made.at(known) >= 0 for known, words in _vocabularies())


def are_own_words(text: str) -> bool:
    """Each of its words stands in some report, or is a number: together they may stand in one, whoever else says them."""
    wanted = [word for word in words_of(text) if not word.isdigit()]
    return any(words.issuperset(wanted) for _, words in _vocabularies())


def is_own_phrase(text: str) -> bool:
    """Several words that stand beside each other in a text of the reports."""
    return any(text in known for known, _ in _vocabularies())


def _vocabularies() -> Iterator[tuple[str, frozenset[str]]]:
    """Texts of the reports and their words: first what is read at once, then all of it."""
    yield _beside()
    yield _vocabulary()


@functools.cache
def _beside() -> tuple[str, frozenset[str]]:
    """What stands beside the modules: names of days, the frame of a page, the queries."""
    package = Path(str(resources.files("analytics")))
    paths = (path for pattern in _BESIDE for path in sorted(package.glob(pattern)) if path.is_file())
    names = (*calendar.month_name, *calendar.month_abbr, *calendar.day_name, *calendar.day_abbr)
    text = "\n".join([*names, _COUNTED, _SVG, _notebook(), *(path.read_text(encoding="utf-8") for path in paths)])
    return text, words_of(text)


@functools.cache
def _vocabulary() -> tuple[str, frozenset[str]]:
    """The same, with texts and names in the modules that write reports, without the docstrings' examples."""
    package = Path(str(resources.files("analytics")))
    words = [_beside()[0]]
    modules = (path for pattern in _MODULES for path in sorted(package.glob(pattern)))
    for path in (path for path in modules if path.parent.name not in _NOT_WRITING):
        words += _said(ast.parse(path.read_text(encoding="utf-8")))
    text = "\n".join(words)
    return text, words_of(text)


def _said(tree: ast.Module) -> Iterator[str]:
    """Texts and names of a module, in the order of ``ast.walk``, which takes four times as long for it."""
    docstrings: set[ast.AST] = set()
    nodes: list[ast.AST] = [tree]
    for node in nodes:  # it grows while it is read
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and node not in docstrings:
                yield node.value
            continue
        if isinstance(node, ast.Expr):
            docstrings.add(node.value)
        elif (read := _NAMES.get(type(node))) and (name := read(node)):
            yield name
        for value in node.__dict__.values():
            if isinstance(value, list):
                nodes += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST):
                nodes.append(value)


_NAMES: Mapping[type[ast.AST], Callable[[Any], str | None]] = {
    ast.Name: lambda node: node.id,
    ast.Attribute: lambda node: node.attr,
    ast.arg: lambda node: node.arg,
    ast.keyword: lambda node: node.arg,
}


def _notebook() -> str:
    """A notebook as nbformat writes one, with every kind of cell and output, and papermill's tags."""
    import nbformat.v4 as made

    cell = made.new_code_cell(metadata={"tags": ["injected-parameters", "papermill-error-cell-tag"]})
    cell["outputs"] = [
        made.new_output("stream", name="stdout", text="stderr"),
        made.new_output("error", ename="e", evalue="e", traceback=[]),
        *(
            made.new_output(kind, {"text/html": "", "image/svg+xml": "", "application/json": {}})
            for kind in ("display_data", "execute_result")
        ),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    book = made.new_notebook(cells=[made.new_markdown_cell(), made.new_raw_cell(), cell], metadata=about)
    return f"{made.writes(book)} ipykernel Parameters"


_LOOK_BACK = timedelta(days=14)
"""Reports look back so far for what is usual, and may show a run of then."""


@dataclass(frozen=True)
class Forbidden:
    """What may not be read in one report.

    Attributes:
        secrets: Texts that may stand nowhere, and what each is.
        hosts: User and host that may not stand in an address.
        folders: Absolute paths of this machine, and what each is.
        users: Ids of users; empty when they may be shown.
        realms: Other tenants; empty for a report of all of them.
        strategies: Names of their strategies.
        own: The tenants it is about; ``None`` for all.
        lake: For what is asked only when something was found.
        window: Which runs it can show.
        code: What its notebook says before it is run, and what whoever asked for the report said. A name in it was written by
            them.
        erased: People who may not be named, whoever may be shown.
    """

    secrets: Mapping[str, str]
    hosts: frozenset[tuple[str, str]]
    folders: Mapping[str, str]
    users: frozenset[str] = frozenset()
    realms: frozenset[str] = frozenset()
    strategies: frozenset[str] = frozenset()
    own: tuple[str | None, ...] | None = None
    lake: Warehouse | None = field(default=None, repr=False)
    window: Window | None = None
    code: str = ""
    erased: ErasedIndex | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        lake: str | LakePath | Warehouse | None,
        out: str | Path | None = None,
        *,
        window: Window | None = None,
        realms: Sequence[str | None] | None = None,
        show_users: bool = False,
        notebook: Path | None = None,
        said: Iterable[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> Forbidden:
        """What may not be read in a report of this lake.

        Args:
            lake: Its folder, or the lake where it is open, with all tenants in sight; ``None`` when only the machine's own secrets
                are known.
            out: Folder of rendered reports.
            window: Of the report; two weeks before it count too. Without one only the machine's secrets are known.
            realms: The tenants it is about; ``None`` for all.
            show_users: Users may be named in it.
            notebook: What is executed.
            said: The report's name and parameters.
            env: The environment; that of the process when not given.

        Raises:
            LakeError: There is no lake in that folder.
        """
        root = lake.lake.root if isinstance(lake, Warehouse) else place(lake) if lake else None
        machine = cls(
            secrets(env),
            frozenset(hosts(env)),
            folders(root, Path(out) if out else None),
            code="\n".join([*([notebook.read_text(encoding="utf-8")] if notebook else []), *said]),
        )
        if lake is None or window is None:
            return machine
        opened = lake if isinstance(lake, Warehouse) else Warehouse(Lake(lake))
        wide = Window(window.since - _LOOK_BACK, window.until)
        users: Iterable[str | None] = ()
        if not show_users:
            asked = opened.sql(sql.text("leaks", "users"), since=wide.since, until=wide.until)
            users = asked.to_arrow_table().column(0).to_pylist()
        gone = recognisable(opened.lake.root, _key(env))
        found = replace(machine, users=frozenset(filter(None, users)), lake=opened, window=wide, erased=gone)
        return found.about(realms)

    def about(self, realms: Sequence[str | None] | None) -> Forbidden:
        """The same for a report of these tenants; ``None`` for all."""
        if realms is None or self.lake is None:
            return self
        others = frozenset(realm for realm in self.lake.realms if realm and realm not in realms)
        named = self.lake.sql(
            sql.text("leaks", "strategies_of_others"),
            own=[realm for realm in realms if realm is not None],
            null_is_own=None in realms,
        )
        return replace(
            self, own=tuple(realms), realms=others, strategies=frozenset(name for (name,) in named.fetchall())
        )

    @functools.cached_property
    def _in_sight(self) -> Warehouse:
        """The lake with the report's own tenants."""
        if self.lake is None:
            raise ValueError("no lake is known")
        if self.own is None:
            return self.lake
        known = self.lake.realms
        return Warehouse(self.lake.lake, realms=[realm for realm in self.own if realm in known])

    def _is_in_code(self, text: str) -> bool:
        made = key(text)
        return made is not None and made.at(self.code) >= 0

    def ids_of_others(self, found: Iterable[str]) -> dict[str, str]:
        """Those of the ids that are other tenants', and whether each is a "strategy" or a "run"."""
        if self.lake is None or self.window is None or self.own is None:
            return {}
        asked = self.lake.sql(
            sql.text("leaks", "ids_of_others"),
            found=list(found),
            own=[realm for realm in self.own if realm is not None],
            null_is_own=None in self.own,
            since=self.window.since,
            until=self.window.until,
        )
        kinds = dict(asked.fetchall())
        # An id may be a date or a word, where no engine made it.
        telling = [name for name in kinds if is_distinctive(name)]
        return {name: kinds[name] for name in self.without_authors_words(telling, rows=True)}

    def leaked_users(self, found: Sequence[str]) -> list[str]:
        """Those ids of users that would not stand there if the user did not exist.

        Whoever may call the engine chooses the ids that it logs: an ordinary word, or the name of a tenant. Such a word stands in
        reports anyway, and may not keep one from being published.

        Args:
            found: What was found in a report.
        """
        shown = () if self.lake is None else self._in_sight.realms
        left = [word for word in self.without_authors_words(found, rows=False) if word not in shown]
        if not left or self.lake is None or self.window is None or self.own is None:
            return left
        # What the rows of the report's own tenants say is theirs, unless it is one of their own users.
        asked = self._in_sight.sql(
            sql.text("leaks", "users_among"), found=left, since=self.window.since, until=self.window.until
        )
        own = {word for (word,) in asked.fetchall()}
        others = self.without_authors_words([word for word in left if word not in own], rows=True)
        return [word for word in left if word in own or word in others]

    def strategies_among(self, found: Sequence[str]) -> list[str]:
        """Those names of others' strategies that neither the reports nor the authors in sight write anyway."""
        shown = () if self.lake is None else self._in_sight.realms
        return self.without_authors_words([name for name in found if name not in shown], rows=True)

    def without_authors_words(self, found: Sequence[str], *, rows: bool, own: bool = True) -> list[str]:
        """Those words that neither the reports nor the authors in sight write anyway.

        Args:
            found: What was found in a report.
            rows: Words in a tenant's rows are its own, too. Not for ids of users: the rows are where they come from.
            own: Words of the reports themselves, and of the notebook, do not count.
        """
        left = [word for word in found if not (own and (self._is_in_code(word) or is_own_word(word)))]
        if not left or self.lake is None or self.window is None:
            return left
        lake = self._in_sight
        for name in ("words_of_programs", "words_of_rows") if rows else ("words_of_programs",):
            asked = lake.sql(
                sql.text("leaks", name),
                found=left,
                written=[json.dumps(word, ensure_ascii=False)[1:-1] for word in left],
                since=self.window.since,
                until=self.window.until,
            )
            written = {word for (word,) in asked.fetchall()}
            left = [word for word in left if word not in written]
            if not left:
                break
        return left


def tenants(parameters: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str | None] | None:
    """Whom a report is about: the tenant that was asked for, else the one it found itself; ``None`` for all.

    What a notebook says of itself does not open the gate for another tenant than the one that was asked for.
    """
    if parameters.get("no_realm"):
        return [None]
    if parameters.get("realm"):
        return [str(parameters["realm"])]
    return [facts["realm_id"]] if "realm_id" in facts else None


def _key(env: Mapping[str, str] | None) -> PseudonymKey | None:
    """The pseudonym key, where this machine has it: most that render reports have not."""
    try:
        return Policy.of(Settings.from_env(env, sample_rates="")).key
    except ConfigurationError:
        return None
