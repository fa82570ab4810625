"""Compiled reading: what is accepted can be spelled again to the byte, what cannot is refused, and nothing depends on luck."""

from __future__ import annotations

import json
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analytics.errors import SourceError
from analytics.estimates.sampling_rates import Rates
from analytics.extraction import transfer
from analytics.extraction.encode import dictionaries as dictionary_module
from analytics.extraction.encode.coded_rows import CodedChunk, CopyDecoder, SortedRows, padded
from analytics.extraction.encode.dictionaries import Dictionary
from analytics.extraction.encode.native import copy_tuples
from analytics.extraction.encode.native.memory import Names
from analytics.extraction.encode.native.trace_parser import LITERALS, scan
from analytics.extraction.encode.parquet_writer import MemoryMap
from analytics.extraction.encode.partition_files import Rollup
from analytics.extraction.encode.row_buffer import Columns, texts_of_ids, weights
from analytics.extraction.plan import shares
from analytics.extraction.transfer import side_by_side
from analytics.model import Fingerprint, Partition
from tests.fewer import examples

ROW: dict[str, Any] = {
    "execution_id": "00000000-0000-4000-8000-000000000001",
    "created_at": datetime(2026, 7, 8, 12, tzinfo=UTC),
    "created_at_irregular": None,
    "updated_at": None,
    "oauth_user_id": None,
    "strategy_id": "s1",
    "strategy_version": 1,
    "strategy_type": "DSL_FULL",
    "realm_id": "acme",
    "external_game_id": None,
    "external_task_id": None,
    "external_user_id": "u1",
    "status": "ok",
    "error_code": None,
    "points": 1.5,
    "case_name": "Case",
    "duration_ms": 2.5,
    "nodes_executed": 1,
    "trace": None,
    "trace_irregular": '[{"type": "literal", "value": 1, "nodeId": "n1"}]',
    "sampled": True,
    "parent_strategy_id": None,
    "notes": None,
}
PARTITION = Partition("acme", date(2026, 7, 8))


