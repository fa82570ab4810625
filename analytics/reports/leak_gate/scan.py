"""The gate: every file of a finished report is searched; what is found is cleaned away or keeps it from being published."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from analytics.errors import ReportError
from analytics.extraction.privacy.tombstones import is_distinctive
from analytics.reports.leak_gate import decode_text
from analytics.reports.leak_gate.decode_text import LONG, DecodedFile, decode_file, find_ids, keys
from analytics.reports.leak_gate.forbidden import Forbidden, are_own_words, is_own_phrase, is_own_word

_PICTURES = (".png", ".jpg", ".webp")
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://([^\s\"'<>/?#]+)", re.IGNORECASE)
_WHO = re.compile(r'<section id="who".*?</section>', re.S)
_AUTHOR = re.compile(r"<bdi[^>]*>([^<]*)</bdi>")
_USER, _REALM = "a raw user id", "the name of another tenant"
_ERASED = "an id of somebody who was erased"
_STRATEGY = "the name of another tenant's strategy"
_OF_STRATEGY = re.compile(r"family(_?name)?|strategy(_?name)?|against", re.IGNORECASE)
_LEAST = {_USER: 8, _REALM: 4}
_DIGITS = 8
_MOST = 200
_IN_A_LINE = 5


@dataclass(frozen=True, slots=True, order=True)
class Leak:
    """Something that was found.

    Attributes:
        kind: What it is; never the text itself.
        file: Where.
        place: Where in the file, in words.
    """

    kind: str
    file: str
    place: str

    def __str__(self) -> str:
        return f"{self.file} ({self.place})" if self.place else self.file


def check(folder: Path, forbidden: Forbidden) -> None:
    """Search the files of a report before it is published.

    Args:
        folder: Where it was made.
        forbidden: What may not be in it.

    Raises:
        ReportError: Something was found: what kind, in which file and where, without repeating it.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix not in _PICTURES)
    found = list(dict.fromkeys(leak for path in files for leak in search(decode_file(path), forbidden)))
    if not found:
        return
    kinds = list(dict.fromkeys(leak.kind for leak in found))
    listed = []
    for kind in kinds:
        places = [str(leak) for leak in found if leak.kind == kind]
        more = f" and {len(places) - _IN_A_LINE} more places" if len(places) > _IN_A_LINE else ""
        listed.append(f"{kind} in {', '.join(places[:_IN_A_LINE])}{more}")
    raise ReportError(
        f"the report was not published, it holds {'; '.join(listed)}", hint=_repair(kinds), leaks=tuple(found)
    )


def is_clean(file: Path, forbidden: Forbidden) -> bool:
    """Whether one file, where it is there, holds nothing that may not be in it."""
    return not file.is_file() or next(search(decode_file(file), forbidden), None) is None


def _repair(kinds: Sequence[str]) -> str:
    if kinds == [_ERASED]:
        return (
            "a backup or an older version has brought it back; the next `strategy-analytics extract` takes it out again"
        )
    if kinds == [_USER]:
        return "where its readers may know the users, render it with --show-users"
    if set(kinds) <= {_REALM, _STRATEGY}:
        return "where its readers may know all tenants, render it without --realm"
    return "look there for who wrote it; change a secret that others have seen"


def search(file: DecodedFile, forbidden: Forbidden) -> Iterator[Leak]:
    """What one file holds that may not be in it."""

    def leak(kind: str, offset: int) -> Leak:
        return Leak(kind, file.name, file.place(offset))

    for secret, what in forbidden.secrets.items():
        at = _stands(secret, file.text)
        if (at >= 0 or _stands(secret, file.raw) >= 0) and not is_own_word(secret):
            yield leak(what, at) if at >= 0 else Leak(what, file.name, "")
    if (at := _host(file.text, forbidden.hosts)) >= 0:
        yield leak("an address of the database", at)
    for what, at in _folders(file.text, forbidden):
        yield leak(what, at)
    if forbidden.erased:
        for name in sorted(forbidden.erased.find_ids_anywhere(file.text, forbidden.own)):
            if not is_own_word(name):
                yield leak(_ERASED, file.text.find(name))
    for kind, names in ((_USER, forbidden.users), (_REALM, forbidden.realms)):
        for place in _names(kind, names, file, forbidden):
            yield Leak(kind, file.name, place)
    for place in _strategies(file, forbidden):
        yield Leak(_STRATEGY, file.name, place)
    if forbidden.own is not None:
        there = {match[0]: match.start() for match in decode_text.LONG.finditer(file.text)}
        for name, of in forbidden.ids_of_others(there).items():
            yield leak(f"the id of another tenant's {of}", there[name])


