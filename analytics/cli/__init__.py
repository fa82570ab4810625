"""The command: verbs and exit codes. The only place that prints.

Human words go to stderr, data to stdout. Exit codes: 0 ok · 1 a check failed or the doctor found a problem · 2 usage or
configuration · 3 source, lake or report failed · 75 another run holds the lock.
SIGTERM and SIGHUP end it as any other process, once what it held is let go.
"""

from __future__ import annotations

import argparse
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from analytics.cli import (
    audit,
    demo,
    doctor,
    expire,
    explain,
    extract,
    gather,
    people,
    query,
    report,
    report_run,
    schedule,
    status,
)
from analytics.cli.arguments import check_paths, check_words
from analytics.cli.output import Priority, discard, logged, own_streams, say
from analytics.errors import AnalyticsError, LakeLockedError, named
from analytics.storage.signals import Stopped, end, unwinding
from analytics.version import __version__

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words after the command's name; ``sys.argv`` when not given.

    Returns:
        The exit code.
    """
    # What the embedded server's wheel and the kernel's transport warn about is no concern of the user of a command.
    warnings.filterwarnings("ignore", category=UserWarning)
    warnings.filterwarnings("ignore", category=RuntimeWarning)
    own_streams()
    try:
        with unwinding():
            code = _run(sys.argv[1:] if arguments is None else list(arguments))
            sys.stdout.flush()
        return code
    except AnalyticsError as error:
        # Another run at work is no error: it is there that the work is done.
        priority = Priority.NOTICE if error.exit_code == LakeLockedError.exit_code else Priority.ERROR
        say(f"strategy-analytics: {error.message}", priority=priority)
        if error.hint:
            say(f"  {error.hint}", priority=priority)
        return error.exit_code
    except Stopped as stopped:
        say(f"strategy-analytics: ended by {stopped}; what was finished stays, run it again", priority=Priority.WARNING)
        return end(stopped)
    except KeyboardInterrupt:
        say("strategy-analytics: interrupted; finished partitions stay", priority=Priority.WARNING)
        return 130
    except BrokenPipeError:
        # The reader of a pipe left (| head): nothing is wrong.
        discard(sys.stdout)
        return 0
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        say(f"strategy-analytics: {error.strerror or error}:{where}", priority=Priority.ERROR)
        say("  check that the folder exists, its rights, and the free space (df -h)", priority=Priority.ERROR)
        return 3
    except MemoryError:
        say(
            "strategy-analytics: there is not enough memory\n  give it more, or a shorter window",
            priority=Priority.ERROR,
        )
        return 3
    except Exception as error:
        # A fault of ours. Where it came up helps to mend it; its code may not be that of a check that failed.
        traceback.print_exc(file=sys.stderr)
        say(f"strategy-analytics: this is a fault of the program: {named(error)}", priority=Priority.ERROR)
        return 3


def _run(words: list[str]) -> int:
    parser = _parser()
    try:
        check_words(words)
        options = parser.parse_args(_verb(words))
        check_paths(options)
        if options.run is None:
            parser.print_help()
            return 0
        with logged(options.verbose):
            return int(options.run(options))
    except SystemExit:
        sys.stdout.flush()  # --help and --version, into a pipe whose reader may be gone
        raise


class _Parser(argparse.ArgumentParser):
    """Usage errors in the manner of all others: one sentence, and the repair. Each verb can be asked to say more."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.add_argument(
            "-v",
            "--verbose",
            action="count",
            default=argparse.SUPPRESS,
            help="say the steps on stderr; -vv: each question",
        )

    def error(self, message: str) -> NoReturn:
        say(f"strategy-analytics: {message}\n  see {self.prog} --help", priority=Priority.ERROR)
        raise SystemExit(2)


def _verb(words: list[str]) -> list[str]:
    """``report run`` is a verb of two words; argparse knows those of one."""
    return [report_run.NAME, *words[2:]] if words[:2] == report_run.NAME.split() else words


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="strategy-analytics", description="What a gamification engine's sampled execution log really says."
    )
    parser.add_argument("--version", action="version", version=f"strategy-analytics {__version__}")
    parser.set_defaults(run=None, verbose=0)
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    for module in (
        extract,
        doctor,
        status,
        expire,
        people,
        query,
        explain,
        audit,
        report,
        gather,
        report_run,
        schedule,
        demo,
    ):
        module.add(verbs)
    return parser
