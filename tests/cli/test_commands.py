"""What the command declares: help for every option, a page that has them all, and completion for three shells."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from analytics.cli import main
from analytics.cli.arguments import SHELLS, completion_script, parse
from analytics.cli.options import options_of
from analytics.cli.verbs import CHAPTERS, VERBS
from tests.commands import page

ROOT = Path(__file__).parents[2]


def test_every_command_and_option_stands_in_the_docs_with_its_help():
    docs = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert docs == page(), "write it again: python -m tests.commands > docs/commands.md"
    for name, verb in VERBS.items():
        part = docs.partition(f"\n### `{name}`\n")[2].partition("\n###")[0]
        assert verb.summary[1:] in part and verb.examples, name
        for field, option in options_of(verb.options()):
            assert len(option.text) > 4 and f"`: {option.text}" in part, (name, field)
            assert all(f"`{written}" in part for written in option.names), (name, field)
    assert len(VERBS) == sum(len(chapter.verbs) for chapter in CHAPTERS) == 17


@pytest.mark.parametrize("name", VERBS)
def test_a_commands_help_shows_each_of_its_options_and_an_example(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--help"])
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for _, option in options_of(VERBS[name].options()):
        assert " ".join(option.text.split()).replace("- ", "-") in shown.replace("- ", "-")
        assert all(written in shown for written in option.names)
    assert f"examples: strategy-analytics {' '.join(VERBS[name].examples[0].split())}" in shown


@pytest.mark.parametrize("name", VERBS)
def test_an_example_of_the_help_is_taken_by_the_command(name):
    for example in VERBS[name].examples:
        words = shlex.split(example.partition(" | ")[0].partition(" > ")[0])
        found = parse(words)
        assert found is not None and found.verb == name


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["extract", "--jbos", "2"], "did you mean '--jobs'?"),
        (["statsu"], "did you mean 'status'?"),
        (["report", "run", "x.toml", "--forse"], "did you mean '--force'?"),
    ],
)
def test_a_word_that_is_nearly_right_is_answered_with_the_right_one(words, near, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    assert near in told.err and "--help" in told.err and len(told.err.splitlines()) == 2


def complete(words: list[str]) -> set[str]:
    """What bash offers for the last of these words."""
    asks = (
        'source /dev/stdin <<< "$SCRIPT"\n'
        f"COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}\n"
        "_shtab_strategy_analytics 2>/dev/null; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(
        ["bash", "-c", asks],
        env={"SCRIPT": completion_script("bash"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


def test_bash_completes_commands_options_and_choices():
    assert {"extract", "status", "report", "query"} <= complete(["strategy-analytics", ""])
    assert complete(["strategy-analytics", "extract", "--al"]) == {"--allow-shrink", "--also-expired"}
    assert complete(["strategy-analytics", "query", "--format", ""]) == {"table", "csv", "json", "parquet"}
    assert "--as-of" in complete(["strategy-analytics", "report", "run", "--a"])


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_a_script_that_knows_every_command_and_option(shell, capsys):
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    for name, verb in VERBS.items():
        assert name.split()[-1] in text
        for _, option in options_of(verb.options()):
            assert all(written.removeprefix("--") in text for written in option.names)


def test_without_the_library_completion_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "pip install shtab" in capsys.readouterr().err
