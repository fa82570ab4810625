"""Whether two programs say the same: then either stands for the other."""

from __future__ import annotations

from analytics.findings.replay.replay_run import wraps
from analytics.findings.replay.run_evidence import Definition
from analytics.program.compare import compare


def says_same(program: Definition, other: Definition) -> bool:
    """Two programs say the same, with the built-in that they wrap and its variables: only ids or layout differ."""
    if wraps(program) != wraps(other):
        return False
    return not compare(other.outline, program.outline, (other.built_in, program.built_in)).edits
