"""The filter that every row comes in by: behind it nobody's id is known any more, and who was erased is not there.

It works on the tuples of the binary COPY, before they are taken in: so files, rollups, counts and rows that wait on disk all
hold the same, and nothing else in the package has to know. Only used where there is something to do.

Ids stand inside what runs recorded as well: a rule may read ``externalUserId``, an event may carry a friend's id, an author may
name a case after a person. Of the run's own user every text that is the id and nothing else is replaced, and an id of five
characters or more inside longer texts too. Of other users of the realm only those whose id cannot stand there by chance (see
``telling``): a user called "gold" must not take the word from everybody's data.
"""

from __future__ import annotations

import json
import re
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, TypeAlias

from analytics.errors import SourceError
from analytics.extraction.encode.coded_rows import padded
from analytics.extraction.encode.native import copy_tuples
from analytics.extraction.encode.trace_json import JsonNumber, read, spell_json
from analytics.extraction.privacy.policy import DROPPED, FieldAllowlist, Policy, is_pseudonym
from analytics.extraction.privacy.tombstones import MARK, ErasedIndex, is_distinctive
from analytics.lake import schema
from analytics.model import Partition
from analytics.sql import Row
from analytics.storage.typed_json import Json

if TYPE_CHECKING:
    from analytics.estimates.arrays import Bytes
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


_TEXTS = {name: place for place, name in enumerate(schema.TEXT_COLUMNS, 8)}
_ID, _CREATED_AT, _VERSION, _TRACE = 0, 1, 5, 21
_STRATEGY, _REALM, _OAUTH, _USER, _CASE = (
    _TEXTS[name] for name in ("strategy_id", "realm_id", "oauth_user_id", "external_user_id", "case_name")
)
_FREE = tuple(_TEXTS[name] for name in schema.FREE_TEXT_COLUMNS)
"""Texts that may name somebody besides the columns for it."""

_LENGTH, _INT, _TIME = struct.Struct(">i"), struct.Struct(">i"), struct.Struct(">q")
_POSTGRES_EPOCH = date(2000, 1, 1)
_NULL = _LENGTH.pack(-1)
_LEAST_INSIDE = 5  # characters of an own id that is looked for inside texts
_ANY_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_LONG_NUMBER = re.compile(rb"(?<![\w.])[0-9]{8,}(?![\w.])")
_MOST_REMEMBERED = 200_000


@dataclass(frozen=True, slots=True)
class ExcludedRows:
    """Rows of a partition that the source has and the lake must not: how many, and the hash of their ids."""

    row_count: int = 0
    id_hash: int = 0

    def __add__(self, other: ExcludedRows) -> ExcludedRows:
        return ExcludedRows(self.row_count + other.row_count, self.id_hash + other.id_hash)


@dataclass(frozen=True, slots=True)
class PrivacyContext:
    """What a run knows of people; shared by its connections.

    Attributes:
        policy: What is done.
        erased: Who was erased.
        known: Users of the tenants, to be found inside what was recorded.
        payloads: Which recorded values may be kept; ``None`` for all.
    """

    policy: Policy
    erased: ErasedIndex
    known: KnownIds
    payloads: FieldAllowlist | None = None

    @property
    def has_work(self) -> bool:
        """Rows cannot be taken in as they are."""
        return bool(self.policy.privacy_version) or bool(self.erased)

    @property
    def replaces_anybody(self) -> bool:
        """Somebody's id becomes another text."""
        return self.policy.key is not None or bool(self.erased)

    def replacement(self, realm: str | None, user: str) -> str | None:
        """What stands for a user from now on; ``None`` for the id itself."""
        if self.erased and self.erased.holds(realm, user):
            return MARK
        key = self.policy.key
        return None if key is None or is_pseudonym(user) else key.pseudonym(realm, user)


