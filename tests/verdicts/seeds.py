"""One seed: every story simulated once, logged at each rate, asked, judged; and many seeds by a few processes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import psycopg

from analytics import api
from tests.planted.causes import CAUSES
from tests.planted.engine import simulate
from tests.planted.stories import STORIES
from tests.planted.story import Story
from tests.planted.world import Planted, log
from tests.verdicts.judge import Judged, judge
from tests.verdicts.truths import Truths

ALL: tuple[Story, ...] = (*CAUSES, *STORIES)


@dataclass(frozen=True, slots=True)
class Told:
    """What one page said, and how it was judged.

    Attributes:
        key: The story.
        rate, seed: Of its log.
        sentence: The verdict.
        judged: Against the truth; None where there was no page.
        error: Why there was none.
    """

    key: str
    rate: float
    seed: int
    sentence: str
    judged: Judged | None
    error: str = ""


def ask(planted: Planted, story: Story, rate: float, seed: int) -> Told:
    """Ask for one post-mortem and judge it."""
    facts = api.post_mortem(planted.warehouse, **story.ask()).summary()
    return Told(story.key, rate, seed, facts["verdict"], judge(story, facts, Truths(story, planted.runs(story))))


def one_seed(url: str, folder: Path, seed: int, rates: Sequence[float], keys: Sequence[str]) -> list[Told]:
    """Every story at every rate; the database is this call's alone."""
    stories = [story for story in ALL if story.key in keys]
    simulated = [simulate(story, seed) for story in stories]
    found: list[Told] = []
    for rate in rates:
        directory = folder / f"{seed}-{rate:g}"
        planted = log(simulated, url, directory, rate)
        for story in stories:
            try:
                found.append(ask(planted, story, rate, seed))
            except Exception as error:  # the other pages are still asked for, and the proof fails for this one
                found.append(Told(story.key, rate, seed, "", None, f"{type(error).__name__}: {error}"))
        planted.warehouse.connection.close()
        shutil.rmtree(directory)
    return found


def many_seeds(
    url: Callable[[str], str],
    folder: Path,
    seeds: Sequence[int],
    rates: Sequence[float],
    keys: Sequence[str],
    *,
    workers: int = 2,
) -> Iterator[list[Told]]:
    """Each seed's pages as they are done, in no order.

    Args:
        url: Of a database of that name on the server.
        folder: For the lakes while they are read.
        seeds, rates: Which logs.
        keys: Which stories.
        workers: Processes.
    """
    names = [f"verdicts_{seed}" for seed in seeds]
    with psycopg.connect(url("postgres"), autocommit=True) as connection:
        for name in names:
            connection.execute(f"create database {name}".encode())
    # A spawned process: a forked one would have the threads' locks of this one.
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn"), max_tasks_per_child=4) as pool:
        asked = [
            pool.submit(one_seed, url(name), folder, seed, rates, keys) for seed, name in zip(seeds, names, strict=True)
        ]
        for done in as_completed(asked):
            yield done.result()
