"""What an error of the server means, and what mends it: by SQLSTATE, or by words where a refused connection has none."""

from __future__ import annotations

import re
from dataclasses import dataclass

from analytics.errors import SourceAccessError, SourceError, SourceUnavailableError
from analytics.source.refusals import OF_POOLERS, REFUSALS, Refusal, find_refusal


@dataclass(frozen=True, slots=True)
class _Meaning:
    sentence: str
    hint: str
    is_transient: bool = False
    kind: type[SourceError] = SourceError


_SERVER_LOG = "see the server's log; run again when it is up: what was finished stays"
_LOST = _Meaning("the connection to the server was lost", _SERVER_LOG, is_transient=True)
STANDBYS_REPAIR = (
    "extract a shorter window, raise max_standby_streaming_delay or set hot_standby_feedback = on at the standby, or read "
    "from the primary"
)
_CONFLICT = _Meaning(
    "the standby needed to replay a change that this snapshot still had to see", STANDBYS_REPAIR, is_transient=True
)
_FULL = _Meaning(
    "the server has no free connection",
    "raise max_connections, connect through a pooler, or extract at another time; --jobs 1 needs one connection only",
    is_transient=True,
    kind=SourceUnavailableError,
)
_STARTING = _Meaning(
    "the server is starting, stopping or recovering", _SERVER_LOG, is_transient=True, kind=SourceUnavailableError
)
_UNREACHABLE = _Meaning(
    "the server cannot be reached",
    "check host, port, user and password: psql with the same URL must connect",
    is_transient=True,
    kind=SourceUnavailableError,
)
_REFUSED = _Meaning("the server does not let us in", _UNREACHABLE.hint, kind=SourceUnavailableError)

_DAMAGED = _Meaning(
    "the server cannot read its own data: a page of the table, of its long values or of an index is damaged",
    "extract one day at a time (--since, --until) to see which it is, and have the others; the server's log and its extension "
    "amcheck say what to mend there",
)

_BY_STATE = {
    "22021": _Meaning(
        "a text at the server is not in its database's encoding: one of SQL_ASCII takes any bytes",
        "mend such texts there, or have a database in UTF8; extract one day at a time (--since, --until) to see which it is, and "
        "have the others",
    ),
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
    "57P01": _Meaning("the server shut down, or an administrator ended this session", _SERVER_LOG, is_transient=True),
    "57P02": _Meaning("the server crashed and recovers", _SERVER_LOG, is_transient=True),
    "57P03": _STARTING,
    "57P05": _LOST,
    "53300": _FULL,
    "40001": _Meaning("the server could not fit this read in with other transactions", "run again", is_transient=True),
    "40P01": _Meaning("the server broke a deadlock by ending this query", "run again", is_transient=True),
    # A change of the table queues behind our first connection, and our second behind the change: the server cannot see that we
    # wait for ourselves, and the application waits behind us all.
    "55P03": _Meaning(
        "the log table is locked by somebody else, for longer than lock_timeout",
        "wait until the change of the table is over, and run again",
        is_transient=True,
    ),
    "57014": _Meaning(
        "the query was cancelled",
        "a timeout or an administrator cancelled the query; run again, or extract a shorter window",
    ),
    "25P03": _Meaning(
        "the server or a pooler ended the session because the transaction was idle",
        "raise idle_in_transaction_session_timeout for this role (idle_transaction_timeout of pgbouncer)",
    ),
    "25P04": _Meaning(
        "the server ended the session because the transaction took longer than transaction_timeout",
        "set transaction_timeout = 0 for this role, or extract a shorter window",
    ),
    "42501": _Meaning(
        "a right is missing",
        "grant select on strategyexecutionlog to the role that reads it",
        kind=SourceAccessError,
    ),
    "53100": _Meaning("the server's disk is full", "free some space at the server, or extract a shorter window"),
    "53200": _Meaning("the server is out of memory", "extract a shorter window, or at another time"),
}
_BY_STATE_CLASS = {"08": _LOST}

