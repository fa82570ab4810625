"""``expire``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analytics.cli import options as opt
from analytics.cli.output import Priority, put_json, put_table, say

if TYPE_CHECKING:
    from analytics.operations.expire import Expiry


@dataclass(frozen=True, kw_only=True)
class ExpireOptions(opt.LakeOptions):
    """Options of ``expire``."""

    older_than: str | None = opt.word("180d or 26w: days that were over so long ago go", "--older-than", "AGE")
    before: str | None = opt.word("instead of an age: the first day that stays, 2026-01-01", "--before", "DAY")
    yes: bool = opt.flag("do it", "--yes", opt.CONSENT)
    unverified: bool = opt.flag(
        "also days that are not complete, or whose files are not as the ledger says", "--unverified", opt.CONSENT
    )
    accept_clock: bool = opt.flag(
        "this machine's clock is right, though it is far ahead of the last extraction", "--accept-clock", opt.CONSENT
    )
    wait: float = opt.wait()
    json: bool = opt.as_json("the days as JSON on stdout")


def run_expire(options: ExpireOptions) -> int:
    """Show what goes, and let it go where that was said."""
    from analytics.config import Settings
    from analytics.errors import LakeError
    from analytics.extraction.clocks import ensure_plausible
    from analytics.lake.expiry_mark import first_day_to_keep
    from analytics.lake.lake import Lake
    from analytics.operations.expire import expire, plan_expiry

    before = first_day_to_keep(options.older_than, options.before, accept_young=options.yes)
    lake = Lake(Settings.from_env(lake=options.lake, sample_rates="").lake)
    expiry = plan_expiry(lake, before)  # a lake that is not there is not made by taking its lock
    try:
        ensure_plausible(lake, datetime.now(UTC).date(), accept=options.accept_clock or not expiry.days)
    except LakeError as error:
        if options.yes:
            raise
        say(f"{error.message}\n  {error.hint}", priority=Priority.WARNING)
    if options.yes:
        expiry = expire(lake, before, unverified=options.unverified, wait_seconds=options.wait)
    if options.json:
        put_json(expiry.to_dict())
    elif expiry.days:
        put_table(
            ("day", "realms", "logged runs", "only here", "kB", "" if options.yes else "not verified"),
            [
                (
                    str(day.day),
                    day.realms,
                    day.rows,
                    day.kept,
                    round(day.bytes_on_disk / 1024),
                    _remark(day.doubts, day.is_leftover),
                )
                for day in expiry.days
            ],
        )
    _report(expiry, unverified=options.unverified)
    return 0


def _remark(doubts: tuple[str, ...], is_leftover: bool) -> str:
    return "left by a run that was interrupted" if is_leftover else "; ".join(doubts)


def _report(expiry: Expiry, *, unverified: bool) -> None:
    rows, size = sum(day.rows for day in expiry.days), sum(day.bytes_on_disk for day in expiry.days)
    days = f"{len(expiry.days)} day{'s' * (len(expiry.days) != 1)} before {expiry.before}"
    what = f"{days}: {rows:,} logged runs, {size / (1 << 20):,.1f} MB"
    if expiry.removed:
        say(f"removed {what}; extraction leaves these days alone from now on")
    elif expiry.days:
        say(f"would remove {what}; nothing was removed: --yes does it")
    else:
        say(f"nothing to remove: the lake holds no day before {expiry.before}")
    if kept := sum(day.kept for day in expiry.days):
        say(f"{kept:,} of these rows the source has lost already: nobody else holds them", priority=Priority.NOTICE)
    if expiry.doubtful and not expiry.removed and not unverified:
        say(
            f"{len(expiry.doubtful)} of these days are not verified against the source: --yes refuses them without --unverified",
            priority=Priority.WARNING,
        )
    if expiry.undated_rows:
        say(f"{expiry.undated_rows:,} rows have no usable created_at, so no age: they stay", priority=Priority.NOTICE)
    say("definitions and what lies in .set-aside stay")
    for note in expiry.notes:
        say(f"note: {note}", priority=Priority.NOTICE)
