"""Ids of people in definitions: who published a program, and whom its texts name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analytics.people.door import People
from analytics.people.mentions import Mentions

_TEXTS = ("name", "description", "experiment_tag")


def protected(people: People, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``strategydefinition`` as the lake may hold it.

    A program's literals change with the values its runs recorded, so that one still explains the other.

    Args:
        people: What is known.
        row: As ``Source.definitions`` gives it, or as the lake has it.
    """
    realm, author = row["realm_id"], row["created_by"]
    mentions = Mentions(
        realm,
        [author] if author else [],
        people.known,
        people.instead,
        people.erased,
    )
    fresh = dict(row)
    if author:
        fresh["created_by"] = people.instead(realm, author) or author
    for name in _TEXTS:
        if fresh[name]:
            fresh[name] = mentions.text(fresh[name])
    if fresh["ast_json"]:
        fresh["ast_json"] = mentions.document(fresh["ast_json"])
    return fresh
