"""A lake with the tenants in sight, before it is opened: what its ledger tells of them, and whether their files are there.

Who asks for nothing else needs no DuckDB, which takes longer to load than all of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from analytics.errors import NotExtractedError, UnknownNameError
from analytics.lake import definitions, expiry_mark, losses
from analytics.lake.lake import Lake
from analytics.lake.losses import Loss
from analytics.lake.repair import extraction, to_come
from analytics.model import DayRecord


class LakeInSight:
    """A lake with the tenants in sight.

    Args:
        lake: The files.
        realms: Only these tenants; all when not given.

    Raises:
        LakeError: There is no lake in that folder.
        NotExtractedError: It is empty.
        UnknownNameError: The lake holds nothing of a tenant; whoever sees one tenant is not told the others.
    """

    def __init__(self, lake: Lake, *, realms: Sequence[str | None] | None = None) -> None:
        check(lake, realms)
        self.lake = lake
        self.visible_realms = None if realms is None else tuple(realms)
        self._lost: dict[date | None, tuple[DayRecord, list[Loss]]] = {}

    @property
    def realms(self) -> list[str | None]:
        """The tenants in sight; ``None`` is the NULL realm."""
        return list(self.visible_realms) if self.visible_realms is not None else self.lake.realms()

    @property
    def is_scoped(self) -> bool:
        """Only chosen tenants are in sight."""
        return self.visible_realms is not None

    def records(self) -> list[DayRecord]:
        """The ledger, day by day."""
        return [record for day in self.lake.recorded_days() if (record := self.lake.recorded(day))]

    def lost(self, days: Iterable[date | None] | None = None) -> list[Loss]:
        """Partitions in sight that the ledger tells of and the lake does not hold as it tells.

        Args:
            days: Only of these; of all when not given.
        """
        wanted = None if days is None else set(days)
        found: list[Loss] = []
        for record in self.records():
            if wanted is not None and record.day not in wanted:
                continue
            known = self._lost.get(record.day)
            if known is None or known[0] is not record:  # looked at once, as long as the ledger says the same
                known = self._lost[record.day] = record, losses.of_days(self.lake, [record], self.visible_realms)
            found += known[1]
        return found

    def lost_programs(self) -> list[str]:
        """Files of programs, of the tenants in sight, that should be there and are not."""
        return definitions.lost_files(self.lake, self.visible_realms)

    def look_again(self) -> None:
        """Forget which files were there: an extraction may have changed that."""
        self._lost = {}
        self.lake.look_again()


def check(lake: Lake, realms: Sequence[str | None] | None) -> None:
    """Is there a lake, and are they in it?

    Args:
        lake: Which.
        realms: The tenants that somebody wants to read; ``None`` for all.

    Raises:
        LakeError: There is no lake in that folder.
        UnknownNameError: The lake holds nothing of a tenant; whoever sees one tenant is not told the others.
    """
    lake.ensure_there(may_be_empty=True)
    known = lake.realms() if realms else []
    for realm in realms or ():
        if not known:
            raise not_extracted(lake)
        if realm not in known:
            raise UnknownNameError(
                f"the lake holds nothing of realm {realm!r}"
                if realm is not None
                else "the lake holds no run without a realm",
                hint="analytics.open_lake(…).realms lists them, for who may see them all",
                command_hint="`strategy-analytics status --all-realms` lists them, for who may see them all",
                realm=realm,
            )


def not_extracted(lake: Lake, days: Sequence[date] = ()) -> NotExtractedError:
    """That a lake without any run can tell nothing of what was asked, and what fills it.

    Args:
        lake: Which.
        days: That somebody asks about; none for any.
    """
    mark = expiry_mark.read(lake.root)
    ahead = to_come(days)
    days = [
        day for day in days if day not in ahead
    ]  # where all of them are to come, what is there may be had all the same
    command = (
        extraction(days, [day for day in days if expiry_mark.is_expired(mark, day)])
        if days
        else "strategy-analytics extract"
    )
    dropped = f"; what was there before {mark.before} is expired" if mark else ""
    return NotExtractedError(f"cannot tell: the lake is empty{dropped}", hint=f"fill it: {command}")
