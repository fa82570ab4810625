"""What no argument may be, whatever its option does with it: nothing, no text, an address where a path is meant.

An empty value is an unset variable of a script nearly always; an option that quietly took its default instead would answer another
question.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

from analytics.errors import UsageError

_MAY_BE_EMPTY = ("--realm", "--sample-rates")
"""A tenant may have an empty name (a report's may not, and says so itself); no file of rates at all is a choice."""
_PATHS = ("out", "html", "reports", "previous", "sample_rates", "definitions", "files")
_ADDRESS = re.compile(r"file:|[A-Za-z][A-Za-z0-9+.-]*://", re.IGNORECASE)


def check_words(words: Sequence[str]) -> None:
    """Refuse what argparse would misunderstand or nobody can mean.

    Args:
        words: The arguments as they were given.

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
        if is_value and not value and option not in _MAY_BE_EMPTY:
            what = option if option.startswith("-") else "an argument"
            raise UsageError(f"{what} is empty", hint="leave it out, or set the variable that it comes from")
        if equals and value == "--":
            raise UsageError(f"-- is no value of {option}", hint=f"see the command's --help for {option}")
        before = word if word.startswith("--") and not equals else ""


def check_paths(options: argparse.Namespace) -> None:
    """Home folders written out, and no address where a file or folder of this machine is meant.

    Args:
        options: As parsed; paths in them are replaced.

    Raises:
        UsageError: It is an address.
    """
    for name in _PATHS:
        given = getattr(options, name, None)
        for one in given if isinstance(given, list) else [given]:
            if one is not None and _ADDRESS.match(str(one)):
                # What Path made of it has lost a slash; its words say enough.
                raise UsageError(
                    f"{str(one)!r} is an address, no path of this machine", hint="write the path alone, /tmp/answer.csv"
                )
        if isinstance(given, Path):
            setattr(options, name, Path(os.path.expanduser(given)))  # noqa: PTH111  # Path's own raises for strangers
