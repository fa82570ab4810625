"""Open a read-only connection to the server, say what it refused in words, and try again when it failed for a moment.

That may be a restart, a failover, a conflict on a standby. An attempt is a whole one, with a connection and a snapshot of its own;
what earlier attempts settled is in the ledger and is not done again. The pauses double, with some chance in them, so that the
readers that a restart has thrown out do not come back all at once.
"""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from analytics.errors import SourceError, SourceUnavailableError
from analytics.source.server_errors import explain_server_error

if TYPE_CHECKING:
    import psycopg

FIRST_PAUSE = 2.0
LONGEST_PAUSE = 60.0

_Result = TypeVar("_Result")
_chance = random.SystemRandom()


class Retries:
    """The patience of one run with its source.

    Args:
        most: Retries in a row that settle nothing; 0 gives up at the first failure. Five are about a minute.
        notice: Told once, at the first retry, in a sentence.

    Attributes:
        failures: Of the attempts that were retried.
    """

    def __init__(self, most: int, notice: Callable[[str], None] | None = None) -> None:
        self._most, self._notice = most, notice
        self.failures: list[SourceError] = []

    def run(self, attempt: Callable[[], _Result], settled: Callable[[], int]) -> _Result:
        """Attempt until it succeeds, fails for good, or fails too often.

        Args:
            attempt: Called again after a transient failure.
            settled: How much is done; where an attempt did some of it, counting begins anew.

        Raises:
            SourceError: That of the last attempt.
        """
        in_a_row, before = 0, settled()
        while True:
            try:
                return attempt()
            except SourceError as error:
                if not error.is_transient:
                    raise
                in_a_row, before = in_a_row if settled() == before else 0, settled()
                if in_a_row == self._most:
                    if in_a_row:
                        error.add_words(f"; given up after {in_a_row} retries")
                    raise
                in_a_row += 1
                self.failures.append(error)
                if len(self.failures) == 1 and self._notice:
                    self._notice(f"{error.message}; trying again")
            time.sleep(pause(in_a_row))

    def notes(self) -> list[str]:
        """What a person should know of it afterwards, in at most one sentence."""
        if not self.failures:
            return []
        times = "once" if len(self.failures) == 1 else f"{len(self.failures)} times"
        return [f"the source failed {times} and the run went on by itself: {self.failures[-1].message}"]


def pause(number: int) -> float:
    """Seconds before the given retry, the first being 1."""
    return float(min(FIRST_PAUSE * 2 ** (number - 1), LONGEST_PAUSE) * _chance.uniform(0.75, 1.25))


Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"
"""To the source, with rows as the statement has them."""


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

    connection: Connection
    settings: Mapping[str, str]

    def begin(self) -> None:
        """Settings of a transaction; its first statements, or those after it has taken over a snapshot."""
        for name, value in self.settings.items():
            self.connection.execute("select set_config(%s, %s, true)", [name, value])
        self.connection.execute(SESSION)
        self.connection.execute(NO_TRANSACTION_TIMEOUT)


@contextlib.contextmanager
def connect(url: str) -> Iterator[Session]:
    """A read-only snapshot.

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
    try:
        yield Session(connection, settings)
    finally:
        _end(connection)


def _end(connection: Connection) -> None:
    """Close it, its transaction ended: of one that just goes the server learns later, and a run right after would wait for it."""
    import psycopg

    status = psycopg.pq.TransactionStatus
    with contextlib.closing(connection), contextlib.suppress(psycopg.OperationalError):  # cut, as is its transaction
        if connection.info.transaction_status in (status.INTRANS, status.INERROR):
            connection.rollback()


_NAMES_OF_A_SERVER = ("host", "hostaddr", "port", "service", "dbname")


def _connected(keywords: dict[str, Any]) -> Connection:
    import psycopg

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
        connection = psycopg.connect(**{**keywords, **options})
    except psycopg.Error as error:
        meant = explain_server_error(error, connecting=True)
        if meant.is_transient and not _is_named(keywords):
            # Waiting helps against a server that is down, not against none.
            raise SourceUnavailableError(
                f"no source is named, and this machine has none where libpq looks by itself ({meant.message})",
                hint="give --database-url postgresql://reader@host/db, or set DATABASE_URL",
            ) from None
        raise meant from None
    connection.isolation_level, connection.read_only = psycopg.IsolationLevel.REPEATABLE_READ, True
    return connection


def _is_named(keywords: Mapping[str, Any]) -> bool:
    """A server was named: in a URL, or by a variable or service file of libpq."""
    import psycopg

    if any(keywords.get(name) for name in _NAMES_OF_A_SERVER):
        return True
    return any(
        one.val != one.compiled
        for one in psycopg.pq.Conninfo.get_defaults()
        if one.keyword.decode() in _NAMES_OF_A_SERVER
    )


def _keywords(url: str) -> dict[str, Any]:
    """What libpq needs to know, from any form of URL."""
    import psycopg

    try:
        if not url:
            return {}
        if "://" not in url:  # a libpq string: host=… dbname=…
            return dict(psycopg.conninfo.conninfo_to_dict(url))
        if plain := _only_libpqs(url):
            found = dict(psycopg.conninfo.conninfo_to_dict(plain))
            if "@" in str(found.get("host") or ""):
                raise ValueError("a password that is not percent-encoded")
            return found
        if plain := _plain(url):
            return dict(psycopg.conninfo.conninfo_to_dict(plain))
    except (ValueError, psycopg.ProgrammingError):
        raise _unreadable() from None
    return _sqlalchemys(url)


def _sqlalchemys(url: str) -> dict[str, Any]:
    """What libpq needs to know, from whatever else SQLAlchemy takes; loading it takes a sixth of a second."""
    import sqlalchemy
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = sqlalchemy.make_url(url)
        if "@" in (parsed.host or ""):
            raise ValueError("a password that is not percent-encoded")
    except (ArgumentError, ValueError):
        raise _unreadable() from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise SourceUnavailableError(
            f"the database URL is for {parsed.get_backend_name()}, and the engine logs to PostgreSQL",
            hint="write postgresql://user@host/database",
        )
    parsed = parsed.set(drivername="postgresql+psycopg")
    keywords = dict(sqlalchemy.create_engine(parsed).dialect.create_connect_args(parsed)[1])
    keywords.pop("context", None)  # SQLAlchemy's own types
    return keywords


def _unreadable() -> SourceUnavailableError:
    """Without the parsers' own messages: they repeat what they cannot read, and that may be half a password."""
    return SourceUnavailableError(
        "the database URL cannot be read",
        hint="write postgresql://user@host:5432/database, several hosts as host1:5432,host2:5432; percent-encode the password",
    )


_WORD = r"[\w.~-]"
_PLAIN = re.compile(
    rf"(?:postgresql|postgres)(?:\+psycopg)?(://(?:{_WORD}+(?::{_WORD}+)?@)?{_WORD}*(?::[0-9]+)?/{_WORD}+(?:\?host=[/\w.~-]+)?)",
    re.ASCII,
)


def _plain(url: str) -> str | None:
    """A URL that libpq and SQLAlchemy read in the same way, as most are: nothing in it is encoded."""
    match = _PLAIN.fullmatch(url)
    return f"postgresql{match[1]}" if match else None


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
