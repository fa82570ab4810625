"""Headless Chromium, spoken to by its DevTools protocol: pages as a browser shows them.

Skipped where there is no Chromium; REQUIRE_BROWSER=1 (as in CI) makes that a failure.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import websocket

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-dev-shm-usage", "--disable-sync", "--hide-scrollbars", "--remote-debugging-port=0",
)  # fmt: skip


class Browser:
    """Chromium, spoken to by its DevTools protocol."""

    def __init__(self, program: str, profile: Path) -> None:
        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port = profile / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not (port.exists() and len(port.read_text().splitlines()) == 2):
            assert time.monotonic() < deadline and self._process.poll() is None, "Chromium did not start"
            time.sleep(0.05)
        number, path = port.read_text().splitlines()
        self._socket = websocket.create_connection(f"ws://127.0.0.1:{number}{path}", timeout=30, suppress_origin=True)
        self._count = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """One call; what happens meanwhile is kept in ``events``."""
        self._count += 1
        asked = {"id": self._count, "method": method, "params": parameters}
        self._socket.send(json.dumps(asked | ({"sessionId": session} if session else {})))
        while True:
            told: dict[str, Any] = json.loads(self._socket.recv())
            if told.get("id") == self._count:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result
            self.events.append(told)

    def wait_for(self, event: str) -> None:
        """Read until something has happened."""
        while not any(told.get("method") == event for told in self.events):
            self.events.append(json.loads(self._socket.recv()))

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.terminate()
        self._process.wait(10)


@dataclass
class Shown:
    """A page as the browser has it."""

    browser: Browser
    session: str

    def ask(self, script: str) -> Any:
        """The value of a script's expression."""
        found = self.browser.call("Runtime.evaluate", self.session, expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def of(self, *methods: str) -> list[dict[str, Any]]:
        """Parameters of the events of these kinds."""
        return [told["params"] for told in self.browser.events if told.get("method") in methods]


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """A browser, or a skip that says that there is none."""
    program = shutil.which("chromium")
    if program is None:
        (pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip)(
            "there is no chromium on this machine"
        )
    found = Browser(str(program), profile)
    try:
        yield found
    finally:
        found.close()