def _stands(secret: str, text: str) -> int:
    """Where a secret stands; a short one only by itself, for its letters may be part of a longer word."""
    at = text.find(secret)
    if at < 0 or len(secret) >= 12 or not secret.isalnum():
        return at
    match = re.search(rf"(?<![^\W_]){re.escape(secret)}(?![^\W_])", text)
    return match.start() if match else -1


def _host(text: str, hosts: Iterable[tuple[str, str]]) -> int:
    for match in _ADDRESS.finditer(text):
        before, _, after = match[1].rpartition("@")
        names = (before.partition(":")[0], re.sub(r":\d+$", "", after).lower())
        for user, host in hosts:
            if (user and names[0] == user) or (host and names[1] == host.lower()):
                return match.start()
    return -1


def _folders(text: str, forbidden: Forbidden) -> Iterator[tuple[str, int]]:
    """Paths of this machine that no author wrote: what each is, and where."""
    found: dict[str, tuple[str, int]] = {}
    for folder, what in forbidden.folders.items():
        if folder not in text:
            continue
        # A path of one part ("/data") is an ordinary word until something follows.
        end = r"(?![\w-])" if folder.count("/") > 1 else "/"
        for match in re.finditer(rf"(?<![\w.~-]){re.escape(folder)}{end}[\w./-]*", text):
            found.setdefault(match[0], (what, match.start()))
    for path in forbidden.without_authors_words(list(islice(found, _MOST)), rows=False, own=False) if found else ():
        yield found[path]


def _names(kind: str, names: frozenset[str], file: DecodedFile, forbidden: Forbidden) -> Iterator[str]:
    """Where names stand that cannot be there by chance, or stand where such names come."""
    if not names:
        return
    known = decode_text.keys(names, lambda text: _is_telling(text, _LEAST[kind]))
    found = {known[made]: at for made, at in islice(decode_text.find_ids(file.text, known), _MOST)}
    leaked: list[str] = []
    if found:
        listed = list(found)
        leaked = forbidden.leaked_users(listed) if kind == _USER else forbidden.without_authors_words(listed, rows=True)
        for name in leaked:
            yield file.place(found[name])
    word = "user" if kind == _USER else "realm|tenant"
    for key, text, place in file.keyed:
        if text in names and re.search(word, key, re.IGNORECASE):
            yield place
    # Short ones count where a user is named: "user 7", "externalUserId": "7", the table of users; so does an ordinary word.
    named: dict[str, int] = {}
    for text, at, phrase in _in_context(file.text, word):
        if text not in names or text in leaked:
            continue
        # Behind "user" and "realm" come words of the sentence, too.
        is_word = is_own_phrase(phrase) or (kind == _USER and not any(map(str.isdigit, text)) and is_own_word(text))
        if not is_word:
            named.setdefault(text, at)
    for text in forbidden.without_authors_words(list(islice(named, _MOST)), rows=kind == _REALM, own=False):
        yield file.place(named[text])


def _strategies(file: DecodedFile, forbidden: Forbidden) -> Iterator[str]:
    """Where names of others' strategies stand. One made of the reports' own words counts only where it is a whole value."""
    if not forbidden.strategies:
        return
    known = strategy_keys(forbidden.strategies, file.text)
    found = {known[made]: file.place(at) for made, at in islice(decode_text.find_ids(file.text, known), _MOST)}
    for cell in _AUTHOR.finditer(file.text):
        if cell[1] in forbidden.strategies and not is_own_word(cell[1]):
            found.setdefault(cell[1], file.place(cell.start()))
    for name in forbidden.strategies_among(list(found)) if found else ():
        yield found[name]
    named = {
        text: place
        for key, text, place in file.keyed
        if text in forbidden.strategies and text not in found and _OF_STRATEGY.fullmatch(key)
    }
    for name in forbidden.without_authors_words(list(islice(named, _MOST)), rows=True, own=False):
        yield named[name]


def strategy_keys(names: Iterable[str], text: str) -> dict[decode_text.Key, str]:
    """Those names of strategies that cannot stand in a report by chance, as they are looked for.

    Args:
        names: Of strategies.
        text: Where they are looked for. What words the reports have of their own is only asked for names whose words all
            stand in it: to know them takes as long as all the rest of the search.
    """
    there = decode_text.words_of(text)

    def may_tell(name: str) -> bool:
        return is_distinctive(name) and there.issuperset(decode_text.words_of(name)) and not are_own_words(name)

    return decode_text.keys(names, may_tell)


def _is_telling(text: str, least: int) -> bool:
    """As for people's ids; a few digits are a year or a count, whosever name they are."""
    return is_distinctive(text, max(least, _DIGITS) if text.isdigit() else least)


