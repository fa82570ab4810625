"""Definitions to jobs: which reports are due, for which tenants and strategies, and whether what is there is still right."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from analytics.lake.lake import Lake
from analytics.lake.losses import Loss
from analytics.model import DayRecord
from analytics.reports.parameters import Value
from analytics.reports.render.plan import Plan, plan, window_on
from analytics.reports.schedule import cards
from analytics.reports.schedule.cards import FAILED
from analytics.reports.schedule.definition import Definition, due_days
from analytics.storage import place
from analytics.version import __version__
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window

LOOK_BACK = timedelta(days=35)
"""Before a window: what both reports compare with lies in it."""
_SILENT = timedelta(days=7)
"""A tenant that logged nothing for so long gets no report of its own any more."""


@dataclass(frozen=True, slots=True)
class Job:
    """One report on one day.

    Attributes:
        definition: What is wanted.
        today: The day on which it is due.
        subject: Parameters that say which tenant and strategy.
    """

    definition: Definition
    today: date
    subject: Mapping[str, Value] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Tenant and strategy; empty for all."""
        realm = "(no realm)" if self.subject.get("no_realm") else self.subject.get("realm", "")
        parts = [realm, self.subject.get("family", ""), self.subject.get("strategy_id", "")]
        return " · ".join(str(part) for part in parts if part)

    def plan(self, out: Path, parameters: Mapping[str, Value]) -> Plan:
        """As ``render.plan.plan``.

        Args:
            out: Folder of reports.
            parameters: Of the command, before those of the definition.
        """
        given = {**parameters, **self.subject}
        return plan(self.definition, out, given, today=self.today, every=self.definition.every)


def jobs(definition: Definition, lake: Warehouse, parameters: Mapping[str, Value], today: date) -> list[list[Job]]:
    """What one definition asks for.

    Args:
        definition: The definition.
        lake: The lake, all tenants in sight.
        parameters: Of the command, before those of the definition.
        today: The day of the run.

    Returns:
        One list per tenant and strategy, oldest day first: each report is compared with the one before.

    Raises:
        UsageError: The definition does not fit its notebook.
    """
    records = [record for record in lake.records() if record.day is not None]
    chains: dict[str, list[Job]] = {}
    for day in due_days(definition.every, today, definition.catch_up_days):
        window = window_on(definition, parameters, day)
        if day != today and not any(record.day and record.day < window.until.date() for record in records):
            continue  # before the lake began
        for subject in _subjects(definition, lake, records, window):
            chains.setdefault(json.dumps(subject, sort_keys=True), []).append(Job(definition, day, subject))
    return list(chains.values())


def _subjects(
    definition: Definition, lake: Warehouse, records: Sequence[DayRecord], window: Window
) -> list[dict[str, Value]]:
    realms: list[dict[str, Value]]
    if definition.realms == "all":
        realms = [{}]
    elif definition.realms == "each":
        # An empty name is a report's word for all tenants: its own runs stand in the report on all.
        realms = [_realm(realm) for realm in lake.realms if realm != "" and _is_logged(realm, records, window)]
    else:
        realms = [_realm(realm) for realm in definition.realms] + ([_realm(None)] if definition.no_realm else [])
    if not definition.families:
        return realms
    names = definition.families
    if names != "each" and definition.realms != "each":
        return [{**realm, "family": name} for realm in realms for name in names]
    found = []
    for row in lake.table("families_run", since=window.since, until=window.until).to_pylist():
        own = _realm(row["realm_id"])
        if realms != [{}] and own not in realms:
            continue
        if names == "each" or row["family_name"] in names:
            name = {"family": row["family_name"]} if row["family_name"] else {"strategy_id": row["strategy_id"]}
            found.append({**own, **name})
    # One that was named and ran nowhere gets its report too: that nothing ran, or that nothing has such a name.
    there = {subject.get("family") for subject in found}
    return found + [{"family": name} for name in names if names != "each" and name not in there]


def _realm(realm: str | None) -> dict[str, Value]:
    return {"no_realm": True} if realm is None else {"realm": realm}


def _is_logged(realm: str | None, records: Sequence[DayRecord], window: Window) -> bool:
    first, last = (window.since - _SILENT).date(), window.until.date()
    return any(
        record.day is not None and first <= record.day < last and realm in record.partitions for record in records
    )


def is_current(planned: Plan, inputs: Collection[str]) -> bool:
    """The report is there, made from the same rows, program, parameters and predecessor; no failure stands beside it.

    Args:
        planned: The report.
        inputs: Fingerprints, of which it may have any: of what is there, and of what should be. A report that was made before
            the lake lost something is better than one made now.
    """
    card = cards.read(planned.target)
    if card is None or card.is_failed or card.inputs not in inputs:
        return False
    return not planned.target.with_name(planned.target.name + FAILED).exists()


def fingerprint(planned: Plan, ledger: Sequence[DayRecord], lost: Sequence[Loss] = ()) -> str:
    """Of all that a report is made from; another one means that it would say something else, or might.

    Args:
        planned: The report.
        ledger: What the lake should hold.
        lost: What of that it does not.
    """
    first, last = (planned.card.since - LOOK_BACK).date(), planned.card.day
    told: list[Any] = [__version__, hashlib.sha256(planned.notebook.read_bytes()).hexdigest()]
    told.append({key: value for key, value in planned.values.items() if key not in ("lake", "previous")})
    before = cards.read(Path(planned.text("previous")).parent) if planned.text("previous") else None
    told.append(before.inputs or before.made_at.isoformat() if before else "")
    for record in ledger:
        if record.day is None or not first <= record.day <= last:
            continue
        partitions = [
            [repr(realm), info.row_count, info.id_hash, info.fingerprint.change_hash, str(info.sample_rates)]
            for realm, info in record.partitions.items()
            if not planned.card.is_scoped or realm == planned.card.realm
        ]
        told.append([str(record.day), record.is_complete, record.covers_all_realms, sorted(partitions)])
    gone = [loss.partition for loss in lost if loss.partition.day and first <= loss.partition.day <= last]
    if gone := [one for one in gone if not planned.card.is_scoped or one.realm == planned.card.realm]:
        told.append(sorted([repr(one.realm), str(one.day)] for one in gone))
    told.append(_definitions(Lake(place(planned.text("lake")))))
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _definitions(lake: Lake) -> list[list[Any]]:
    """The programs: files that are replaced only when they differ."""
    paths = [lake.place(name) for name in (*lake.files("definitions"), *lake.files("program_history"))]
    return sorted([path.parent.name, path.stat().st_size, path.stat().st_mtime_ns] for path in paths)
