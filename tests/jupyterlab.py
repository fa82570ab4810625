"""A JupyterLab on this machine alone with the tour opened in it, in a real browser."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chromium import Browser, Shown

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SECONDS = 60
PANEL = "jupyterapp.shell.currentWidget"
READY = f"""window.jupyterapp && {PANEL}?.content?.widgets?.length > 2
    && {PANEL}.sessionContext.session?.kernel?.status === 'idle'"""


@contextmanager
def laboratory(home: Path, lake: Path) -> Iterator[str]:
    """The address of a JupyterLab with settings and a home of its own.

    Args:
        home: An empty folder.
        lake: What its notebooks open.
    """
    shutil.copytree(NOTEBOOKS, home / "checkout" / "notebooks")
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    # Who opens it first would be asked, over its answers, whether it may look for news.
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {
        name: str(home / name)
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    words = [
        "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=", "--expose-app-in-browser",
        f"--ServerApp.root_dir={home / 'checkout'}", f"--LabApp.workspaces_dir={home / 'workspaces'}", "--LabApp.news_url=None",
        f"--LabApp.user_settings_dir={home / 'settings'}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    log = (home / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *words],
        env=os.environ | own | {"HOME": str(home), "ANALYTICS_LAKE": str(lake)},
        stdout=subprocess.DEVNULL,
        stderr=log,
        start_new_session=True,
    )
    try:
        address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{address}/api/status", timeout=5).close()  # noqa: S310  # our own server
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (home / "log").read_text()
                time.sleep(0.1)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        log.close()


def opened(browser: Browser, address: str, width: int, height: int) -> Shown:
    """The notebook of the tour, no cell of it run."""
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime"):
        browser.call(f"{domain}.enable", session)
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.call("Emulation.setDeviceMetricsOverride", session, **size)
    browser.call("Page.navigate", session, url=f"{address}/lab/tree/notebooks/explore.ipynb?reset")
    shown = Shown(browser, session)
    until(shown, READY)
    return shown


def until(shown: Shown, script: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not shown.ask(f"(() => {{ try {{ return !!({script}) }} catch (e) {{ return false }} }})()"):
        assert time.monotonic() < deadline, script
        time.sleep(0.1)
