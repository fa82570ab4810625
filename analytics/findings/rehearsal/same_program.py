"""Whether what is tried says the same as what ran: then that no run is paid otherwise is no matter of chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics.findings.replay.says_same import says_same

if TYPE_CHECKING:
    from analytics.findings.rehearsal.rehearsal import Rehearsal


def same_as_running(found: Rehearsal) -> str:
    """Label of the version that ran last, where the program says the same as it; else empty."""
    running = found.running
    return running[0] if running is not None and says_same(found.program, running[1]) else ""
