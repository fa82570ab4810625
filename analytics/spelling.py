"""Which of the known names may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MOST = 3


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """``did you mean 'executions'? ``, to stand before the rest of a hint; empty when nothing known is near.

    A name that begins with what was given, or has it inside, is near, and so is one that is spelled almost like it.
    """
    wanted = str(name).casefold()
    names = dict.fromkeys(str(one) for one in known if one is not None)
    if not wanted:
        return ""
    spelled = {one.casefold(): one for one in names}
    near = [spelled[one] for one in difflib.get_close_matches(wanted, spelled, n=_MOST, cutoff=0.7)]
    near += [one for one in names if len(wanted) > 2 and wanted in one.casefold() and one not in near]
    # repr writes out what cannot be seen
    return f"did you mean {' or '.join(repr(one) for one in near[:_MOST])}? " if near else ""
