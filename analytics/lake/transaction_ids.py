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

from analytics.model import TransactionIds

FAR = 2**31
"""Transactions after which a partition is read again. A row's own id is at most 2^31 older than the transaction that reads it, or
it is frozen; so none comes twice before 2^32."""


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
