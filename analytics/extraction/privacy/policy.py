"""What a lake does with people's ids and with fields of data, remembered in it: never the key, only which one it is.

Ids become keyed pseudonyms: the same person in the same realm has the same one every day, and nobody without the key can tell
whose it is. HMAC-SHA256 (RFC 2104, FIPS 198-1), cut to its first 128 bits, which NIST SP 800-107 allows; by the birthday bound,
two of ten billion users share one with a probability below 2e-19. The message holds the realm, so that nobody can be followed
from one tenant to another.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from analytics.config import Settings
from analytics.errors import ConfigurationError, DamagedFileError
from analytics.extraction.encode.trace_json import JsonNumber
from analytics.program import generate_ids, walk
from analytics.sql import Row
from analytics.storage import LakePath, typed_json
from analytics.storage.typed_json import Json, JsonObject

PREFIX = "psn_"
LEAST_KEY = 32
"""Characters: 32 random hexadecimal digits are 128 bits."""

FORM = re.compile(rf"{PREFIX}[0-9a-f]{{32}}")
"""Of a pseudonym."""
_MAKE_ONE = (
    "make one with `openssl rand -hex 32`, in a file that only the extraction's user can read (chmod 600), and keep a copy: "
    "without it nobody can say whose a pseudonym is"
)


@dataclass(frozen=True, slots=True)
class PseudonymKey:
    """The secret that pseudonyms are made with.

    Attributes:
        secret: Never shown in ``repr``, never written.
    """

    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, text: str, where: str) -> PseudonymKey:
        """A key as it was configured.

        Args:
            text: The key; white space around it does not count.
            where: The variable or file it comes from, for the error.

        Raises:
            ConfigurationError: It is so short that somebody could try them all.
        """
        secret = text.strip().encode("utf-8", "surrogateescape")
        if len(secret) < LEAST_KEY or len(set(secret)) < 8:
            raise ConfigurationError(
                f"the pseudonym key in {where} is too weak: it needs {LEAST_KEY} characters or more, and random ones",
                hint=_MAKE_ONE,
            )
        return cls(secret)

    @classmethod
    def read(cls, path: str | Path) -> PseudonymKey:
        """The key in a file.

        Raises:
            ConfigurationError: The file cannot be read, or the key is too weak.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ConfigurationError(f"the pseudonym key file {path} cannot be read: {why}", hint=_MAKE_ONE) from None
        return cls.of(text, str(path))

    @staticmethod
    def open_to_others(path: str | Path) -> bool:
        """Whether others than its owner may read the file of a key."""
        try:
            return bool(Path(path).stat().st_mode & 0o077)
        except OSError:
            return False

    @property
    def key_id(self) -> str:
        """Tells keys apart without saying anything about them: 16 hexadecimal digits."""
        return self.mac("key", "")[:16]

    def pseudonym(self, realm: str | None, user: str) -> str:
        """A user's pseudonym in a realm: ``psn_`` and 32 hexadecimal digits."""
        # PostgreSQL holds no text with a zero byte, so the parts cannot run into each other.
        return PREFIX + self.mac("user", f"{'null' if realm is None else f'realm {realm}'}\0{user}")[:32]

    def mac(self, purpose: str, text: str) -> str:
        """HMAC-SHA256 of a text, in hexadecimal digits; never the same for two purposes."""
        message = f"strategy-analytics 1 {purpose}\0{text}".encode("utf-8", "surrogatepass")
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()


def is_pseudonym(text: str) -> bool:
    """It has the form of one."""
    return FORM.fullmatch(text) is not None


DROPPED = "(dropped)"
"""Stands where a value was."""

_DATA = "data."
_PASSED_ON = ("set_data", "set_callback_data")