def _in_context(text: str, word: str) -> Iterator[tuple[str, int, str]]:
    """What stands where users (or tenants) are named, where, and with the word before it."""
    named = re.compile(
        rf"(?:{word})(?:[_ ]?id)?[\"']?[\s:(=]{{1,3}}(?:<[^<>]*>)*[\"']?(?=\w)([^\s\"'<>&,;)]+)", re.IGNORECASE
    )
    for match in named.finditer(text):
        yield match[1].rstrip(".:"), match.start(), match[0].rstrip(".:")
    if word == "user":
        for section in _WHO.finditer(text):
            for cell in _AUTHOR.finditer(text, section.start(), section.end()):
                yield cell[1], cell.start(), cell[0]


_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PASSWORD = re.compile(r"://[^/\s:@{}<>$\"']+:[^/\s@{}<>$\"']+@")
"""Of an address in the code of a cell; names of variables in braces stand for one."""
_REDACTED_ADDRESS = re.compile(r"://[^/\s:@]+(?::[^/\s@]*)?@[^\s/?#\"']+")
# Each begins where a word or a path does: tried at every letter of a long one they would take hours.
_KERNEL_FILE = re.compile(r"(?<!\S)\S*?ipykernel_\d+/\d+\.py")
_INSTALLED = re.compile(r"(?<![\w.+/-])(?:/[\w.+-]+)+?/((?:site-packages|python3\.\d+)/[\w./+-]+)")
_MOST_REDACTED = 50_000
"""Letters that are kept of what a cell prints: a page does not show it, and nobody reads more."""
_FRAME = re.compile(r"\s*(?:File )?(\S.*?:\d+|Cell In\[\d+\], line \d+)(?:, in (\w+)|.*)")
_PLACES = {
    "lake": "the folder of the lake it was made from; empty for $ANALYTICS_LAKE, else lake, else the demo's",
    "previous": 'summary.json of the last report; empty or "none": the days before say what is new',
    "counters": "exported file with the engine's counters; empty for $ANALYTICS_COUNTERS, else none",
    "draft": "file of the program that was tried; empty for a version",
    "gathered": "folder of what `strategy-analytics gather` had asked already; empty for none",
}
_FRAMES = 12


def clean(notebook: Path, forbidden: Forbidden, published: Path | None = None, *, is_own: bool = False) -> None:
    """Take out of an executed notebook what it keeps of the machine that ran it. Run again it changes nothing.

    The cell of parameters that papermill added stays, and can be run: a folder beside the report is named as seen from
    it, others are left open. Displayed outputs are not touched; what may not be in them is for `check` to find. Only of a notebook
    of the user's own folders are written out of them, too: an object shows where its files are, and is none of our making; and so
    are passwords in addresses, whosever they are, also out of its code.

    Args:
        notebook: The file, written again.
        forbidden: Secrets and folders, which are written out of warnings and errors.
        published: Folder where it will lie.
        is_own: It is a notebook of the user's own.
    """
    import nbformat

    book = nbformat.read(notebook, as_version=4)
    kernel = book.metadata.get("kernelspec", {})
    book.metadata = nbformat.from_dict(
        {
            "kernelspec": {key: kernel.get(key, "") for key in ("display_name", "language", "name")},
            "language_info": {"name": "python"},
        }
    )
    for number, cell in enumerate(book.cells):
        tags = cell.metadata.get("tags", [])
        added = [tag for tag in tags if tag == "injected-parameters" or tag.startswith("papermill-error")]
        if added:  # papermill gives what it adds a random id
            cell["id"] = f"{added[0]}-{number}"
        if "injected-parameters" in tags:
            cell.source = _portable(cell.source, published or notebook.parent)
        if is_own:
            cell.source = _PASSWORD.sub("://•••@", cell.source)
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        room = _MOST_REDACTED
        for output in cell.get("outputs", []):
            if output.output_type == "stream":  # a cell may print any number of times
                output.text = _bounded(output.text, room)
                room = max(0, room - len(output.text))
            _clean_output(output, forbidden)
            if is_own:
                _clean_shown(output, forbidden)
    nbformat.write(book, notebook)


