"""Who was erased: tombstones, one file per erasure in ``lake/erased``, that hold no id.

A tombstone keeps a keyed hash of the id: with the pseudonym key where there is one, else with a secret of the lake's own that
lies beside it. So the next extraction knows whom to leave out, and whoever reads the tombstone does not learn who it was. With
the lake's own secret at hand, however, ids can be tried one after the other: like the rows beside it, which then hold ids as they
are, it is protected by the file permissions of the lake.
"""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from analytics import formats
from analytics.errors import ConfigurationError, LakeError
from analytics.object_store import LakePath
from analytics.people.pseudonyms import PseudonymKey, is_pseudonym

FOLDER = "erased"
MARK = "(erased)"
"""Stands where others' rows named the person."""

_OWN = "own-key"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One erased person.

    Attributes:
        digest: Keyed hash of the id; of the pseudonym where the id itself was not known.
        key_id: Of the pseudonym key it was made with; empty for the lake's own secret.
        realms: In which tenants; ``None`` for all, now and in future.
        data: The file: when, by which version, and the receipt.
    """

    digest: str
    key_id: str
    realms: tuple[str | None, ...] | None
    data: dict[str, Any]

    @property
    def is_finished(self) -> bool:
        """Every partition that held the person was rewritten."""
        return bool(self.data.get("finished_at"))

    @property
    def name(self) -> str:
        """Of its file: a person may be erased from several tenants, one after the other."""
        about = json.dumps([self.digest, self.realms])
        return f"{PseudonymKey(b'name').mac('file', about)[:32]}.json"

    def to_json(self) -> str:
        """Its file."""
        told = {"format": _FORMAT, "digest": self.digest, "key_id": self.key_id, "realms": self.realms}
        return json.dumps({**told, **self.data}, ensure_ascii=False, indent=1) + "\n"


def read(root: LakePath) -> list[Tombstone]:
    """The tombstones of a lake.

    Args:
        root: Folder of the lake.

    Raises:
        LakeError: One cannot be read. Whom it is about cannot be known, so nothing may be extracted.
    """
    found = []
    stones: list[LakePath] = [*(root / FOLDER).glob("*.json")]
    for path in sorted(stones, key=str):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            formats.refuse_newer(data, _FORMAT, path)
            if data.pop("format") != _FORMAT:
                raise ValueError("no known format of a tombstone")
            realms = data.pop("realms")
            digest, key_id = str(data.pop("digest")), str(data.pop("key_id"))
            found.append(Tombstone(digest, key_id, None if realms is None else tuple(realms), data))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise LakeError(
                f"the tombstone {path} of an erased person cannot be read: {error}",
                hint="restore it from a backup, or erase the person again and delete this file; until then nothing is extracted, "
                "because the person's rows would come back",
                path=str(path),
            ) from error
    return found


def own_secret(root: LakePath) -> PseudonymKey | None:
    """The secret of a lake whose ids are no pseudonyms; ``None`` where nobody was erased so far."""
    path = root / FOLDER / _OWN
    try:
        return PseudonymKey(bytes.fromhex(path.read_text(encoding="ascii").strip()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise LakeError(
            f"the secret {path} of the lake's tombstones cannot be read: {error}", hint="restore it from a backup"
        ) from error


def new_secret() -> tuple[str, str]:
    """Name and text of a file with a new secret."""
    return _OWN, secrets.token_hex(32) + "\n"


class Erased:
    """Whether a person was erased, for the rows of one run.

    Args:
        tombstones: All of the lake's.
        key: The configured pseudonym key.
        own: The lake's own secret.

    Raises:
        ConfigurationError: A tombstone was made with a key that is not configured.
    """

    def __init__(
        self, tombstones: Sequence[Tombstone], key: PseudonymKey | None = None, own: PseudonymKey | None = None
    ) -> None:
        self._key = key
        self._by_digest: dict[str, list[Tombstone]] = {}
        self._secrets: list[PseudonymKey] = []
        for stone in tombstones:
            secret = own if not stone.key_id else key if key and key.key_id == stone.key_id else None
            if secret is None:
                which = f"the pseudonym key {stone.key_id}" if stone.key_id else f"the secret {FOLDER}/{_OWN}"
                raise ConfigurationError(
                    f"the lake's tombstone of an erased person was made with {which}, which is not there: the person's rows "
                    "would come back",
                    hint="set ANALYTICS_PSEUDONYM_KEY_FILE to that key, or restore the secret; if it is lost, erase the person "
                    f"again and delete {FOLDER}/{stone.name}",
                )
            if secret not in self._secrets:
                self._secrets.append(secret)
            self._by_digest.setdefault(stone.digest, []).append(stone)
        self.holds = functools.lru_cache(maxsize=500_000)(self._holds)

    def __bool__(self) -> bool:
        return bool(self._by_digest)

    def _holds(self, realm: str | None, user: str) -> bool:
        """The user was erased from this tenant.

        Args:
            realm: The tenant.
            user: An id as the log has it, or a pseudonym.
        """
        names = {user}
        if self._key and not is_pseudonym(user):
            names.add(self._key.pseudonym(realm, user))
        stones: Iterable[Tombstone] = (
            stone
            for secret in self._secrets
            for name in names
            for stone in self._by_digest.get(digest_of(secret, name), ())
        )
        return any(stone.realms is None or realm in stone.realms for stone in stones)


def digest_of(secret: PseudonymKey, name: str) -> str:
    """What a tombstone keeps of an id or pseudonym."""
    return secret.mac("erased", name)
