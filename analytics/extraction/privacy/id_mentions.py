"""Ids of people inside what their runs recorded: found, and replaced.

A rule may read ``externalUserId``, an event may carry a friend's id, an author may name a case after a person. Of the run's own
user every text that is the id and nothing else is replaced, and an id of five characters or more inside longer texts too. Of
other users of the realm only those whose id cannot stand there by chance (see ``telling``): a user called "gold" must not take
the word from everybody's data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from analytics.extraction.encode.trace_json import JsonNumber, read, spell_json
from analytics.extraction.privacy.tombstones import is_distinctive
from analytics.storage.shapes import Json

if TYPE_CHECKING:
    from analytics.extraction.privacy.tombstones import ErasedIndex

Replace: TypeAlias = "Callable[[str | None, str], str | None]"

_SHORT = 4
"""Characters of an id that may be part of any word."""

_STRUCTURE = ("type", "branch", "nodeId")
_BEFORE = re.compile(r"(?:\w|\w[-.@])\Z")
_AFTER = re.compile(r"\w|[-.@]\w")


def json_escaped(text: str) -> bytes:
    """A text as it stands within JSON's quotes, in UTF-8."""
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogateescape")


def json_unescaped(text: str) -> str:
    """The text that stands so within JSON's quotes; itself where it is no such."""
    if "\\" not in text:
        return text
    try:
        found = json.loads(f'"{text}"', strict=False)
    except ValueError:
        return text
    return found if isinstance(found, str) else text


class KnownIds:
    """The users of some realms, to be found in rows of theirs.

    Args:
        by_realm: Ids.
    """

    def __init__(self, by_realm: Mapping[str | None, Iterable[str]]) -> None:
        from ahocorasick_rs import BytesAhoCorasick

        self._by_realm = {realm: frozenset(filter(is_distinctive, ids)) for realm, ids in by_realm.items()}
        self._patterns = sorted(
            {
                form
                for ids in self._by_realm.values()
                for name in ids
                for form in (name.encode("utf-8", "surrogateescape"), json_escaped(name))
            }
        )
        self._automaton = BytesAhoCorasick(self._patterns) if self._patterns else None

    def of(self, realm: str | None) -> frozenset[str]:
        """The ids of a realm that are looked for."""
        return self._by_realm.get(realm, frozenset())

    def are_in(self, data: bytes) -> bool:
        """An id stands somewhere in some bytes, of whatever realm."""
        return bool(self._found(data))

    def find_ids(self, realm: str | None, text: str) -> Iterable[str]:
        """The realm's ids that stand anywhere in a text."""
        ids = self.of(realm)
        names = {
            self._patterns[number].decode("utf-8", "surrogateescape")
            for number, _, _ in self._found(text.encode("utf-8", "surrogateescape"))
        }
        return names & ids

    def _found(self, data: bytes) -> list[tuple[int, int, int]]:
        return self._automaton.find_matches_as_indexes(data, overlapping=True) if self._automaton else []


class Mentions:
    """Replaces ids in the texts of one row.

    Args:
        realm: The row's tenant.
        own: Whom the row is about.
        known: Other users.
        replace: What stands for a user of a tenant from now on; ``None`` leaves the id.
        erased: Who was erased, whom nobody else knows any more: found by their tombstones.
    """

    def __init__(
        self,
        realm: str | None,
        own: Iterable[str],
        known: KnownIds,
        replace: Replace,
        erased: ErasedIndex | None = None,
    ) -> None:
        self._realm, self._known, self._replace, self._erased = realm, known, replace, erased
        self._own = frozenset(filter(None, own))

    def text(self, text: str) -> str:
        """A text without ids."""
        if self._is_id(text):
            return self._put(text)
        ids = {name for name in self._own if len(name) > _SHORT and name in text}
        for name in sorted({*ids, *self._find_ids(text)}, key=len, reverse=True):
            text = self._without(text, name)
        return text

    def trace(self, text: str) -> str:
        """A trace without ids; its structure (types, branches, node ids) stays."""
        try:
            return spell_json(self._entries(read(text)))
        except (ValueError, RecursionError):
            # No list can hold it and no parser reads it: the ids go all the same, and the JSON stays JSON.
            for name in {*self._own, *self._find_ids(text)}:
                quoted, put = json.dumps(name, ensure_ascii=False), self._put(name)
                text = text.replace(quoted, json.dumps(put))
                if len(name) > _SHORT:
                    text = self._without(text, quoted[1:-1], put)
            return text

    def document(self, text: str) -> str:
        """A JSON document without ids; as it came where it names nobody or is no JSON."""
        try:
            before = read(text)
            after = self.value(before)
        except (ValueError, RecursionError):
            return self.text(text)
        return text if after == before else spell_json(after)

    def _entries(self, trace: Json) -> Json:
        if not isinstance(trace, list):
            return self.value(trace)
        return [
            {key: value if key in _STRUCTURE else self.value(value) for key, value in entry.items()}
            if isinstance(entry, dict)
            else self.value(entry)
            for entry in trace
        ]

    def value(self, found: Json) -> Json:
        """A JSON value, as ``trace_json.read`` gives it, without ids in any of its texts."""
        if isinstance(found, JsonNumber):
            is_own = found in self._own and len(found) > _SHORT
            is_other = found in self._known.of(self._realm) or self._was_erased(found)
            return self._put(str(found)) if is_own or is_other else found
        if isinstance(found, str):
            return self.text(found)
        if isinstance(found, dict):
            return {self.text(key): self.value(item) for key, item in found.items()}
        return [self.value(item) for item in found] if isinstance(found, list) else found

    def _is_id(self, text: str) -> bool:
        if text in self._own or text in self._known.of(self._realm):
            return True
        return self._was_erased(text)

    def _was_erased(self, text: str) -> bool:
        return self._erased is not None and is_distinctive(text) and self._erased.holds(self._realm, text)

    def _find_ids(self, text: str) -> set[str]:
        """Whoever stands in a text besides the run's own user."""
        return {*self._known.find_ids(self._realm, text)} | (
            self._erased.find_ids(self._realm, text) if self._erased else set()
        )

    def _put(self, name: str) -> str:
        put = self._replace(self._realm, name)
        return name if put is None else put

    def _without(self, text: str, name: str, put: str | None = None) -> str:
        """A text without an id that stands in it by itself, not as a part of a longer one."""
        put, at = self._put(name) if put is None else put, text.find(name)
        while at >= 0 and put != name:
            end = at + len(name)
            alone = not _BEFORE.search(text[max(0, at - 2) : at]) and not _AFTER.match(text, end)
            if alone:
                text, end = text[:at] + put + text[end:], at + len(put)
            at = text.find(name, end)
        return text
