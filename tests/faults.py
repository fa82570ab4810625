"""What may happen to a store while a run writes to it, and what has to be true during and after it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analytics.errors import AnalyticsError, LakeError, LakeLockedError
from analytics.lake.lake import Lake
from analytics.storage import ObjectPath, holder
from analytics.warehouse.warehouse import Warehouse
from tests.store import Request, Spoil, Store

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Fault:
    """One way for a store to fail.

    Attributes:
        name: In words.
        way: See ``tests.store``.
        method, part: Of the requests that it happens to.
        times: How many of them; 0 for every one.
        ends: How the run ends; ``None`` when it is to get through.
    """

    name: str
    way: str
    method: str
    part: str
    times: int = 0
    ends: type[AnalyticsError] | None = None

    def spoil(self) -> Spoil:
        """For one run."""
        met = itertools.count(1)

        def spoil(request: Request) -> str | None:
            if request.method != self.method or self.part not in request.key:
                return None
            return self.way if not self.times or next(met) <= self.times else None

        return spoil


FAULTS = (
    Fault("a PUT of a partition fails three times", "busy", "PUT", "executions/", 3),
    Fault("every PUT of a partition fails", "busy", "PUT", "executions/", 0, LakeError),
    Fault("every PUT of a node-days file fails", "busy", "PUT", "node_days/", 0, LakeError),
    Fault("every PUT of the ledger fails", "busy", "PUT", "ledger/", 0, LakeError),
    Fault("a PUT is done and its answer lost", "lost", "PUT", "executions/", 1),
    Fault("the ledger's PUT is done and its answer lost", "lost", "PUT", "ledger/", 1),
    Fault("the lock's PUT is done and its answer lost", "lost", "PUT", ".lock.json", 1),
    Fault("writing is not allowed", "denied", "PUT", "", 0, LakeError),
    Fault("writing partitions is not allowed", "denied", "PUT", "executions/", 0, LakeError),
    Fault("listing is not allowed", "denied", "GET", "list-type", 0, LakeError),
    Fault("a listing fails twice", "busy", "GET", "list-type", 2),
    Fault("every listing is what it was at first", "stale", "GET", "list-type", 0),
    Fault("answers break off in their middle", "cut", "GET", "ledger/", 2),
    Fault("the store ignores conditions", "unconditional", "PUT", "", 0, LakeError),
    Fault("the store makes nothing twice, and replaces any version", "blind to versions", "PUT", "", 0, LakeError),
    Fault("the store compares an ETag with its quotes", "quotes compared", "PUT", ""),
)


def address() -> str:
    """Of a lake that nobody has used."""
    return f"s3://lakes/fault-{next(_numbers)}"


def rows(lake: Lake) -> dict[tuple[Any, Any], list[Any]]:
    """What a reader finds, by realm and day."""
    found: dict[tuple[Any, Any], list[Any]] = {}
    query = "select realm_id, day, execution_id, points, nodes_executed from executions order by all"
    for realm, day, *row in Warehouse(Lake(lake.root)).sql(query).fetchall():
        found.setdefault((realm, day), []).append(row)
    return found


@dataclass(frozen=True)
class Played:
    """How it went.

    Attributes:
        ended: The run's end, in one word.
        requests: It made.
    """

    ended: str
    requests: int


def play(fault: Fault, store: Store, run: Callable[[Lake], object], lakes: tuple[Lake, Lake]) -> Played:
    """A run over a lake that was written before, while the store fails; then once more, when it is sound again.

    Args:
        fault: What happens.
        store: To whom.
        run: Brings a lake up to date.
        lakes: One in the store as it was before, and a lake on a disk as it is to be.

    Raises:
        AssertionError: The run ended another way; a reader saw half a partition; somebody still holds the lock; or the second
            run did not mend it.
    """
    lake, wanted = lakes
    before, after = rows(lake), rows(wanted)
    assert before != after
    store.begin(fault.spoil())
    try:
        run(Lake(str(lake.root)))
        ended = None
    except (LakeError, LakeLockedError) as error:
        ended = type(error)
    requests = len(store.requests)
    store.begin()
    assert ended is fault.ends
    seen = rows(lake)
    assert all(found in (before.get(key), after.get(key)) for key, found in seen.items())
    assert {*before} <= {*seen}
    assert isinstance(lake.root, ObjectPath)
    assert holder(lake.root.bucket) is None
    if ended is None:
        assert seen == after
    run(Lake(str(lake.root)))
    assert rows(lake) == after
    assert all(found.passed for found in Warehouse(Lake(str(lake.root))).check() if found.severity == "error")
    return Played(ended.__name__ if ended else "completes", requests)
