"""The words of a command line, made into a verb's options by argparse; what no word may be; and the completion of words in a shell.

An empty value is an unset variable of a script nearly always; an option that quietly took its default instead would answer another
question. Completion is written by shtab, from one parser of all verbs.
"""

from __future__ import annotations

import argparse
import functools
import os
import re
import shutil
import textwrap
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from analytics.cli import options as opt
from analytics.cli.options import GROUPS, Option, options_of
from analytics.cli.output import put
from analytics.cli.verbs import CHAPTERS, VERBS, Verb
from analytics.errors import ConfigurationError, UsageError, did_you_mean
from analytics.version import __version__

PROGRAM = "strategy-analytics"
VERBOSE = "say the steps on stderr; -vv: each question"
_ADDRESS = re.compile(r"file:|[A-Za-z][A-Za-z0-9+.-]*://", re.IGNORECASE)
_VERBOSE = re.compile(r"-v+|--verbose")
_COLUMN = 16  # of the list of commands, where their summaries begin
_WIDEST = 110


@dataclass(frozen=True, slots=True)
class Invocation:
    """A verb with its options, ready to run.

    Attributes:
        verb: As it is typed.
        run: Does it; returns the exit code.
        verbosity: How many ``-v`` were given.
        lake: The lake that was named, as it was typed; ``None`` where settings decide.
    """

    verb: str
    run: Callable[[], int]
    verbosity: int
    lake: str | None = None


class Parser(argparse.ArgumentParser):
    """Usage errors in the manner of all others: one sentence, and the repair. Each verb can be asked to say more.

    Args:
        verb: Whose parser; of none for the words before a verb.
    """

    def __init__(self, verb: Verb | None = None) -> None:
        super().__init__(
            prog=f"{PROGRAM} {verb.name}" if verb else PROGRAM,
            description=verb.summary if verb else None,
            epilog=_examples(verb) if verb else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._verb = verb
        if verb:
            declare(self, verb)
        else:
            self.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
        self.add_argument("-v", "--verbose", action="count", default=0, help=VERBOSE)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the words, and end with code 2."""
        unknown = re.match(r"unrecognized arguments: (--[^\s=]+)", message)
        names = [name for action in self._actions for name in action.option_strings]
        _refuse(message, self.prog, did_you_mean(unknown[1], names) if unknown else "")

    def format_help(self) -> str:
        """The verb's help; before a verb the list of them all."""
        return super().format_help() if self._verb else _list_of_commands()


def declare(parser: argparse.ArgumentParser, verb: Verb) -> None:
    """A verb's options, in the groups of its help.

    Args:
        parser: Gets them.
        verb: Whose.
    """
    declared = dict(options_of(verb.options()))
    used = {option.group for option in declared.values()}
    groups: dict[str, argparse._ActionsContainer] = {"": parser}  # argparse has no other name for it
    groups |= {title: parser.add_argument_group(title) for title in GROUPS if title in used}
    for name, option in declared.items():
        add_option(groups[option.group], name, option)


def add_option(parser: argparse._ActionsContainer, name: str, option: Option) -> argparse.Action:
    """One option, as argparse has it. Defaults are the dataclass's: what is not given is not in the namespace."""
    given: dict[str, object] = {"help": option.text, "default": argparse.SUPPRESS}
    if option.names:
        given["dest"] = name
    if option.is_flag:
        given["action"] = "store_true"
    else:
        given |= {"metavar": option.metavar, "type": option.convert, "nargs": option.nargs}
    if option.choices:
        given["choices"] = option.choices
    if option.repeats:
        given["action"] = "append"
    if option.const is not None:
        given["const"] = option.const
    if option.is_required:
        given["required"] = True
    return parser.add_argument(*(option.names or (name,)), **given)  # type: ignore[arg-type]


def _examples(verb: Verb) -> str | None:
    return "\n  ".join(["examples:", *(f"{PROGRAM} {line}" for line in verb.examples)]) if verb.examples else None


def parse(words: Sequence[str]) -> Invocation | None:
    """What a command line asks for; ``None`` where it asks for nothing, or for help, which has been given then.

    Args:
        words: After the command's name.

    Raises:
        UsageError: A word is what no word may be.
        SystemExit: Code 2, and what is wrong has been said; or code 0, and what was asked for has been printed.
    """
    place = next((number for number, word in enumerate(words) if not word.startswith("-")), len(words))
    places = [number for number in range(place, len(words)) if not _VERBOSE.fullmatch(words[number])][:2]
    typed = [words[number] for number in places]
    verb = next((VERBS[name] for name in (" ".join(typed), *typed[:1]) if name in VERBS), None)
    declared = dict(options_of(verb.options())) if verb else {}
    check_words(words, {name for option in declared.values() if option.may_be_empty for name in option.names})
    verbosity = vars(Parser().parse_args(words[:place]))["verbose"]
    if verb is None:
        if not typed:
            print(_list_of_commands(), end="")
            return None
        message = f"argument COMMAND: invalid choice: {typed[0]!r} (choose from {', '.join(map(repr, VERBS))})"
        _refuse(message, PROGRAM, did_you_mean(typed[0], VERBS) or _meant_report(typed[0]))
    named = places[: len(verb.name.split())]
    given = vars(Parser(verb).parse_args([words[number] for number in range(place, len(words)) if number not in named]))
    verbosity += given.pop("verbose")
    options = verb.options()(**{name: _located(declared[name], value) for name, value in given.items()})
    return Invocation(verb.name, functools.partial(verb.run(), options), verbosity, given.get("lake"))


def _refuse(message: str, program: str, near: str) -> NoReturn:
    from analytics.cli.output import Priority, say

    say(f"{PROGRAM}: {message}\n  {near}see {program} --help", priority=Priority.ERROR)
    raise SystemExit(2)


def _list_of_commands() -> str:
    """The help of the command as a whole: every verb in a line, by what they are for."""
    width = min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)
    lines = [
        f"usage: {PROGRAM} [-h] [--version] [-v] COMMAND …",
        "",
        "What a gamification engine's sampled execution log really says.",
    ]
    for chapter in CHAPTERS:
        lines += ["", f"{chapter.title}:"]
        for verb in chapter.verbs:
            lines += textwrap.wrap(
                verb.summary,
                width,
                initial_indent=f"  {verb.name}".ljust(_COLUMN),
                subsequent_indent=" " * _COLUMN,
                break_on_hyphens=False,
            )
    lines += [
        "",
        "options:",
        "  -h, --help    this; of a command: its options, and examples",
        "  --version     which version it is",
        f"  -v, --verbose {VERBOSE}",
    ]
    return "\n".join(lines) + "\n"


