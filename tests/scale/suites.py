"""What the suites of the bucket and of Spark have found: a row per fault, a row per view and query."""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.report import progress

ROOT = Path(__file__).parents[2]
SUITES = {
    "fault": "tests/storage/test_object_store.py",
    "parity": "tests/warehouse/test_spark.py",
    "store": "tests/storage/test_real_store.py",
}


@dataclass(frozen=True, slots=True)
class Suite:
    """One run of a suite.

    Attributes:
        rows: What its tests have recorded.
        passed, other: Tests that passed, and those that failed or were left out.
    """

    rows: list[list[Any]]
    passed: int
    other: int


def run(name: str, words: Sequence[str] = ()) -> Suite:
    """Run a suite with its long tests.

    Args:
        name: Of a property that its tests record.
        words: More for pytest.
    """
    progress(f"{SUITES[name]} …")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "found.xml")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--long",
            "--timeout",
            "900",
            "--junitxml",
            path,
            SUITES[name],
            *words,
        ]
        subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False)  # our own words
        return read(path, name)


def read(path: Path, name: str) -> Suite:
    """What pytest wrote down."""
    cases = list(ElementTree.parse(path).iter("testcase"))  # noqa: S314  # our own file
    rows = [
        list(ast.literal_eval(one.get("value", "")))
        for case in cases
        for one in case.iter("property")
        if one.get("name") == name
    ]
    other = sum(any(case.find(tag) is not None for tag in ("failure", "error", "skipped")) for case in cases)
    return Suite(rows, len(cases) - other, other)
