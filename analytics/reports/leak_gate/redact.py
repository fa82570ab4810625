"""An executed notebook without what it keeps of the machine and the minute: paths, times, versions, process numbers."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analytics.extraction.privacy.distinctive import is_distinctive
from analytics.reports.leak_gate.decode_text import LONG, find_ids, keys
from analytics.reports.leak_gate.forbidden import Forbidden
from analytics.reports.leak_gate.scan import strategy_keys

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ADDRESS = re.compile(r"://[^/\s:@]+(?::[^/\s@]*)?@[^\s/?#\"']+")
# Each begins where a word or a path does: tried at every letter of a long one they would take hours.
_KERNEL_FILE = re.compile(r"(?<!\S)\S*?ipykernel_\d+/\d+\.py")
_INSTALLED = re.compile(r"(?<![\w.+/-])(?:/[\w.+-]+)+?/((?:site-packages|python3\.\d+)/[\w./+-]+)")
_MOST = 50_000
"""Letters that are kept of what a cell prints: a page does not show it, and nobody reads more."""
_FRAME = re.compile(r"\s*(?:File )?(\S.*?:\d+|Cell In\[\d+\], line \d+)(?:, in (\w+)|.*)")
_PLACES = {
    "lake": "the folder of the lake it was made from; empty for $ANALYTICS_LAKE, else lake, else the demo's",
    "previous": 'summary.json of the last report; empty or "none": the days before say what is new',
    "counters": "exported file with the engine's counters; empty for $ANALYTICS_COUNTERS, else none",
    "gathered": "folder of what `strategy-analytics gather` had asked already; empty for none",
}
_FRAMES = 12


def clean(notebook: Path, forbidden: Forbidden, published: Path | None = None) -> None:
    """Take out of an executed notebook what it keeps of the machine that ran it. Run again it changes nothing.

    The cell of parameters that papermill added stays, and can be run: a folder beside the report is named as seen from
    it, others are left open. Displayed outputs are not touched; what may not be in them is for `check` to find.

    Args:
        notebook: The file, written again.
        forbidden: Secrets and folders, which are written out of warnings and errors.
        published: Folder where it will lie.
    """
    import nbformat

    book = nbformat.read(notebook, as_version=4)
    kernel = book.metadata.get("kernelspec", {})
    book.metadata = nbformat.from_dict(
        {
            "kernelspec": {key: kernel.get(key, "") for key in ("display_name", "language", "name")},
            "language_info": {"name": "python"},
        }
    )
    for number, cell in enumerate(book.cells):
        tags = cell.metadata.get("tags", [])
        added = [tag for tag in tags if tag == "injected-parameters" or tag.startswith("papermill-error")]
        if added:  # papermill gives what it adds a random id
            cell["id"] = f"{added[0]}-{number}"
        if "injected-parameters" in tags:
            cell.source = _portable(cell.source, published or notebook.parent)
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        room = _MOST
        for output in cell.get("outputs", []):
            if output.output_type == "stream":  # a cell may print any number of times
                output.text = _bounded(output.text, room)
                room = max(0, room - len(output.text))
            _clean_output(output, forbidden)
    nbformat.write(book, notebook)


def clean_text(text: str, forbidden: Forbidden) -> str:
    """A message without secrets, users' ids, other tenants, folders of this machine and control characters.

    The rest stays readable.

    Args:
        text: Of an error, or what a cell printed.
        forbidden: What may not be in it.
    """
    text = _CONTROL.sub("", _ANSI.sub("", _bounded(text, _MOST)))
    for secret in sorted(forbidden.secrets, key=len, reverse=True):
        text = text.replace(secret, "•••")
    text = _ADDRESS.sub("://•••", text)
    text = _KERNEL_FILE.sub("cell", text)
    for folder, what in forbidden.folders.items():
        end = r"(?![\w-])" if folder.count("/") > 1 else r"(?=/)"
        text = re.sub(rf"(?<![\w.~-]){re.escape(folder)}{end}", f"<{what.removeprefix('the ')}>", text)
    text = _INSTALLED.sub(r"\1", text)
    for known, leaked in (
        (keys(forbidden.users, lambda found: is_distinctive(found, 8)), forbidden.leaked_users),
        (
            keys(forbidden.realms, lambda found: is_distinctive(found, 4)),
            lambda found: forbidden.without_authors_words(found, rows=True),
        ),
        (strategy_keys(forbidden.strategies), forbidden.strategies_among),
    ):
        found = {known[made]: made for made, _ in find_ids(text, known)}
        for name in leaked(list(found)) if found else ():
            text = re.sub(rf"(?<!\w){re.escape(found[name].text)}", "•••", text)
    others = forbidden.ids_of_others({match[0] for match in LONG.finditer(text)}) if forbidden.own is not None else ()
    for name in sorted(others, key=len, reverse=True):
        text = text.replace(name, "•••")
    return text


def _bounded(text: str, room: int) -> str:
    """A text of so many letters, and what was left out of its middle: a cell may print gigabytes."""
    if len(text) <= room:
        return text
    end = room // 2
    return f"{text[: room - end]}\n… {len(text) - room:,} letters left out …\n{text[len(text) - end :]}"


def _clean_output(output: Any, forbidden: Forbidden) -> None:
    if output.output_type == "stream":
        output.text = clean_text(output.text, forbidden)
    elif output.output_type == "error":
        output.evalue = clean_text(output.evalue, forbidden)
        # The frames next to the error are the last ones.
        frames = _frames("\n".join(output.traceback)[-_MOST:], forbidden)
        output.traceback = [*frames, f"{output.ename}: {output.evalue}" if output.evalue else output.ename]
    else:
        # The marks of the package's own blocks stay; a display's other notes are the kernel's.
        output.metadata = {
            key: value for key, value in output.get("metadata", {}).items() if isinstance(value, Mapping)
        }


def _frames(traceback: str, forbidden: Forbidden) -> list[str]:
    """Where an error came up, function by function, without the lines of code around it."""
    found = []
    for line in clean_text(traceback, forbidden).splitlines():
        match = _FRAME.match(line)
        if match and (line.startswith(("File ", "Cell ")) or match[2]):
            found.append(f"{match[1]}{f', in {match[2]}' if match[2] else ''}")
    return found[-_FRAMES:]


def _portable(source: str, published: Path) -> str:
    """The added parameters, with folders as they are seen from the report, or left open."""
    lines = []
    for line in source.splitlines():
        name, value = _assigned(line)
        if name in _PLACES and value and value != "none":
            seen = _seen_from(published, Path(value))
            lines.append(f"{name} = {json.dumps(seen, ensure_ascii=False)}  # {_PLACES[name]}")
        else:
            lines.append(line)
    return "\n".join(lines)


def _assigned(line: str) -> tuple[str, str]:
    try:
        [statement] = ast.parse(line).body
    except (SyntaxError, ValueError):
        return "", ""
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Constant):
        return "", ""
    name = statement.targets[0]
    return (name.id, str(statement.value.value)) if isinstance(name, ast.Name) else ("", "")


def _seen_from(published: Path, place: Path) -> str:
    """A path within the same working folder, as seen from the report; empty for any other."""
    if not place.is_absolute():
        return place.as_posix()  # cleaned before
    here, there, root = published.resolve(), place.resolve(), Path.cwd().resolve()
    beside = there.is_relative_to(here.parent)
    inside = len(root.parts) > 1 and here.is_relative_to(root) and there.is_relative_to(root)
    return os.path.relpath(there, here).replace(os.sep, "/") if beside or inside else ""