def check_words(words: Sequence[str], may_be_empty: Collection[str] = ()) -> None:
    """Refuse what argparse would misunderstand or nobody can mean.

    Args:
        words: The arguments as they were given.
        may_be_empty: Options whose word may be empty: a tenant may have an empty name (a report's may not, and says so itself),
            and no file of rates at all is a choice.

    Raises:
        UsageError: One is empty, holds a NUL, is no UTF-8 text, or is an option's ``--`` (argparse would hand on an empty list).
    """
    before = ""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UsageError(f"the argument {word!a} is no UTF-8 text", hint="check the terminal's encoding") from None
        if "\0" in word:
            raise UsageError(f"the argument {word!a} holds a NUL", hint="no name and no path has one")
        option, equals, value = word.partition("=") if word.startswith("--") else (before, "", word)
        is_value = bool(equals) or not word.startswith("--")
        if is_value and not value and option not in may_be_empty:
            what = option if option.startswith("-") else "an argument"
            raise UsageError(f"{what} is empty", hint="leave it out, or set the variable that it comes from")
        if equals and value == "--":
            raise UsageError(f"-- is no value of {option}", hint=f"see the command's --help for {option}")
        before = word if word.startswith("--") and not equals else ""


def _meant_report(word: str) -> str:
    """A hint for who names a report where a command belongs; empty where no report is near."""
    from analytics.reports.render.notebooks import REPORTS

    near = did_you_mean(word, REPORTS)
    return near.replace("did you mean '", f"did you mean '{PROGRAM} report ", 1)


def _located(option: Option, value: object) -> object:
    """A value as it was given; where it is a path of this machine, with the home folder written out.

    Raises:
        UsageError: It is an address.
    """
    if not option.is_path:
        return value
    for each in value if isinstance(value, list) else [value]:
        if each is not None and _ADDRESS.match(str(each)):
            # What Path made of it has lost a slash; its words say enough.
            raise UsageError(
                f"{str(each)!r} is an address, no path of this machine", hint="write the path alone, /tmp/answer.csv"
            )
    # Path's own way raises for strangers.
    return Path(os.path.expanduser(value)) if isinstance(value, Path) else value  # noqa: PTH111


SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True, kw_only=True)
class CompletionOptions:
    """Options of ``completion``."""

    shell: str = opt.argument(f"{', '.join(SHELLS[:-1])} or {SHELLS[-1]}", "SHELL", choices=SHELLS)


def run_completion(options: CompletionOptions) -> int:
    """Print the shell's script."""
    put(completion_script(options.shell).rstrip())
    return 0


def completion_script(shell: str) -> str:
    """The completion as the shell reads it.

    Args:
        shell: One of ``SHELLS``.

    Raises:
        ConfigurationError: The library that writes it is not installed.
    """
    try:
        import shtab
    except ModuleNotFoundError:
        raise ConfigurationError(
            "completion needs the library shtab, which is not installed", hint="pip install shtab"
        ) from None
    return str(shtab.complete(_everything(), shell))


def _everything() -> argparse.ArgumentParser:
    """One parser of all verbs: a command line needs that of its own verb only."""
    import shtab

    root = argparse.ArgumentParser(prog=PROGRAM)
    root.add_argument("--version", action="version", version=__version__, help="which version it is")
    parsers: dict[tuple[str, ...], argparse.ArgumentParser] = {(): root}
    below: dict[tuple[str, ...], argparse._SubParsersAction[argparse.ArgumentParser]] = {(): root.add_subparsers()}
    for verb in VERBS.values():
        words = tuple(verb.name.split())
        chapter = words[:-1]
        if chapter not in below:  # report run
            below[chapter] = parsers[chapter].add_subparsers()
        parser = parsers[words] = below[chapter].add_parser(words[-1], help=verb.summary)
        parser.add_argument("-v", "--verbose", action="count", help=VERBOSE)
        for name, option in opt.options_of(verb.options()):
            action = add_option(parser, name, option)
            if option.is_path or option.metavar == "DIR":
                action.complete = shtab.DIRECTORY if option.metavar == "DIR" else shtab.FILE  # type: ignore[attr-defined]
    return root
