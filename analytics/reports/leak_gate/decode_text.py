"""What a file of a report says, whichever way it is written: JSON, HTML, escapes and percent signs decoded."""

from __future__ import annotations

import html
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_WORD = re.compile(r"\w+")
LONG = re.compile(r"(?<![\w-])(?=[\w-]*\d)[\w-]{8,80}(?![\w-])")
"""What may be the id of a run or a strategy."""
_BEGINS, _ENDS = re.compile(r"(?<!\w)(?<!\w[-.@])"), re.compile(r"(?!\w|[-@.]\w)")
"""No id goes on there. In one pattern with the letters of an id they would be asked at every letter of a page, for each id."""
_HEAD = 40
"""A page shortens long names; so many of their letters are there."""
_FEW = 50


@dataclass(frozen=True, slots=True)
class Key:
    """An id as it is looked for.

    Attributes:
        text: From its first letter to its last, without signs at the ends; of a long one the first forty letters.
        words: Its words.
        is_cut: The id goes on.
    """

    text: str
    words: tuple[str, ...]
    is_cut: bool

    def at(self, text: str) -> int:
        """Where it stands as an id of its own, not as a part of a longer one; -1 where it does not."""
        at = text.find(self.text)
        while at >= 0:
            if _BEGINS.match(text, at) and (self.is_cut or _ENDS.match(text, at + len(self.text))):
                return at
            at = text.find(self.text, at + 1)
        return -1


def key(name: str) -> Key | None:
    """What to look for; None for an id without a letter or digit."""
    words = list(_WORD.finditer(name[: 4 * _HEAD]))
    if not words:
        return None
    first = words[0].start()
    kept = [word for word in words if word.end() - first <= _HEAD]
    if not kept:  # one endless word
        head = name[first : first + _HEAD]
        return Key(head, (head,), True)
    text = name[first : kept[-1].end()]
    return Key(text, tuple(word[0] for word in kept), len(kept) < len(words) or len(name) > 4 * _HEAD)


def keys(names: Iterable[str], is_telling: Callable[[str], bool]) -> dict[Key, str]:
    """The keys of those that cannot stand anywhere by chance."""
    found = ((made, name) for name in names if (made := key(name)) is not None)
    return {made: name for made, name in found if is_telling(made.text)}


def words_of(text: str) -> frozenset[str]:
    """The words of a text; of endless ones the first letters, too."""
    words = set(_WORD.findall(text))
    return frozenset(words | {word[:_HEAD] for word in words if len(word) > _HEAD})


def find_ids(text: str, wanted: Iterable[Key]) -> Iterator[tuple[Key, int]]:
    """Those that stand in a text, and where first.

    Args:
        text: Decoded.
        wanted: Any number of keys.
    """
    words = words_of(text)
    likely = [made for made in wanted if words.issuperset(made.words)]
    if len(likely) > _FEW:  # ids such as user-12, whose words are everywhere: look at neighbours
        likely = list(_neighbours(text, likely))
    for made in likely:
        at = made.at(text)
        if at >= 0:
            yield made, at


def _neighbours(text: str, likely: list[Key]) -> Iterator[Key]:
    spans = [word.span() for word in _WORD.finditer(text)]
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    for count in {len(made.words) for made in likely}:
        of = {made.text: made for made in likely if len(made.words) == count}
        first = {made.words[0] for made in of.values()}
        if count == 1:
            yield from of.values()
            continue
        there = {
            text[start:stop]
            for start, end, stop in zip(starts, ends, ends[count - 1 :], strict=False)
            if text[start:end] in first
        }
        yield from (of[found] for found in there & of.keys())


# Style sheets, shapes and pictures: letters that nobody reads.
_IDLE = re.compile(
    r'<style\b.*?</style>|data:image/[^"\')\s]*|\s(?:d|points|transform|style)="[^"]*"', re.S | re.IGNORECASE
)
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([nrt"\'\\/]))')
_PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2})+")
_NAMED = {"n": "\n", "r": "\r", "t": "\t"}
_SECTION = re.compile(r'<section id="([\w-]+)"|<div class="sa sa-cells">|</section>')


