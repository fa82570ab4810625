"""What a lake does with people's ids, remembered in it: never the key, only which one it is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from analytics import formats
from analytics.config import Settings
from analytics.errors import ConfigurationError, LakeError, LakeFormatError
from analytics.object_store import LakePath
from analytics.people.pseudonyms import PseudonymKey

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
    def treatment(self) -> str:
        """Tells in a word what was done to the rows of a partition; empty for nothing."""
        parts = [f"key {self.key.key_id}"] if self.key else []
        if self.data_fields is not None:
            listed = json.dumps(sorted(self.data_fields)).encode()
            parts.append(f"fields {hashlib.sha256(listed).hexdigest()[:16]}")
        return ", ".join(parts)

    def to_json(self) -> str:
        """The lake's file; without the key."""
        fields = None if self.data_fields is None else sorted(self.data_fields)
        told: dict[str, Any] = {"format": _FORMAT, "key_id": self.key.key_id if self.key else "", "data_fields": fields}
        return json.dumps(told, ensure_ascii=False, indent=1) + "\n"


def key_id_of(root: LakePath) -> str:
    """The key that a lake's pseudonyms were made with; empty where its ids are as the log has them.

    Raises:
        LakeError: The lake's file cannot be read.
    """
    path = root / FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        formats.refuse_newer(data, _FORMAT, path)
        return str(data["key_id"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LakeError(
            f"{path} cannot be read: {error}",
            hint="it says which key the lake's pseudonyms were made with; restore it, or write it again with one "
            "`strategy-analytics extract --accept-key` under the right key",
            path=str(path),
        ) from error


def check(root: LakePath, policy: Policy, *, accept: bool) -> list[str]:
    """Compare a policy with the one a lake was made under.

    Args:
        root: Folder of the lake.
        policy: For the next rows.
        accept: Another key, or none, is wanted.

    Returns:
        What a person should know, in sentences.

    Raises:
        ConfigurationError: Pseudonyms would end, or be others, unasked.
    """
    try:
        known = key_id_of(root)
    except LakeError as error:
        if not accept or isinstance(error, LakeFormatError):
            raise
        known = ""
    fresh = policy.key.key_id if policy.key else ""
    if not known or known == fresh:
        return []
    if accept:
        new = f"pseudonyms of the key {fresh}" if fresh else "the ids themselves"
        return [
            f"accepted: from now on rows carry {new} where they carried pseudonyms of the key {known}; days that are not "
            "extracted again keep theirs, and a user has two names"
        ]
    what = (
        f"the one configured is {fresh}"
        if fresh
        else "none is configured, so that people's ids would be stored as they are"
    )
    raise ConfigurationError(
        f"the lake {root} holds pseudonyms of the key {known}, and {what}; nothing was written",
        hint="set ANALYTICS_PSEUDONYM_KEY_FILE to that key's file; if it is to change, give --accept-key once and extract "
        "all days again",
        known=known,
        found=fresh,
    )
