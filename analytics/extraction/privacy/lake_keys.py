"""With which key a lake's pseudonyms are made: what ``people.json`` remembers, checked against what the ledger says of partitions.

The file may be lost, or come from a backup or another lake; then the next run would store people's ids as they are, or other
pseudonyms beside those that are there. The ledger says of every partition with which key it was made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from analytics.errors import ConfigurationError, LakeError, LakeFormatError
from analytics.extraction.privacy.policy import FILE, Policy, Remembered, key_of, remembered
from analytics.lake.lake import Lake
from analytics.lake.paths import PART, is_day_directory, is_realm_directory, subfolders
from analytics.storage import LakePath, readable

_MOST_FILES = 100


@dataclass(frozen=True, slots=True)
class Keys:
    """What is known of a lake's keys.

    Attributes:
        file: What ``people.json`` says.
        used: Keys of partitions, the newest day's first: of the whole lake where the file is lost, else of the day that was
            recorded last.
    """

    file: Remembered
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


def known(lake: Lake) -> Keys:
    """What is known of a lake's keys.

    Raises:
        LakeError: ``people.json`` cannot be read.
    """
    return _with(lake, remembered(lake.root))


def _with(lake: Lake, file: Remembered) -> Keys:
    used: dict[str, None] = {}
    days = lake.recorded_days() if not file.is_there else []
    if not file.is_there and not days:  # both are lost: then the partitions' own files tell
        return Keys(file, tuple(dict.fromkeys(key for path in _some_files(lake) if (key := key_of(_treatment(path))))))
    for day in [lake.recorded_last()] if file.is_there else sorted(days, key=_newest_first):
        record = lake.recorded(day)
        for info in record.partitions.values() if record else ():
            if info.row_count and (key := key_of(info.treatment)):
                used[key] = None
    return Keys(file, tuple(used))


def _some_files(lake: Lake) -> Iterator[LakePath]:
    """The newest partition of every tenant, of the first hundred."""
    base = lake.root / "executions"
    for realm in subfolders(base, is_realm_directory)[:_MOST_FILES]:
        for day in subfolders(base / realm, is_day_directory)[-1:]:
            yield base / realm / day / PART


def _treatment(path: LakePath) -> str:
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


def check(lake: Lake, policy: Policy, *, accept: bool) -> tuple[Keys, list[str]]:
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
        keys = known(lake)
    except LakeError as error:
        if not accept or isinstance(error, LakeFormatError):
            raise
        keys = _with(lake, Remembered())
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
