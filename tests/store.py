"""An S3 server on the loopback, whose answers can be spoiled: moto's, behind a layer that fails, lies and keeps count."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from moto.server import create_backend_app
from werkzeug.serving import make_server

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


@dataclass
class Store:
    """The running server.

    Attributes:
        port: It listens on, on the loopback.
        requests: Every one so far.
        spoil: What is done to the next ones.
    """

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    spoil: Spoil = lambda _: None

    @property
    def env(self) -> dict[str, str]:
        """Variables that lead to it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def puts(self) -> list[str]:
        """Keys of the PUTs of a lake's files, in their order; the lock's are not among them."""
        return [one.key for one in self.requests if one.method == "PUT" and not one.key.endswith(".lock.json")]

    def begin(self, spoil: Spoil = lambda _: None) -> None:
        """Count from here on, and spoil what comes."""
        self.requests, self.spoil = [], spoil


class _Layer:
    def __init__(self, store: Store) -> None:
        self._store = store
        # Without moto's own dispatcher, which lists all its services on the disk at each request.
        self._moto = create_backend_app("s3")
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
        told: list[Any] = []
        found = b"".join(self._moto(environ, lambda status, headers, *_: told.extend((status, headers))))
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


@contextmanager
def serving() -> Iterator[Store]:
    """A store for as long as the block lasts."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store = Store()
    server = make_server("127.0.0.1", 0, _Layer(store), threaded=True)
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
def serving_bucket(name: str) -> Iterator[Store]:
    """A store with one bucket, which this process's environment tells of for as long as the block lasts."""
    import s3fs

    with serving() as store, pytest.MonkeyPatch.context() as patch:
        for variable, value in store.env.items():
            patch.setenv(variable, value)
        s3fs.S3FileSystem(skip_instance_cache=True).mkdir(name)
        yield store
