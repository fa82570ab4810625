"""``gather``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from analytics.cli import options as opt
from analytics.cli.output import put, say
from analytics.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class GatherOptions(opt.RealmOptions):
    """Options of ``gather``."""

    share: str = opt.required_word("which share of how many: 1/4 … 4/4", "--share", "I/N")
    into: str = opt.required_word(
        "folder or s3://bucket/prefix, for report --gathered; then delete it", "--into", "DIR"
    )
    since: str | None = opt.since("default: yesterday")
    until: str | None = opt.until("today")


def run_gather(options: GatherOptions) -> int:
    """Ask, and keep the rows; prints the files."""
    from analytics import api

    share, shares = _share(options.share)
    made = api.gather(
        options.open_lake(),
        options.into,
        share,
        shares,
        since=options.since or "yesterday",
        until=options.until or "today",
    )
    for path in made:
        put(str(path))
    say(
        f"share {share} of {shares}: {len(made)} files in {options.into}"
        if made
        else f"share {share} of {shares} is empty"
    )
    return 0


def _share(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text)
    if not match:
        raise UsageError(f"--share {text} is no share", hint="write 1/4 for the first of four")
    return int(match[1]), int(match[2])
