"""Who answers as the bucket: moto, or with ``--store ceph`` a cluster of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stores import ceph


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[ceph.Ceph | None]:
    if request.config.getoption("--store") == "moto":
        yield None
        return
    with ceph.running() as running:
        yield running
