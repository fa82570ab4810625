"""Finding any of a hundred thousand ids in megabytes of text: the text is cut into words once, and sets are compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

_WORD = re.compile(r"\w+")
LONG = re.compile(r"(?<![\w-])(?=[\w-]*\d)[\w-]{8,80}(?![\w-])")
"""What may be the id of a run or a strategy."""
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
        after = "" if self.is_cut else r"(?!\w|[-@.]\w)"
        match = re.search(rf"(?<!\w)(?<!\w[-.@]){re.escape(self.text)}{after}", text)
        return match.start() if match else -1


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


def standing(text: str, wanted: Iterable[Key]) -> Iterator[tuple[Key, int]]:
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
