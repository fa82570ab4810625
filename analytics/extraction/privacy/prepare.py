"""What a run lets in: under which policy, who was erased, and whose ids are looked for inside what runs recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from analytics.errors import ConfigurationError, LakeError, LakeFormatError
from analytics.extraction.privacy import tombstones
from analytics.extraction.privacy.policy import FILE, FieldAllowlist, Policy, RecordedPolicy, key_of, recorded_policy
from analytics.extraction.privacy.row_filter import KnownIds, PrivacyContext
from analytics.extraction.privacy.tombstones import ErasedIndex
from analytics.lake.lake import PART, Lake, is_day_directory, is_realm_directory, subfolders
from analytics.model import RealmFilter
from analytics.source.source import Source
from analytics.sql import Row
from analytics.storage import LakePath, readable
from analytics.window import Window

_MOST_FILES = 100


@dataclass(frozen=True, slots=True)
class Keys:
    """What is known of a lake's keys.

    Attributes:
        file: What ``people.json`` says.
        used: Keys of partitions, the newest day's first: of the whole lake where the file is lost, else of the day that was
            recorded last.
    """

    file: RecordedPolicy
    used: tuple[str, ...]

    @property
    def key_id(self) -> str:
        """The key to go on with; empty where ids are as the log has them."""
        return self.file.key_id if self.file.is_there else next(iter(self.used), "")

    @property
    def problem(self) -> str:
        """What does not agree, as a clause; empty where all does."""
        if not self.file.is_there:
            return f"its {FILE} is lost, while its partitions were made with the key {self.key_id}" * bool(self.used)
        if self.file.keys_before is None:  # an older version did not write down which it accepted
            return ""
        other = [key for key in self.used if key not in {self.file.key_id, *self.file.keys_before}]
        said = f"the key {self.file.key_id}" if self.file.key_id else "no key"
        return f"its {FILE} says {said}, while its partitions were made with the key {other[0]}" if other else ""


def known_keys(lake: Lake) -> Keys:
    """What is known of a lake's keys.

    Raises:
        LakeError: ``people.json`` cannot be read.
    """
    return _with(lake, recorded_policy(lake.root))


def _with(lake: Lake, file: RecordedPolicy) -> Keys:
    used: dict[str, None] = {}
    days = lake.recorded_days() if not file.is_there else []
    if not file.is_there and not days:  # both are lost: then the partitions' own files tell
        return Keys(
            file, tuple(dict.fromkeys(key for path in _some_files(lake) if (key := key_of(_recorded_version(path)))))
        )
    for day in [lake.recorded_last()] if file.is_there else sorted(days, key=_newest_first):
        record = lake.recorded(day)
        for info in record.partitions.values() if record else ():
            if info.row_count and (key := key_of(info.privacy_version)):
                used[key] = None
    return Keys(file, tuple(used))


def _some_files(lake: Lake) -> Iterator[LakePath]:
    """The newest partition of every tenant, of the first hundred."""
    base = lake.root / "executions"
    for realm in subfolders(base, is_realm_directory)[:_MOST_FILES]:
        for day in subfolders(base / realm, is_day_directory)[-1:]:
            yield base / realm / day / PART


def _recorded_version(path: LakePath) -> str:
    """What its file says was done to a partition's ids; empty for nothing, or for a file that does not tell."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(readable(path)) as file:
            told: bytes = (file.metadata.metadata or {}).get(b"strategy_analytics.treatment", b"")
    except (OSError, pa.ArrowException):
        return ""
    return told.decode(errors="replace")


def _newest_first(day: date | None) -> int:
    return -day.toordinal() if day else 0


def check_keys(lake: Lake, policy: Policy, *, accept: bool) -> tuple[Keys, list[str]]:
    """Compare a policy with the one a lake was made under.

    Args:
        lake: Nothing in it is changed.
        policy: For the next rows.
        accept: Another key, or none, is wanted.

    Returns:
        What is known of the lake's keys, and what a person should know, in sentences.

    Raises:
        ConfigurationError: Pseudonyms would end, or be others, unasked; or nobody can say which they are.
    """
    try:
        keys = known_keys(lake)
    except LakeError as error:
        if not accept or isinstance(error, LakeFormatError):
            raise
        keys = _with(lake, RecordedPolicy())
    fresh = policy.key.key_id if policy.key else ""
    if not keys.file.is_there and keys.used and fresh == keys.key_id:
        return keys, [f"{FILE} was lost; the partitions were made with the key {fresh}, so it was written again"]
    doubt = keys.problem
    if not doubt and (not keys.key_id or keys.key_id == fresh):
        return keys, []
    if accept:
        new = f"pseudonyms of the key {fresh}" if fresh else "the ids themselves"
        old = ", ".join(dict.fromkeys([keys.key_id, *keys.used])) if doubt else keys.key_id
        return keys, [
            f"accepted: from now on rows carry {new} where they carried pseudonyms of the key {old}; days that are not "
            "extracted again keep theirs, and a user has two names"
        ]
    what = (
        f"the one configured is {fresh}"
        if fresh
        else "none is configured, so that people's ids would be stored as they are"
    )
    says = f"does not know its key: {doubt}" if doubt else f"holds pseudonyms of the key {keys.key_id}"
    back = f"put {FILE} back from a backup, or " if doubt else ""
    raise ConfigurationError(
        f"the lake {lake.root} {says}, and {what}; nothing was written",
        hint=f"{back}set ANALYTICS_PSEUDONYM_KEY_FILE to that key's file; if it is to change, give --accept-key once and extract "
        "all days again",
        known=keys.key_id,
        found=fresh,
    )


LOOK_BACK = timedelta(days=30)
"""Users who were last seen longer before a window are not looked for inside its rows."""


@dataclass(frozen=True, slots=True)
class PrivacySetup:
    """For the rows of one snapshot.

    Attributes:
        privacy: What is done, to whom.
        definitions: Rows of ``strategydefinition``, or why they cannot be read.
        notes: What a person should know, in sentences.
    """

    privacy: PrivacyContext
    definitions: list[Row] | str
    notes: Sequence[str]


def prepare_privacy(
    lake: Lake,
    source: Source,
    policy: Policy,
    window: Window,
    chosen: RealmFilter,
    workspace: Path,
    *,
    accept_key: bool,
) -> PrivacySetup:
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
    keys, notes = check_keys(lake, policy, accept=accept_key)
    erasures = tombstones.read(lake.root)
    gone = ErasedIndex(erasures, policy.key, tombstones.lake_secret(lake.root))
    if any(not tombstone.is_finished for tombstone in erasures):
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
        payloads = FieldAllowlist(policy.data_fields, programs)
        if not programs:
            notes.append(
                "no program can be read, so no event field can be proven allowed: all their values are dropped"
            )
    users: dict[str | None, set[str]] = {}
    if policy.key or gone:
        for realm, user in source.users(window, chosen, LOOK_BACK):
            if policy.key or gone.holds(realm, user):
                users.setdefault(realm, set()).add(user)
    return PrivacySetup(PrivacyContext(policy, gone, KnownIds(users), payloads), definitions, notes)


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
    others = [day for day in lake.recorded_days() if _differs(lake, day, policy.privacy_version)]
    if not others:
        return []
    return [
        f"{len(others)} days of the lake were extracted under another policy for ids and event fields, the first "
        f"{others[0] or 'the undated'}; those outside this run keep what they hold until they are extracted again"
    ]


def _differs(lake: Lake, day: date | None, privacy_version: str) -> bool:
    record = lake.recorded(day)
    return record is not None and any(info.privacy_version != privacy_version for info in record.partitions.values())