@pytest.fixture(autouse=True, scope="module")
def _small_dictionaries() -> Iterator[None]:
    """Hundreds of dictionaries are made here: small ones, each as ready as a large one."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TEXTS", "VALUES", "TEMPLATES"):
            patch.setattr(dictionary_module, name, 5_000)
        for name in ("TEXT_BYTES", "VALUE_BYTES", "TEMPLATE_BYTES"):
            patch.setattr(dictionary_module, name, 1 << 20)
        patch.setattr("analytics.extraction.encode.coded_rows.ROWS", 1_000)
        patch.setattr("analytics.extraction.encode.coded_rows.ENTRIES", 100_000)
        yield


def entry(kind: str, value: Any, node: str | None, branch: str | None = None) -> str:
    """A trace entry as PostgreSQL spells jsonb."""
    middle = f', "branch": {json.dumps(branch, ensure_ascii=False)}' if branch is not None else ""
    return (
        f'{{"type": {json.dumps(kind, ensure_ascii=False)}, "value": {json.dumps(value, ensure_ascii=False)}{middle}, '
        f'"nodeId": {json.dumps(node, ensure_ascii=False)}}}'
    )


class Reader:
    """One dictionary that reads traces, and spells them again from nothing but codes."""

    def __init__(self) -> None:
        self.dictionary = Dictionary()
        self._literals = np.frombuffer(LITERALS, np.uint8)

    def __call__(self, text: bytes) -> bytes | None:
        """The trace as its codes spell it; ``None`` when it is refused."""
        templates, values = np.empty(len(text) + 1, np.int32), np.empty(len(text) + 1, np.int32)
        block, found = padded(text), self.dictionary
        count = scan(
            (found.names.address, found.values.address, found.templates.address),
            *(self._literals.ctypes.data, block.ctypes.data, len(text), 7),
            (templates.ctypes.data, values.ctypes.data),
        )
        if count < 0:
            return None
        return b"[" + b", ".join(self._entry(templates[i], values[i]) for i in range(count)) + b"]"

    def _entry(self, template: int, value: int) -> bytes:
        kind, branch, node = (self._name(code) for code in self.dictionary.templates.parts[template])
        middle = b', "branch": "' + branch + b'"' if branch is not None else b""
        spelled = b'"' + node + b'"' if node is not None else b"null"
        assert kind is not None
        ends = self.dictionary.values.ends
        text = bytes(self.dictionary.values.blob[ends[value] : ends[value + 1]])
        return b'{"type": "' + kind + b'", "value": ' + text + middle + b', "nodeId": ' + spelled + b"}"

    def _name(self, code: int) -> bytes | None:
        ends = self.dictionary.names.ends
        return None if code < 0 else bytes(self.dictionary.names.blob[ends[code] : ends[code + 1]])


names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
entries = st.builds(entry, names, json_values, st.none() | names, st.none() | names)
traces = st.lists(entries, max_size=6).map(lambda found: f"[{', '.join(found)}]".encode())


@given(traces, traces)
@pytest.mark.more
@settings(max_examples=examples(150), deadline=None)
def test_a_trace_of_the_one_shape_is_read_whatever_was_read_before(first: bytes, second: bytes) -> None:
    reader = Reader()
    for text in (first, second, first, second):  # the second time every guess is right
        assert reader(text) == text


@given(traces, st.data())
@pytest.mark.more
@settings(max_examples=examples(250), deadline=None)
def test_whatever_is_accepted_is_spelled_again_to_the_byte(text: bytes, data: st.DataObject) -> None:
    reader = Reader()
    reader(text)  # so that guesses are made of a text that then differs
    place = data.draw(st.integers(0, len(text)))
    mutated = data.draw(
        st.sampled_from(
            [
                text[:place] + text[place + 1 :],
                text[:place]
                + data.draw(st.sampled_from([b'"', b"\\", b",", b" ", b"}", b"]", b"1", b"{"]))
                + text[place:],
                text[:place],
                text + text,
                text[:place] + text[place : place + 1] * 2 + text[place + 1 :],
            ]
        )
    )
    spelled = reader(mutated)
    assert spelled is None or spelled == mutated


@pytest.mark.parametrize(
    "text",
    [
        b"null",
        b"{}",
        b"1",
        b"[1]",
        b"[null]",
        b"[{}]",
        b'[{"value": 1, "nodeId": "n"}]',
        b'[{"type": null, "value": 1, "nodeId": "n"}]',
        b'[{"type": "t", "nodeId": "n"}]',
        b'[{"type": "t", "value": 1}]',
        b'[{"type": "t", "value": 1, "nodeId": 7}]',
        b'[{"type": "t", "value": 1, "branch": null, "nodeId": "n"}]',
        b'[{"type": "t", "value": 1, "branch": 3, "nodeId": "n"}]',
        b'[{"x": 1, "type": "t", "value": 1, "nodeId": "n"}]',
        b'[{"type": "t", "value": 1, "nodeId": "n", "more": 1}]',
        b'[{"type": "t", "value": 1, "nodeId": "n\\""}]',
        b'[{"type": "t\\n", "value": 1, "nodeId": "n"}]',
        b'[{"type": "t", "value": 1, "nodeId": "n"},{"type": "t", "value": 1, "nodeId": "n"}]',
        b'[{"type": "t", "value": 1, "nodeId": "n"} ]',
        b'[{"type":"t", "value": 1, "nodeId": "n"}]',
        b"[]]",
        b"[ ]",
        b"[",
        b"",
    ],
)
def test_any_other_shape_is_refused_as_a_whole(text: bytes) -> None:
    reader = Reader()
    assert reader(text) is None
    good = f"[{entry('t', 1, 'n')}]".encode()
    assert reader(good) == good
    assert reader(text) is None


def test_a_guess_is_not_fooled_by_a_value_that_goes_on() -> None:
    reader = Reader()
    for value in ("1", "10", "1.5", "1", '"a"', '"a\\""', '"a, \\"nodeId\\": \\"n\\"}"', "[1]", "[1, 2]", "true", "1"):
        text = ('[{"type": "literal", "value": ' + value + ', "nodeId": "n"}]').encode()
        assert reader(text) == text


@given(st.lists(st.binary(max_size=40), max_size=300))
@example([b"", b"a", b"", b"\x00", b"\x00\x00", b"a" * 8, b"a" * 9, b"a" * 7])
@pytest.mark.more
@settings(max_examples=examples(100), deadline=None)
def test_equal_texts_have_one_code_and_different_ones_have_two(texts: list[bytes]) -> None:
    table, expected = Names(400, 20_000, 3), {}
    for text in texts:
        assert table.code(text) == expected.setdefault(text, len(expected))
    found = [bytes(table.blob[table.ends[i] : table.ends[i + 1]]) for i in range(table.count)]
    assert found == list(expected)


@given(st.lists(st.uuids(), max_size=50))
@pytest.mark.more
@settings(max_examples=examples(50), deadline=None)
def test_ids_are_spelled_and_hashed_as_python_does(found: list[uuid.UUID]) -> None:
    halves = (
        np.array([[one.int >> 64, one.int & (2**64 - 1)] for one in found], np.uint64).reshape(-1, 2).view(np.int64)
    )
    spelled = texts_of_ids(halves)
    assert spelled.to_pylist() == [str(one) for one in found]
    data = np.frombuffer(spelled.buffers()[2] or b"", np.uint8)
    upper, lower, well_formed = copy_tuples.hash_of_texts(data, np.arange(len(found) + 1, dtype=np.int32) * 36)
    assert well_formed
    assert (int(upper) << 30) + int(lower) == sum(one.int >> 68 for one in found)


@pytest.mark.parametrize("text", ["00000000-0000-4000-8000-00000000000", "0000000G-0000-4000-8000-000000000001"])
def test_what_is_no_id_is_noticed(text: str) -> None:
    data = np.frombuffer(text.encode(), np.uint8)
    assert not copy_tuples.hash_of_texts(data, np.array([0, len(text)], np.int32))[2]


# ---- rows ------------------------------------------------------------------------------------------------------------


def read(rows: Sequence[dict[str, Any]], *, pieces: int = 1) -> list[dict[str, Any]]:
    """Rows through the decoder and back, in file order."""
    decoder = CopyDecoder({PARTITION: 0}.get)
    found = [
        made
        for row in rows
        for made in decoder.read(padded(transfer._tuple(row) * pieces))
        if isinstance(made, CodedChunk)
    ]
    if decoder.has_rows:
        found.append(decoder.finish())
    sorted_rows = SortedRows(0, 0, found)
    table = Columns(sorted_rows, weights(sorted_rows, [PARTITION], Rates((), 0.05))).table(
        0, int(sorted_rows.bounds[-1]), coded=True
    )
    return table.to_pylist()  # type: ignore[no-any-return]


def test_every_column_survives_the_binary_format() -> None:
    odd = {
        **ROW,
        "execution_id": "ffffffff-ffff-4fff-bfff-ffffffffffff",
        "updated_at": datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        "oauth_user_id": "",
        "external_game_id": 'g\n\t"\\\x01\x02,',
        "external_task_id": "😀\u202e",
        "error_code": "x" * 70_000,
        "points": -0.0,
        "duration_ms": float("inf"),
        "strategy_version": -(2**31),
        "nodes_executed": 2**31 - 1,
        "sampled": False,
        "notes": "",
        "trace_irregular": "null",
    }
    empty = dict.fromkeys(ROW) | {
        name: ROW[name] for name in ("execution_id", "created_at", "realm_id", "strategy_id", "status")
    }
    for row in (ROW, odd, empty):
        [found] = read([row])
        trace = found.pop("trace")
        assert found.pop("sample_weight") == (20 if row["sampled"] and row["status"] == "ok" else 1)
        expected = {name: value for name, value in row.items() if name != "trace"}
        if row is ROW:
            assert trace == [{"node_id": "n1", "type": "literal", "branch": None, "value": "1", "value_number": 1.0}]
            expected["trace_irregular"] = None
        else:
            assert trace is None
        assert found == expected
        assert str(found["points"]) == str(row["points"])  # also the sign of zero


@pytest.mark.parametrize(
    "number",
    [
        "1",
        "-0.5",
        "1.10",
        "12345678901234567890123.5",
        "9" * 300,
        "1" + "0" * 400,
        "0." + "0" * 400 + "1",
        "9007199254740993",
    ],
)
def test_numbers_are_kept_as_spelled_and_rounded_as_python_rounds(number: str) -> None:
    trace = f'[{{"type": "literal", "value": {number}, "nodeId": "n"}}]'
    [found] = read([{**ROW, "trace_irregular": trace}])
    assert (found["trace"][0]["value"], found["trace"][0]["value_number"]) == (number, float(number))


def test_a_stream_that_ends_within_a_row_is_an_error_and_so_is_another_format() -> None:
    whole = transfer._tuple(ROW)
    for size in (1, 2, 5, 40, len(whole) - 1):
        with pytest.raises(SourceError, match="ended within a row"):
            list(CopyDecoder({PARTITION: 0}.get).read(padded(whole[:size])))
    with pytest.raises(SourceError, match="binary COPY"):
        list(CopyDecoder({PARTITION: 0}.get).read(padded(struct.pack(">h", 3) + whole[2:])))
    assert list(CopyDecoder({PARTITION: 0}.get).read(padded(b"\xff\xff"))) == []


def test_a_row_larger_than_a_dictionary_gets_a_larger_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TEXT_BYTES", "VALUE_BYTES", "TEMPLATE_BYTES"):
        monkeypatch.setattr(dictionary_module, name, 10_000)
    small = [{**ROW, "execution_id": str(uuid.UUID(int=i)), "notes": f"{i:03}" * 500} for i in range(20)]
    large = {**ROW, "trace_irregular": f"[{entry('literal', 'x' * 50_000, 'n')}, {entry('rule', True, 'r' * 20_000)}]"}
    found = read([*small, large, *small])
    assert [row["notes"] for row in found if row["notes"]] == [row["notes"] for row in small for _ in (0, 1)]
    [trace] = [row["trace"] for row in found if len(row["trace"]) == 2]
    assert [len(item["value"]) for item in trace] == [50_002, 4]
    assert len(trace[1]["node_id"]) == 20_000


def test_a_hard_trace_fits_although_its_names_and_its_text_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TEXT_BYTES", "VALUE_BYTES", "TEMPLATE_BYTES"):
        monkeypatch.setattr(dictionary_module, name, 10_000)
    for size in (6_000, 9_900, 200_000):
        hard = f'[{{"type": "literal", "extra": 1, "value": 1, "nodeId": "{"n" * size}"}}]'
        found = read([{**ROW, "trace_irregular": hard}] * 3)
        assert {(row["trace_irregular"], row["trace"][0]["node_id"]) for row in found} == {(hard, "n" * size)}


def test_a_full_table_refuses_rather_than_overflows() -> None:
    table = Names(2, 100, 3)
    table.code(b"a" * 60)
    with pytest.raises(MemoryError):
        table.code(b"b" * 60)
    table.code(b"b")
    with pytest.raises(MemoryError):
        table.code(b"c")


def test_a_trace_of_many_tiny_elements_fits_although_each_becomes_an_entry() -> None:
    [found] = read([{**ROW, "trace_irregular": json.dumps(list(range(10)) * 5_000)}])
    assert len(found["trace"]) == 50_000
    assert found["trace"][-1]["value"] == "9"
    assert found["trace_irregular"].startswith("[0, 1, 2")


@pytest.mark.parametrize("where", ["notes", "trace"])
def test_text_that_is_not_utf_8_is_refused_with_the_repair(where: str) -> None:
    text = "\udcff"  # as a database with encoding SQL_ASCII may send it
    data = {**ROW, "notes": text} if where == "notes" else {**ROW, "trace_irregular": f"[{entry('t', text, 'n')}]"}
    raw = transfer._tuple({**ROW, **{k: (v.replace(text, "@") if isinstance(v, str) else v) for k, v in data.items()}})
    decoder = CopyDecoder({PARTITION: 0}.get)
    list(decoder.read(padded(raw.replace(b"@", b"\xff"))))
    with pytest.raises(SourceError, match="not UTF-8") as caught:
        SortedRows(0, 0, [decoder.finish()])
    assert "SQL_ASCII" in caught.value.hint


def test_a_kept_row_is_sent_as_it_was(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from analytics.lake.schema import execution_schema

    trace = [{"node_id": 'a"b', "type": "field", "branch": None, "value": '{"k": [1, "x"]}', "value_number": None}]
    rows = [{**ROW, "trace": trace, "trace_irregular": None, "sample_weight": 20.0}]
    pq.write_table(pa.Table.from_pylist(rows, schema=execution_schema()), tmp_path / "part")
    decoder = CopyDecoder({PARTITION: 0}.get)
    for block in transfer.blocks(tmp_path / "part", [ROW["execution_id"]]):
        list(decoder.read(block, is_kept=True))
    run = decoder.finish()
    assert (run.rows.codes[:, copy_tuples.FLAGS] & copy_tuples.RETAINED != 0).tolist() == [True]
    sorted_rows = SortedRows(0, 0, [run])
    assert (
        Columns(sorted_rows, weights(sorted_rows, [PARTITION], Rates((), 0.05))).table(0, 1, coded=False).to_pylist()
        == rows
    )


@pytest.mark.parametrize("runs", [1, 3])
def test_values_that_hardly_repeat_are_plain_in_a_file_and_the_same_when_read(tmp_path: Path, runs: int) -> None:
    import pyarrow.parquet as pq

    from analytics.extraction.encode import partition_files

    def rows(value: Callable[[int], Any]) -> list[dict[str, Any]]:
        first = entry("field", True, "n")
        return [
            {
                **ROW,
                "execution_id": str(uuid.UUID(int=number << 64)),
                "trace_irregular": f"[{first}, {entry('literal', value(number), 'm')}]",
            }
            for number in range(600)
        ]

    for name, value, is_plain in (("plain", lambda n: n + 0.5, True), ("repeated", lambda n: n % 3, False)):
        chunks = []
        for part in range(runs):  # each with a dictionary of its own
            decoder = CopyDecoder({PARTITION: 0}.get)
            for row in rows(value)[part::runs]:
                list(decoder.read(padded(transfer._tuple(row))))
            chunks.append(decoder.finish())
        found = SortedRows(0, 0, chunks)
        fingerprint = Fingerprint(600, sum((n << 64) >> 68 for n in range(600)), 0)
        staged = partition_files.write(found, [PARTITION], {PARTITION: fingerprint}, tmp_path, Rates((), 0.05))
        file = pq.ParquetFile(staged[PARTITION].executions)
        [encodings] = [
            column.encodings
            for place in range(file.metadata.num_columns)
            if (column := file.metadata.row_group(0).column(place)).path_in_schema == "trace.list.element.value"
        ]
        assert ("RLE_DICTIONARY" not in encodings) is is_plain, name
        by_id = {row["execution_id"]: row["trace"] for row in file.read().to_pylist()}
        for number in range(600):
            told = [(item["value"], item["value_number"]) for item in by_id[str(uuid.UUID(int=number << 64))]]
            assert told == [("true", None), (str(value(number)), float(value(number)))]
        file.close()


# ---- several connections -----------------------------------------------------------------------------------------------


def test_side_by_side_hears_everything_of_everyone() -> None:
    heard = list(
        side_by_side([lambda: (i for i in ()), *(lambda n=n: (n * 100 + i for i in range(20)) for n in range(3))])
    )
    assert sorted(heard) == [n * 100 + i for n in range(3) for i in range(20)]


def test_the_first_error_stops_the_others_and_is_raised_when_they_have_ended() -> None:
    ended = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            time.sleep(0.05)
            ended.set()

    def failing() -> Iterator[int]:
        yield 2
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(side_by_side([endless, failing]))
    assert ended.is_set()


def test_a_listener_that_stops_ends_them_all() -> None:
    ended = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            ended.set()

    listening = side_by_side([endless])
    assert next(listening) == 1
    listening.close()  # type: ignore[attr-defined]
    assert ended.is_set()


def test_what_the_others_wait_for_is_ended_when_one_fails_or_the_listener_stops() -> None:
    for fails in (True, False):
        waits, cancelled = threading.Event(), threading.Event()

        def waiting(waits: threading.Event = waits, cancelled: threading.Event = cancelled) -> Iterator[int]:
            waits.set()
            assert cancelled.wait(10)  # as a thread waits for its server's rows
            yield 1

        def other(waits: threading.Event = waits, fails: bool = fails) -> Iterator[int]:
            assert waits.wait(10)
            yield 2
            if fails:
                raise ValueError("broken")

        listening = side_by_side([waiting, other], cancelled.set)
        assert next(listening) == 2
        if fails:
            with pytest.raises(ValueError, match="broken"):
                next(listening)
        else:
            listening.close()  # type: ignore[attr-defined]
        assert cancelled.is_set()


def test_the_same_text_in_several_dictionaries_is_written_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TEXT_BYTES", "VALUE_BYTES", "TEMPLATE_BYTES"):
        monkeypatch.setattr(dictionary_module, name, 6_000)
    rows = [
        {
            **ROW,
            "execution_id": str(uuid.UUID(int=number)),
            "strategy_id": f"s{number % 3}",
            "created_at": datetime(2026, 7, 8, 12, 0, number, tzinfo=UTC),
            "notes": f"{number:03}" * 100,
            "trace_irregular": f"[{entry('field', number % 2, 'n')}, {entry('literal', f'{number}' * 200, 'm')}]",
        }
        for number in range(60)
    ]
    decoder = CopyDecoder({PARTITION: 0}.get, MemoryMap(tmp_path))
    runs = [made for row in rows for made in decoder.read(padded(transfer._tuple(row))) if isinstance(made, CodedChunk)]
    sorted_rows = SortedRows(0, 0, [*runs, decoder.finish()])
    assert len({id(run.dictionary) for run in runs}) > 3
    assert not list(tmp_path.iterdir())  # what waits on disk has no name there
    table = Columns(sorted_rows, weights(sorted_rows, [PARTITION], Rates((), 0.05))).table(0, 60, coded=True)
    chunk = table["strategy_id"].chunk(0)
    assert sorted(chunk.dictionary.to_pylist()) == ["s0", "s1", "s2"]
    found = table.to_pylist()
    assert [row["execution_id"] for row in found] == [
        row["execution_id"] for row in sorted(rows, key=lambda row: (row["strategy_id"], row["created_at"]))
    ]
    by_id = {row["execution_id"]: row for row in rows}
    for row in found:
        was = by_id[row["execution_id"]]
        number = uuid.UUID(row["execution_id"]).int
        assert (row["notes"], row["strategy_id"]) == (was["notes"], was["strategy_id"])
        assert [item["value"] for item in row["trace"]] == [str(number % 2), f'"{f"{number}" * 200}"']
        assert [item["value_number"] for item in row["trace"]] == [number % 2, None]
    rollup = Rollup(sorted_rows, weights(sorted_rows, [PARTITION], Rates((), 0.05))).table(0, "acme").to_pylist()
    assert [(row["strategy_id"], row["node_id"], row["entry_count"], row["number_sum"]) for row in rollup] == [
        (strategy, node, 20, 10.0 if node == "n" else None) for strategy in ("s0", "s1", "s2") for node in ("m", "n")
    ]


@given(
    st.dictionaries(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), st.integers(0, 50), min_size=1),
    st.integers(1, 4),
)
@pytest.mark.more
@settings(max_examples=examples(200), deadline=None)
def test_shares_hold_every_partition_once_and_no_day_of_several_is_split(
    rows: dict[tuple[str, int], int], jobs: int
) -> None:
    chunk = {
        Partition(realm, date(2026, 7, day)): Fingerprint(count, 0, 0)
        for (realm, day), count in sorted(rows.items(), key=lambda item: (item[0][1], item[0][0]))
    }
    parts = shares(chunk, jobs)
    assert 1 <= len(parts) <= jobs
    assert [partition for part in parts for partition in part] == list(chunk)
    days = [{partition.day for partition in part} for part in parts]
    if len({partition.day for partition in chunk}) > 1:
        assert sum(map(len, days)) == len(set().union(*days))
