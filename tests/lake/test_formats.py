"""A lake that a newer version has written is refused in a sentence: never called damaged, never written over."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.cli import main
from analytics.extraction.privacy import tombstones
from analytics.lake.lake import Lake
from tests.conftest import Table

COMMANDS = (
    "extract --since 2026-07-08 --until 2026-07-09 --force --allow-shrink --accept-source --accept-key",
    "extract --since 2026-07-09 --until 2026-07-10",
    "status --all-realms",
    "query --all-realms from+executions",
    "check --all-realms",
    "expire --before 2026-07-09 --yes --unverified",
    "erase --user u1",
    "doctor",
)
READ_BY = {
    "ledger/day=2026-07-08.json": COMMANDS,
    "expired.json": COMMANDS,
    "ledger/expired.json": COMMANDS,
    "source.json": COMMANDS[:2],
    "ledger/programs.json": COMMANDS[:2],
    "people.json": COMMANDS[:2],
    "erased/one.json": COMMANDS[:2],
}
"""Files, and the commands that need what they say."""


@pytest.fixture(scope="module")
def written(module_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of one run, as this version writes it."""
    made = Lake(tmp_path_factory.mktemp("formats") / "lake")
    module_table.insert()
    module_table.extract(made, "2026-07-08", "2026-07-09")
    return made


def contents(lake: Lake) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in Path(str(lake.root)).rglob("*")
        if path.is_file() and path.name != ".lock"
    }


@pytest.mark.parametrize("name", READ_BY)
def test_every_command_refuses_a_newer_format_and_leaves_it_alone(
    module_table: Table, written: Lake, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_DATABASE_URL", module_table.url)
    monkeypatch.setenv("ANALYTICS_LAKE", str(written.root))
    path = Path(str(written.root)) / name
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"format": 2, "what": "nobody knows yet"}), encoding="utf-8")
    as_it_was = contents(written)
    try:
        for command in READ_BY[name]:
            code = main([word.replace("+", " ") for word in command.split()])
            said = "".join(capsys.readouterr())
            assert (command, code) == (command, 1 if command == "doctor" else 3)
            assert "is of format 2" in said, command
            assert "newer version" in said, command
            assert "damaged" not in said, command
            assert contents(written) == as_it_was, command
    finally:
        path.unlink() if before is None else path.write_text(before, encoding="utf-8")


def test_programs_in_a_newer_shape_are_not_written_over(
    module_table: Table, written: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    module_table.define({})
    module_table.extract(written, "2026-07-08", "2026-07-09")
    path = written.root / "definitions/realm=acme/part.parquet"
    told = pq.ParquetFile(path).read()
    pq.write_table(told.append_column("mood", pa.array(["good"])), path)
    before = contents(written)
    code = main(
        [
            "extract",
            "--since",
            "2026-07-08",
            "--until",
            "2026-07-09",
            "--lake",
            str(written.root),
            "--database-url",
            module_table.url,
        ]
    )
    assert code == 3
    assert "newer version" in capsys.readouterr().err
    assert {name: data for name, data in contents(written).items() if "definitions" in name} == {
        name: data for name, data in before.items() if "definitions" in name
    }


def test_the_formats_that_are_known_are_those_that_are_written(written: Lake) -> None:
    formats = {
        path.name: json.loads(path.read_text(encoding="utf-8"))["format"]
        for path in (written.root / "ledger").glob("*.json")
    }
    # What is remembered of programs is derived: a version that does not know its format makes it anew.
    assert formats.pop("settled-programs.json") == 2
    assert len(formats) > 1 and set(formats.values()) == {1}
    assert tombstones.read(written.root) == []
