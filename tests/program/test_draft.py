"""Drafts from files and objects: what is read of them, and one sentence with its repair for each that cannot be read."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from analytics.demo import dsl
from analytics.errors import UnknownNameError, UsageError
from analytics.program import Draft, Refusal, compile_program, read_draft, refusals
from analytics.program.draft import MOST_BYTES
from tests.program.test_refusals import PATIENCE, SMALL_HOSTILE, Bomb
from tests.program.test_validator import PARENT, PAY, TRUE, Json, nested, on, program

FULL = program(on(dsl.compare("data.km", ">", 5), dsl.assign(3, "Far"), id="far"), default=dsl.assign(0, "Near"))
EXTEND = program(pre_rules=[on(TRUE, dsl.veto("No"))], post_rules=[PARENT], parent_variables={"variable_a": 2})


def export(ast: Any = FULL, **rest: Any) -> Json:
    """What the engine's editor saves."""
    return {
        "name": "Speed bonus",
        "description": None,
        "type": "DSL_FULL",
        "parentStrategyId": None,
        "astJson": ast,
        "blocklyXml": '{"blocks": {}}',
        "exportedAt": "2026-07-11T10:00:00.000Z",
        "exportedFromVersion": 3,
        **rest,
    }


@pytest.fixture
def file(tmp_path: Path) -> Callable[[Any], Path]:
    def write(content: Any) -> Path:
        path = tmp_path / "speed.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    return write


# ---- what is read ----------------------------------------------------------------------------------------------------


def test_an_export_says_name_type_and_built_in(file: Callable[[Any], Path]) -> None:
    path = file(export())
    assert read_draft(path) == Draft(FULL, "Speed bonus", "DSL_FULL", str(path))
    assert read_draft(str(path)) == read_draft(path)
    found = read_draft(file(export(EXTEND, type="DSL_EXTEND", parentStrategyId="default")))
    assert (found.strategy_type, found.parent_strategy_id, found.ast) == ("DSL_EXTEND", "default", EXTEND)
    assert (found.built_in.strategy_id, found.built_in.variables) == ("default", {"variable_a": 2})


def test_an_answer_of_the_api_is_read_like_an_export(file: Callable[[Any], Path]) -> None:
    row = {"id": "5", "realmId": "north", "version": 4, "status": "DRAFT", "createdBy": "ann", "updated_at": None}
    assert read_draft(file(export() | row)).name == "Speed bonus"


def test_a_file_may_be_called_like_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("[new] speed.json").write_text(json.dumps(FULL), encoding="utf-8")
    assert read_draft("[new] speed.json").name == "[new] speed"


def test_a_bare_program_is_named_for_its_file(file: Callable[[Any], Path]) -> None:
    path = file(FULL)
    assert read_draft(path) == Draft(FULL, "speed", "DSL_FULL", str(path))
    assert read_draft(FULL) == Draft(FULL, "draft", "DSL_FULL", "the Python object")
    assert read_draft(MappingProxyType(FULL)).ast == FULL


@pytest.mark.parametrize(
    ("source", "given", "found"),
    [
        (FULL, None, "DSL_FULL"),
        (EXTEND, None, "DSL_EXTEND"),
        (program(parent_variables={"variable_a": 1}), None, "DSL_EXTEND"),
        (program(pre_rules=[], post_rules=None, parent_variables={}), None, "DSL_FULL"),
        (FULL, "DSL_EXTEND", "DSL_EXTEND"),
        (EXTEND, "DSL_FULL", "DSL_FULL"),
        (export(type=None), None, "DSL_FULL"),
        (export(EXTEND, type=None), None, "DSL_FULL"),
        (export(type=None, parentStrategyId="default"), "DSL_EXTEND", "DSL_EXTEND"),
        (export(), "DSL_FULL", "DSL_FULL"),
        (export(parentStrategyId=""), None, "DSL_FULL"),
    ],
)
def test_the_type_is_what_is_said_or_what_the_program_needs(source: Json, given: str | None, found: str) -> None:
    assert read_draft(source, strategy_type=given).strategy_type == found


