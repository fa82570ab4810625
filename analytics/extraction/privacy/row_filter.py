"""The filter that every row comes in by: behind it nobody's id is known any more, and who was erased is not there.

It works on the tuples of the binary COPY, before they are taken in: so files, rollups, counts and rows that wait on disk all
hold the same, and nothing else in the package has to know. Only used where there is something to do.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from analytics.errors import SourceError
from analytics.extraction.encode.copy_decoder import padded
from analytics.extraction.encode.native import copy_tuples
from analytics.extraction.encode.trace_json import read, spell_json
from analytics.extraction.privacy.id_mentions import KnownIds, Mentions, json_escaped, json_unescaped
from analytics.extraction.privacy.policy import DROPPED, FieldAllowlist, Policy
from analytics.extraction.privacy.pseudonyms import is_pseudonym
from analytics.extraction.privacy.tombstones import MARK, ErasedIndex
from analytics.lake import schema
from analytics.model import Partition
from analytics.sql import Row

if TYPE_CHECKING:
    from analytics.estimates.arrays import Bytes

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
