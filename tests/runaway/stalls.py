"""Event loops that stand still: at once, again and again for minutes, beside somebody who times out all day."""

from __future__ import annotations

from typing import Final

from tests.runaway import programs
from tests.runaway.fleet import EVERYWHERE, Expected, Incident, Player, Story, family, kinds, moment
from tests.runaway.stories import STALL_WORDS

_REALMS: Final = ("acme", "bay", "gym", "hill")
_SIXTEEN: Final = tuple(
    Player(
        family(realm, f"Pages {number}", programs.plain_fields, programs.plain())
        if number % 2
        else family(realm, f"Ladder {number}", programs.levels(90, spread=6), programs.tall()),
        150,
    )
    for realm in _REALMS
    for number in range(4)
)
_SLOW: Final = Player(
    family("hill", "Group scores", programs.levels(150, spread=10), programs.tall()), 900, timeouts=0.05
)

_THREE: Final = (moment(0, "13:10"), moment(0, "13:13"))


def _pulse(begin: str, end: str, extra: int, realm: str = EVERYWHERE, name: str = EVERYWHERE) -> Incident:
    """A part of a minute in which every run that ends times out."""
    return Incident(moment(0, f"13:{begin}"), moment(0, f"13:{end}"), realm, name, stall=1.0, extra=extra)


STALLS: Final[tuple[Story, ...]] = (
    Story(
        "long_stall",
        "The event loop of sixteen strategies stands still again and again for nine minutes, at its edges for two or three of them "
        "only: one stall.",
        _SIXTEEN,
        (
            _pulse("08:10", "08:30", 1, "gym", "Pages 1"),
            _pulse("11:00", "11:30", 2),
            _pulse("12:50", "13:05", 1, "bay"),
            _pulse("15:50", "16:20", 2),
            _pulse("17:40", "17:55", 1, "hill"),
        ),
        (
            Expected(
                kinds("stall"),
                kinds("finding new"),
                None,
                lambda run: run.stalled,
                (*STALL_WORDS, "{strategies} strategies"),
                lambda runs: {"strategies": len({(run.realm, run.family) for run in runs if run.stalled})},
            ),
        ),
        rate=0.05,
        page={"when": ("a stalled event loop",)},
        absent={"when": ("stalled 2 times",)},
    ),
    Story(
        "stall_beside_a_slow_one",
        "The event loop of all stands still for three minutes; one of the strategies times out all day beside, for reasons of its "
        "own, and is told so.",
        (*_SIXTEEN, _SLOW),
        (Incident(*_THREE, stall=1.0, extra=4),),
        (
            Expected(kinds("stall"), kinds("finding new"), None, lambda run: run.stalled, STALL_WORDS),
            Expected(
                kinds("timeout"),
                kinds("finding new worse"),
                ("hill", "Group scores", 1),
                lambda run: run.status == "timeout" and run.family == "Group scores" and not run.stalled,
                ("its rules may be the cause",),
            ),
        ),
        rate=0.05,
    ),
)