def test_parts_that_no_run_of_the_type_reads_are_told() -> None:
    assert read_draft(FULL).unused == ()
    assert read_draft(EXTEND).unused == ()
    assert read_draft(EXTEND, strategy_type="DSL_FULL").unused == ("pre_rules", "post_rules", "parent_variables")
    assert read_draft(FULL, strategy_type="DSL_EXTEND").unused == ("rules", "default")


def test_a_draft_shares_nothing_with_what_it_was_read_from() -> None:
    shared = dsl.assign(3, "Far")
    source = program(on(TRUE, shared, id=["no", "text"]), on(TRUE, shared, id=""), id="p")
    before = copy.deepcopy(source)
    found = read_draft(source)
    assert source == before
    assert found.ast == program(on(TRUE, shared), on(TRUE, shared), id="p")
    rules: Any = found.ast["rules"]
    rules[0]["then"][0]["value"]["value"] = 4
    assert rules[1]["then"][0]["value"]["value"] == 3
    assert source == before
    assert compile_program(found.ast).run({}).points == 4


def test_a_program_at_the_limits_is_read_and_one_beyond_is_not(file: Callable[[Any], Path]) -> None:
    assert read_draft(file(nested(32))).ast == nested(32)
    with pytest.raises(UsageError, match="it nests 33 deep, and 32 is the most"):
        read_draft(file(nested(33)))
    assert read_draft(file(nested(33)), max_depth=33).ast == nested(33)
    with pytest.raises(UsageError, match="it has 6 nodes, and 5 is the most"):
        read_draft(program(on(TRUE)), max_nodes=5)


def test_an_integer_that_no_float_holds_is_read(file: Callable[[Any], Path]) -> None:
    ast = program(on(TRUE, dsl.assign(10**400, "A")))
    assert read_draft(file(ast)).ast == ast


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_an_invalid_draft_tells_every_place_with_its_repair(file: Callable[[Any], Path]) -> None:
    ast = program(on(dsl.compare("user.secret", "~", 1), dsl.assign(1, "A\u202e")), on(dsl.field("parent.points"), PAY))
    path = file(export(ast))
    with pytest.raises(UsageError) as error:
        read_draft(path)
    assert error.value.message == (
        f"{path} holds a program that the engine would refuse at 4 places, the first $.astJson.rules[0].when.op: compare has the "
        "unknown operator “~”"
    )
    first, *others = error.value.hint.split("\n")
    assert first == "write one of < <= == != >= >"
    assert [line.split(":")[0] for line in others] == [
        "  $.astJson.rules[0].when.left.path",
        "  $.astJson.rules[0].then[0].case_name",
        "  $.astJson.rules[1].when.path",
    ]
    assert others[1].endswith("; write 1 to 200 printable ASCII characters")
    assert others[2].endswith("; leave it out: without a built-in there is no answer to read")
    found: Any = error.value.refusals
    assert [one.path.replace(".astJson", "") for one in found] == [one.path for one in refusals(ast)]
    assert isinstance(found[0], Refusal)
    assert error.value.exit_code == 2


def test_of_many_places_fifty_are_listed() -> None:
    with pytest.raises(UsageError, match="would refuse at 60 places, the first") as error:
        read_draft(program(*[3] * 60))
    assert error.value.hint.count("\n") == 50
    assert error.value.hint.endswith("and 10 more")
    with pytest.raises(UsageError, match=r"would refuse at 1 place \$\.rules\[0\]: a rule is no object"):
        read_draft(program(3))


