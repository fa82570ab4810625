"""Open a read-only snapshot of the server, and say what went wrong in words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from analytics.errors import SourceUnavailableError
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


@contextlib.contextmanager
def connect(url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A read-only snapshot. SQLAlchemy reads the URL and manages the transaction, psycopg does the reading."""
    from sqlalchemy.exc import DBAPIError

    engine = _engine(url)
    try:
        connection = engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    except DBAPIError as error:
        # The original error names host, port and reason; SQLAlchemy's adds a link to its own website.
        raise explain(error.orig or error, connecting=True) from None
    with connection:
        try:
            yield connection.connection.driver_connection  # type: ignore[misc]  # psycopg's, as the drivername says
        finally:
            # Closing ends the transaction. The pool's rollback before it would log a traceback when the server has gone.
            connection.invalidate()


def _engine(url: str) -> sqlalchemy.Engine:
    import psycopg
    import sqlalchemy
    from sqlalchemy.exc import ArgumentError

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
    try:
        if url and "://" not in url:  # a libpq string: host=… dbname=…
            psycopg.conninfo.conninfo_to_dict(url)
            return sqlalchemy.create_engine(
                "postgresql+psycopg://",
                creator=lambda: psycopg.connect(url, **options),
                poolclass=sqlalchemy.pool.NullPool,
            )
        parsed = sqlalchemy.make_url(url or "postgresql://")
        if "@" in (parsed.host or ""):
            raise ValueError("a password that is not percent-encoded")
    except (ArgumentError, ValueError, psycopg.ProgrammingError):
        # Their own messages repeat what they cannot read, and that may be half a password.
        raise SourceUnavailableError(
            "the database URL cannot be read",
            hint="write postgresql://user@host:5432/database; percent-encode the password",
        ) from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise SourceUnavailableError(
            f"the database URL is for {parsed.get_backend_name()}, and the engine logs to PostgreSQL",
            hint="write postgresql://user@host/database",
        )
    return sqlalchemy.create_engine(
        parsed.set(drivername="postgresql+psycopg"), connect_args=options, poolclass=sqlalchemy.pool.NullPool
    )
