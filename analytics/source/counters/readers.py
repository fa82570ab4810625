"""Where counters are read from: a Prometheus server, or a file that was exported.

A server is anything that speaks Prometheus' query API: Thanos, Mimir, VictoriaMetrics. A file holds JSON answers, ``promtool tsdb
dump``, or exposition text with timestamps.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import io
import json
import re
import ssl
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlencode, urlsplit

from analytics.errors import ConfigurationError, SourceError, SourceUnavailableError
from analytics.source.counters.series import (
    DROPPED,
    EXPORT_HINT,
    NAMES,
    NATIVE,
    RUNS,
    STARTED,
    Samples,
    add_answer,
    printable,
    seconds,
)

if TYPE_CHECKING:
    from analytics.source.counters.series import Points

TIMEOUT = 30.0
"""Seconds a connection may be silent."""
STEP = 60
"""Seconds between two points. A value is as old as the last scrape, so a coarser one would only lose restarts."""
LEAD = 16 * 60
"""Seconds read before the window: a series that begins within the window is then seen to begin."""
CHUNK = 1440 * STEP
"""Seconds per request. Prometheus gives 11,000 points per series at most; a day's answer is small enough to hold."""

QUERIES = (RUNS, DROPPED, f"{STARTED} and on (job, instance) {RUNS}")
"""Fixed text: no label, name or argument is ever put into a query."""

NATIVE_QUERIES = (f"histogram_count({NATIVE})", f"{STARTED} and on (job, instance) {NATIVE}")
"""Where histograms are kept natively; a server older than that knows no such function, and has none."""

