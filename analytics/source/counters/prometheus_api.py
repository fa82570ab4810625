"""Counters from a Prometheus server, or anything that speaks its query API: Thanos, Mimir, VictoriaMetrics."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote, urlencode, urlsplit

from analytics.errors import ConfigurationError, SourceError, SourceUnavailableError
from analytics.source.counters.series import DROPPED, NATIVE, RUNS, STARTED, Samples, add_answer, printable

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

_TOO_MUCH = re.compile(r"too many samples|maximum resolution|too many points", re.IGNORECASE)
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
