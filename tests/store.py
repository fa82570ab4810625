"""An S3 server on the loopback, whose answers can be spoiled: moto's or another, behind a layer that fails, lies and counts."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any

import pytest
from moto.server import create_backend_app
from werkzeug.datastructures import EnvironHeaders
from werkzeug.serving import make_server
from werkzeug.wsgi import get_input_stream

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""WSGI's."""

_OF_ONE_CONNECTION = frozenset({"Connection", "Expect", "Transfer-Encoding"})
"""Headers that are between two ends of a line."""

Spoil = Callable[["Request"], "str | None"]
"""Told of each request; answers what happens to it: ``None`` nothing, else a name of ``_Layer``'s ways to fail."""


@dataclass(frozen=True)
class Request:
    """A request to the store.

    Attributes:
        method: Of HTTP.
        key: Of the object, or the listing's prefix.
        is_listing: Of a folder.
    """

    method: str
    key: str
    is_listing: bool


@dataclass(frozen=True)
class Upstream:
    """A server of another make that answers in moto's place.

    Attributes:
        port: It listens on, on the loopback.
        key, secret: Of somebody who may do everything.
    """

    port: int
    key: str
    secret: str


@dataclass
class Store:
    """The running server.

    Attributes:
        port: It listens on, on the loopback.
        key, secret: Who signs the requests.
        requests: Every one so far.
        spoil: What is done to the next ones.
    """

    port: int = 0
    key: str = "test"
    secret: str = "test"  # noqa: S105  # moto takes any
    requests: list[Request] = field(default_factory=list)
    spoil: Spoil = lambda _: None

    @property
    def env(self) -> dict[str, str]:
        """Variables that lead to it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def puts(self) -> list[str]:
        """Keys of the PUTs of a lake's files, in their order; the lock's are not among them."""
        return [one.key for one in self.requests if one.method == "PUT" and not one.key.endswith(".lock.json")]

    def begin(self, spoil: Spoil = lambda _: None) -> None:
        """Count from here on, and spoil what comes."""
        self.requests, self.spoil = [], spoil


class _Layer:
    def __init__(self, store: Store, behind: App) -> None:
        self._store, self._behind = store, behind
        self._old: dict[str, tuple[str, list[tuple[str, str]], bytes]] = {}

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        query = environ["QUERY_STRING"]
        is_listing = "list-type=2" in query
        path = environ["PATH_INFO"].split("/", 2)
        request = Request(
            environ["REQUEST_METHOD"], query if is_listing else path[2] if len(path) > 2 else "", is_listing
        )
        self._store.requests.append(request)
        way = self._store.spoil(request)
        if way == "busy":
            return _answer(environ, start, "503 Slow Down", "ServiceUnavailable")
        if way == "denied":
            return _answer(environ, start, "403 Forbidden", "AccessDenied")
        if way == "stale" and query in self._old:  # what it answered first
            status, headers, body = self._old[query]
            start(status, headers)
            return [body]
        if way == "unconditional":
            environ.pop("HTTP_IF_NONE_MATCH", None)
            environ.pop("HTTP_IF_MATCH", None)
        if way == "blind to versions":
            environ.pop("HTTP_IF_MATCH", None)
        if way == "quotes compared" and environ.get("HTTP_IF_MATCH", "").startswith('"'):
            return _answer(environ, start, "412 Precondition Failed", "PreconditionFailed")
        told: list[Any] = []
        found = b"".join(self._behind(environ, lambda status, headers, *_: told.extend((status, headers))))
        if is_listing:
            self._old.setdefault(query, (told[0], told[1], found))
        if way == "lost":  # done, and nobody is told
            environ["CONTENT_LENGTH"] = "0"  # it was read
            return _answer(environ, start, "500 Internal Server Error", "InternalError")
        start(told[0], told[1])
        return [found[: len(found) // 2] if way == "cut" else found]


def _answer(environ: dict[str, Any], start: Callable[..., Any], status: str, code: str) -> list[bytes]:
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    body = f"<Error><Code>{code}</Code><Message>as planned</Message></Error>".encode()
    start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def _moto() -> App:
    """Without moto's own dispatcher, which lists all its services on the disk at each request."""
    app: App = create_backend_app("s3")
    return app


def _forwarding(upstream: Upstream) -> App:
    """Everything as it came, address and ``Host`` too: they are signed."""

    def forward(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        headers = {name: value for name, value in EnvironHeaders(environ).items() if name not in _OF_ONE_CONNECTION}
        body = get_input_stream(environ).read()
        with contextlib.closing(HTTPConnection("127.0.0.1", upstream.port, timeout=60)) as connection:
            try:
                connection.request(environ["REQUEST_METHOD"], environ["REQUEST_URI"], body, headers)
                answer = connection.getresponse()
                data = answer.read()
            except (OSError, HTTPException):
                environ["CONTENT_LENGTH"] = "0"  # it was read
                return _answer(environ, start, "502 Bad Gateway", "ServiceUnavailable")
        start(f"{answer.status} {answer.reason}", [pair for pair in answer.getheaders() if pair[0] != "Connection"])
        return [data]

    return forward


@contextmanager
def serving(upstream: Upstream | None = None) -> Iterator[Store]:
    """A store for as long as the block lasts.

    Args:
        upstream: Who answers behind the layer; moto where there is none.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store = Store(key=upstream.key, secret=upstream.secret) if upstream else Store()
    behind = _forwarding(upstream) if upstream else _moto()
    server = make_server("127.0.0.1", 0, _Layer(store, behind), threaded=True)
    store.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serving_bucket(name: str, upstream: Upstream | None = None) -> Iterator[Store]:
    """A store with one bucket, which this process's environment tells of for as long as the block lasts."""
    import s3fs

    with serving(upstream) as store, pytest.MonkeyPatch.context() as patch:
        for variable, value in store.env.items():
            patch.setenv(variable, value)
        s3fs.S3FileSystem(skip_instance_cache=True).mkdir(name)
        yield store