# A refused connection has no SQLSTATE, only the server's words.
_BY_WORDS = (
    (("too many clients", "too many connections", "connection slots are reserved", "no more connections"), _FULL),
    (("starting up", "shutting down", "in recovery mode", "not yet accepting", "not accepting connections"), _STARTING),
    (
        ("password authentication failed", "no password supplied"),
        _Meaning(_REFUSED.sentence, "check user and password: ~/.pgpass, PGPASSWORD or the URL", kind=_REFUSED.kind),
    ),
    (
        ("no pg_hba.conf entry", "pg_hba.conf rejects"),
        _Meaning(
            _REFUSED.sentence,
            "have this host, role and database entered in the server's pg_hba.conf, or connect from a host that is; where it "
            "says no encryption, the entry may be for TLS alone: sslmode=require, or verify-full with sslrootcert=",
            kind=_REFUSED.kind,
        ),
    ),
    (
        ("does not exist", "no such database", "no such user"),
        _Meaning(_REFUSED.sentence, "check the names in the URL; psql -l lists the databases", kind=_REFUSED.kind),
    ),
    (
        # A standby answers before it is promoted: a failover takes a while.
        ("session is read-only", "server is in hot standby mode"),
        _Meaning(
            "the URL asks for a server that takes writes, and none does at the moment",
            "target_session_attrs=any takes the first that answers; reading is all that is needed, so a standby will do",
            is_transient=True,
            kind=SourceUnavailableError,
        ),
    ),
    (
        ("session is not read-only", "server is not in hot standby mode"),
        _Meaning(
            "no server of the URL is of the kind that it asks for",
            "target_session_attrs=any takes the first that answers; reading is all that is needed, so a standby will do",
            kind=SourceUnavailableError,
        ),
    ),
    (
        ("unsupported startup parameter",),
        _Meaning(
            "the pooler takes no such option with a connection",
            "leave it out of the URL (behind options=), PGOPTIONS or the service file, and set it for the role: alter role … set …",
            kind=SourceUnavailableError,
        ),
    ),
    (
        ("name or service not known", "nodename nor servname", "no address associated"),
        _Meaning("there is no such host", _UNREACHABLE.hint, kind=SourceUnavailableError),
    ),
    # Any other refusal of the server itself is meant; what remains is a network without an answer.
    (("fatal:",), _REFUSED),
)


def explain_server_error(error: BaseException, *, connecting: bool = False) -> SourceError:
    """A psycopg error as one of ours.

    Args:
        error: What was raised.
        connecting: It happened before the connection was made.
    """
    message = " ".join(str(error).split())
    state = getattr(error, "sqlstate", None)
    meaning = _missing_right(error, message) or _meaning(error, message, state, connecting)
    sentence = f"{meaning.sentence} (PostgreSQL: {message})" if meaning else f"PostgreSQL: {message}"
    return (meaning.kind if meaning else SourceError)(
        sentence,
        hint=meaning.hint if meaning else "",
        sqlstate=state,
        is_transient=bool(meaning and meaning.is_transient),
    )


def _missing_right(error: BaseException, message: str) -> _Meaning | None:
    """A right that PostgreSQL names, with the statement that grants it."""
    found = re.search(r'permission denied for (database|schema|table|view|function) ("[^"]+"|\S+)', message)
    if not found:
        return None
    kind, name = found[1], found[2].strip('"')
    # psycopg leaves the half-made connection with its error: it knows whose it was to be
    user = getattr(getattr(error, "pgconn", None), "user", None)
    role = '"' + user.decode(errors="replace").replace('"', '""') + '"' if user else "the role that reads it"
    granted = {"database": "connect", "schema": "usage", "function": "execute"}.get(kind, "select")
    on = name if kind in ("table", "view") else f"{kind} {name}" if kind == "function" else f'{kind} "{name}"'
    return _Meaning("a right is missing", f"grant {granted} on {on} to {role};", kind=SourceAccessError)


def _meaning(error: BaseException, message: str, state: str | None, connecting: bool) -> _Meaning | None:
    import psycopg

    if "conflict with recovery" in message:  # with several states, depending on what was being done
        return _CONFLICT
    if state:
        if state[:2] == "08" and (refusal := find_refusal(message, OF_POOLERS)):
            return _refused(refusal)
        return _BY_STATE.get(state) or _BY_STATE_CLASS.get(state[:2])
    if isinstance(error, psycopg.ProgrammingError):
        return _Meaning(
            "the options of the connection are not understood",
            "check the options behind the ? of the URL",
            kind=SourceUnavailableError,
        )
    if connecting:
        if refusal := find_refusal(message, REFUSALS):
            return _refused(refusal)
        words = message.lower()
        return next((meaning for known, meaning in _BY_WORDS if any(w in words for w in known)), _UNREACHABLE)
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return _LOST
    return None


def _refused(refusal: Refusal) -> _Meaning:
    return _Meaning(refusal.sentence, refusal.hint, refusal.is_transient, SourceUnavailableError)
