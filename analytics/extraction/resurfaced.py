"""Erased people whose rows or ids are in the lake again: found in files that the ledger does not know as searched, and taken out.

A backup that is put back, or an older version that does not know of tombstones, brings them in past the filter. So the ledger
remembers of every file what tells it from another (size, times, a hash; the object's version) once it was made or searched with
all tombstones there are; a file that is another, and every file after another erasure, is searched again, of whatever day. A
file of the same content is the same: a lake may be copied, and given to another owner.

Of a file that was searched with all tombstones but the one that an erasure has just written, the words it holds are remembered
(see ``searched_words``): where those of the person are not among them, it is not opened again.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.errors import ConfigurationError, LakeError
from analytics.extraction import searched_words
from analytics.extraction.privacy import tombstones
from analytics.extraction.privacy.policy import Policy, PseudonymKey
from analytics.extraction.privacy.row_filter import KnownIds, PrivacyContext, json_unescaped, protect_definition
from analytics.extraction.privacy.tombstones import ErasedIndex, Tombstone
from analytics.extraction.rewrite_partition import hash_of, put, rewrite
from analytics.extraction.searched_words import SearchedWords
from analytics.lake import definitions, foreign_files, ledger, schema
from analytics.lake.lake import REALM_TABLES, Lake, day_of
from analytics.model import Partition, PartitionInfo
from analytics.sql import Row
from analytics.storage import LakePath, is_same_file, readable

if TYPE_CHECKING:
    import pyarrow as pa

_TEXTS = (*schema.FREE_TEXT_COLUMNS, "trace_irregular")
_OF_PROGRAMS = (
    "name",
    "family_name",
    "description",
    "experiment_tag",
    "created_by",
    "ast_json",
    "literal",
    "case_name",
)
_JOURNAL = "ledger/taking-out-erased.json"
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class ResurfacedFile:
    """A file that holds somebody who was erased, or may.

    Attributes:
        name: Its path in the lake.
        problem: What is wrong, in words.
        repair: What mends it.
    """

    name: str
    problem: str
    repair: str


@dataclass(frozen=True, slots=True)
class Newest:
    """Somebody who has just been erased, and whose id is still known.

    Attributes:
        tombstone: Theirs.
        ids: Everything that the tombstone recognises: no other text is theirs.
    """

    tombstone: Tombstone
    ids: Collection[str]


def take_out(
    lake: Lake,
    key: PseudonymKey | None,
    workspace: Path,
    written: Collection[Partition] | None = None,
    newest: Newest | None = None,
) -> list[str]:
    """Search every file that the ledger does not know as searched, and take erased people out; only under the lock.

    Args:
        lake: All of it, whatever is extracted.
        key: The configured pseudonym key.
        workspace: Folder for files on their way.
        written: Partitions whose files this run has made, of rows without them, after it has searched the lake: then these are
            remembered, and only programs are searched, for nothing else has changed.
        newest: Whom this run has erased, so that files which cannot name them need not be opened.

    Returns:
        What a person should know, in sentences.

    Raises:
        LakeError: What the ledger knows of tombstones cannot be read.
    """
    erasures = tombstones.read(lake.root, may_lack=True)
    if not erasures and not tombstones.read_searched(lake.root)[0]:
        return []
    try:
        gone = ErasedIndex(erasures, key, tombstones.lake_secret(lake.root))
    except ConfigurationError:  # somebody erases by a pseudonym, without the key: the next extraction has it
        lake.write_text(lake.root / tombstones.LEDGER, tombstones.searched_json(erasures, {}))
        lake.remove(lake.root / searched_words.NAME)  # among them words of whom this erasure was for
        return []
    _finish_the_last(lake)
    search, privacy = _Search(lake, gone, erasures, learns=True), PrivacyContext(Policy(), gone, KnownIds({}))
    infos: dict[str, PartitionInfo] = {}
    taken: list[str] = []
    left: list[str] = []
    made = None if written is None else {lake.name("executions", partition) for partition in written}
    marks = search.marks(made)
    for name in search.unknown(marks, newest=newest):
        if made and name in made:
            continue
        realm, holds = search.look(name)
        if holds is None:
            left.append(name)  # unreadable: other checks say so
        elif holds and name.startswith(str(lake.root / "executions")):
            infos = infos or _infos(lake)
            info = infos.get(name)
            changed = _rewritten(lake, info, privacy, workspace) if info else None
            if changed:
                taken.append(name)
            elif changed is None:
                left.append(name)
        elif holds:
            definitions.protect(lake, realm, functools.partial(protect_definition, privacy), workspace)
            taken.append(name)
            if search.look(name)[1]:
                left.append(name)
    notes = search.remember(erasures, search.marks(made) if taken else marks, left, is_all=made is None)
    if taken:
        notes.append(
            f"somebody who was erased was in {_named(search, taken)} again, from a backup or an older version, and was taken out"
        )
    if orphans := [name for name in left if name not in taken and search.look(name)[1]]:
        notes.append(
            f"{_named(search, orphans)} holds somebody who was erased, and the ledger does not know it: extract that day"
        )
    return notes


def find_resurfaced(
    lake: Lake, key: PseudonymKey | None, realms: Sequence[str | None] | None = None
) -> Iterator[ResurfacedFile]:
    """Files that hold somebody who was erased; for ``check``, nothing is changed.

    Args:
        lake: Where.
        key: The pseudonym key, where it is configured.
        realms: Only files of these; all when not given.
    """
    try:
        erasures = tombstones.read(lake.root)
        if not erasures:
            return
        search = _Search(lake, None, erasures)
        unknown = search.unknown(search.marks(), realms)
    except LakeError as error:
        yield ResurfacedFile(tombstones.FOLDER, str(error), error.hint or "")
        return
    if not unknown:
        return
    try:
        search.erased = ErasedIndex(erasures, key, tombstones.lake_secret(lake.root))
    except (ConfigurationError, LakeError) as error:
        for name in unknown:
            problem = (
                "may hold somebody who was erased: it was put here after the last extraction, and cannot be searched"
            )
            yield ResurfacedFile(search.relative(name), problem, f"extract once more; {error.hint}")
        return
    for name in unknown:
        if search.look(name)[1]:
            yield ResurfacedFile(
                search.relative(name),
                "holds an id of somebody who was erased",
                "`strategy-analytics extract`, of whatever window, takes it out again",
            )


class _Search:
    """Looks into files for erased people."""

    def __init__(
        self, lake: Lake, gone: ErasedIndex | None, erasures: Sequence[Tombstone], *, learns: bool = False
    ) -> None:
        self._lake, self.erased = lake, gone
        self._root = f"{lake.root}/"
        self._names_now = {tombstone.name for tombstone in erasures}
        self._listed, self._files = tombstones.read_searched(lake.root)
        self._known = self._files if set(self._listed) == self._names_now else {}
        self._seen: dict[tuple[str | None, str], bool] = {}
        self._marks: Mapping[str, str] = {}
        self._learns, self._has_learnt = learns, False

    @functools.cached_property
    def _words(self) -> SearchedWords:
        return SearchedWords(self._lake)

    def unknown(
        self, marks: Mapping[str, str], realms: Sequence[str | None] | None = None, newest: Newest | None = None
    ) -> list[str]:
        """Files that the ledger does not know as searched, less those of which their words tell that they hold nobody."""
        found = [
            name for name, mark in marks.items() if not is_same_file(self._known.get(self.relative(name), ""), mark)
        ]
        if newest and set(self._listed) == self._names_now - {newest.tombstone.name}:
            may_hold = self._words.seeker(newest.ids)
            found = [
                name
                for name in found
                if not is_same_file(self._files.get(relative := self.relative(name), ""), marks[name])
                or may_hold(relative, marks[name])
            ]
        if realms is None:
            return found
        folders = {self._lake.realm_path("definitions", realm).parent.name for realm in realms}
        return [name for name in found if self.relative(name).split("/")[1] in folders]

    def marks(self, made: Iterable[str] | None = None) -> Mapping[str, str]:
        """Files that are searched, and what tells each from another.

        Args:
            made: Only these of the partitions, beside all programs; every one when not given.
        """
        if made is None:
            names = [*foreign_files.list_files(self._lake, tables=("executions", *REALM_TABLES)).places]
        else:
            names = [*made, *(name for table in REALM_TABLES for name in self._lake.files(table))]
        self._marks = {name: mark for name in sorted(names) if (mark := self._mark(name))}
        return self._marks

    def _mark(self, name: str) -> str | None:
        """What tells a file from every other that may come to lie there."""
        return self._lake.storage.identity(name, self._files.get(self.relative(name), ""))

    def remember(
        self, erasures: Sequence[Tombstone], marks: Mapping[str, str], left: Collection[str], *, is_all: bool
    ) -> list[str]:
        """Write down which files were searched, where that has changed; only under the lock.

        Args:
            erasures: Whom for.
            marks: As ``marks`` gives them.
            left: Those that still hold somebody, or may.
            is_all: Whether they are all that there are; if not, what is known of the others stays.

        Returns:
            What was in the way, in sentences for a person.
        """
        unfinished = frozenset(left)
        searched = {self.relative(name): mark for name, mark in marks.items() if name not in unfinished}
        files = searched if is_all else {**self._known, **searched}
        has_changed = (self._listed, self._files) != (sorted(tombstone.name for tombstone in erasures), files)
        if has_changed:
            self._lake.write_text(self._lake.root / tombstones.LEDGER, tombstones.searched_json(erasures, files))
        # Also where nothing was learnt: words of what is gone, or was just erased, must not stay.
        return self._words.remember(searched) if is_all and (has_changed or self._has_learnt) else []

    def relative(self, name: str) -> str:
        """A file's path in the lake; as text, for tens of thousands of them."""
        return name.removeprefix(self._root)

    def look(self, name: str) -> tuple[str | None, bool | None]:
        """A file's tenant, and whether it holds somebody; ``None`` where it cannot be read."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        words: set[bytes] = set()
        try:
            # Of a few rows, handing columns to threads takes longer than reading them.
            with pq.ParquetFile(readable(self._lake.place(name)), pre_buffer=self._lake.storage.is_remote) as file:
                there = {*file.schema_arrow.names}  # made anew each time it is asked for
                wanted = [c for c in (*schema.PEOPLE_COLUMNS, *_TEXTS, *_OF_PROGRAMS, "trace") if c in there]
                realm = None
                for number in range(file.num_row_groups):
                    table = file.read_row_group(number, columns=["realm_id", *wanted], use_threads=False)
                    realm = table["realm_id"].slice(0, 1).to_pylist()[0] if len(table) else None
                    for column in wanted:
                        texts = _distinct(column, table[column])
                        if self._holds(realm, column, texts):
                            return realm, True
                        if self._learns:
                            self._words.gather(words, (form for text in texts for form in _forms(text)))
        except (OSError, KeyError, pa.ArrowException):
            return None, None
        if self._learns and (mark := self._marks.get(name)):
            self._has_learnt |= self._words.learn(self.relative(name), mark, words)
        return realm, False

    def _holds(self, realm: str | None, column: str, texts: Iterable[str]) -> bool:
        if self.erased is None:
            return False
        if column in schema.PEOPLE_COLUMNS:
            return any(self.erased.holds(realm, text) for text in texts)
        return any(self._names(realm, text) for text in texts)

    def _names(self, realm: str | None, text: str) -> bool:
        seen = self._seen.get((realm, text))
        if seen is None:
            seen = any(self.erased.find_ids(realm, form) for form in _forms(text)) if self.erased else False
            self._seen[realm, text] = seen
        return seen


def _distinct(column: str, values: pa.ChunkedArray) -> list[str]:
    import pyarrow.compute as pc

    if values.null_count == len(values):
        return []
    if column == "trace":
        values = pc.struct_field(pc.list_flatten(values), "value")
    return [text for text in pc.unique(values).to_pylist() if text]


def _forms(text: str) -> set[str]:
    """A text as it stands, and as JSON means it."""
    within = text.strip('"')
    return {text, within, json_unescaped(within)}


def _infos(lake: Lake) -> dict[str, PartitionInfo]:
    records = (lake.recorded(day) for day in lake.recorded_days())
    return {
        lake.name("executions", info.partition): info
        for record in records
        if record
        for info in record.partitions.values()
    }


def _rewritten(lake: Lake, info: PartitionInfo, privacy: PrivacyContext, workspace: Path) -> int | None:
    """Take them out of one partition; how many rows named them, ``None`` where the file cannot be read."""
    path = lake.path("executions", info.partition)
    there = _there(path, info)
    if there is None:
        return None
    done = rewrite(lake, there, privacy, workspace)
    count = done.excluded + done.changed
    if not count:
        return 0  # the letters of the id, across what separates two values
    fresh, files = done.files.info, done.files
    if (there.row_count, there.id_hash) != (info.row_count, info.id_hash):
        if (fresh.row_count, fresh.id_hash) != (info.row_count, info.id_hash):
            put(lake, files)
            return count  # as little as the ledger says as it was before: the day's next extraction compares it
        fresh = replace(fresh, kept_count=info.kept_count, erased_count=info.erased_count)
    told = {"day": info.partition.day.isoformat() if info.partition.day else None}
    text = json.dumps({**told, "before": ledger.entry(info), "after": ledger.entry(fresh)}, ensure_ascii=False)
    lake.write_text(lake.root / _JOURNAL, text + "\n")
    put(lake, files)
    _settle(lake, fresh)
    lake.remove(lake.root / _JOURNAL)
    return count


def _there(path: LakePath, info: PartitionInfo) -> PartitionInfo | None:
    """The ledger's entry with what the file holds, whatever the ledger says."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with suppress(OSError, KeyError, ValueError, pa.ArrowException), pq.ParquetFile(readable(path)) as file:
        ids = file.read(columns=["execution_id"])["execution_id"].to_pylist()
        return replace(info, row_count=len(ids), id_hash=hash_of(ids), file_bytes=path.stat().st_size)
    return None


