"""Counters from an exported file: JSON answers, ``promtool tsdb dump``, or exposition text with timestamps."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from analytics.errors import ConfigurationError, SourceError
from analytics.source.counters.series import EXPORT_HINT, NAMES, NATIVE, RUNS, Samples, add_answer, printable, seconds

if TYPE_CHECKING:
    from analytics.source.counters.series import Points

_IS_JSON = re.compile(r'\s*(?:\[|\{\s*(?:\}|"(?:[^"\\]|\\.)*+"\s*:))')
"""A brace begins a set of labels too, but there no quoted text is followed by a colon."""
_HEAD = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*+)?[ \t]*+(\{(?:[^"}]|"(?:[^"\\]|\\.)*+")*+\})?')
_LABEL = re.compile(
    r'[ \t]*(?:"(?P<quoted>(?:[^"\\]|\\.)*+)"|(?P<word>[a-zA-Z_:][a-zA-Z0-9_:]*+))[ \t]*'
    r'(?:=[ \t]*"(?P<value>(?:[^"\\]|\\.)*+)"[ \t]*)?(?:,|(?=\}))'
)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|[-+]?inf|nan", re.IGNORECASE)
_REST = re.compile(
    r"(?P<value>\{[^{}]*\}|[^\s#{]\S*)(?:[ \t]+(?P<time>(?!st@)[^\s#]\S*))?(?:[ \t]+st@[^\s#]+)?(?:[ \t]+#.*)?"
)
"""Value or native histogram, time, and what OpenMetrics allows behind them: a start time and an example."""
_COUNT = re.compile(r"\{(?:[^{}]*,)?\s*count:\s*(?P<count>[^,}\s]+)")
_OTHER_REST = re.compile(r"[-+]?(?:\d|\.\d|inf\b|nan\b)|\{", re.IGNORECASE)
"""Values of other metrics are not read, but a sentence is none. Native histograms have braces."""

_REMEMBERED = 10_000
"""Sets of labels; a file may hold any number of other metrics."""

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "\\": "\\",
    '"': '"',
}
"""Exposition text has three of them; promtool writes labels as Go quotes them, which has more."""


def read_file(path: Path) -> Samples:
    """Read an exported file, gzipped or not.

    Raises:
        ConfigurationError: There is no such file, or it is about one moment only.
        SourceError: Something in it is not understood; the message names the line.
    """
    samples = Samples(str(path))
    try:
        with _text(path) as text:
            start = text.read(1 << 16)
            if _IS_JSON.match(start):
                _read_json(samples, start + text.read())
            else:
                _read_lines(samples, _rejoined(start, text))
    except UnicodeDecodeError:
        raise SourceError(
            f"{path} is not UTF-8 text", hint="a shell may have written UTF-16: save it as UTF-8"
        ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise SourceError(f"{path} is a damaged or truncated gzip file", hint="export it again") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else printable(error)
        raise ConfigurationError(f"{printable(path)} cannot be read: {reason}", hint=EXPORT_HINT) from None
    return samples


@contextlib.contextmanager
def _text(path: Path) -> Iterator[IO[str]]:
    with path.open("rb") as raw:
        is_gzip = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        with contextlib.ExitStack() as stack:
            plain_bytes = stack.enter_context(gzip.GzipFile(fileobj=raw)) if is_gzip else raw
            # newline: only \n ends a line. Labels may hold the other characters Python takes for ends of lines.
            yield stack.enter_context(io.TextIOWrapper(plain_bytes, encoding="utf-8-sig", newline="\n"))


def _rejoined(start: str, rest: IO[str]) -> Iterator[str]:
    """The lines of a text whose start was read already."""
    *whole, broken = start.split("\n")
    yield from whole
    yield broken + rest.readline()
    yield from rest


# ---- JSON ------------------------------------------------------------------------------------------------------------


def _read_json(samples: Samples, text: str) -> None:
    """Answers one after another, with or without line ends between them."""
    decoder = json.JSONDecoder()
    at = 0
    while match := re.compile(r"\s*(?=\S)").match(text, at):
        at = match.end()
        place = f"{samples.where}:{text.count(chr(10), 0, at) + 1}"
        try:
            answer, at = decoder.raw_decode(text, at)
            add_answer(samples, answer, place)
        except json.JSONDecodeError as error:
            line = text.count("\n", 0, error.pos) + 1
            raise SourceError(
                f"{samples.where}:{line}: the JSON breaks off or is wrong: {error.msg}", hint="save the answer again"
            ) from None
        except (RecursionError, ValueError):
            raise SourceError(f"{place}: this JSON is no answer of Prometheus", hint=EXPORT_HINT) from None
    # Answers that were saved one by one may be about different times.
    samples.is_one_window = samples.answer_count <= 1


# ---- text ------------------------------------------------------------------------------------------------------------


def _read_lines(samples: Samples, lines: Iterable[str]) -> None:
    series: dict[str, Points | None] = {}
    natives: set[str] = set()
    for number, raw in enumerate(lines, 1):
        line = raw.strip(" \t\r\n")
        if not line or line.startswith("#"):
            continue
        try:
            match = _HEAD.match(line)
            if match is None or not match[0]:
                raise ValueError("it begins with neither a name nor labels")
            # The same series comes again and again: its labels are read once.
            if match[0] not in series:
                if len(series) > _REMEMBERED:
                    series.clear()
                name, labels = _name_and_labels(match[1], match[2])
                series[match[0]] = samples.points(RUNS if name == NATIVE else name, labels) if name in NAMES else None
                if name == NATIVE:
                    natives.add(match[0])
            points = series[match[0]]
            rest = line[match.end() :].lstrip(" \t")
            # Without braces it is the quantile of a summary, which has the same name.
            if points is not None and (match[0] not in natives or rest.startswith("{")):
                _add_line(points, rest, f"{samples.where}:{number}")
            elif not _OTHER_REST.match(rest) or (rest.startswith("{") and match[2] is None):
                raise ValueError("no value follows")
        except ValueError as error:
            raise SourceError(
                f"{samples.where}:{number}: the line is not understood ({error}): {printable(line, 80)}",
                hint="each line must be name{labels} value timestamp, as promtool tsdb dump-openmetrics writes it",
            ) from None


def _add_line(points: Points, rest: str, place: str) -> None:
    match = _REST.fullmatch(rest)
    if match is None:
        raise ValueError("no value follows")
    inside = _COUNT.match(match["value"])
    value = inside["count"] if inside else match["value"]
    if not _NUMBER.fullmatch(value):
        raise ValueError("no value follows")
    if match["time"] is None:
        raise ConfigurationError(
            f"{place}: values have no timestamps: that is one moment only, and runs are counted between two",
            hint=EXPORT_HINT,
        )
    if not _NUMBER.fullmatch(match["time"]):
        raise ValueError("the timestamp is no number")
    times, values = points
    times.append(seconds(float(match["time"])))
    values.append(float(value))


def _name_and_labels(word: str | None, braces: str | None) -> tuple[str, dict[str, str]]:
    """The name before the braces or within them, and the labels."""
    names = [word] if word is not None else []
    labels: dict[str, str] = {}
    at = 1
    while braces is not None and braces[at:].strip(" \t") != "}":
        match = _LABEL.match(braces, at)
        if match is None:
            raise ValueError('the labels are not of the form name="value"')
        at = match.end()
        key = _unescaped(match["quoted"]) if match["word"] is None else match["word"]
        if match["value"] is None:
            if match["word"] is not None:
                raise ValueError("a label has no value")
            names.append(key)  # {"a name in quotes", label="value"}
        elif key == "__name__":
            names.append(_unescaped(match["value"]))
        elif key in labels:
            raise ValueError("a label is there twice")
        else:
            labels[key] = _unescaped(match["value"])
    if len(names) != 1:
        raise ValueError("it has no name" if not names else "it has two names")
    return names[0], labels


def _unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) > 1:
            point = int(code[1:], 16)
            if code[0] == "x" and point > 0x7F:
                raise ValueError("a label is not UTF-8")
            return chr(point)
        return _ESCAPES.get(code, match[0])  # OpenMetrics: a backslash before any other letter is a backslash

    return _ESCAPE.sub(character, text) if "\\" in text else text