class FieldAllowlist:
    """Decides what is kept of the values in traces.

    Args:
        allowed: Names of fields under ``data.`` whose values are kept.
        definitions: Rows of ``strategydefinition``, as ``Source.definitions`` gives them.
    """

    def __init__(self, allowed: Iterable[str], definitions: Iterable[Row]) -> None:
        self._allowed = frozenset(allowed)
        self._programs = {(str(row["strategy_id"]), row["strategy_version"]): row["ast_json"] for row in definitions}
        self._read: dict[tuple[str, int | None], tuple[frozenset[str], frozenset[str]]] = {}

    def trace(self, strategy: str, version: int | None, trace: Json) -> tuple[Json, set[str]]:
        """A trace without the values that may not be kept.

        Args:
            strategy, version: The program that ran.
            trace: As ``trace_json.read`` gives it; its entries are changed.

        Returns:
            The trace, and names that a dropped ``set_case_name`` gave: the row's case name is one of them.
        """
        fields, clean = self._of(strategy, version)
        names: set[str] = set()
        if not isinstance(trace, list):
            return trace if trace is None else DROPPED, names
        for place, entry in enumerate(trace):
            if not isinstance(entry, dict):
                trace[place] = DROPPED
                continue
            value = entry.get("value")
            if not self._keeps(entry, value, fields, clean):
                if entry.get("type") == "set_case_name" and isinstance(value, str):
                    names.add(str(value))
                entry["value"] = DROPPED
            for key in set(entry) - {"type", "branch", "nodeId", "value"}:
                entry[key] = DROPPED
        return trace, names

    @staticmethod
    def _keeps(entry: JsonObject, value: Json, fields: frozenset[str], clean: frozenset[str]) -> bool:
        node, kind = entry.get("nodeId"), entry.get("type")
        if value is None or isinstance(value, bool):
            return kind != "field" or node in fields
        if kind == "field":
            return node in fields
        if kind == "literal" or (isinstance(value, JsonNumber) and kind not in _PASSED_ON):
            return True
        return node in clean

    def _of(self, strategy: str, version: int | None) -> tuple[frozenset[str], frozenset[str]]:
        """Ids of fields that may be kept, and of nodes that read nothing else."""
        found = self._read.get((strategy, version))
        if found is None:
            found = self._read[strategy, version] = self._examined(self._programs.get((strategy, version)))
        return found

    def _examined(self, text: str | None) -> tuple[frozenset[str], frozenset[str]]:
        try:
            program = json.loads(text or "null")
            nodes = walk(generate_ids(program)) if isinstance(program, dict) else []
        except (ValueError, RecursionError):
            nodes = []
        dirty_at: set[int] = set()
        for node in reversed(nodes):  # children after their parents
            is_dropped = node.type == "field" and not self._allows(node.path)
            if node.position in dirty_at or is_dropped:
                dirty_at |= {node.position} | ({node.parent_position} if node.parent_position is not None else set())
        # Ids repeat within a program: one node that may not be kept is enough.
        dirty = {node.node_id for node in nodes if node.position in dirty_at}
        ids = {node.node_id for node in nodes if node.node_id is not None}
        fields = {node.node_id for node in nodes if node.type == "field" and node.node_id is not None}
        return frozenset(fields - dirty), frozenset(ids - dirty)

    def _allows(self, path: str | None) -> bool:
        if path is None:
            return False
        # "data.team.name" is a part of "data.team"
        name = path.removeprefix(_DATA)
        return name == path or name in self._allowed or name.partition(".")[0] in self._allowed


FILE = "people.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Policy:
    """What extraction does with what people are known by, and with what they sent.

    Attributes:
        key: Ids become pseudonyms of this key; ``None`` leaves them as they are.
        data_fields: Of the fields under ``data.`` only these are kept; ``None`` keeps all.
    """

    key: PseudonymKey | None = None
    data_fields: frozenset[str] | None = None

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """The policy that was configured.

        Raises:
            ConfigurationError: The key cannot be read, or is too weak.
        """
        key = None
        if settings.pseudonym_key:
            key = PseudonymKey.of(settings.pseudonym_key, "ANALYTICS_PSEUDONYM_KEY")
        elif settings.pseudonym_key_file:
            key = PseudonymKey.read(settings.pseudonym_key_file)
        return cls(key, settings.data_fields)

    @property
    def key_id(self) -> str:
        """Of the key; empty for none."""
        return self.key.key_id if self.key else ""

    @property
    def privacy_version(self) -> str:
        """Tells in a word what was done to the rows of a partition; empty for nothing."""
        parts = [f"key {self.key.key_id}"] if self.key else []
        if self.data_fields is not None:
            listed = json.dumps(sorted(self.data_fields)).encode()
            parts.append(f"fields {hashlib.sha256(listed).hexdigest()[:16]}")
        return ", ".join(parts)

    def to_json(self, keys_before: Collection[str] | None = ()) -> str:
        """The lake's file; without the key.

        Args:
            keys_before: Other keys that the lake's pseudonyms were made with before; ``None`` where nobody knows.
        """
        fields: Json = None if self.data_fields is None else [*sorted(self.data_fields)]
        told: dict[str, Json] = {
            "format": _FORMAT,
            "key_id": self.key.key_id if self.key else "",
            "data_fields": fields,
        }
        if keys_before is not None:
            told["keys_before"] = [*sorted(keys_before)]
        return json.dumps(told, ensure_ascii=False, indent=1) + "\n"


@dataclass(frozen=True, slots=True)
class RecordedPolicy:
    """What a lake's file says.

    Attributes:
        is_there: There is one.
        key_id: The key that new pseudonyms are made with; empty for none.
        keys_before: Other keys that were accepted before; ``None`` where an older version has written it, which did not say.
    """

    is_there: bool = False
    key_id: str = ""
    keys_before: frozenset[str] | None = frozenset()


def recorded_policy(root: LakePath) -> RecordedPolicy:
    """What the lake in ``root`` remembers of its policy.

    Raises:
        DamagedFileError: The lake's file is damaged.
    """
    path = root / FILE
    try:
        data = typed_json.document(path.read_text(encoding="utf-8"))
        typed_json.refuse_newer(data, _FORMAT, path)
        if data["format"] != _FORMAT:
            raise ValueError("no known format")
        fields = data["data_fields"]
        if fields is not None:
            typed_json.texts(fields)
        before = data.get("keys_before")
        return RecordedPolicy(
            True, typed_json.text(data["key_id"]), None if before is None else frozenset(typed_json.texts(before))
        )
    except FileNotFoundError:
        return RecordedPolicy()
    except (OSError, *typed_json.WRONG) as error:
        raise DamagedFileError(
            f"{path} is damaged: {typed_json.said(error)}",
            hint="it says which key the lake's pseudonyms were made with; restore it, or write it again with one "
            "`strategy-analytics extract --accept-key` under the right key",
            path=str(path),
        ) from error


def key_of(privacy_version: str) -> str:
    """The key that a partition's pseudonyms were made with, by the ledger's word for it; empty for none."""
    found = re.match(r"key ([^ ,]+)", privacy_version)
    return found[1] if found else ""