class RowFilter:
    """Lets rows in; for one thread.

    Args:
        privacy: What to do.
        is_lake: The rows come from the lake: what has the form of a pseudonym is one already.

    Attributes:
        excluded: Rows of erased people, by partition.
        changed: Rows that were let in otherwise than they came, by partition.
    """

    def __init__(self, privacy: PrivacyContext, *, is_lake: bool = False) -> None:
        self._privacy, self._is_lake = privacy, is_lake
        self.excluded: defaultdict[Partition, ExcludedRows] = defaultdict(ExcludedRows)
        self.changed: defaultdict[Partition, int] = defaultdict(int)
        self._harmless: defaultdict[str | None, set[bytes]] = defaultdict(set)

    def apply(self, blocks: Iterable[Bytes]) -> Iterator[Bytes]:
        """Blocks of COPY tuples, as the source or ``retained_rows.blocks`` gives them, without what may not come in."""
        if not self._privacy.has_work:
            yield from blocks
            return
        for block in blocks:
            passed = self._block(bytes(block))
            if passed:
                yield padded(passed)

    def _block(self, data: bytes) -> bytearray:
        out, at = bytearray(), 0
        while at < len(data):
            end, fields = _cut(data, at)
            if fields is None:  # the trailer
                out += data[at:end]
            else:
                row = self._row(fields)
                if row is None:
                    self._leave_out(fields)
                elif not row:
                    out += data[at:end]
                else:
                    self.changed[_partition(fields)] += 1
                    out += _joined(fields, row)
            at = end
        return out

    def _leave_out(self, fields: list[bytes | None]) -> None:
        execution_id = fields[_ID] or bytes(16)
        self.excluded[_partition(fields)] += ExcludedRows(1, int.from_bytes(execution_id[:8], "big") >> 4)

    def _row(self, fields: list[bytes | None]) -> dict[int, bytes | None] | None:
        """What changes of a row, by field; ``None`` for a row that may not come in."""
        privacy = self._privacy
        realm = _text(fields[_REALM])
        put: dict[int, bytes | None] = {}
        own: list[str] = []
        for place in (_USER, _OAUTH):
            user = _text(fields[place])
            if not user:
                continue
            own.append(user)
            if privacy.erased and privacy.erased.holds(realm, user):
                if place == _USER:
                    return None
                put[place] = None
            elif privacy.policy.key and not (self._is_lake and is_pseudonym(user)):
                put[place] = privacy.policy.key.pseudonym(realm, user).encode()
        if privacy.policy.key or privacy.erased:
            put.update(self._mentions(fields, realm, own))
        if privacy.payloads:
            self._payload(fields, put)
        return put

    def _mentions(self, fields: list[bytes | None], realm: str | None, own: list[str]) -> Iterator[tuple[int, bytes]]:
        """Fields that named somebody, and what they are now."""
        privacy = self._privacy
        sought = [name for name in dict.fromkeys(own) if privacy.replacement(realm, name) is not None]
        needles = [_needles(name) for name in sought]
        mentions = Mentions(realm, sought, privacy.known, privacy.replacement, privacy.erased)
        for place in (*_FREE, _TRACE):
            field = fields[place]
            if field is None:
                continue
            quote = b'"' if place == _TRACE else b""
            if not (any(_may_hold(field, quote, needle) for needle in needles) or privacy.known.are_in(field)):
                strings = _strings(field) if place == _TRACE else {field}
                if not privacy.erased or all(self._is_harmless(realm, text) for text in strings):
                    continue
            before = _decoded(field[1:] if place == _TRACE else field)
            after = mentions.trace(before) if place == _TRACE else mentions.text(before)
            if after != before:
                yield place, b"\x01" * (place == _TRACE) + _encoded(after)

    def _is_harmless(self, realm: str | None, text: bytes) -> bool:
        """A text, as JSON spells it, names nobody who was erased."""
        harmless = self._harmless[realm]
        if text in harmless:
            return True
        plain = _decoded(text)
        if any(self._privacy.erased.find_ids(realm, form) for form in {plain, json_unescaped(plain)}):
            return False
        if len(harmless) > _MOST_REMEMBERED:
            harmless.clear()
        harmless.add(text)
        return True

    def _payload(self, fields: list[bytes | None], put: dict[int, bytes | None]) -> None:
        payloads, field = self._privacy.payloads, put.get(_TRACE, fields[_TRACE])
        if payloads is None or field is None or field == b"\x01null":
            return
        version = fields[_VERSION]
        before = _decoded(field[1:])
        try:
            trace, names = payloads.trace(
                _text(fields[_STRATEGY]) or "", None if version is None else _INT.unpack(version)[0], read(before)
            )
            after = spell_json(trace)
        except (ValueError, RecursionError):
            after, names = spell_json(DROPPED), set()  # nobody can say what is in it
        if after != before:
            put[_TRACE] = b"\x01" + _encoded(after)
        case = _text(put.get(_CASE, fields[_CASE]))
        if case is not None and case in names:
            put[_CASE] = DROPPED.encode()


