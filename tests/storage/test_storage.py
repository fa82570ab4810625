"""A disk and a bucket keep the same promises: the same calls, the same answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from analytics.errors import LakeLockedError
from analytics.storage import LakePath, Storage, local_path, place, storage_of
from tests.store import Store, serving_bucket


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with serving_bucket("storages") as running:
        yield running


@pytest.fixture(params=["disk", "bucket", "whole bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> LakePath:
    """Where nothing lies yet."""
    if request.param == "disk":
        return tmp_path / "lake"
    store: Store = request.getfixturevalue("store")
    import s3fs

    if request.param == "bucket":
        return place(f"s3://storages/{abs(hash(tmp_path))}/of it")
    s3fs.S3FileSystem(skip_instance_cache=True).mkdir(f"whole-{store.port}-{abs(hash(tmp_path))}")
    return place(f"s3://whole-{store.port}-{abs(hash(tmp_path))}")


@pytest.fixture
def storage(root: LakePath) -> Storage:
    return storage_of(root)


def put(storage: Storage, *names: str) -> None:
    for name in names:
        storage.write_text(storage.root / name, name)


def below(storage: Storage, path: LakePath) -> str:
    return str(storage.names_from_root(path))


def test_what_was_written_is_there_until_it_is_removed(storage: Storage) -> None:
    put(storage, "a/b/x.json", "a/y.json")
    name = str(storage.root / "a/b/x.json")
    assert storage.path(name) == storage.root / "a/b/x.json"
    assert (storage.is_file(name), storage.size(name)) == (True, len("a/b/x.json"))
    assert (storage.root / "a/b/x.json").read_text(encoding="utf-8") == "a/b/x.json"
    assert sorted(storage.names(storage.root / "a")) == ["b", "y.json"]
    assert [(path.name, size) for path, size in storage.files(storage.root / "a")] == [("y.json", 8)]
    assert [below(storage, path) for path in storage.files_below(storage.root / "a")] == ["a/b/x.json", "a/y.json"]
    storage.remove(storage.root / "a/b/x.json")
    storage.remove(storage.root / "a/b/x.json")
    assert (storage.is_file(name), storage.size(name), storage.identity(name)) == (False, 0, None)
    assert storage.names(storage.root / "a") == ["y.json"]  # the empty folder went with it


def test_where_nothing_lies_nothing_is_found(storage: Storage) -> None:
    nowhere = storage.root / "nowhere"
    assert storage.names(nowhere) == [*storage.files(nowhere)] == [*storage.files_below(nowhere)] == []
    assert not storage.is_file(str(nowhere))


def test_a_file_is_replaced_as_a_whole_and_is_another_then(storage: Storage) -> None:
    target = storage.root / "t/part.parquet"
    with storage.lock(), storage.workspace("t") as folder:
        marks = []
        for content in (b"one", b"two", b"two"):
            staged = folder / "staged"
            staged.write_bytes(content)
            storage.replace(staged, target)
            assert (target.read_bytes(), staged.exists()) == (content, False)
            mark = storage.identity(str(target))
            assert storage.identity(str(target), mark or "") == mark
            marks.append(mark)
    assert not folder.exists()
    assert marks[0] != marks[1]
    assert marks[1] and marks[2]


def test_a_file_that_is_moved_aside_leaves_its_place_and_its_empty_folder(storage: Storage) -> None:
    put(storage, "a/b/x.json", "a/y.json")
    storage.move_aside(storage.root / "a/b/x.json", storage.root / ".aside/now/x.json.0")
    assert [below(storage, path) for path in storage.files_below(storage.root / ".aside")] == [".aside/now/x.json.0"]
    assert storage.names(storage.root / "a") == ["y.json"]


@dataclass(frozen=True)
class Days:
    """Folders of days, each with a file."""

    left_out: str = ""

    def has_folder(self, names: tuple[str, ...]) -> bool:
        return len(names) == 1 and names[0].startswith("day=")

    def leaves_out(self, names: tuple[str, ...]) -> bool:
        return names == (self.left_out,)

    def has_file(self, names: tuple[str, ...]) -> bool:
        return len(names) == 2 and names[0].startswith("day=") and names[1] == "part.parquet"


def test_files_that_have_a_place_have_a_size_and_what_a_glob_reads_besides_has_none(storage: Storage) -> None:
    put(storage, "t/day=1/part.parquet", "t/day=2.parquet/part.parquet", "t/day=1/x.txt", "other/part.parquet")
    put(storage, "t/day=1/copy.PARQUET", "t/part.parquet", "t/deep/er/part.parquet", "t/.lock")

    def found(layout: Days) -> list[tuple[str, int | None]]:
        return [(below(storage, storage.path(name)), size) for name, size in storage.parquet_files("t", layout)]

    strays = [("t/deep/er/part.parquet", None), ("t/part.parquet", None)]
    of_day = [("t/day=1/copy.PARQUET", None), ("t/day=1/part.parquet", 20)]
    assert found(Days()) == [*of_day, ("t/day=2.parquet/part.parquet", 28), *strays]
    assert found(Days("day=1")) == [("t/day=2.parquet/part.parquet", 28), *strays]
    assert found(Days("day=2.parquet")) == [*of_day, *strays]


def test_one_writer_at_a_time(storage: Storage, root: LakePath) -> None:
    with storage.lock():
        storage.ensure_held()
        with pytest.raises(LakeLockedError, match="another run is writing the lake"), storage_of(root).lock():
            pytest.fail("both hold it")
    with storage_of(root).lock():
        pass
    storage.ensure_held()  # nobody said that it should be held


def test_a_lock_that_was_lost_stops_the_next_write(storage: Storage, root: LakePath) -> None:
    with storage.lock():
        lock = storage_of(root).root / (".lock" if local_path(root) else ".lock.json")
        other = storage_of(root)
        other.remove(lock)
        with other.lock():
            held = storage._held
            assert held is not None
            renew = getattr(held, "renew", None)
            if renew:
                renew()  # as its thread does every quarter of a minute
            with pytest.raises(LakeLockedError, match="this run"):
                storage.write_text(storage.root / "x.json", "x")
    assert not storage.is_file(str(storage.root / "x.json"))


def test_duckdb_reads_what_lies_below_the_root_and_no_neighbour(storage: Storage, root: LakePath) -> None:
    put(storage, "t/x.csv", "t-of-others/x.csv", "x.csv")
    with duckdb.connect() as connection:
        allowed = storage_of(root / "t").allow(connection)
        connection.execute("set allowed_directories = $1", [[allowed]])
        connection.execute("set enable_external_access = false")
        read = connection.execute("select content from read_text($1)", [str(root / "t/x.csv")]).fetchall()
        assert read == [("t/x.csv",)]
        for path in (root / "x.csv", root / "t-of-others/x.csv"):
            with pytest.raises(duckdb.PermissionException):
                connection.execute("select * from read_text($1)", [str(path)])
    assert storage.read_failure() is None


def test_only_a_disk_has_a_folder_on_this_machine(tmp_path: Path) -> None:
    assert storage_of(tmp_path).local_root == local_path(tmp_path) == tmp_path
    bucket = place("s3://storages/x")
    assert (storage_of(bucket).local_root, local_path(bucket)) == (None, None)
    assert (storage_of(tmp_path).is_remote, storage_of(bucket).is_remote) == (False, True)
    with pytest.raises(TypeError, match="is not on this machine"):
        storage_of(tmp_path).remove(bucket)
    with pytest.raises(TypeError, match="is in no bucket"):
        storage_of(bucket).remove(tmp_path)
