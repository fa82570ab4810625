"""The embedded server of the benchmarks, and the folder that keeps its tables and the lakes between runs."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psycopg

import analytics
from analytics.demo.server import EmbeddedServer

HERE = Path(__file__).parent
CACHE = HERE / ".cache"

#: A small production server: the table fits into memory, nothing else runs, durability of invented data does not matter.
SETTINGS = {
    "shared_buffers": "1GB",
    "autovacuum": "off",
    "jit": "off",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "maintenance_work_mem": "256MB",
    "max_connections": "40",
}


@contextlib.contextmanager
def running(cache: Path = CACHE) -> Iterator[str]:
    """URL of the server; its data stays for the next run."""
    server = EmbeddedServer(cache / "pg")
    cache.mkdir(parents=True, exist_ok=True)
    with server:
        if _configure(server.url):
            server.stop()
            server.start()
        yield server.url


def _configure(url: str) -> bool:
    """Write the settings down; True when the server has to start again for them."""
    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in SETTINGS.items():
            connection.execute(f"alter system set {name} = '{value}'")
        connection.execute("select pg_reload_conf()")
        time.sleep(0.3)  # the reload is a signal, and pending_restart is known only after it
        [(pending,)] = connection.execute("select count(*) from pg_settings where pending_restart").fetchall()
    return bool(pending)


def in_database(url: str, name: str) -> str:
    """The same server, another database."""
    return url.replace("/postgres?", f"/{name}?", 1)


def code_hash() -> str:
    """Changes with any line of the package: results and lakes of other code are not reused."""
    digest = hashlib.sha256()
    root = Path(analytics.__file__).parent
    for path in sorted([*root.rglob("*.*"), *HERE.glob("*.py"), *HERE.glob("sql/*.sql")]):
        if path.suffix in (".py", ".sql", ".c", ".h", ".pyx"):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def kept_lake(cache: Path, name: str, url: str, since: date, until: date) -> Path:
    """A lake of the whole table, extracted once per state of the code."""
    from analytics import api

    folder = cache / "lakes" / f"{name}-{code_hash()}"
    done = folder.with_suffix(".done")
    if not done.exists():
        for other in (cache / "lakes").glob(f"{name}-*"):  # of older code
            shutil.rmtree(other) if other.is_dir() else other.unlink()
        api.extract(folder, since=since, until=until, database_url=url, sample_rate=0.05, sample_rates="")
        done.touch()
    return folder
