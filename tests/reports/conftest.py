"""Reports for less: without their pictures, or without a process of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from analytics.reports import charts
from analytics.reports.page import blocks, visible
from analytics.reports.render import report_process, worker
from analytics.reports.render.plan import Plan


@pytest.fixture(scope="module")
def without_pictures() -> Iterator[None]:
    """Pages say what their pictures show, and nothing is drawn: for who reads their words. Pictures have tests of their own."""

    def told(_draw: object, _prefix: str, alt: str, caption: Any = None) -> Markup:
        return blocks.figure(Markup('<svg aria-label="{}"></svg>').format(visible(alt)), None, caption).html

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(charts, "responsive", told)
        yield


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report's process is this one: for what is refused before a notebook runs. That answers come back is proven elsewhere."""

    def run(planned: Plan, folder: Path, **_: object) -> report_process.Ended:
        code = worker.work(Plan.from_json(json.loads(json.dumps(planned.to_json()))), folder)
        return report_process.Ended(code, "", report_process._answer(folder))

    monkeypatch.setattr(report_process, "run", run)
