"""The command: verbs and exit codes. The only place that prints.

Human words go to stderr, data to stdout. Exit codes: 0 ok · 1 a check failed, the doctor found a problem or
a report has findings · 2 usage or configuration · 3 source, lake or report failed · 4 a report cannot tell, days of its window are
not in the lake · 75 another run holds the lock.
SIGTERM and SIGHUP end it as any other process, once what it held is let go.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
import warnings
from collections.abc import Sequence

from analytics.cli.arguments import PROGRAM, Invocation, parse
from analytics.cli.output import Priority, discard, is_unread, logged, own_streams, say, told_with_lake
from analytics.errors import AnalyticsError, LakeLockedError, named, read_by_command

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words after the command's name; ``sys.argv`` when not given.

    Returns:
        The exit code.
    """
    with read_by_command():
        return _main(arguments)


def _main(arguments: Sequence[str] | None) -> int:
    # What the embedded server's wheel and the kernel's transport warn about is no concern of the user of a command.
    warnings.filterwarnings("ignore", category=UserWarning)
    warnings.filterwarnings("ignore", category=RuntimeWarning)
    own_streams()
    with contextlib.ExitStack() as stack:  # what went wrong is told with the lake, too
        try:
            try:
                invocation = parse(sys.argv[1:] if arguments is None else list(arguments))
            finally:
                sys.stdout.flush()  # --help and --version, into a pipe whose reader may be gone
            if invocation is None:
                return 0
            stack.enter_context(told_with_lake(invocation.lake))
            return _run(invocation)
        except KeyboardInterrupt:
            say(f"{PROGRAM}: interrupted; finished partitions stay", priority=Priority.WARNING)
            return 130
        except BrokenPipeError as error:
            if not is_unread():  # another pipe, that of a process of ours: something is wrong
                return _tell(error)
            # The reader of a pipe left (| head): nothing is wrong.
            discard(sys.stdout)
            return 0
        except Exception as error:
            return _tell(error)


def _run(invocation: Invocation) -> int:
    from analytics.storage.signals import Stopped, end, unwinding

    try:
        with unwinding(), logged(invocation.verbosity):
            code = invocation.run()
            sys.stdout.flush()
        return code
    except Stopped as stopped:
        say(f"{PROGRAM}: ended by {stopped}; what was finished stays, run it again", priority=Priority.WARNING)
        return end(stopped)


def _tell(error: Exception) -> int:
    """Say what went wrong and how to repair it; the exit code."""
    priority = Priority.ERROR
    match error:
        case AnalyticsError():
            # Another run at work is no error: it is there that the work is done.
            if error.exit_code == LakeLockedError.exit_code:
                priority = Priority.NOTICE
            code, sentence, repair = error.exit_code, error.message, error.hint
        case OSError():
            where = f" {error.filename}" if error.filename else ""
            code, sentence = 3, f"{error.strerror or error}:{where}"
            repair = "check that the folder exists, its rights, and the free space (df -h)"
        case MemoryError():
            code, sentence, repair = 3, "there is not enough memory", "give it more, or a shorter window"
        case _:
            # A fault of ours. Where it came up helps to mend it; its code may not be that of a check that failed.
            traceback.print_exception(error, file=sys.stderr)
            code, sentence, repair = 3, f"this is a fault of the program: {named(error)}", ""
    say(f"{PROGRAM}: {sentence}", priority=priority)
    if repair:
        say(f"  {repair}", priority=priority)
    return code
