"""Drafts that are due: those of strategies that ran, and which of them a page has shown already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from analytics.findings.rehearsal.drafts import NewestDraft, newest_drafts
from analytics.findings.rehearsal.gate import conditions
from analytics.reports.parameter_values import Value
from analytics.reports.render.plan import Plan
from analytics.reports.render.publish_folder import slug
from analytics.reports.schedule.definition import Definition
from analytics.storage import typed_json
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window


def drafts_of(definition: Definition, lake: Warehouse, window: Window) -> list[NewestDraft]:
    """The drafts that a definition is about: of the strategies that it names, else of those that ran in the window."""
    names = definition.families
    if isinstance(names, tuple) and names:
        return [one for one in newest_drafts(lake) if one.family in names]
    rows = lake.table("families_run", since=window.since, until=window.until).to_pylist()
    ran = {(row["realm_id"], row["family_name"]) for row in rows}
    return [one for one in newest_drafts(lake) if (one.realm, one.family) in ran]


def shown_already(planned: Plan, out: Path, draft: str) -> Path | None:
    """The folder of the last page of the strategy's draft; None where it shows another program, had other conditions, or is none.

    Args:
        planned: The page that would be made.
        out: Folder of rendered reports.
        draft: Fingerprint of the draft as it is.
    """
    if planned.target.exists():  # a page of this very window is made again when its rows have changed
        return None
    wanted = [one.text for one in conditions(planned.text("fail_on").split(","))]
    best: tuple[str, bool, Path] | None = None
    for path in out.glob(f"{slug(planned.card.name)}*/summary.json"):
        until, program, asked = _told(path, planned.scope)
        if until and until <= planned.card.until.isoformat() and (best is None or until > best[0]):
            best = until, program == draft and asked == wanted, path.parent
    return best[2] if best is not None and best[1] else None


def still_refused(page: Path) -> str:
    """Why the draft of a page that is not made again is refused, in words; empty where it is not.

    Args:
        page: Its folder.
    """
    try:
        told = typed_json.document((page / "summary.json").read_text(encoding="utf-8"))
        reasons = [typed_json.text(why) for why in told.get("refused") or ()]
    except (OSError, *typed_json.WRONG):
        return ""
    return f"still refused: {'; '.join(reasons)}" if reasons else ""


def _told(path: Path, scope: Mapping[str, Value]) -> tuple[str, str, list[str]]:
    """End of the window, program and conditions of a page; nothing of what is none of this strategy, or was edited by hand."""
    try:
        told = typed_json.document(path.read_text(encoding="utf-8"))
        if told["scope"] != dict(scope):
            return "", "", []
        return str(told["until"]), str(told["program"]), [typed_json.text(one) for one in told["conditions"]]
    except (OSError, *typed_json.WRONG):
        return "", "", []
