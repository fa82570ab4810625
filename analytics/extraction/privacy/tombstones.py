"""Who was erased: tombstones, one file per erasure in ``lake/erased``, that hold no id.

A tombstone keeps a keyed hash of the id: with the pseudonym key where there is one, else with a secret of the lake's own that
lies beside it. So the next extraction knows whom to leave out, and whoever reads the tombstone does not learn who it was. With
the lake's own secret at hand, however, ids can be tried one after the other: like the rows beside it, which then hold ids as they
are, it is protected by the file permissions of the lake.

Beside the hash stands how long the id is: so it is found inside others' texts when nobody knows it any more, by hashing whatever
stands there by itself and is of that length. And the ledger knows which tombstones there are, ``ledger/tombstones.json``: one that
is lost is noticed, and lets nobody back in.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analytics.errors import ConfigurationError, DamagedFileError, LakeError
from analytics.extraction.privacy.policy import FORM, PseudonymKey, is_pseudonym
from analytics.storage import LakePath, typed_json

_DATE_OR_NUMBER = re.compile(r"v?[\d.,:+-]+|\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?")


def is_distinctive(text: str, least: int = 8) -> bool:
    """Long enough, and neither a date, a number with signs nor a version, which stand everywhere.

    Args:
        text: An id.
        least: Characters; two fewer do where letters and digits are mixed.
    """
    mixed = any(map(str.isdigit, text)) and any(map(str.isalpha, text))
    if len(text) < (least - 2 if mixed else least):
        return False
    return text.isdigit() or not _DATE_OR_NUMBER.fullmatch(text)


FOLDER = "erased"
LEDGER = "ledger/tombstones.json"
"""Which tombstones there are, and which files were searched with them."""
MARK = "(erased)"
"""Stands where others' rows named the person."""

_OWN = "own-key"
_FORMAT = 1

_START = re.compile(r"(?<!\w)(?<!\w[-.@])(?=\S)")
"""Where an id can begin that is no part of a longer one, as ``mentions`` replaces them."""
_END = re.compile(r"(?!\w|[-.@]\w)")
_PSEUDONYM = re.compile(rf"(?<!\w)(?<!\w[-.@]){FORM.pattern}(?!\w|[-.@]\w)")
_WORD = re.compile(r"\w+(?:[-.@]\w+)*")
_MOST_WORDS = 4
"""Of an id whose length is not known: of a tombstone that an older version wrote, or of a pseudonym's owner."""


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
    def length(self) -> int | None:
        """Characters of the id; ``None`` where nobody has said."""
        return self.data.get("length")

    @property
    def digests(self) -> list[str]:
        """Hashes of all they are known by: the id, and the pseudonyms that the lake had of them."""
        return [self.digest, *self.data.get("names", ())]

    @property
    def name(self) -> str:
        """Of its file: a person may be erased from several tenants, one after the other."""
        about = json.dumps([self.digest, self.realms])
        return f"{PseudonymKey(b'name').mac('file', about)[:32]}.json"

    def to_json(self) -> str:
        """Its file."""
        told = {"format": _FORMAT, "digest": self.digest, "key_id": self.key_id, "realms": self.realms}
        return json.dumps({**told, **self.data}, ensure_ascii=False, indent=1) + "\n"


