"""The page of all commands, written from what the command declares: ``python -m tests.commands > docs/commands.md``."""

from __future__ import annotations

from collections.abc import Iterator

from analytics.cli.options import GROUPS, Option, options_of
from analytics.cli.verbs import CHAPTERS, Verb

HEAD = """# The commands

Every command with every option, as `strategy-analytics COMMAND --help` has it. This page is written by
`python -m tests.commands > docs/commands.md`; what the commands are for is in the [README](../README.md).

Each of them also takes `-h`, `--help` and `-v`, `--verbose`: what it does, step by step, on stderr; `-vv` says each question too.
Words for people go to stderr, data to stdout. Exit codes: 0 ok, 1 a check failed, the doctor found a problem, or a report has
findings under `--fail-on`, 2 usage or configuration, 3 source, lake or report failed, 4 a report cannot tell because days of its
window are not in the lake, 75 another run holds the lock; what a scheduler does about each: [scheduling](scheduling/README.md).
"""


def usage(option: Option, name: str) -> str:
    """How it is typed: ``--since WHEN``."""
    words = [*option.names, *([option.metavar] if option.metavar else [])]
    if option.names and option.choices:
        words.append("{" + ",".join(option.choices) + "}")
    return " ".join(words or [name])


def lines(verb: Verb) -> Iterator[str]:
    """The part of one command."""
    yield f"### `{verb.name}`"
    yield ""
    yield f"{verb.summary[0].upper()}{verb.summary[1:]}."
    yield ""
    yield "```"
    yield from (f"strategy-analytics {example}" for example in verb.examples)
    yield "```"
    declared = list(options_of(verb.options()))
    for group in ("", *GROUPS):
        listed = [(name, option) for name, option in declared if option.group == group]
        if listed:
            yield ""
            if group:
                yield f"{group[0].upper()}{group[1:]}:"
                yield ""
            yield from (f"- `{usage(option, name)}`: {option.text}" for name, option in listed)
    yield ""


def page() -> str:
    """All of it."""
    text = [HEAD]
    for chapter in CHAPTERS:
        text += [f"## {chapter.title[0].upper()}{chapter.title[1:]}", ""]
        for verb in chapter.verbs:
            text += lines(verb)
    return "\n".join(text).rstrip() + "\n"


if __name__ == "__main__":
    print(page(), end="")