TEXT = json.dumps(FULL)
# (what it is, the file's content, what is said, a word of the repair)
FILES: list[tuple[str, bytes, str, str]] = [
    ("empty", b"", "is no JSON that can be read: Expecting value", "once more"),
    ("half a file", TEXT[:80].encode(), "is no JSON that can be read", "once more"),
    ("two of them", (TEXT + TEXT).encode(), "is no JSON that can be read: Extra data", "once more"),
    ("a list", b"[1, 2]", "[1, 2] is not an object of JSON", "once more"),
    ("null", b"null", "None is not an object of JSON", "once more"),
    ("a key twice", b'{"type": "program", "rules": [], "rules": []}', "it says 'rules' twice", "once more"),
    ("a key twice within", b'{"type": "program", "rules": [{"id": 1, "id": 2}]}', "it says 'id' twice", "once more"),
    ("NaN", TEXT.replace(" 5}", " NaN}").encode(), "NaN is no number of JSON", "once more"),
    ("Infinity", TEXT.replace(" 5}", " -Infinity}").encode(), "-Infinity is no number of JSON", "once more"),
    ("a number beyond all floats", TEXT.replace(" 5}", " 1e999}").encode(), "a literal is inf, which JSON does not know", "an end"),
    ("a number of 5,000 digits", TEXT.replace(" 5}", f" {'9' * 5000}}}").encode(), "more than 4,300 digits", "smaller"),
    ("half a character", TEXT.replace(" 5}", ' "\\ud800"}').encode(), "half a character", "without"),
    ("a NUL", TEXT.replace(" 5}", ' "\\u0000"}').encode(), "U+0000", "without"),
    ("a byte order mark", b"\xef\xbb\xbf" + TEXT.encode(), "begins with a byte order mark", "without BOM"),
    ("UTF-16", TEXT.encode("utf-16"), "is UTF-16, not UTF-8", "UTF-8"),
    ("UTF-16 the other way", b"\xfe\xff" + TEXT.encode("utf-16-be"), "is UTF-16, not UTF-8", "UTF-8"),
    ("UTF-32", TEXT.encode("utf-32"), "is UTF-16, not UTF-8", "UTF-8"),
    ("Latin-1", TEXT.replace("Far", "Fär").encode("latin-1").replace(b"\\u00e4", b"\xe4"), "is no UTF-8 from byte", "UTF-8"),
    ("deep brackets", b'{"rules": ' + b"[" * 200_000, "nested too deep to read", "once more"),
    ("deep nodes", json.dumps(nested(400)).encode(), "it nests 400 deep, and 32 is the most", "fewer operators"),
    ("too large", TEXT.encode() + b" " * MOST_BYTES, "is larger than 4 MiB", "one strategy"),
    ("something else", b'{"version": 3, "status": "DRAFT"}', "holds neither a program nor an export of one", "astJson"),
    ("an export without a program", json.dumps(export(None)).encode(), "its astJson is null", "rules"),
    ("a program as text", json.dumps(export(TEXT)).encode(), "at 1 place $.astJson: it is no object", "program"),
    ("a list of rules as program", json.dumps(export([])).encode(), "at 1 place $.astJson: it is no object", "program"),
    ("another type", json.dumps(export(type="DSL_EXTENDS")).encode(), "is “DSL_EXTENDS”, which is no type", "'DSL_EXTEND'"),
    ("a built-in", json.dumps(export(type="BUILT_IN")).encode(), "which is no type of rule program", "DSL_FULL and DSL_EXTEND"),
    ("a type that is a list", json.dumps(export(type=[])).encode(), "which is no type of rule program", "DSL_FULL"),
    ("no built-in", json.dumps(export(EXTEND, type="DSL_EXTEND")).encode(), "names no built-in that it wraps", "parentStrategyId"),
    ("a built-in too many", json.dumps(export(parentStrategyId="default")).encode(), "names a built-in, “default”", "DSL_EXTEND"),
    ("a built-in that is a number", json.dumps(export(parentStrategyId=4)).encode(), "parentStrategyId of", "null"),
    ("a name that is a number", json.dumps(export(name=4)).encode(), "is no text of 1 to 200 letters", "name"),
    ("no letter as name", json.dumps(export(name="")).encode(), "is no text of 1 to 200 letters", "name"),
    ("a long name", json.dumps(export(name="x" * 201)).encode(), "is no text of 1 to 200 letters", "name"),
    ("a NUL in the name", json.dumps(export(name="a\0")).encode(), "U+0000", "without"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "said", "repair"), [row[1:] for row in FILES], ids=[row[0] for row in FILES])