def read(root: LakePath, *, may_lack: bool = False) -> list[Tombstone]:
    """The tombstones of a lake.

    Args:
        root: Folder of the lake.
        may_lack: Also when one is gone that the ledger knows: somebody is about to be erased again.

    Raises:
        DamagedFileError: One cannot be read. Whom it is about cannot be known, so nothing may be extracted.
        LakeError: One is gone.
    """
    found = []
    paths: list[LakePath] = [*(root / FOLDER).glob("*.json")]
    for path in sorted(paths, key=str):
        try:
            data = typed_json.document(path.read_text(encoding="utf-8"))
            typed_json.refuse_newer(data, _FORMAT, path)
            if data.pop("format") != _FORMAT:
                raise ValueError("no known format of a tombstone")
            realms = data.pop("realms")
            digest, key_id = typed_json.text(data.pop("digest")), typed_json.text(data.pop("key_id"))
            tenants = (
                None if realms is None else tuple(typed_json.text_or_none(realm) for realm in typed_json.listed(realms))
            )
            _check(data)
            found.append(Tombstone(digest, key_id, tenants, data))
        except (OSError, *typed_json.WRONG) as error:
            raise DamagedFileError(
                f"the tombstone {path} of an erased person is damaged: {typed_json.said(error)}",
                hint="restore it from a backup, or erase the person again and delete this file; until then nothing is extracted, "
                "because the person's rows would come back",
                path=str(path),
            ) from error
    lost = [] if may_lack else sorted({*read_searched(root)[0]} - {tombstone.name for tombstone in found})
    if lost:
        raise LakeError(
            f"the tombstone {FOLDER}/{lost[0]} of an erased person is gone, and the ledger knows that it was there"
            + (f" (so are {len(lost) - 1} more)" if lost[1:] else ""),
            hint=f"restore it from a backup, or erase the person again; where it is meant to be gone, take its name out of "
            f"{LEDGER}. Until then nothing is extracted, because the person's rows would come back",
            path=str(root / FOLDER / lost[0]),
        )
    return found


def read_searched(root: LakePath) -> tuple[list[str], dict[str, str]]:
    """What the ledger knows: the tombstones' names; and which files hold none of them, each with what tells it from another.

    Raises:
        DamagedFileError: The file is damaged.
    """
    path = root / LEDGER
    try:
        data = typed_json.document(path.read_text(encoding="utf-8"))
        typed_json.refuse_newer(data, _FORMAT, path)
        names = [typed_json.text(name) for name in data["tombstones"]]
        return names, {typed_json.text(name): typed_json.text(mark) for name, mark in data["files"].items()}
    except FileNotFoundError:
        return [], {}
    except (OSError, *typed_json.WRONG) as error:
        raise DamagedFileError(
            f"{path} is damaged: {typed_json.said(error)}",
            hint="it says which people were erased; restore it from a backup. Where all files of "
            f"{root / FOLDER} are there, delete it: every file is searched once more, and it is written again",
            path=str(path),
        ) from error


def searched_json(tombstones: Iterable[Tombstone], files: dict[str, str]) -> str:
    """What ``read_searched`` reads."""
    told = {"format": _FORMAT, "tombstones": sorted(tombstone.name for tombstone in tombstones), "files": files}
    return json.dumps(told, ensure_ascii=False, indent=0) + "\n"


def _check(data: Mapping[str, Any]) -> None:
    """What a tombstone tells of the erasure has its shape, as far as it is told."""
    for name in ("version", "asked_at"):
        typed_json.text(data.get(name, ""))
    typed_json.moment_or_none(data.get("finished_at"))
    typed_json.whole(data.get("definitions", 0))
    if data.get("length") is not None:
        typed_json.whole(data["length"])
    typed_json.texts(data.get("names", []))
    for entry in typed_json.listed(data["partitions"]):
        typed_json.text_or_none(entry["realm_id"])
        typed_json.day_or_none(entry["day"])
        typed_json.whole(entry["rows_erased"])
        typed_json.whole(entry["rows_changed"])
        for files in (entry["before"], entry["after"]):
            for name in ("executions", "node_days"):
                typed_json.text_or_none(files[name])
        typed_json.flag(entry["is_done"])


def lake_secret(root: LakePath) -> PseudonymKey | None:
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


