"""What a run lets in: under which policy, who was erased, and whose ids are looked for inside what runs recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from analytics.extraction.privacy import lake_keys, tombstones
from analytics.extraction.privacy.field_allowlist import Payloads
from analytics.extraction.privacy.id_mentions import KnownIds
from analytics.extraction.privacy.lake_keys import Keys
from analytics.extraction.privacy.policy import FILE, Policy
from analytics.extraction.privacy.row_filter import People
from analytics.extraction.privacy.tombstones import Erased
from analytics.lake.lake import Lake
from analytics.model import RealmFilter
from analytics.source.source import Source
from analytics.window import Window

LOOK_BACK = timedelta(days=30)
"""Users who were last seen longer before a window are not looked for inside its rows."""


@dataclass(frozen=True, slots=True)
class Admission:
    """For the rows of one snapshot.

    Attributes:
        people: What is done, to whom.
        definitions: Rows of ``strategydefinition``, or why they cannot be read.
        notes: What a person should know, in sentences.
    """

    people: People
    definitions: list[dict[str, Any]] | str
    notes: Sequence[str]


def prepare(
    lake: Lake,
    source: Source,
    policy: Policy,
    window: Window,
    chosen: RealmFilter,
    workspace: Path,
    *,
    accept_key: bool,
) -> Admission:
    """Check the policy against the lake's, remember it, and learn whom rows may name; only under the lock.

    Args:
        lake: Where rows go.
        source: The snapshot; asked for its users only where ids are replaced.
        policy: What was configured.
        window: Days that are extracted.
        chosen: Tenants that are extracted.
        workspace: Folder for files on their way.
        accept_key: Another key than the lake's, or none, is wanted.

    Raises:
        ConfigurationError: Pseudonyms would end, or be others, unasked; or an erased person could not be recognised.
        LakeError: The lake's own file, or a tombstone, cannot be read.
    """
    keys, notes = lake_keys.check(lake, policy, accept=accept_key)
    stones = tombstones.read(lake.root)
    gone = Erased(stones, policy.key, tombstones.own_secret(lake.root))
    if any(not stone.is_finished for stone in stones):
        notes.append(
            "the erasure of a person was not finished, and rows of theirs may still be there: run the same erase again"
        )
    notes += _remember(lake, policy, keys, workspace)
    definitions = source.definitions()
    if unread := source.unread_of_programs.why:
        notes.append(f"{unread}: unknown of the programs, or as it was known before; the rest is read")
    payloads = None
    if policy.data_fields is not None:
        programs = [] if isinstance(definitions, str) else definitions
        payloads = Payloads(policy.data_fields, programs)
        if not programs:
            notes.append(
                "no program can be read, so no event field can be proven allowed: all their values are dropped"
            )
    users: dict[str | None, set[str]] = {}
    if policy.key or gone:
        for realm, user in source.users(window, chosen, LOOK_BACK):
            if policy.key or gone.holds(realm, user):
                users.setdefault(realm, set()).add(user)
    return Admission(People(policy, gone, KnownIds(users), payloads), definitions, notes)


def _remember(lake: Lake, policy: Policy, keys: Keys, workspace: Path) -> list[str]:
    """Write the policy into the lake where it is a new one.

    Also where it is to do nothing: of a lake that does not say so the whole ledger would be asked, each time.
    """
    path, old = lake.root / FILE, keys.file
    before = old.keys_before if old.key_id in ("", policy.key_id) else {*(old.keys_before or ()), old.key_id}
    if old.is_there and old.keys_before is None and before is not None:
        before = None  # nobody knows which were before that
    elif not old.is_there or keys.problem:
        before = {*(before or ()), *keys.used}
    text = policy.to_json(None if before is None else {*before} - {policy.key_id})
    if path.is_file() and path.read_bytes() == text.encode():
        return []
    staged = workspace / f"{FILE}.tmp"
    staged.write_text(text, encoding="utf-8")
    lake.replace(staged, path)
    others = [day for day in lake.recorded_days() if _differs(lake, day, policy.treatment)]
    if not others:
        return []
    return [
        f"{len(others)} days of the lake were extracted under another policy for ids and event fields, the first "
        f"{others[0] or 'the undated'}; those outside this run keep what they hold until they are extracted again"
    ]


def _differs(lake: Lake, day: date | None, treatment: str) -> bool:
    record = lake.recorded(day)
    return record is not None and any(info.treatment != treatment for info in record.partitions.values())
