"""Reports of tests begin where what they import has been imported: a plugin of pytest, which tests/conftest.py asks for."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analytics.reports.render import report_process
from analytics.reports.render.plan import Plan


class ForkedReports:
    """Reports' processes, forked from one that has imported what they need, as those of a job are: once for all tests.

    Attributes:
        started: ``report_process.run`` as it is, by which a process is started.
    """

    def __init__(self, warm: report_process.Warm) -> None:
        self.started = report_process.run
        self._warm, self._environment, self._place = warm, _environment(), tempfile.gettempdir()

    def run(self, planned: Plan, folder: Path, **given: Any) -> report_process.Ended:
        """The same. Where a test has changed the environment, only a process that is started sees it."""
        if _environment() != self._environment:
            return self.started(planned, folder, **given)
        if self._warm._channel is None:  # not in a folder of the first test that needs it
            with pytest.MonkeyPatch.context() as calm:
                calm.chdir(Path(__file__).parent)
                calm.setattr(tempfile, "tempdir", self._place)
                self._warm._channel = self._warm._begin()
        return self.started(planned, folder, **given | {"warm": self._warm})


def _environment() -> dict[str, str]:
    """Without what a report's process is given anyway, and what pytest changes with every test."""
    return {name: value for name, value in os.environ.items() if name not in ("TMPDIR", "PYTEST_CURRENT_TEST")}


@pytest.fixture(scope="session", autouse=True)
def forked_reports() -> Iterator[ForkedReports]:
    with report_process.Warm() as warm, pytest.MonkeyPatch.context() as patched:
        forked = ForkedReports(warm)
        patched.setattr(report_process, "run", forked.run)
        yield forked


@pytest.fixture(scope="module")
def started_reports(forked_reports: ForkedReports) -> Iterator[None]:
    """A report's process is started: for who tests how it begins and ends."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(report_process, "run", forked_reports.started)
        yield
