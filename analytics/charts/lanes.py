"""Failures as marks in lanes, one for each code: a panel of the timeline."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from analytics.charts.columns import known, moments, words
from analytics.charts.stage import Stage, empty
from analytics.charts.theme import SMALL, baseline, colour, fit, pixels, tied

if TYPE_CHECKING:
    import pandas as pd

MARKS = ("o", "D", "s", "^", "v")
LANES = 4
LANE, LANE_PHONE = 18, 32


def common_codes(codes: list[str]) -> list[str]:
    """The codes that get a lane of their own, the commonest first; the others share one."""
    common = [code for code, _ in Counter(codes).most_common()]
    return common if len(common) <= LANES + 1 else [*common[:LANES], "other codes"]


def failure_lanes(stage: Stage, top: float, failures: pd.DataFrame, lanes: list[str]) -> None:
    """The panel."""
    height = max((LANE_PHONE if stage.phone else LANE) * len(lanes), LANE)
    axes = stage.axes(
        top, height, "Failures, each one" if stage.phone else "Failures, each one (logged, not estimated)"
    )
    axes.set_ylim(max(len(lanes), 1) - 0.5, -0.5)
    baseline(axes)
    codes, times = words(failures, "error_code", "no code"), moments(failures, "created_at")
    for lane, code in enumerate(lanes):
        own = [
            moment
            for moment, found in zip(times, codes, strict=True)
            if known(moment) and (found == code or (code == "other codes" and found not in lanes))
        ]
        seen = _apart(own, stage)
        axes.plot(
            seen, [lane + (0.22 if stage.phone else 0)] * len(seen), MARKS[lane], ms=5, mfc="none", mec=colour("ink"),
            mew=1, ls="none", zorder=3, clip_on=False,
        )  # fmt: skip
        # The engine's prefix and capitals cost room; the table of failures has the code as it is.
        name = code.removeprefix("DSL_").replace("_", " ").lower() if code.startswith("DSL_") else code
        text = f"{name} {len(own)}"
        if not stage.phone:
            text = text if pixels(text, SMALL) <= 126 else fit(name, 126, SMALL)
            tied(axes, (stage.until, lane), text, offset=(10, 0), size=SMALL)
        else:
            tied(axes, (stage.since, lane), fit(text, 200, SMALL), offset=(0, 8), size=SMALL)
    if not lanes:
        empty(axes, "none logged")


def _apart(times: list[float], stage: Stage) -> list[float]:
    """One of those that would lie on the same half pixel: more are not seen, and tens of thousands make a page that is slow."""
    width = (stage.until - stage.since) / (2 * stage.room)
    return list({round((time - stage.since) / width): time for time in times}.values()) if width > 0 else times
