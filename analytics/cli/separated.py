"""Comma-separated values that a spreadsheet may open: no author's text in them is run as a formula."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from analytics.cli.terminal import iso, plain_value
from analytics.page.text import visible

_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_INSIDE = re.compile(r"(?<=[;\t\r\n])(?='*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def put_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]], target: TextIO, *, raw: bool = False) -> int:
    r"""Comma-separated values: NULL is empty, times ISO 8601, lists and structs JSON, numbers as they are.

    A text that a spreadsheet would run as a formula gets an apostrophe in front, as OWASP advises ("CSV Injection"); numbers
    written as text stay. The apostrophe can be taken off again without loss, for a text that began with apostrophes
    and such a sign has one more: ``re.sub(r"(^|(?<=[;\t\r\n]))'(?='*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])", "", text)``.

    Args:
        columns: Their names.
        rows: Their values.
        target: Where to. On a terminal, control characters are written out.
        raw: Write texts as they are.

    Returns:
        How many texts got an apostrophe.
    """
    # Python quotes a carriage return only where it may end a line; without quotes it would end one for every reader.
    line = io.StringIO(newline="")
    writer = csv.writer(line, lineterminator="\r\n")
    changed, shown = 0, target.isatty()
    for row in itertools.chain([columns], rows):
        written = []
        for value in row:
            cell = json.dumps(plain_value(value), ensure_ascii=False) if isinstance(value, list | dict) else iso(value)
            if isinstance(cell, str):
                safe = cell if raw else text_only(cell)
                changed += safe is not cell
                cell = visible(safe, lines=True) if shown else safe
            written.append(cell)
        writer.writerow(written)
        target.write(line.getvalue()[:-2] + "\n")
        line.seek(line.truncate(0))
    return changed


def text_only(text: str) -> str:
    """A text that no spreadsheet takes for a formula, nor a part of it where cells end at a semicolon, a tab or a line's end."""
    if _NUMBER.fullmatch(text):
        return text
    whole = _INSIDE.sub("'", text) if _INSIDE.search(text) else text
    return f"'{whole}" if _FORMULA.match(whole) else whole
