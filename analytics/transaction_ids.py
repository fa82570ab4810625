"""Can a transaction id that the lake remembers mean another transaction by now?

That a row was updated is seen by its ``xmin``, the low 32 bits of a number that the server counts up. Within 2^32 transactions of
one server none comes twice. It can where counting began anew or went back: on another server; on a new timeline, which a promoted
standby and a recovery to a point in time begin, and on which what was committed after the fork is counted again; where a copy of
the disk was put back or ``pg_resetwal`` was used; and after so many transactions that it wraps around. There, equal fingerprints
prove nothing, and what they were taken for is read again. So it is where a column was dropped and added again, or two have changed
names: that gives every row other values, and none another ``xmin``.

A counter that went back and has passed its old place before the next run looks is not noticed, where the timeline is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

FAR = 2**31
"""Transactions after which a partition is read again. A row's own id is at most 2^31 older than the transaction that reads it, or
it is frozen; so none comes twice before 2^32."""

_TEXT = re.compile(r"(\d*)/(\d*)/(\d+)/(\d*)/([0-9a-f]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class TransactionIds:
    """What the transaction ids of a fingerprint were counted by.

    Attributes:
        server: The system identifier; ``None`` where it is not told.
        timeline: Of the server's write-ahead log; ``None`` where it is not told.
        era: How often the lake has seen the counter go back.
        reached: The next id, in 64 bits; ``None`` where it is not told.
        columns: Which columns of the table the rows' values are of, as a hash; empty where it is not told.
    """

    server: str | None = None
    timeline: int | None = None
    era: int = 0
    reached: int | None = None
    columns: str = ""

    def __str__(self) -> str:
        def said(value: object) -> str:
            return "" if value is None else str(value)

        return f"{said(self.server)}/{said(self.timeline)}/{self.era}/{said(self.reached)}/{self.columns}"

    def following(self, known: Iterable[TransactionIds | None], *, is_standby: bool) -> TransactionIds:
        """The same in the era it belongs to.

        Args:
            known: What the lake remembers.
            is_standby: One may lag behind what was read from the primary, so that it says less is no sign.
        """
        here = [k for k in known if k and (k.server, k.timeline) == (self.server, self.timeline)]
        era = max((k.era for k in here), default=0)
        before = max((k.reached or 0 for k in here if k.era == era), default=0)
        went_back = not is_standby and self.reached is not None and self.reached < before
        return replace(self, era=era + went_back)


def parse(text: str) -> TransactionIds:
    """What ``str`` made of it.

    Raises:
        ValueError: It is damaged.
    """
    return _parsed(text)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> TransactionIds:
    found = _TEXT.fullmatch(text)
    if not found:
        raise ValueError("no transaction ids")
    server, timeline, era, reached, columns = found.groups()
    return TransactionIds(
        server or None, int(timeline) if timeline else None, int(era), int(reached) if reached else None, columns
    )


def may_repeat(known: TransactionIds | None, found: TransactionIds | None) -> str | None:
    """Why a row may have the id of ``known`` in ``found`` and be another all the same, in words; ``None`` where it cannot.

    What neither tells is no reason: an older version of this package wrote nothing down.
    """
    if known is None or found is None:
        return None
    if known.server and found.server and known.server != found.server:
        return f"they were counted by server {known.server} before"
    if known.timeline and found.timeline and known.timeline != found.timeline:
        return f"the server was promoted or restored, from timeline {known.timeline} to {found.timeline}"
    if known.era != found.era:
        return "the server's counter went back, as after a copy of its disk was put back"
    if known.reached is not None and found.reached is not None and found.reached - known.reached >= FAR:
        return "they were read more than 2^31 transactions ago"
    if known.columns and found.columns and known.columns != found.columns:
        return "columns of the table were dropped and added again, or exchanged, which gives rows other values and no other id"
    return None
