"""What of this machine may not be read in a report: secrets of the environment, and where things lie."""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from urllib.parse import parse_qs, quote, quote_plus, unquote, urlsplit

from analytics.config import home, secret_variables
from analytics.object_store import LakePath

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
            told = dict(re.findall(r"\b(user|host)\s*=\s*'?([^\s']+)", value))
            found.add((told.get("user", ""), told.get("host", "")))
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


def is_telling(text: str) -> bool:
    """Whether a secret can be told from ordinary words wherever it stands."""
    kinds = (str.isdigit, str.islower, str.isupper, lambda letter: not letter.isalnum())
    mixed = sum(any(kind(letter) for letter in text) for kind in kinds) > 1
    return len(text) >= _LONG or (len(text) >= _TELLING and mixed)


def _add(found: dict[str, str], secret: str, what: str, *, is_password: bool = True) -> None:
    if is_telling(secret):
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
