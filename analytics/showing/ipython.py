"""What IPython is told when a lake is opened in it: how relations look, and which names stand in quotes."""

from __future__ import annotations

import re
import sys
from typing import Any

from analytics import sql
from analytics.answer import Answer
from analytics.catalog import VIEWS
from analytics.showing import answers

_CALL = re.compile(r"""\.(run|table|describe)\(\s*(["'])(\w*)$""")
_PARAMETER = re.compile(r"""\.(?:run|table)\(\s*["'](\w+)["']\s*,[^()]*?(\w*)$""")


def teach() -> None:
    """Do it once in each IPython; nothing where there is none."""
    shell = _shell()
    if shell is None or getattr(shell, "_knows_lakes", False):
        return
    shell._knows_lakes = True
    shell.Completer.custom_matchers.append(lambda text: complete(_line(shell)))
    if hasattr(shell, "kernel"):  # a terminal has DuckDB's own tables, which are good
        import duckdb

        for kind in (duckdb.DuckDBPyRelation, Answer):
            shell.display_formatter.mimebundle_formatter.for_type(
                kind, lambda relation, include=None, exclude=None: _bundle(relation)
            )


def complete(line: str) -> list[str]:
    """What may follow: names of queries and views within quotes, parameters after them.

    Args:
        line: Up to the cursor.
    """
    if match := _CALL.search(line):
        call, _, begun = match.groups()
        names = VIEWS if call == "describe" else sql.names("queries")
        return [name for name in names if name.startswith(begun)]
    if (match := _PARAMETER.search(line)) and match[1] in sql.names("queries"):
        wanted = sql.parameters(sql.text("queries", match[1]))
        return [f"{name}=" for name in wanted if name.startswith(match[2])]
    return []


def _line(shell: Any) -> str:
    completer = shell.Completer
    return str(completer.line_buffer or "")


def _bundle(relation: Any) -> tuple[dict[str, str], dict[str, Any]]:
    return answers.shown(relation)._repr_mimebundle_()


def _shell() -> Any:
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    return get_ipython()
