"""A story's log in PostgreSQL, extracted into a lake of its own, and the report on its last day."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg

from analytics import api
from analytics.demo.population import create_tables, definition_rows, fill_tables
from analytics.estimates.sampling_rates import Rates
from analytics.lake.lake import Lake
from analytics.window import Window
from tests.extracting import extract
from tests.runaway.engine import play
from tests.runaway.fleet import SINCE, UNTIL, Run, Story
from tests.runaway.oddities import ODDITIES
from tests.runaway.publishing import PUBLISHING
from tests.runaway.stalls import STALLS
from tests.runaway.stories import STORIES

SEED: Final = 20260317
ALL: Final = (*STORIES, *STALLS, *ODDITIES, *PUBLISHING)


@dataclass(frozen=True)
class Told:
    """A story that was simulated, extracted and reported.

    Attributes:
        story: What happened.
        truth: Every run.
        report: What is said of it.
        facts: The same for programs.
        seed: Of the simulation.
    """

    story: Story
    truth: list[Run] = field(repr=False)
    report: Any = field(repr=False)
    facts: dict[str, Any] = field(repr=False)
    seed: int

    @property
    def window(self) -> list[Run]:
        """The runs of the report's window."""
        return [run for run in self.truth if SINCE <= run.created_at < UNTIL]


def create(url: str) -> None:
    """Empty source tables in an empty database."""
    with psycopg.connect(url) as connection:
        create_tables(connection)


def tell(url: str, directory: Path, story: Story, seed: int = SEED) -> Told:
    """Simulate a story, load its log in place of the one before, extract and report it.

    Args:
        url: Of a database that ``create`` has prepared.
        directory: Gets the lake.
        story: Which one.
        seed: Same seed, same rows.
    """
    played = play(story, seed)
    with psycopg.connect(url) as connection:
        definitions = definition_rows(UNTIL.date(), [player.family for player in story.fleet])
        fill_tables(connection, definitions, (text.encode() for text in played.log))
    lake = Lake(directory)
    extract(url, lake, Window(story.begins, UNTIL), rates=Rates((), story.rate))
    day: date = SINCE.date()
    report = api.runaway_rules(lake.root, since=day, until=day + timedelta(days=1))
    return Told(story, played.truth, report, report.summary(), seed)


def story(key: str) -> Story:
    """The story of that name."""
    return next(found for found in ALL if found.key == key)
