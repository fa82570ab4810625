"""A restored backup: by pg_dump as another server, and an older one over a source from which the lake has newer rows."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from tests.servers import compare
from tests.servers.bench import Bench, BrokenError, arrive, filled
from tests.servers.compare import Compared
from tests.servers.installed import full
from tests.servers.server import Server, as_user, folder_of_users, running, user
from tests.simulated import LOG


def backups(bench: Bench) -> None:
    """What is the lake's source afterwards, and what becomes of rows that the backup does not know."""
    programs = full()
    if programs is None:
        bench.skip("a restored backup", "apt-get install postgresql")
        return
    with running(programs, bench.place() / "data") as server:
        owner, _ = filled(server, "game")
        bench.play("pg_dump | pg_restore", "into another server", partial(_moved, bench, server, owner))
        for shrink in (False, True):
            what = "an older dump over the source" + ", --allow-shrink" * shrink
            bench.play("pg_dump | pg_restore", what, partial(_older, bench, server, shrink))
    with running(programs, bench.place() / "data") as server:
        filled(server, "game")
        bench.play("a copy of the disk", "an older one put back, then written to", partial(_disk, bench, server))


def _dump(server: Server, database: str, path: Path) -> None:
    words = ["-h", server.sockets, "-p", server.port, "-U", "postgres", "-d", database, "-f", path]
    as_user([server.programs.bin / "pg_dump", "-Fc", *words])


def _restore(server: Server, database: str, path: Path) -> None:
    words = ["-h", server.sockets, "-p", server.port, "-U", "postgres", "-d", database, path]
    as_user([server.programs.bin / "pg_restore", "--clean", "--if-exists", *words])


def _moved(bench: Bench, server: Server, owner: str) -> tuple[Compared, str]:
    lake, path = bench.lake(), folder_of_users(bench.place("dump") / "of") / "game.dump"
    bench.done(owner, lake)
    _dump(server, "game", path)
    with running(server.programs, bench.place() / "data") as other:
        other.execute("create database game")
        _restore(other, "game", path)
        new = other.url("game")
        _, said = bench.refused(new, lake, "--accept-source", at_once=True)
        bench.done(new, lake, accept_source=True)
        first = bench.equal(new, lake)
        arrive(new)
        bench.done(new, lake)
        return Compared(first.rows + bench.equal(new, lake).rows), said


def _older(bench: Bench, server: Server, shrink: bool) -> tuple[Compared, str]:
    """Rows that the dump does not know stay in the lake, and are said; with --allow-shrink the lake follows."""
    name = f"old_{int(shrink)}"
    owner, _ = filled(server, name)
    lake, path = bench.lake(), folder_of_users(bench.place("dump") / "of") / "old.dump"
    _dump(server, name, path)
    arrive(owner)
    bench.done(owner, lake)
    newer = compare.source_rows(owner)
    _restore(server, name, path)
    older = compare.source_rows(owner)
    results = bench.done(owner, lake, allow_shrink=shrink)
    kept = sum(sum(one.kept.values()) for one in results)
    expected = older if shrink else {**{key: row for key, row in newer.items() if key not in older}, **older}
    found = compare.compare(expected, Path(str(lake.root)))
    if not found.is_equal or bool(kept) == shrink or not newer.keys() - older.keys():
        raise BrokenError(f"{found}; {kept} kept")
    # what is written from now on comes in all the same
    arrive(owner)
    bench.done(owner, lake, allow_shrink=shrink)
    bench.equal(owner, lake)
    notes = dict.fromkeys(note for one in results for note in one.notes)
    return found, "; ".join([*notes, f"{kept} rows kept"])


def _disk(bench: Bench, server: Server) -> tuple[Compared, str]:
    """Transaction ids are given a second time, to other changes: that the counter went back gives it away.

    Where as many transactions have run since as before, nothing at the server does: see the page.
    """
    lake, owner = bench.lake(), server.url("game")
    server.stop("fast")
    copy = server.home.parent / "copy"
    shutil.copytree(server.home, copy)
    server.start()
    change = f"update {LOG} set points = {{}}, updated_at = null where \"realmId\" = 'acme-cycling'"
    for points in (1001, 1002, 1003):
        server.execute(change.format(points), database="game")
    bench.done(owner, lake)
    first = bench.equal(owner, lake)
    server.stop("fast")
    shutil.rmtree(server.home)
    shutil.copytree(copy, server.home)
    if who := user():
        for path in [server.home, *server.home.rglob("*")]:
            shutil.chown(path, who)
    server.start()
    server.execute(change.format(2002), database="game")
    results = bench.done(owner, lake)
    found = bench.equal(owner, lake)
    return Compared(first.rows + found.rows), "; ".join(dict.fromkeys(note for one in results for note in one.notes))