@dataclass(slots=True)
class DecodedFile:
    """One file.

    Attributes:
        name: Of the file.
        raw: Its letters as they are.
        text: The same decoded, all of it.
        keyed: Texts of a JSON file with the key they stand under: key, text, place.
    """

    name: str
    raw: str
    text: str = ""
    keyed: list[tuple[str, str, str]] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def place(self, offset: int) -> str:
        """Where in the file a letter of its text stands, in words."""
        index = bisect_right(self.starts, offset) - 1
        start, place = (self.starts[index], self.places[index]) if index >= 0 else (0, "")
        *_, last = (None, *_SECTION.finditer(self.text, start, offset))
        near = ""
        if last is not None:
            near = f"section {last[1]}" if last[1] else "the code at the end" if "cells" in last[0] else ""
        return ", ".join(filter(None, (place, near)))


def decode_file(path: Path) -> DecodedFile:
    """Read one file."""
    raw = path.read_text(encoding="utf-8", errors="surrogateescape")
    found = DecodedFile(path.name, raw)
    pieces: list[str] = []
    length = 0
    for place, key, text in _pieces(path.suffix, raw):
        piece = decoded(text) + "\n"
        found.starts.append(length)
        found.places.append(place)
        pieces.append(piece)
        length += len(piece)
        if key:
            found.keyed.append((key, piece[:-1], place))
    found.text = "".join(pieces)
    return found


def decoded(text: str) -> str:
    r"""A text without the ways of writing it: entities, ``\u202e``, ``%2F``."""
    if "<" in text:
        text = _IDLE.sub(" ", text)
    if "&" in text:
        text = html.unescape(text)
    if "\\" in text:
        text = _ESCAPE.sub(_letter, text)
    if "%" in text:
        text = _PERCENT.sub(lambda match: bytes.fromhex(match[0].replace("%", "")).decode("utf-8", "replace"), text)
    return text


def _letter(match: re.Match[str]) -> str:
    if match[4]:
        return _NAMED.get(match[4], match[4])
    code = int(match[1] or match[2] or match[3], 16)
    return chr(code) if code <= 0x10FFFF else match[0]


def _pieces(suffix: str, raw: str) -> Iterator[tuple[str, str, str]]:
    """Place, key and text of everything a file says."""
    if suffix not in (".json", ".ipynb"):
        yield "", "", raw
        return
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):  # half a file is still read
        yield "", "", raw
        return
    yield from _notebook(value) if suffix == ".ipynb" else _texts(value, "", "")


def _notebook(book: Any) -> Iterator[tuple[str, str, str]]:
    for number, cell in enumerate(book.pop("cells", []), 1):
        for count, output in enumerate(cell.pop("outputs", []), 1):
            place = f"cell {number}, output {count}"
            for mime, data in (output.pop("data", None) or {}).items():
                if isinstance(data, dict):
                    yield from _texts(data, f"{place} ({mime})", "")
                elif not mime.startswith("image/") or mime == "image/svg+xml":
                    yield f"{place} ({mime})", "", "".join(data)
            yield from _texts(output, place, "")
        yield f"cell {number}", "", "".join(cell.pop("source", ""))
        yield from _texts(cell, f"cell {number}", "")
    yield from _texts(book, "metadata", "")


def _texts(value: Any, place: str, key: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, str):
        yield place, key, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield place, key, name
            yield from _texts(item, f"{place}{' ' if place.endswith(')') else '.'}{name}" if place else name, name)
    elif isinstance(value, list):
        # Lines of one text, as notebooks keep them.
        if key in ("text", "traceback") and all(isinstance(item, str) for item in value):
            yield place, key, "".join(value)
            return
        for index, item in enumerate(value):
            yield from _texts(item, f"{place}[{index}]", key)