def _settle(lake: Lake, fresh: PartitionInfo) -> None:
    if record := lake.recorded(fresh.partition.day):
        lake.record(replace(record, partitions={**record.partitions, fresh.partition.realm: fresh}))


def _finish_the_last(lake: Lake) -> None:
    """A killed run may have replaced one partition's files and not said so in the ledger."""
    path = lake.root / _JOURNAL
    try:
        told: Row = json.loads(path.read_text(encoding="utf-8"))
        day = date.fromisoformat(told["day"]) if told["day"] else None
        before, after = (ledger.info_of(told[name], day) for name in ("before", "after"))
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError, AttributeError):
        lake.remove(path)  # not ours; check names a partition that is not as the ledger says
        return
    record, place = lake.recorded(day), lake.path("executions", before.partition)
    known = record.partitions.get(before.partition.realm) if record else None
    size = place.stat().st_size if place.is_file() else 0
    if known == before and size == after.file_bytes and (not size or _is(place, after)):
        _settle(lake, after)
    lake.remove(path)


def _is(path: LakePath, info: PartitionInfo) -> bool:
    there = _there(path, info)
    return there is not None and (there.row_count, there.id_hash) == (info.row_count, info.id_hash)


def _named(search: _Search, names: Iterable[str]) -> str:
    each = [_partition_of(search.relative(name)) for name in names]
    return ", ".join(each[:_MOST_NAMED]) + (f" and {len(each) - _MOST_NAMED} more" if len(each) > _MOST_NAMED else "")


def _partition_of(relative: str) -> str:
    parts = relative.split("/")
    day = day_of(parts[2]) if len(parts) > 3 else None
    return f"{parts[0]} of {parts[1]}" + (f", {day}" if day else "")