def clean_text(text: str, forbidden: Forbidden) -> str:
    """A message without secrets, users' ids, other tenants, folders of this machine and control characters.

    The rest stays readable.

    Args:
        text: Of an error, or what a cell printed.
        forbidden: What may not be in it.
    """
    text = _CONTROL.sub("", _ANSI.sub("", _bounded(text, _MOST_REDACTED)))
    for secret in sorted(forbidden.secrets, key=len, reverse=True):
        text = text.replace(secret, "•••")
    text = _REDACTED_ADDRESS.sub("://•••", text)
    text = _KERNEL_FILE.sub("cell", text)
    text = _without_folders(text, forbidden, "<{}>")
    text = _INSTALLED.sub(r"\1", text)
    for known, leaked in (
        (keys(forbidden.users, lambda found: is_distinctive(found, 8)), forbidden.leaked_users),
        (
            keys(forbidden.realms, lambda found: is_distinctive(found, 4)),
            lambda found: forbidden.without_authors_words(found, rows=True),
        ),
        (strategy_keys(forbidden.strategies, text), forbidden.strategies_among),
    ):
        found = {known[made]: made for made, _ in find_ids(text, known)}
        for name in leaked(list(found)) if found else ():
            text = re.sub(rf"(?<!\w){re.escape(found[name].text)}", "•••", text)
    others = forbidden.ids_of_others({match[0] for match in LONG.finditer(text)}) if forbidden.own is not None else ()
    for name in sorted(others, key=len, reverse=True):
        text = text.replace(name, "•••")
    return text


def _without_folders(text: str, forbidden: Forbidden, form: str) -> str:
    """A text in which folders of this machine are called what they are."""
    for folder, what in forbidden.folders.items():
        end = r"(?![\w-])" if folder.count("/") > 1 else r"(?=/)"
        said = form.format(what.removeprefix("the ")).replace("\\", r"\\")
        text = re.sub(rf"(?<![\w.~-]){re.escape(folder)}{end}", said, text)
    return text


def _clean_shown(output: Any, forbidden: Forbidden) -> None:
    """Folders of this machine, and passwords in addresses, in what an object says of itself."""
    for kind, said in output.get("data", {}).items():
        if isinstance(said, str) and kind.startswith("text/"):
            output["data"][kind] = _PASSWORD.sub("://•••@", _without_folders(said, forbidden, "‹{}›"))


def _bounded(text: str, room: int) -> str:
    """A text of so many letters, and what was left out of its middle: a cell may print gigabytes."""
    if len(text) <= room:
        return text
    end = room // 2
    return f"{text[: room - end]}\n… {len(text) - room:,} letters left out …\n{text[len(text) - end :]}"


def _clean_output(output: Any, forbidden: Forbidden) -> None:
    if output.output_type == "stream":
        output.text = clean_text(output.text, forbidden)
    elif output.output_type == "error":
        output.evalue = clean_text(output.evalue, forbidden)
        # The frames next to the error are the last ones.
        frames = _frames("\n".join(output.traceback)[-_MOST_REDACTED:], forbidden)
        output.traceback = [*frames, f"{output.ename}: {output.evalue}" if output.evalue else output.ename]
    else:
        # The marks of the package's own blocks stay; a display's other notes are the kernel's.
        output.metadata = {
            key: value for key, value in output.get("metadata", {}).items() if isinstance(value, Mapping)
        }


def _frames(traceback: str, forbidden: Forbidden) -> list[str]:
    """Where an error came up, function by function, without the lines of code around it."""
    found = []
    for line in clean_text(traceback, forbidden).splitlines():
        match = _FRAME.match(line)
        if match and (line.startswith(("File ", "Cell ")) or match[2]):
            found.append(f"{match[1]}{f', in {match[2]}' if match[2] else ''}")
    return found[-_FRAMES:]


def _portable(source: str, published: Path) -> str:
    """The added parameters, with folders as they are seen from the report, or left open."""
    lines = []
    for line in source.splitlines():
        name, value = _assigned(line)
        if name in _PLACES and value and value != "none":
            seen = _seen_from(published, Path(value))
            lines.append(f"{name} = {json.dumps(seen, ensure_ascii=False)}  # {_PLACES[name]}")
        else:
            lines.append(line)
    return "\n".join(lines)


def _assigned(line: str) -> tuple[str, str]:
    try:
        [statement] = ast.parse(line).body
    except (SyntaxError, ValueError):
        return "", ""
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Constant):
        return "", ""
    name = statement.targets[0]
    return (name.id, str(statement.value.value)) if isinstance(name, ast.Name) else ("", "")


def _seen_from(published: Path, place: Path) -> str:
    """A path within the same working folder, as seen from the report; empty for any other."""
    if not place.is_absolute():
        return place.as_posix()  # cleaned before
    here, there, root = published.resolve(), place.resolve(), Path.cwd().resolve()
    beside = there.is_relative_to(here.parent)
    inside = len(root.parts) > 1 and here.is_relative_to(root) and there.is_relative_to(root)
    return os.path.relpath(there, here).replace(os.sep, "/") if beside or inside else ""
