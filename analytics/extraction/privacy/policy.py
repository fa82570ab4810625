"""What a lake does with people's ids, remembered in it: never the key, only which one it is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from analytics.config import Settings
from analytics.errors import DamagedFileError
from analytics.extraction.privacy.pseudonyms import PseudonymKey
from analytics.lake import formats
from analytics.storage import LakePath, shapes

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
    def treatment(self) -> str:
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
        fields = None if self.data_fields is None else sorted(self.data_fields)
        told: dict[str, Any] = {"format": _FORMAT, "key_id": self.key.key_id if self.key else "", "data_fields": fields}
        if keys_before is not None:
            told["keys_before"] = sorted(keys_before)
        return json.dumps(told, ensure_ascii=False, indent=1) + "\n"


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a lake's file says.

    Attributes:
        is_there: There is one.
        key_id: The key that new pseudonyms are made with; empty for none.
        keys_before: Other keys that were accepted before; ``None`` where an older version has written it, which did not say.
    """

    is_there: bool = False
    key_id: str = ""
    keys_before: frozenset[str] | None = frozenset()


def remembered(root: LakePath) -> Remembered:
    """What the lake in ``root`` remembers of its policy.

    Raises:
        DamagedFileError: The lake's file is damaged.
    """
    path = root / FILE
    try:
        data = shapes.document(path.read_text(encoding="utf-8"))
        formats.refuse_newer(data, _FORMAT, path)
        if data["format"] != _FORMAT:
            raise ValueError("no known format")
        fields = data["data_fields"]
        if fields is not None:
            shapes.texts(fields)
        before = data.get("keys_before")
        return Remembered(
            True, shapes.text(data["key_id"]), None if before is None else frozenset(shapes.texts(before))
        )
    except FileNotFoundError:
        return Remembered()
    except (OSError, *shapes.WRONG) as error:
        raise DamagedFileError(
            f"{path} is damaged: {shapes.said(error)}",
            hint="it says which key the lake's pseudonyms were made with; restore it, or write it again with one "
            "`strategy-analytics extract --accept-key` under the right key",
            path=str(path),
        ) from error


def key_of(treatment: str) -> str:
    """The key that a partition's pseudonyms were made with, by the ledger's word for it; empty for none."""
    found = re.match(r"key ([^ ,]+)", treatment)
    return found[1] if found else ""
