"""What IPython, and JupyterLab through it, completes in a call that asks a lake: queries, strategies, tenants; no files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from analytics import sql
from analytics.warehouse.catalog import VIEWS
from analytics.warehouse.warehouse import Warehouse

_PLACES: Final = re.compile(
    r"""(?:\.(?P<call>run|table|describe)\(\s*|\b(?P<what>family|realm|against)\s*=\s*)"""
    r"""(?P<quote>["'])(?P<begun>(?:\\.|(?!(?P=quote))[^\\\n])*)$"""
)
_VERSION: Final = re.compile(r"\bversion\s*=\s*(?P<begun>\d*)$")
_PARAMETER: Final = re.compile(r"""\.(?:run|table)\(\s*["'](\w+)["']\s*,(?:[^()]*,)?\s*(?P<begun>\w*)$""")
_FAMILY: Final = re.compile(
    r"""\bfamily\s*=\s*(["'])(?P<name>(?:(?!\1)[^\\\n])+)\1|\.program\(\s*(["'])(?P<first>[^"'\\\n]+)\3"""
)
_MOST: Final = 2_000
"""Names that are read of a lake: nobody scrolls through more, and each key that is pressed asks again."""


@dataclass(frozen=True, slots=True)
class Names:
    """What may stand at a place.

    Attributes:
        begun: What stands there already.
        found: The names that go on so, as they are written there.
        kind: What a list of completions calls them.
    """

    begun: str
    found: tuple[str, ...]
    kind: str


def complete(text: str, known: Mapping[str, Any]) -> Names | None:
    """The names that may follow; ``None`` where the text is not at a place of ours.

    Args:
        text: Up to the cursor.
        known: The variables of the notebook: a lake among them knows its strategies and tenants.
    """
    if match := _PLACES.search(text):
        quote, begun = match["quote"], match["begun"]
        found = _of_call(match["call"]) if match["call"] else _of_lake(match["what"], text, known)
        written = (_within(name, quote) for name in found)
        return Names(begun, tuple(name for name in written if name.startswith(begun)), match["call"] or match["what"])
    if match := _VERSION.search(text):
        numbers = map(str, _of_lake("version", text, known))
        return Names(match["begun"], tuple(one for one in numbers if one.startswith(match["begun"])), "version")
    if (match := _PARAMETER.search(text)) and match[1] in sql.names("queries"):
        wanted = (f"{name}=" for name in sql.parameters(sql.text("queries", match[1])))
        return Names(match["begun"], tuple(name for name in wanted if name.startswith(match["begun"])), "param")
    return None


def _of_call(call: str) -> tuple[str, ...]:
    queries = sorted(sql.names("queries"), key=lambda name: sql.is_for_reports(sql.text("queries", name)))
    return (*VIEWS, *queries) if call == "describe" else tuple(queries)


def _of_lake(what: str, text: str, known: Mapping[str, Any]) -> list[Any]:
    lake = _lake_in(text, known)
    if lake is None:
        return []
    import duckdb

    if what == "realm":
        return [realm for realm in lake.realms[:_MOST] if realm is not None]
    values: dict[str, object] = {"most": _MOST}
    if what == "version":
        match = list(_FAMILY.finditer(text))
        values["family"] = (match[-1]["name"] or match[-1]["first"]) if match else None
    statement = sql.text("names", "versions" if what == "version" else "families")
    try:
        return [name for (name,) in lake.connection.execute(statement, values).fetchall()]
    except duckdb.Error:  # a damaged lake says so when it is asked, not while somebody types
        return []


def _lake_in(text: str, known: Mapping[str, Any]) -> Warehouse | None:
    """The lake that the text names last, else the one that was opened last."""
    named = (known.get(name) for name in reversed(re.findall(r"[A-Za-z_]\w*", text.rpartition("\n")[2])))
    every = (value for name, value in reversed(list(known.items())) if not name.startswith("_"))
    return next((one for one in (*named, *every) if isinstance(one, Warehouse)), None)


def _within(name: str, quote: str) -> str:
    """A name as Python writes it between such quotes: nobody's name ends them."""
    return "".join(
        f"\\{letter}" if letter in ("\\", quote) else letter if letter.isprintable() else repr(letter)[1:-1]
        for letter in name
    )


def matcher(known: Callable[[], Mapping[str, Any]]) -> Any:
    """A matcher of IPython's second kind, which keeps files and magics out of a list of names.

    Args:
        known: Gives the variables of the notebook.
    """
    from IPython.core.completer import SimpleCompletion, context_matcher

    def match(context: Any) -> dict[str, Any]:
        before = context.full_text.split("\n")[: context.cursor_line + 1]
        text = "\n".join([*before[:-1], context.text_until_cursor])
        names = complete(text, known())
        if names is None:
            return {"completions": [], "suppress": False}
        return {
            "completions": _as_completions(names, SimpleCompletion),
            "matched_fragment": names.begun,
            "suppress": True,
            "ordered": True,
        }

    return context_matcher(identifier="analytics", priority=1000)(match)


def _as_completions(names: Names, make: Callable[..., Any]) -> Iterable[Any]:
    return [make(text=name, type=names.kind) for name in names.found]