def _cut(data: bytes, at: int) -> tuple[int, list[bytes | None] | None]:
    """The end of the tuple that begins at a place, and its fields; ``None`` for the trailer."""
    if data[at : at + 2] == b"\xff\xff":
        return at + 2, None
    if data[at : at + 2] != bytes((0, copy_tuples.FIELDS)):
        raise SourceError(
            "the server's stream is not in PostgreSQL's binary COPY format",
            hint="is there a proxy between? connect to PostgreSQL itself",
        )
    at += 2
    fields: list[bytes | None] = []
    unpack = _LENGTH.unpack_from
    for _ in range(copy_tuples.FIELDS):
        (length,) = unpack(data, at)
        at += 4
        if length < 0:
            fields.append(None)
        else:
            fields.append(data[at : at + length])
            at += length
    return at, fields


def _joined(fields: list[bytes | None], put: Mapping[int, bytes | None]) -> bytes:
    parts = [bytes((0, copy_tuples.FIELDS))]
    for place, field in enumerate(fields):
        value = put.get(place, field)
        if value is None:
            parts.append(_NULL)
        else:
            parts += (_LENGTH.pack(len(value)), value)
    return b"".join(parts)


def _partition(fields: list[bytes | None]) -> Partition:
    realm, created = _text(fields[_REALM]), fields[_CREATED_AT]
    if created is None:
        return Partition(realm, None)
    return Partition(realm, _POSTGRES_EPOCH + timedelta(microseconds=_TIME.unpack(created)[0]))


def _text(field: bytes | None) -> str | None:
    return None if field is None else _decoded(field)


def _decoded(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")  # what is no UTF-8 is refused behind the filter


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _strings(trace: bytes) -> set[bytes]:
    """Every text of a trace, of whatever shape, and numbers that may be ids."""
    return {*_ANY_STRING.findall(trace), *_LONG_NUMBER.findall(trace)}


def _may_hold(field: bytes, quote: bytes, needle: tuple[bytes, bytes]) -> bool:
    inside, escaped = needle
    return (inside in field or escaped in field) if inside else quote + escaped + quote in field


def _needles(name: str) -> tuple[bytes, bytes]:
    """What to look for first: an id inside texts, empty where it is too short for that, and as JSON spells it."""
    return (name.encode() if len(name) >= _LEAST_INSIDE else b""), json_escaped(name)


_PROGRAM_TEXTS = ("name", "description", "experiment_tag")


def protect_definition(privacy: PrivacyContext, row: Row) -> Row:
    """A row of ``strategydefinition`` as the lake may hold it.

    A program's literals change with the values its runs recorded, so that one still explains the other.

    Args:
        privacy: What is known.
        row: As ``Source.definitions`` gives it, or as the lake has it.
    """
    if not privacy.replaces_anybody:
        return dict(row)
    realm, author = row["realm_id"], row["created_by"]
    mentions = Mentions(
        realm,
        [author] if author else [],
        privacy.known,
        privacy.replacement,
        privacy.erased,
    )
    fresh = dict(row)
    if author:
        fresh["created_by"] = privacy.replacement(realm, author) or author
    for name in _PROGRAM_TEXTS:
        if fresh[name]:
            fresh[name] = mentions.text(fresh[name])
    if fresh["ast_json"]:
        fresh["ast_json"] = mentions.document(fresh["ast_json"])
    return fresh
