"""What libpq and poolers say that no SQLSTATE says: what it means, and what mends it.

Without these lists a certificate that is refused looks like a network that does not answer, and what a pooler refuses like a
connection that was cut: a run would try again for a minute, and then name the wrong repair.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Refusal(NamedTuple):
    """One of them.

    Attributes:
        words: Any of them, in small letters, is in what libpq said.
        sentence: What it means.
        hint: What mends it.
        is_transient: Waiting may mend it.
    """

    words: tuple[str, ...]
    sentence: str
    hint: str
    is_transient: bool = False


_CLIENTS_CERTIFICATE: Final = (
    "sslcert= and sslkey= of the URL (else ~/.postgresql/postgresql.crt and .key) name the certificate and its key; "
    "openssl x509 -noout -subject -issuer -dates -in FILE shows whose it is, who signed it and how long it holds"
)

REFUSALS: Final = (
    Refusal(
        ("does not match host name",),
        "the server's certificate is for another host than the URL names",
        "write the host as the certificate has it (beside it hostaddr= may say the address), or have the server's certificate made "
        "for this name; sslmode=verify-ca trusts any host that the same authority has signed for",
    ),
    Refusal(
        ("root certificate file", "could not read root certificate"),
        "there is no certificate of an authority to check the server's with",
        "sslrootcert= of the URL (else ~/.postgresql/root.crt) names the file; sslrootcert=system takes the authorities that this "
        "machine trusts",
    ),
    Refusal(
        ("certificate verify failed",),
        "the server's certificate is not to be trusted: it has expired, or no authority of sslrootcert has signed it",
        "have the server's certificate renewed, or name the authority that signed it with sslrootcert= (sslrootcert=system: those "
        "that this machine trusts); openssl s_client -starttls postgres -connect HOST:PORT shows it, with its dates",
    ),
    Refusal(
        ("does not support ssl, but ssl was required", "server does not support ssl"),
        "the server speaks no TLS, and the URL asks for it",
        "turn ssl on at the server; where the way to it is safe without, sslmode=prefer (or leaving sslmode out) goes without TLS",
    ),
    Refusal(
        ("has group or world access", "private key file"),
        "the key of the client's certificate cannot be used",
        "sslkey= of the URL names the file: it must be there, belong to this user and be closed to others (chmod 600 FILE)",
    ),
    Refusal(
        ("requires a valid client certificate", "alert certificate required"),
        "the server asks for a certificate of the client",
        _CLIENTS_CERTIFICATE,
    ),
    Refusal(
        ("certificate authentication failed",),
        "the client's certificate is another role's",
        "log in as the role that the certificate names, or have the server map the name to the role (pg_ident.conf); "
        + _CLIENTS_CERTIFICATE,
    ),
    Refusal(
        ("alert certificate", "alert unknown ca", "alert bad certificate", "could not read certificate file"),
        "the server does not take the client's certificate, which has expired or is signed by nobody whom it trusts",
        f"have it renewed; {_CLIENTS_CERTIFICATE}",
    ),
)

POOL_IS_EMPTY: Final = "query_wait_timeout"

# PgBouncer gives all of them the SQLSTATE of a broken protocol (08P01).
OF_POOLERS: Final = (
    Refusal(
        (POOL_IS_EMPTY,),
        "the pooler had no free connection to the server for as long as its query_wait_timeout lets one wait",
        "read with one connection (--jobs 1), have default_pool_size raised for this database and role, or extract at another time",
        is_transient=True,
    ),
    Refusal(
        ("statement pooling mode",),
        "the pooler hands its connections on after each statement, and a snapshot is a transaction",
        "have this database and role pooled with pool_mode = transaction or session, or connect to the server itself",
    ),
    Refusal(
        ("query timeout",),
        "the pooler cancelled a query that took longer than its query_timeout",
        "raise query_timeout of pgbouncer for this role, extract a shorter window, or connect to the server itself",
    ),
    Refusal(
        ("idle transaction timeout",),
        "the pooler ended the session because the transaction was idle for longer than its idle_transaction_timeout",
        "raise idle_transaction_timeout of pgbouncer for this role, or connect to the server itself",
    ),
)


def find_refusal(said: str, known: tuple[Refusal, ...]) -> Refusal | None:
    """The first whose words are in what was said."""
    small = said.lower()
    return next((one for one in known if any(word in small for word in one.words)), None)
