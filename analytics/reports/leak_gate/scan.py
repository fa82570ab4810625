"""The gate: every file of a finished report is searched; what is found keeps it from being published."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from analytics.errors import ReportError
from analytics.extraction.privacy.distinctive import is_distinctive
from analytics.reports.leak_gate import decode_text
from analytics.reports.leak_gate.decode_text import Told, told
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
    found = list(dict.fromkeys(leak for path in files for leak in search(told(path), forbidden)))
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
    return not file.is_file() or next(search(told(file), forbidden), None) is None


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


def search(file: Told, forbidden: Forbidden) -> Iterator[Leak]:
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
        for name in sorted(forbidden.erased.standing_anywhere(file.text, forbidden.own)):
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


def _names(kind: str, names: frozenset[str], file: Told, forbidden: Forbidden) -> Iterator[str]:
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
        # Behind "user" and "realm" come words of the sentence, too.
        is_word = is_own_phrase(phrase) or (kind == _USER and not any(map(str.isdigit, text)) and is_own_word(text))
        if text in names and text not in leaked and not is_word:
            named.setdefault(text, at)
    for text in forbidden.without_authors_words(list(islice(named, _MOST)), rows=kind == _REALM, own=False):
        yield file.place(named[text])


def _strategies(file: Told, forbidden: Forbidden) -> Iterator[str]:
    """Where names of others' strategies stand. One made of the reports' own words counts only where it is a whole value."""
    if not forbidden.strategies:
        return
    known = strategy_keys(forbidden.strategies)
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


def strategy_keys(names: Iterable[str]) -> dict[decode_text.Key, str]:
    """Those names of strategies that cannot stand in a report by chance, as they are looked for."""
    return decode_text.keys(names, lambda text: is_distinctive(text) and not are_own_words(text))


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
