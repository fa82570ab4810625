"""Over TCP and TLS, with an authority of one's own: what fits is read, what does not is refused in words, and at once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from tests.servers.bench import Bench, filled
from tests.servers.certificates import Authority
from tests.servers.installed import full
from tests.servers.server import Server, running

GROUND = "TLS"
SETTINGS = """
listen_addresses = '127.0.0.1'
ssl = on
ssl_ca_file = '{ca}'
ssl_cert_file = '{certificate}'
ssl_key_file = '{key}'
"""
ACCESS = """
local all all trust
hostssl all with_certificate 127.0.0.1/32 cert clientcert=verify-full
hostssl all all 127.0.0.1/32 trust
"""


def tls(bench: Bench) -> None:
    """sslmode=verify-full against a right, a wrong, an old and a foreign certificate; client certificates; no TLS at all."""
    programs = full()
    if programs is None:
        bench.skip(GROUND, "apt-get install postgresql")
        return
    place = bench.place("certificates")
    ours, theirs = Authority(place), Authority(place, "somebody-else")
    good, old = ours.sign("server", ["localhost"]), ours.sign("server", ["localhost"], days=-1)
    settings = SETTINGS.format(ca=ours.path, certificate=good[0], key=good[1])
    with running(programs, bench.place() / "data", settings=settings, access=ACCESS) as server:
        owner, _ = filled(server, "game")
        server.execute("create role with_certificate login superuser")
        _right(bench, server, owner, ours)
        _wrong(bench, server, ours, theirs)
        _clients(bench, server, owner, ours)
        server.configure(f"ssl_cert_file = '{old[0]}'\nssl_key_file = '{old[1]}'\n")
        server.stop()
        server.start()
        _refused(bench, server, "a certificate of the server that is over", _with(ours.path), "certificate", "expired")
        server.configure("ssl = off\n")
        server.stop()
        server.start()
        _refused(bench, server, "a server without TLS", _with(ours.path), "TLS")


def _with(authority: Path | str, **more: Path | str) -> str:
    return urlencode({"sslmode": "verify-full", "sslrootcert": str(authority), **{k: str(v) for k, v in more.items()}})


def _right(bench: Bench, server: Server, owner: str, ours: Authority) -> None:
    for jobs in (1, 2):
        lake = bench.lake()
        url = server.tcp(database="game", more=_with(ours.path))
        if jobs == 1:
            bench.play(GROUND, "verify-full", partial(bench.ordinary, owner, url, lake))
        else:
            bench.play(GROUND, f"verify-full, --jobs {jobs}", partial(bench.once, owner, url, lake, jobs=jobs))


def _wrong(bench: Bench, server: Server, ours: Authority, theirs: Authority) -> None:
    _refused(
        bench,
        server,
        "a host that the certificate is not for",
        _with(ours.path),
        "certificate",
        "127.0.0.1",
        host="127.0.0.1",
    )
    _refused(bench, server, "an authority that is not ours", _with(theirs.path), "certificate", "sslrootcert")
    _refused(bench, server, "no authority at that place", _with("/nowhere/ca.crt"), "certificate", "sslrootcert")
    _refused(bench, server, "sslmode=disable where the server wants TLS", "sslmode=disable", "sslmode")


def _clients(bench: Bench, server: Server, owner: str, ours: Authority) -> None:
    certificate, key = ours.sign("with_certificate", of_server=False)
    other = ours.sign("somebody", of_server=False)
    over = ours.sign("with_certificate", days=-2, of_server=False)
    url = server.tcp(database="game", role="with_certificate", more=_with(ours.path, sslcert=certificate, sslkey=key))
    bench.play(GROUND, "a client's certificate", partial(bench.once, owner, url, bench.lake()))
    role = "with_certificate"
    _refused(bench, server, "no certificate of the client", _with(ours.path), "certificate", "sslcert", role=role)
    for what, (own, secret) in {"another role's": other, "an expired": over}.items():
        more = _with(ours.path, sslcert=own, sslkey=secret)
        _refused(bench, server, f"{what} certificate of the client", more, "certificate", role=role)
    loose = ours.sign("with_certificate", days=3, of_server=False)
    loose[1].chmod(0o644)
    more = _with(ours.path, sslcert=loose[0], sslkey=loose[1])
    _refused(bench, server, "a client's key that everybody may read", more, "chmod", role=role)


def _refused(
    bench: Bench, server: Server, what: str, more: str, *words: str, host: str = "localhost", role: str = "postgres"
) -> None:
    url = server.tcp(host, "game", role, more)
    bench.play(GROUND, what, partial(bench.refused, url, bench.lake(), *words, at_once=True))
