"""A lake in a bucket: the same lake, written by single requests, by one run at a time, whatever the store does."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from analytics.demo import UNTIL
from analytics.extraction import extract
from analytics.lake import Lake
from analytics.rates import Rates
from analytics.warehouse import VIEWS, Warehouse
from analytics.window import Window
from tests.conftest import RATE
from tests.store import Store, serving


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with serving() as found, pytest.MonkeyPatch.context() as patch:
        for name, value in found.env.items():
            patch.setenv(name, value)
        import s3fs

        s3fs.S3FileSystem(skip_instance_cache=True).mkdir("lakes")
        yield found


@pytest.fixture(scope="module")
def whole(store: Store, database_url: str, request: pytest.FixtureRequest) -> Lake:
    """Everything the demo's log holds, as the lake of the other tests does."""
    made = Lake("s3://lakes/whole/of it")
    first = UNTIL - timedelta(days=request.config.getoption("--demo-days") + 1)
    for since, until in (("1969-12-31", "1970-01-02"), (first, UNTIL + timedelta(days=1))):
        extract(database_url, made, Window.parse(since, until), rates=Rates((), RATE))
    return made


def test_every_view_holds_what_it_holds_on_a_disk(whole: Lake, lake: Lake) -> None:
    there, here = Warehouse(whole), Warehouse(lake)
    for view in VIEWS:
        columns = [name for name in here.describe(view)["column"] if name not in ("extracted_at", "complete_until")]
        text = f"select {', '.join(columns)} from {view}"
        there.connection.register("other", there.sql(text).to_arrow_table())
        assert sorted(map(repr, there.sql(text).fetchall())) == sorted(map(repr, here.sql(text).fetchall()))
    assert [found.name for found in there.check() if not found.is_ok] == [f.name for f in here.check() if not f.is_ok]