_TOO_MUCH = re.compile(
    r"too many samples|maximum resolution|too many points|cannot (?:select|process) more than", re.IGNORECASE
)
"""In the words of Prometheus and, the last three, of VictoriaMetrics."""
_URL_HINT = (
    "write http://prometheus:9090 or https://user:password@host/prefix, without ? and #; in user and password write "
    "%40 for @, %2F for /, %3A for :, %23 for #, %3F for ?, %25 for %"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is.

    Attributes:
        base: URL without user, password and final slash; may be shown.
        authorization: The header; never shown.
    """

    base: str
    authorization: str | None = field(default=None, repr=False)


def address(url: str) -> Address:
    """Split a URL into what may be shown and what may not.

    Raises:
        ConfigurationError: It is no URL of a server. The message does not repeat it, as a password may be anywhere in it.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        # A password with / # or ? in it ends up in what looks like path, query or fragment.
        is_wrong = (
            bool(parts.query or parts.fragment)
            or "@" in parts.path
            or not host
            or parts.scheme not in ("http", "https")
        )
        if not is_wrong and not re.fullmatch(r"[!-~]*", parts.path + (host or "")):
            is_wrong = True
    except ValueError:
        is_wrong = True
    if is_wrong or host is None:
        raise ConfigurationError("the URL of the Prometheus server is not understood", hint=_URL_HINT)
    shown = f"[{host}]" if ":" in host else host
    base = f"{parts.scheme.lower()}://{shown}{f':{port}' if port is not None else ''}{parts.path.rstrip('/')}"
    base = base.removesuffix("/api/v1/query_range").removesuffix("/api/v1/query").removesuffix("/api/v1")
    if parts.username is None:
        return Address(base)
    both = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return Address(base, "Basic " + base64.b64encode(both).decode())


def read_server(where: Address, since: datetime, until: datetime) -> Samples:
    """Read all counters from a quarter of an hour before the window to one step after it.

    Raises:
        ConfigurationError: The address is an application's own ``/metrics``.
        SourceUnavailableError: The server cannot be reached, does not let us in, or is not well.
        SourceError: It answers something else than the API says.
    """
    samples = Samples(where.base)
    first, last = since.timestamp() - LEAD, until.timestamp() + STEP
    for query in (*QUERIES, *NATIVE_QUERIES):
        at = first
        while at <= last:
            # The end belongs to the answer, so the next chunk begins one step behind it.
            end = min(at + CHUNK - STEP, last)
            for answer in _answers(where, query, at, end):
                if query in NATIVE_QUERIES and isinstance(answer, dict) and answer.get("status") == "error":
                    continue
                with _explained(where):
                    add_answer(samples, answer, where.base, RUNS if query == NATIVE_QUERIES[0] else None)
            at = end + STEP
    samples.warnings = list(dict.fromkeys(samples.warnings))
    return samples


def _answers(where: Address, query: str, start: float, end: float) -> Iterator[object]:
    """The answer of a span, or of its halves when the server finds it too large."""
    answer = _ask(where, query, start, end)
    too_much = (
        isinstance(answer, dict) and answer.get("status") == "error" and _TOO_MUCH.search(str(answer.get("error")))
    )
    steps = int((end - start) // STEP)
    if too_much and steps >= 2:
        middle = start + steps // 2 * STEP
        yield from _answers(where, query, start, middle)
        yield from _answers(where, query, middle + STEP, end)
    else:
        yield answer


def _ask(where: Address, query: str, start: float, end: float) -> object:
    """One request; the parsed answer, which may be an error of Prometheus' own form."""
    arguments = urlencode({"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": str(STEP)})
    request = urllib.request.Request(f"{where.base}/api/v1/query_range?{arguments}")  # noqa: S310  # http or https
    if where.authorization is not None:
        # Unredirected: another server that this one points to does not get the password.
        request.add_unredirected_header("Authorization", where.authorization)
    with _explained(where):
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
                code, kind, body = response.status, response.headers.get_content_type(), response.read()
        except urllib.error.HTTPError as error:
            with error:
                code, kind, body = error.code, error.headers.get_content_type(), error.read()
        return _parsed(where, code, kind, body.decode("utf-8", "replace"))


def _parsed(where: Address, code: int, kind: str, text: str) -> object:
    if code in (401, 403):
        raise SourceUnavailableError(
            f"{where.base} does not let us in (HTTP {code})",
            hint="put user and password into the URL, https://user:password@host, or check them; after a redirect give the "
            "address it leads to",
        )
    is_exposition = kind == "application/openmetrics-text" or re.match(r"\s*# (HELP|TYPE) ", text)
    if is_exposition or (code == 404 and where.base.endswith("/metrics")):
        raise ConfigurationError(
            f"{where.base} is an application's own page of metrics: it shows one moment only, and runs are counted between two",
            hint="give the URL of the Prometheus server that scrapes it, such as http://prometheus:9090",
        )
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict) and answer.get("status") == "error":
        return answer
    if code == 404:
        raise SourceUnavailableError(
            f"{where.base} has no query API (HTTP 404)",
            hint="give the URL of the Prometheus server, not the engine's, with its path prefix if it has one",
        )
    if code >= 400:
        raise SourceUnavailableError(
            f"{where.base} answered with HTTP {code}", hint="see the server's log, or that of the proxy before it"
        )
    if answer is None and (kind == "text/html" or text.lstrip().startswith("<")):
        raise SourceError(
            f"{where.base} answered with a web page instead of JSON",
            hint="a page to log in, or a path prefix is missing: give the address behind it, https://user:password@host/prefix",
        )
    if answer is None:
        raise SourceError(
            f"{where.base} answered with something else than JSON: {printable(text, 60)!r}",
            hint="give the URL of the Prometheus server, with its path prefix if it has one",
        )
    return answer


@contextlib.contextmanager
def _explained(where: Address) -> Iterator[None]:
    """Turn what a connection may fail with into words."""
    try:
        yield
    except TimeoutError:
        raise _timeout(where) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _timeout(where) from None
        if isinstance(error.reason, ssl.SSLError):
            hint = "name the authority that signed its certificate in SSL_CERT_FILE, and check http and https"
        else:
            hint = "check host and port: curl with the same URL must connect; HTTPS_PROXY and NO_PROXY count too"
        raise SourceUnavailableError(f"{where.base} cannot be reached: {printable(error.reason)}", hint=hint) from None
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise SourceUnavailableError(
            f"the connection to {where.base} failed: {printable(error) or type(error).__name__}",
            hint="run again; if it stays, check that the address is that of an HTTP server",
        ) from None
    except RecursionError:
        raise SourceError(f"{where.base} answered with JSON that is no answer of Prometheus") from None


def _timeout(where: Address) -> SourceUnavailableError:
    return SourceUnavailableError(
        f"{where.base} did not answer within {TIMEOUT:g} seconds", hint="ask for a shorter window, or run again later"
    )


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
