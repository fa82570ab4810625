"""Writers at once in one store: how many of them it lets through, and whether a lake may lie there."""

from __future__ import annotations

import uuid
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

from analytics.errors import LakeError
from analytics.storage import Bucket
from analytics.storage.client import Entry
from analytics.storage.lease import hold_lease
from tests.store import Upstream, serving_bucket

WRITERS, ROUNDS = 8, 40


@dataclass(frozen=True, slots=True)
class Races:
    """What came of them.

    Attributes:
        makes, replaces: Of each round, the writers that were told they had made the object, or replaced the version that all
            of them named.
        refused: Whoever asks for a lake's lock is told this; empty where the lock is given.
    """

    makes: list[int]
    replaces: list[int]
    refused: str

    @property
    def keeps_apart(self) -> bool:
        """One writer each time."""
        return {*self.makes, *self.replaces} == {1}


def run(upstream: Upstream | None) -> Races:
    """Both kinds, many times, and the lock of a lake.

    Args:
        upstream: The store; moto where there is none.
    """
    with serving_bucket("races", upstream), ThreadPoolExecutor(WRITERS) as pool:
        buckets = [Bucket("races", "trial") for _ in range(WRITERS)]
        makes = [_winners(pool, buckets, f"x{turn}", None) for turn in range(ROUNDS)]
        buckets[0].swap("y", b"before", None)
        replaces = [_winners(pool, buckets, "y", buckets[0].ask("y")) for _ in range(ROUNDS)]
        try:
            with hold_lease(Bucket("races", "lake")):
                return Races(makes, replaces, "")
        except LakeError as error:
            return Races(makes, replaces, error.message)


def _winners(pool: Executor, buckets: list[Bucket], key: str, before: Entry | None) -> int:
    """Writers that were told that it was they."""

    def write(bucket: Bucket) -> bool:
        return bucket.swap(key, uuid.uuid4().bytes, before) is not None

    return sum(pool.map(write, buckets))
