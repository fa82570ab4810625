"""``completion``: what makes a shell complete the commands and their options, written by shtab."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from analytics.cli import options as opt
from analytics.cli.arguments import PROGRAM, VERBOSE, add_option
from analytics.cli.output import put
from analytics.cli.verbs import VERBS
from analytics.errors import ConfigurationError
from analytics.version import __version__

SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True, kw_only=True)
class CompletionOptions:
    """Options of ``completion``."""

    shell: str = opt.argument(f"{', '.join(SHELLS[:-1])} or {SHELLS[-1]}", "SHELL", choices=SHELLS)


def run_completion(options: CompletionOptions) -> int:
    """Print the shell's script."""
    put(script(options.shell).rstrip())
    return 0


def script(shell: str) -> str:
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
