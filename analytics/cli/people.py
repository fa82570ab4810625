"""``pseudonym`` and ``erase``: what a person may ask of who holds their data."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.cli import options as opt
from analytics.cli.output import (
    Priority,
    ensure_ours,
    plain_value,
    put_json,
    put_table,
    say,
    warn_of_losses,
    write_parquet,
)
from analytics.errors import LakeError, UsageError

if TYPE_CHECKING:
    from analytics.lake.lake import Lake
    from analytics.operations.erase import ErasureReceipt, Person
    from analytics.warehouse.damage import DamagedFile

_DIGITS = 16  # of a hash, in a table
_MOST_NAMED = 5


_USER = "the id as the log has it, or a pseudonym; - reads it from stdin, unseen by ps"


@dataclass(frozen=True, kw_only=True)
class PseudonymOptions(opt.ManyRealmOptions):
    """Options of ``pseudonym``."""

    user: str = opt.argument(_USER, "USER")
    out: Path | None = opt.path(
        "also write their logged runs there, .parquet or .json (one object per line)", "--out", "FILE", None
    )
    overwrite: bool = opt.overwrite()
    json: bool = opt.as_json("the answer as JSON on stdout")


@dataclass(frozen=True, kw_only=True)
class EraseOptions(opt.ManyRealmOptions):
    """Options of ``erase``."""

    user: str = opt.required_word(_USER, "--user", "USER")
    reports: str | None = opt.reports("also search these (default: $ANALYTICS_REPORTS, else reports/out)", "--reports")
    wait: float = opt.wait()
    json: bool = opt.as_json("the receipt as JSON on stdout")


def _user(given: str) -> str:
    return sys.stdin.readline().rstrip("\r\n") if given == "-" else given


def run_pseudonym(options: PseudonymOptions) -> int:
    """Say under which names the lake holds a person, where and since when; hand their runs out."""
    from analytics.config import Settings
    from analytics.extraction.privacy.policy import Policy
    from analytics.lake import losses
    from analytics.lake.lake import Lake
    from analytics.operations.erase import Person

    if options.out and options.out.suffix not in (".parquet", ".json"):
        raise UsageError(f"{options.out} has no format", hint="name a file that ends in .parquet or .json")
    settings = Settings.from_env(lake=options.lake, sample_rates="")
    lake = Lake(settings.lake)
    subject = Person(lake, _user(options.user), Policy.of(settings))
    realms = options.realms() or lake.realms()
    records = (record for day in lake.recorded_days() if (record := lake.recorded(day)))
    warn_of_losses(losses.of_days(lake, records, realms))
    all_hits, rows = subject.find(realms), []
    for realm in realms:
        hits = [hit for hit in all_hits if hit.realm == realm]
        if not hits and len(realms) > 1:
            continue
        days = [hit.day for hit in hits if hit.day and (hit.theirs or hit.as_caller)]
        rows.append(
            {
                "realm_id": realm,
                "pseudonym": subject.names(realm)[-1],
                "logged_count": sum(hit.theirs for hit in hits),
                "as_caller_count": sum(hit.as_caller for hit in hits),
                "rows_that_may_name_them": sum(hit.naming for hit in hits),
                "first_day": min(days, default=None),
                "last_day": max(days, default=None),
            }
        )
    unread = subject.unread
    if options.json:
        put_json(rows)
    elif not rows and not unread:
        say(f"the lake holds nothing of them in any of {len(realms)} realms")
        return 0
    elif rows:
        put_table(
            ("realm", "known there as", "logged runs", "as caller", "named in", "first day", "last day"),
            [list(row.values()) for row in rows],
        )
        say("logged runs are a sample: of ok runs only a fraction is ever written down")
    if options.out:
        count = _hand_out(subject, realms, options.out, overwrite=options.overwrite)
        say(f"{count:,} logged runs written to {options.out}")
    return _incomplete(lake, unread, "this answer is not complete, and what they hold is not in it")


def _incomplete(lake: Lake, unread: Sequence[DamagedFile], what: str) -> int:
    """Say which files an answer does not know, and end as what failed."""
    if not unread:
        return 0
    from analytics.warehouse import damage

    say(f"{damage.words(lake, unread)}: {what}", priority=Priority.ERROR)
    for file in unread[:_MOST_NAMED]:
        say(f"  {file.name}: {file.why}\n  {file.repair}", priority=Priority.ERROR)
    return LakeError.exit_code


def _hand_out(subject: Person, realms: Sequence[str | None], out: Path, *, overwrite: bool) -> int:
    table = subject.rows(realms)
    ensure_ours(out, table.column_names, overwrite=overwrite)
    if out.suffix == ".parquet":
        write_parquet(table, out)
        return int(table.num_rows)
    with out.open("w", encoding="utf-8") as file:
        for batch in table.to_batches(max_chunksize=1000):
            file.writelines(json.dumps(plain_value(row)) + "\n" for row in batch.to_pylist())
    return int(table.num_rows)


def run_erase(options: EraseOptions) -> int:
    """Erase, and print the receipt."""
    from analytics.config import Settings
    from analytics.extraction.privacy.policy import Policy
    from analytics.lake.lake import Lake
    from analytics.operations.erase import erase

    settings = Settings.from_env(lake=options.lake, reports=options.reports, sample_rates="")
    lake = Lake(settings.lake)
    receipt = erase(
        lake,
        _user(options.user),
        Policy.of(settings),
        realms=options.realms(),
        reports=settings.reports if settings.reports.is_dir() else None,
        wait_seconds=options.wait,
    )
    if options.json:
        put_json(receipt.to_dict())
    elif receipt.partitions:
        put_table(
            ("realm", "day", "rows erased", "rows changed", "SHA-256 before", "after"),
            [
                (
                    entry["realm_id"],
                    entry["day"] or "no day",
                    entry["rows_erased"],
                    entry["rows_changed"],
                    _short(entry["before"]["executions"]),
                    _short(entry["after"]["executions"]),
                )
                for entry in receipt.partitions
            ],
        )
    _report(receipt)
    return _incomplete(
        lake, receipt.unread, "they may still hold the person; repair them, and then erase again with the same words"
    )


def _short(digest: str | None) -> str:
    return "no file any more" if digest is None else f"{digest[:_DIGITS]}…"


def _report(receipt: ErasureReceipt) -> None:
    count = len(receipt.partitions)
    say(
        f"{receipt.rows_erased:,} logged runs erased, {receipt.rows_changed:,} of others changed, in {count} "
        f"partition{'s' * (count != 1)}; extraction leaves the person out from now on"
    )
    if receipt.definitions:
        say(
            f"definitions of {receipt.definitions} realm{'s' * (receipt.definitions != 1)} named them, and no longer do"
        )
    say(f"the receipt, with whole hashes of both tables, is in {receipt.tombstone}")
    for path in receipt.elsewhere:
        say(f"still names them: {path} (delete it, or render it again)", priority=Priority.WARNING)
    if receipt.not_looked_into:
        say(
            f"{receipt.not_looked_into} files that extractions have set aside could not be looked into",
            priority=Priority.WARNING,
        )
    say("not touched: the log table itself, backups, exports and reports outside the reports' folder")
