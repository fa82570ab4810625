"""The stories' log in a PostgreSQL database, extracted into a lake, with the truth beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analytics.demo.population import definition_rows, fill_tables
from analytics.estimates.sampling_rates import Rates
from analytics.lake.lake import Lake
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.extracting import extract
from tests.planted.engine import Simulated, simulate
from tests.planted.stories import FIRST, STORIES, UNTIL, Story

RATE = 0.05
SEED = 20260513


@dataclass(frozen=True)
class Planted:
    """The planted lake.

    Attributes:
        lake: What was extracted.
        truth: Every run, by ``engine.TRUTH``.
        truth_path: The same as Parquet.
        stories: What happened.
    """

    lake: Lake
    truth: pa.Table = field(repr=False)
    truth_path: Path
    stories: tuple[Story, ...] = field(repr=False)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The lake, open."""
        return Warehouse(self.lake)

    def runs(self, story: Story) -> pa.Table:
        """Every run of one story, logged or not."""
        return self.truth.filter(pc.equal(self.truth["story"], story.key))

    def overpaid(self, story: Story) -> float:
        """Points paid since the story began beyond what would have been paid without it; negative for too few.

        Runs that failed, or would have failed, are left out: they were paid nothing, on one side or the other.
        """
        rows = self.runs(story)
        rows = rows.filter(pc.and_(pc.equal(rows["status"], "ok"), pc.is_valid(rows["points_baseline"])))
        return float(pc.sum(pc.subtract(rows["points"], rows["points_baseline"])).as_py() or 0.0)


def build(
    url: str, directory: Path, *, seed: int = SEED, rate: float = RATE, stories: Sequence[Story] = STORIES
) -> Planted:
    """Simulate the stories, load their log into an empty database, and extract it.

    Args:
        url: Of the database.
        directory: Gets the lake and the truth.
        seed: Same seed, same rows.
        rate: Sampling rate of ok runs.
        stories: Which ones.
    """
    return log([simulate(story, seed) for story in stories], url, directory, rate)


def log(simulated: Sequence[Simulated], url: str, directory: Path, rate: float) -> Planted:
    """Load the log of a sampling rate into a database, instead of any that is there, and extract it."""
    played = [found.logged(rate) for found in simulated]
    stories = tuple(found.story for found in simulated)
    with psycopg.connect(url) as connection:
        definitions = definition_rows(UNTIL.date(), [story.family for story in stories])
        fill_tables(connection, definitions, (text.encode() for found in played for text in found.log))
    extract(url, Lake(directory / "lake"), Window(FIRST, UNTIL), rates=Rates((), rate))
    pq.write_table(pa.concat_tables(found.truth for found in played), directory / "truth.parquet")
    return read(directory, stories)


def read(directory: Path, stories: Sequence[Story]) -> Planted:
    """What ``build`` or ``log`` left in a directory."""
    path = directory / "truth.parquet"
    return Planted(Lake(directory / "lake"), pq.read_table(path), path, tuple(stories))
