"""What one file of a lake says, checked against what the others know: a file may be lost, or come from a backup or another lake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from analytics.errors import LakeError
from analytics.extraction.privacy import lake_keys
from analytics.extraction.privacy.policy import FILE as PEOPLE
from analytics.lake import expiry_mark, program_files
from analytics.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that does not agree with the others.

    Attributes:
        file: Its name.
        says: What is wrong, in a sentence without its full stop.
        repair: What mends it.
    """

    file: str
    says: str
    repair: str


def problems(lake: Lake) -> Iterator[Problem]:
    """Every file that does not agree with the others, those with the worst consequences first.

    Partitions' own files are looked at by ``losses``.
    """
    try:
        if said := lake_keys.known(lake).problem:
            yield Problem(
                PEOPLE,
                f"the lake does not know its key: {said}",
                "put the file back from a backup, or extract with that key",
            )
    except LakeError as error:
        yield Problem(PEOPLE, error.message, error.hint)
    try:
        mark, (first, _) = expiry_mark.read(lake.root), expiry_mark.both(lake.root)
        if mark and first != mark:
            what = "is lost" if first is None else "is an older one"
            yield Problem(
                expiry_mark.NAME,
                f"the file {what}: by its copy the days before {mark.before} are expired, and they stay away",
                "any extraction writes it again",
            )
    except LakeError as error:
        yield Problem(expiry_mark.NAME, error.message, error.hint)
    if not lake.recorded_days(also_expired=True) and (files := lake.files("executions")):
        yield Problem(
            "ledger",
            f"the ledger is lost: {len(files)} partition files lie there that no day of it knows",
            "put it back from a backup, or extract their days again, which writes it anew",
        )
    if gone := program_files.lost(lake):
        yield Problem(program_files.NAME, program_files.words(gone), program_files.REPAIR)
