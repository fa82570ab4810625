"""Whether what is tried says the same as what ran: then that no run is paid otherwise is no matter of chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics.findings.replay.replay_run import wraps
from analytics.findings.replay.run_evidence import Definition, definition
from analytics.program.compare import compare

if TYPE_CHECKING:
    from analytics.findings.rehearsal.rehearsal import Rehearsal


def says_same(program: Definition, other: Definition) -> bool:
    """Two programs say the same: only ids or layout differ."""
    if wraps(program) != wraps(other):
        return False
    return not compare(other.outline, program.outline, (other.built_in, program.built_in)).edits


def is_same(found: Rehearsal) -> bool:
    """The program says the same as every program that it is held against, and no tried run speaks against that."""
    rows = found.tried.rows
    if not len(rows) or rows["is_changed"].any() or rows["is_contradicted"].any() or not rows["is_own"].all():
        return False
    if found.beside is not None:
        return says_same(found.program, found.beside[1])
    tried = [version for version in found.tried.versions if version.tried_count]
    programs = [definition(found.lake, version.strategy_id, version.strategy_version) for version in tried]
    return all(one is not None and says_same(found.program, one) for one in programs)


def same_as_running(found: Rehearsal) -> str:
    """Label of the version that ran last, where the program says the same as it; else empty."""
    running = found.running
    return running[0] if running is not None and says_same(found.program, running[1]) else ""
