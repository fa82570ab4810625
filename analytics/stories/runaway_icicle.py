"""The icicle of a profiled program: its frame, and the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analytics import charts
from analytics.findings.node_profile import ELSEIF, MATCH, Place, Profile
from analytics.findings.reading import CANNOT, Reading
from analytics.findings.rule_readings import readings
from analytics.page import number as write
from analytics.page.text import Markup

if TYPE_CHECKING:
    import pandas as pd

_SECTIONS = {"pre_rules": "pre ", "post_rules": "post "}
_SPELT, _LONG = 3, 40
"""Conditions of a list that are spelt out in a block, and letters they may take."""
_COLUMNS = ("position", "parent_position", "label", "kind", "entries", "unseen", "note", "role")


def icicle_frame(found: Profile, told: Sequence[Reading]) -> pd.DataFrame:
    """What the picture draws: one row per node, in walk order.

    Args:
        found: The program.
        told: ``readings`` of it; places of which something is said carry it.
    """
    import pandas as pd

    said = {row.position: row for row in told if row.kind != "operand" and row.grade != "too few"}
    rows = []
    for place in found.places:
        note, role = _note(place, said.get(place.node.position))
        label, kind = _label(found, place)
        parent = place.node.parent_position
        entries = place.entries.value
        rows.append((place.node.position, parent, label, kind, entries, place.unseen, note, role))
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def icicle_picture(found: Profile, number: int) -> Markup:
    """The picture; the first of a page has number 1."""
    name = f"{found.key.strategy[:40]} v{found.key.version}"
    frame = icicle_frame(found, readings(found))
    alt = (
        f"The program of {name} as a tree: {write.number(found.entries)} entries per run, {len(found.rules)} rules, "
        f"{write.percent(round(found.unseen, 2))} of the entries after the cut"
    )
    return charts.responsive(lambda width: charts.icicle(frame, name=name, width=width), f"icicle{number}", alt)


def _note(place: Place, reading: Reading | None) -> tuple[str, str]:
    if reading is not None and reading.reading != CANNOT:
        several = " of " in reading.words and reading.kind == "condition" and "the first" in reading.words
        # What is said of many conditions stands in the table; beside the first alone it would be misread.
        return ("", "") if several else (reading.reading, "finding")
    if place.node.type == "rule" and place.turns:
        matched = sum(place.turns.get(turn, 0.0) for turn in (MATCH, ELSEIF))
        return f"{write.percent(round(matched, 2))} match", ""
    return "", ""


def _label(found: Profile, place: Place) -> tuple[str, str]:
    """What a block is called, and what several alike ones are."""
    node = place.node
    if node.type == "rule":
        name = node.node_id if node.node_id and not node.node_id.startswith("root.") else ""
        return f"{_SECTIONS.get(node.section, '')}{(node.rule_index or 0) + 1} {name}".strip(), "rule"
    if node.parent_position is None:
        return "otherwise", "otherwise"
    text = place.words.partition(" › ")[2] or str(node.type)
    if node.type in ("and", "or"):
        count = sum(other.node.parent_position == node.position for other in found.places)
        text = f"{node.type} of {count} conditions" if count > _SPELT or len(text) > _LONG else text
    return text, _kind(found, place)


def _kind(found: Profile, place: Place) -> str:
    """Type, and the first field that it is about."""
    kind = str(place.node.type)
    if kind not in ("compare", "arith", "func_call", "not"):
        return kind
    for other in found.places[place.node.position + 1 :]:
        if other.node.depth <= place.node.depth:
            break
        if other.node.type == "field":
            return f"{str(other.node.path)[:40]} {kind}"
    return kind
