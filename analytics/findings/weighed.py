"""What the replay says of a version that was found: it knows more than two groups of runs that are only compared."""

from __future__ import annotations

from dataclasses import replace

from analytics.findings.counterfactual import Replayed
from analytics.findings.finding import Incident


def weighed(found: Incident, forward: Replayed | None) -> Incident:
    """Acquit a version whose program pays the same on the same inputs.

    Points per run of two versions also differ because other people play; on the same inputs that cannot be. The finding then
    is that points moved, not that the version moved them, and what else was found comes before it.

    Args:
        found: What comparing groups of runs says.
        forward: The earlier program on the inputs of the later version, where that covers enough of the runs.
    """
    # One that pays some runs more and others less is another program, whatever the sum: it is not acquitted.
    if found.kind != "version" or forward is None or forward.differing_count:
        return found
    reason = (
        f"{forward.inputs_label} began then, but it pays what {forward.program_label} pays on the same inputs: "
        "it is not the version"
    )
    acquitted = replace(found, kind="data", border=None, rollback=None, also=(), reason=reason)
    if not found.also:
        return acquitted
    first, *rest = found.also
    return replace(first, also=(*rest, acquitted))


def pays_otherwise(found: Incident, forward: Replayed | None) -> bool:
    """A quiet strategy whose later version does pay other points on the same inputs, beyond chance."""
    moved = forward is not None and (forward.difference.low > 0 or forward.difference.high < 0)
    return found.kind == "quiet" and moved