class ErasedIndex:
    """Whether a person was erased, for the rows of one run.

    Args:
        tombstones: All of the lake's.
        key: The configured pseudonym key.
        own: The lake's own secret.

    Attributes:
        tombstones: They.

    Raises:
        ConfigurationError: A tombstone was made with a key that is not configured.
    """

    def __init__(
        self, tombstones: Sequence[Tombstone], key: PseudonymKey | None = None, own: PseudonymKey | None = None
    ) -> None:
        self._key, self.tombstones = key, tuple(tombstones)
        self._by_digest: dict[str, list[Tombstone]] = {}
        self._secrets: list[PseudonymKey] = []
        for tombstone in tombstones:
            secret = own if not tombstone.key_id else key if key and key.key_id == tombstone.key_id else None
            if not tombstone.key_id and own and tombstone.data.get("secret_id", own.key_id) != own.key_id:
                secret = None  # of another secret, which was lost
            if secret is None:
                which = f"the pseudonym key {tombstone.key_id}" if tombstone.key_id else f"the secret {FOLDER}/{_OWN}"
                raise ConfigurationError(
                    f"the lake's tombstone of an erased person was made with {which}, which is not there: the person's rows "
                    "would come back",
                    hint="set ANALYTICS_PSEUDONYM_KEY_FILE to that key, or restore the secret; if it is lost, erase the person "
                    f"again and delete {FOLDER}/{tombstone.name}",
                )
            if secret not in self._secrets:
                self._secrets.append(secret)
            for digest in tombstone.digests:
                self._by_digest.setdefault(digest, []).append(tombstone)
        lengths = {tombstone.length for tombstone in tombstones}
        self._lengths = sorted(length for length in lengths if length)
        self._any_length = None in lengths
        self.holds = functools.lru_cache(maxsize=500_000)(self._holds)

    def __bool__(self) -> bool:
        return bool(self._by_digest)

    def find_ids(self, realm: str | None, text: str) -> set[str]:
        """Erased people's ids that stand in a text by themselves and cannot stand there by chance."""
        return {name for name in {*self._candidates(text)} if is_distinctive(name) and self.holds(realm, name)}

    def find_ids_anywhere(self, text: str, realms: Iterable[str | None] | None) -> set[str]:
        """The same of a text that is nobody's row: as ids and pseudonyms, of these tenants or of all."""
        chosen = None if realms is None else {*realms}

        def is_erased(name: str) -> bool:
            return any(
                tombstone.realms is None or chosen is None or chosen & {*tombstone.realms}
                for secret in self._secrets
                for tombstone in self._by_digest.get(digest_of(secret, name), ())
            )

        return {name for name in {*self._candidates(text)} if is_distinctive(name) and is_erased(name)}

    def _candidates(self, text: str) -> Iterator[str]:
        if not self._by_digest:
            return
        yield text
        yield from (match[0] for match in _PSEUDONYM.finditer(text))
        if self._lengths and len(text) >= self._lengths[0]:
            for match in _START.finditer(text):
                for length in self._lengths:
                    end = match.start() + length
                    if end <= len(text) and _END.match(text, end):
                        yield text[match.start() : end]
        if self._any_length:
            words = [match.span() for match in _WORD.finditer(text)]
            for place, (start, _) in enumerate(words):
                for _, end in words[place : place + _MOST_WORDS]:
                    yield text[start:end]

    def _holds(self, realm: str | None, user: str) -> bool:
        """The user was erased from this tenant.

        Args:
            realm: The tenant.
            user: An id as the log has it, or a pseudonym.
        """
        names = {user}
        if self._key and not is_pseudonym(user):
            names.add(self._key.pseudonym(realm, user))
        tombstones: Iterable[Tombstone] = (
            tombstone
            for secret in self._secrets
            for name in names
            for tombstone in self._by_digest.get(digest_of(secret, name), ())
        )
        return any(tombstone.realms is None or realm in tombstone.realms for tombstone in tombstones)


def recognisable(root: LakePath, key: PseudonymKey | None) -> ErasedIndex | None:
    """Erased people as far as they can be recognised, for readers; ``None`` where there is nobody.

    What is lost or damaged is for extraction and ``check`` to refuse.
    """
    try:
        tombstones, own = read(root, may_lack=True), lake_secret(root)
    except LakeError:
        return None
    found = ErasedIndex([], key, own)
    for tombstone in tombstones:
        with contextlib.suppress(ConfigurationError):
            ErasedIndex([tombstone], key, own)
            found = ErasedIndex([*found.tombstones, tombstone], key, own)
    return found or None


def digest_of(secret: PseudonymKey, name: str) -> str:
    """What a tombstone keeps of an id or pseudonym."""
    return secret.mac("erased", name)
