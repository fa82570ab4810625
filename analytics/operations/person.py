"""One person in the lake: under which names, in which tenants and on which days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics import sql
from analytics.errors import ConfigurationError, DamagedFileError, UsageError
from analytics.extraction.privacy import lake_keys
from analytics.extraction.privacy.distinctive import is_distinctive
from analytics.extraction.privacy.id_mentions import spelled
from analytics.extraction.privacy.policy import Policy
from analytics.extraction.privacy.pseudonyms import is_pseudonym
from analytics.lake.foreign_files import FOLDER as SET_ASIDE
from analytics.lake.lake import Lake
from analytics.storage import LakePath, ObjectPath, readable
from analytics.warehouse import damage
from analytics.warehouse.damage import Damaged
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

_REPORT_SUFFIXES = (".html", ".ipynb", ".json", ".csv", ".txt")


@dataclass(frozen=True, slots=True)
class Found:
    """A partition that holds something of a person.

    Attributes:
        realm, day: Which partition.
        theirs: Logged runs of theirs.
        as_caller: Others' runs for which they called the engine.
        naming: Other rows with a text or recorded value that contains their id.
        first_at, last_at: Of the runs, UTC; ``None`` where rows only name them or have no time.
    """

    realm: str | None
    day: date | None
    theirs: int
    as_caller: int
    naming: int
    first_at: datetime | None
    last_at: datetime | None


class Subject:
    """A person.

    Args:
        lake: Where.
        user: Their id as the log has it, or a pseudonym.
        policy: With the key that the lake's pseudonyms were made with, where there is one.

    Attributes:
        unread: Files that the last answer does not know, because they cannot be read: it is no complete one.

    Raises:
        UsageError: No id was given.
        LakeError: There is no lake in that folder.
        ConfigurationError: The lake holds pseudonyms, and the key is not there.
    """

    def __init__(self, lake: Lake, user: str, policy: Policy) -> None:
        if not user.strip():
            raise UsageError("no user was named", hint="give the id as the log has it, or the pseudonym")
        lake.ensure_there()
        keys = lake_keys.known(lake)
        known = keys.used[0] if keys.problem else keys.key_id
        found = policy.key.key_id if policy.key else ""
        if known and known != found and not is_pseudonym(user):
            raise ConfigurationError(
                f"the lake holds pseudonyms of the key {known}, and "
                + (f"the one configured is {found}" if found else "none is configured")
                + ": nobody can say which is theirs",
                hint="set ANALYTICS_PSEUDONYM_KEY_FILE to that key's file, or give the pseudonym itself",
            )
        self.lake, self.user, self.key = lake, user, policy.key
        self.unread: tuple[Damaged, ...] = ()

    def names(self, realm: str | None) -> list[str]:
        """What the lake's rows of a tenant may call them: the id, and its pseudonym where there is a key."""
        if self.key is None or is_pseudonym(self.user):
            return [self.user]
        return [self.user, self.key.pseudonym(realm, self.user)]

    def looked_for(self, realm: str | None) -> list[str]:
        """Those of the names that cannot stand inside a text by chance."""
        return [name for name in self.names(realm) if is_distinctive(name)]

    def find(self, realms: Sequence[str | None]) -> list[Found]:
        """The partitions that hold something of them, each looked at row by row."""
        if not realms:
            return []
        return [Found(*row.values()) for row in self._ask("found", realms).to_pylist()]

    def rows(self, realms: Sequence[str | None]) -> pa.Table:
        """Their logged runs, with every column of ``executions``."""
        return self._ask("rows", realms)

    def elsewhere(self, realms: Iterable[str | None], reports: Path | None) -> tuple[list[LakePath], int]:
        """Files that name them and are not the lake's data.

        Args:
            realms: Whose pseudonyms of them count.
            reports: Folder of rendered reports.

        Returns:
            Rendered reports, and files that extractions have set aside; and how many of the latter could not be looked into.
        """
        names = {name for realm in realms for name in self.looked_for(realm)}
        needles = {form for name in names for form in (name.encode(), spelled(name))}
        found, unread = [], 0
        for path in _files(self.lake.root / SET_ASIDE):
            told = _parquet_text(path)
            unread += told is None
            if told and any(needle in told for needle in needles):
                found.append(path)
        found += (
            path
            for path in (_files(reports) if reports else ())
            if path.name.endswith(_REPORT_SUFFIXES) and any(needle in path.read_bytes() for needle in needles)
        )
        return found, unread

    def _ask(self, name: str, realms: Sequence[str | None]) -> pa.Table:
        import pyarrow as pa

        everybody = set(realms) >= set(self.lake.realms())
        opened = Warehouse(self.lake, realms=None if everybody else list(realms))
        rows: list[Mapping[str, Any]] = [
            {
                "realm_id": realm,
                "names": self.names(realm),
                "needles": sorted({form for name in self.looked_for(realm) for form in (name, spelled(name).decode())}),
            }
            for realm in realms
        ]
        listed = pa.list_(pa.string())
        shape = pa.schema([("realm_id", pa.string()), ("names", listed), ("needles", listed)])
        sought = pa.Table.from_pylist(rows, shape)

        def found(lake: Warehouse) -> pa.Table:
            lake.connection.register("sought", sought)
            return lake.asked(lambda: lake.connection.sql(sql.text("people", name)).to_arrow_table())

        gone, unread = (
            damage.not_there(self.lake, opened.records(), realms, opened.files["executions"]),
            list[Damaged](),
        )
        try:
            answer = found(opened)
        except DamagedFileError:
            sound, unread = opened.sound()
            answer = found(sound)
        self.unread = (*gone, *unread)
        return answer


def _files(folder: LakePath) -> Iterator[LakePath]:
    if isinstance(folder, ObjectPath):
        yield from (folder / key.removeprefix(f"{folder.key}/") for key, _ in folder.bucket.below(folder.key))
        return
    yield from sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _parquet_text(path: LakePath) -> bytes | None:
    """What a Parquet file holds, as text; ``None`` for any other file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return str(pq.ParquetFile(readable(path)).read().to_pylist()).encode("utf-8", "surrogateescape")
    except (pa.ArrowException, OSError):
        return None
