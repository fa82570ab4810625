"""Install the project and the peers into the environment whose Python runs this; a peer that does not install is noted.

    .venv-bench/bin/python benchmarks/install.py

The project's own requirements must install. The peers are tried together, and one by one when that fails; the reason is kept
in the environment, from where the tables show it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", "requirements.txt"]


def main() -> int:
    """0 when the project is there, with or without peers."""
    if subprocess.run([*PIP, "-e", ".[demo]"], cwd=ROOT, check=False).returncode:  # noqa: S603  # our own words
        return 1
    lines = (ROOT / "benchmarks" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    peers = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    reasons: dict[str, str] = {}
    if _install(peers) is not None:
        reasons = {peer: why for peer in peers if (why := _install([peer])) is not None}
    (Path(sys.prefix) / "peers.json").write_text(json.dumps(reasons, indent=1), encoding="utf-8")
    for peer, why in reasons.items():
        print(f"{peer} is left out: {why}", file=sys.stderr)
    return 0


def _install(peers: list[str]) -> str | None:
    """None, or what pip said; without the addresses and folders it looked in."""
    done = subprocess.run([*PIP, *peers], cwd=ROOT, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode == 0:
        return None
    errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    return re.sub(r"\S*/\S*", "…", errors[-1] if errors else f"pip ended with {done.returncode}")[:160]


if __name__ == "__main__":
    sys.exit(main())
