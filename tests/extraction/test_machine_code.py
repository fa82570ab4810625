"""Compiled loops are linked without the compiler, and only ever called with what they were compiled for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from analytics.extraction.encode.native import aggregate, copy_tuples, machine_code
from analytics.extraction.encode.native.machine_code import _Code, _keep, _kept


def test_whoever_calls_a_loop_loads_no_compiler() -> None:
    words = (
        "import sys, numpy as np\n"
        "from analytics.extraction.encode.native.memory import Names\n"
        "names = Names(10, 1000, 7)\n"
        "assert [names.code(text) for text in (b'a' * 99, b'', b'a' * 99, b'b')] == [0, 1, 0, 2]\n"
        "print(sorted({'numba', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    Path(machine_code.__file__).parent.joinpath("__pycache__").mkdir(exist_ok=True)
    machine_code._machine_code()  # kept from now on
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_code_is_found_again_whole_or_not_at_all(tmp_path: Path) -> None:
    path, code = tmp_path / "deep" / "loops.json", {"a.b": _Code("symbol", bytes(range(256)))}
    assert _kept(path) is None
    _keep(path, code)
    assert _kept(path) == code
    assert [file.name for file in path.parent.iterdir()] == ["loops.json"]
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:10], b"", whole.replace(b"symbol", b"symbal"), b"\xff" + whole):
        path.write_bytes(damaged)
        assert _kept(path) is None


def test_another_kind_of_array_is_refused() -> None:
    codes, parts, out = np.zeros(4, np.int32), np.zeros((1, 3), np.int32), np.zeros(4, np.int32)
    aggregate.part_of(codes, parts, 0, out)
    for wrong in (codes.astype(np.int64), codes.astype(np.uint32), codes.reshape(2, 2), codes[::2]):
        with pytest.raises(TypeError, match=r"part_of takes an array of int32"):
            aggregate.part_of(wrong, parts, 0, out)
    with pytest.raises(TypeError, match="takes 4 values here, not 3"):
        aggregate.part_of(codes, parts, 0)


def test_what_a_loop_gives_back() -> None:
    texts = np.frombuffer(b"00000000-0000-4000-8000-000000000001" * 2, np.uint8)
    assert copy_tuples.hash_of_texts(texts, np.array([0, 36, 72], np.int32)) == (0, 2 * 0x400, 1)
    assert copy_tuples.hash_of_texts(texts, np.array([0, 35, 72], np.int32)) == (0, 0, 0)
    used, out = np.zeros(3, np.int32), np.zeros(4, np.int32)
    assert aggregate.compact(np.array([7, -1, 7, 2], np.int32), np.full(8, -1, np.int32), used, out) == 2
    assert out.tolist() == [0, -1, 0, 1]
    assert used.tolist()[:2] == [7, 2]


def test_a_loop_that_needs_the_compilers_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from analytics.extraction.encode.native.loops import aggregate as loops

    class Made:
        library = type(
            "Library", (), {"get_llvm_str": staticmethod(lambda: "declare noalias i8* @NRT_Allocate(i64)\n")}
        )

    class Compiled:
        overloads = type("Overloads", (), {"__getitem__": lambda *_: Made})()
        compile = staticmethod(lambda _: None)

    monkeypatch.setattr(machine_code, "_loops", {"aggregate.part_of": aggregate.part_of})
    monkeypatch.setattr(loops, "part_of", Compiled)
    with pytest.raises(RuntimeError, match=r"needs \['NRT_Allocate'\]"):
        machine_code._compile()