def test_a_file_that_cannot_be_read_is_one_sentence_with_its_repair(
    file: Callable[[Any], Path], content: bytes, said: str, repair: str
) -> None:
    begun = time.thread_time()
    with pytest.raises(UsageError) as error:
        read_draft(file(content))
    assert time.thread_time() - begun < PATIENCE
    assert said in error.value.message
    assert repair in error.value.hint
    assert error.value.message.isprintable()
    assert len(error.value.message) < 600
    assert error.value.__cause__ is None


def test_an_object_with_many_keys_and_one_twice_is_read_in_no_time(file: Callable[[Any], Path]) -> None:
    many = ", ".join(f'"{number}": 1' for number in range(200_000))
    begun = time.thread_time()
    with pytest.raises(UsageError, match="it says '199999' twice"):
        read_draft(file(f'{{{many}, "199999": 2}}'.encode()))
    assert time.thread_time() - begun < PATIENCE


def test_what_is_no_file_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "speed-bonus.json").write_text("{}", encoding="utf-8")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    for source, said, repair in (
        (tmp_path, "is a folder", "name a JSON file in it"),
        ("", "is a folder", "name a JSON file in it"),
        (tmp_path / "speed_bonus.json", "there is no file", "did you mean 'speed-bonus.json'? "),
        (tmp_path / "none" / "draft.json", "there is no file", "check its name"),
        (tmp_path / "speed-bonus.json" / "x", "cannot be read: Not a directory", "check its name"),
        (tmp_path / "pipe", "is no file but a device or pipe", "into a file"),
        ("/dev/zero", "is no file but a device or pipe", "into a file"),
        (tmp_path / "circle", "cannot be read", "check its name"),
        (tmp_path / ("x" * 5000), "cannot be read", "check its name"),
        ("a\0b", "cannot be read", "check its name"),
        (TEXT, "this is JSON itself", "json.loads"),
        (f" {[FULL]!r}", "this is JSON itself", "json.loads"),
    ):
        with pytest.raises(UsageError) as error:
            read_draft(source)
        assert said in error.value.message
        assert repair in error.value.hint
        assert error.value.message.isprintable()


@pytest.mark.parametrize("source", [None, 3, [FULL], b"{}", Bomb()])
def test_what_is_neither_a_file_nor_an_object_is_said_so(source: Any) -> None:
    with pytest.raises(UsageError, match="a draft cannot be read from"):
        read_draft(source)


def test_an_unknown_type_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="strategy_type is “DSL_FUL”") as error:
        read_draft(FULL, strategy_type="DSL_FUL")
    assert error.value.hint == "did you mean 'DSL_FULL'? write one of DSL_FULL and DSL_EXTEND"
    with pytest.raises(UsageError, match="says DSL_FULL, and the strategy is DSL_EXTEND") as other:
        read_draft(export(), strategy_type="DSL_EXTEND")
    assert other.value.hint == "write the draft as DSL_EXTEND, or name a strategy that is DSL_FULL"


OBJECTS = [row for row in SMALL_HOSTILE if row[0] not in ("nothing", "an object of Python")]


@pytest.mark.parametrize("make", [row[1] for row in OBJECTS], ids=[row[0] for row in OBJECTS])
@pytest.mark.parametrize("is_export", [True, False])
def test_hostile_objects_are_refused_in_bounded_time(make: Callable[[], Any], is_export: bool) -> None:
    ast = make()
    begun = time.thread_time()
    with pytest.raises(UsageError) as error:
        read_draft(export(ast) if is_export else ast)
    assert time.thread_time() - begun < PATIENCE
    assert len(str(error.value)) < 60_000
    assert str(error.value).replace("\n", "").isprintable()
