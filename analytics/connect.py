"""Open a read-only snapshot of the server, and say what went wrong in words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analytics.errors import SourceError, SourceUnavailableError
from analytics.server_errors import explain

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy

# Whatever ALTER ROLE or the server's configuration say, values must come out exact and the snapshot must outlive the
# writing of files. SET LOCAL rather than start-up options: it works through connection poolers too.
SESSION = """
    set local timezone = 'UTC';
    set local datestyle = 'ISO';
    set local extra_float_digits = 3;
    set local quote_all_identifiers = off;
    set local statement_timeout = '2h';
    set local lock_timeout = '20s';
    set local idle_in_transaction_session_timeout = 0
"""

# PostgreSQL 17 brought one that ends long transactions; older ones do not know its name.
NO_TRANSACTION_TIMEOUT = """
    select set_config(name, '0', true) from pg_settings where name = 'transaction_timeout'
"""


_NOT_TAKEN = "unsupported startup parameter"
"""PgBouncer's words for an option that it cannot keep for a connection that several clients share."""


@dataclass(frozen=True, slots=True)
class Session:
    """A connection, and what each of its transactions begins with.

    Attributes:
        connection: Closed by ``connect``.
        settings: Of the URL's ``options``, those that the server may not have been told: set in each transaction, and only there,
            because a pooler hands the connection on.
    """

    connection: psycopg.Connection[tuple[Any, ...]]
    settings: Mapping[str, str]

    def begin(self) -> None:
        """Settings of a transaction; its first statements, or those after it has taken over a snapshot."""
        for name, value in self.settings.items():
            self.connection.execute("select set_config(%s, %s, true)", [name, value])
        self.connection.execute(SESSION)
        self.connection.execute(NO_TRANSACTION_TIMEOUT)


@contextlib.contextmanager
def connect(url: str) -> Iterator[Session]:
    """A read-only snapshot. SQLAlchemy manages the transaction, psycopg does the reading.

    Raises:
        SourceUnavailableError: No connection.
    """
    keywords = _keywords(url)
    settings, rest = _settings(keywords.get("options") or _default("options"))
    try:
        connection = _connected(keywords)
        settings = {name: value for name, value in settings.items() if name == "search_path"}
    except SourceError as error:
        if _NOT_TAKEN not in error.message or not settings:
            raise
        if rest:
            raise SourceUnavailableError(
                f"the pooler takes no options with a connection ({error.message}), and {' '.join(rest)!a} is not to be set later",
                hint="leave it out of the URL's options: of those only -c name=value can be set behind a pooler",
            ) from None
        connection = _connected({**keywords, "options": ""})
    with connection:
        try:
            yield Session(connection.connection.driver_connection, settings)  # type: ignore[arg-type]  # psycopg's
        finally:
            # Closing ends the transaction. The pool's rollback before it would log a traceback when the server has gone.
            connection.invalidate()


def _connected(keywords: dict[str, Any]) -> sqlalchemy.Connection:
    import psycopg
    import sqlalchemy
    from sqlalchemy.exc import DBAPIError

    options: dict[str, Any] = {
        "application_name": "strategy-analytics",
        "connect_timeout": 15,
        "client_encoding": "utf8",
        "prepare_threshold": None,  # a prepared statement would outlive us on a pooler's connection
        # A cut connection is noticed within two minutes, however long the server thinks.
        "keepalives_idle": 60,
        "keepalives_interval": 10,
        "keepalives_count": 6,
    }
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(**{**keywords, **options}),
        poolclass=sqlalchemy.pool.NullPool,
    )
    try:
        return engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    except DBAPIError as error:
        # The original error names host, port and reason; SQLAlchemy's adds a link to its own website.
        raise explain(error.orig or error, connecting=True) from None


def _keywords(url: str) -> dict[str, Any]:
    """What libpq needs to know, from any form of URL."""
    import psycopg
    import sqlalchemy
    from sqlalchemy.exc import ArgumentError

    try:
        if url and "://" not in url:  # a libpq string: host=… dbname=…
            return dict(psycopg.conninfo.conninfo_to_dict(url))
        if plain := _only_libpqs(url):
            found = dict(psycopg.conninfo.conninfo_to_dict(plain))
            if "@" in str(found.get("host") or ""):
                raise ValueError("a password that is not percent-encoded")
            return found
        parsed = sqlalchemy.make_url(url or "postgresql://")
        if "@" in (parsed.host or ""):
            raise ValueError("a password that is not percent-encoded")
    except (ArgumentError, ValueError, psycopg.ProgrammingError):
        # Their own messages repeat what they cannot read, and that may be half a password.
        raise SourceUnavailableError(
            "the database URL cannot be read",
            hint="write postgresql://user@host:5432/database, several hosts as host1:5432,host2:5432; percent-encode the password",
        ) from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise SourceUnavailableError(
            f"the database URL is for {parsed.get_backend_name()}, and the engine logs to PostgreSQL",
            hint="write postgresql://user@host/database",
        )
    parsed = parsed.set(drivername="postgresql+psycopg")
    keywords = dict(sqlalchemy.create_engine(parsed).dialect.create_connect_args(parsed)[1])
    keywords.pop("context", None)  # SQLAlchemy's own types
    return keywords


def _only_libpqs(url: str) -> str | None:
    """A URL that libpq reads and SQLAlchemy does not: of several hosts, or of a socket's folder in the place of the host."""
    match = re.match(r"(?:postgresql|postgres)(?:\+\w+)?(://([^/?#]*).*)", url, re.DOTALL)
    hosts = match[2].rpartition("@")[2] if match else ""
    return f"postgresql{match[1]}" if match and ("," in hosts or "%2f" in hosts.lower()) else None


def _settings(options: str) -> tuple[dict[str, str], list[str]]:
    """What ``options`` sets (``-c name=value``, ``--name=value``), and the words of it that are something else.

    Words end at white space, and a backslash before a letter means just that letter (libpq, "options").
    """
    words = [re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|[^\s\\])+", options)]
    settings: dict[str, str] = {}
    rest: list[str] = []
    while words:
        word = words.pop(0)
        said = (
            words.pop(0) if word == "-c" and words else word.removeprefix("-c") if word.startswith("-c") else word[2:]
        )
        name, equals, value = said.partition("=")
        if equals and word.startswith(("-c", "--")):
            settings[name.replace("-", "_")] = value
        else:
            rest.append(word)
    return settings, rest


def _default(name: str) -> str:
    """What libpq takes from its own variables and service files where the URL says nothing."""
    import psycopg

    found = next((one for one in psycopg.pq.Conninfo.get_defaults() if one.keyword == name.encode()), None)
    return (found.val or b"").decode(errors="replace") if found else ""
