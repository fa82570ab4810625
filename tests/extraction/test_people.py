"""Pseudonyms, ids inside what runs recorded, and values that may not be kept."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import pytest

from analytics.errors import ConfigurationError
from analytics.extraction.encode.trace_json import read, spell_json
from analytics.extraction.privacy.policy import DROPPED, FILE, FieldAllowlist, Policy, PseudonymKey, is_pseudonym
from analytics.extraction.privacy.prepare import check_keys
from analytics.extraction.privacy.row_filter import KnownIds, Mentions
from analytics.extraction.privacy.tombstones import ErasedIndex, Tombstone, digest_of
from analytics.lake.lake import Lake

KEY = PseudonymKey.of("0123456789abcdef0123456789abcdef", "a test")


def test_a_pseudonym_is_the_hmac_of_realm_and_user() -> None:
    message = b"strategy-analytics 1 user\0realm acme\0user-42"
    expected = hmac.new(b"0123456789abcdef0123456789abcdef", message, hashlib.sha256).hexdigest()[:32]
    assert KEY.pseudonym("acme", "user-42") == f"psn_{expected}"
    assert is_pseudonym(f"psn_{expected}")


def test_nobody_can_be_followed_from_one_realm_to_another() -> None:
    realms = [None, "", "null", "acme", "realm acme"]
    assert len({KEY.pseudonym(realm, "user-42") for realm in realms}) == len(realms)


def test_a_key_shows_itself_nowhere_and_a_weak_one_is_refused() -> None:
    assert "0123456789abcdef" not in repr(KEY)
    for weak in ("", "secret", "a" * 64):
        with pytest.raises(ConfigurationError, match="too weak"):
            PseudonymKey.of(weak, "a test")


def _mentions(own: list[str], others: list[str]) -> Mentions:
    return Mentions(
        "acme", own, KnownIds({"acme": [*own, *others], "other": ["elsewhere-77"]}), lambda _, name: f"<{len(name)}>"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("u1", "<2>"),  # the own id, however short
        ("u1 and u12", "u1 and u12"),  # a short one is a part of any text
        ("friend-4711", "<11>"),
        ("by friend-4711, twice: friend-4711.", "by <11>, twice: <11>."),
        ("friend-47112 and my-friend-4711", "friend-47112 and my-friend-4711"),
        ("gold", "gold"),  # another user's id, which is a word
        ("elsewhere-77", "elsewhere-77"),  # of another realm
        (["u1", {"friend-4711": "u1"}], ["<2>", {"<11>": "<2>"}]),
        (12345678, "<8>"),
        (1234, 1234),
        (True, True),
        (None, None),
    ],
)
def test_an_id_in_a_recorded_value_is_replaced_where_it_cannot_be_chance(value: object, expected: object) -> None:
    trace = json.dumps([{"type": "field", "value": value, "nodeId": "u1"}])
    found = json.loads(_mentions(["u1"], ["friend-4711", "gold", "12345678"]).trace(trace))
    assert found == [{"type": "field", "value": expected, "nodeId": "u1"}]


def test_an_id_that_json_escapes_is_found() -> None:
    name = 'o"neil\\\n'
    found = json.loads(
        _mentions([name], []).trace(json.dumps([{"type": "field", "value": f"dear {name}", "nodeId": "n"}]))
    )
    assert found[0]["value"] == f"dear <{len(name)}>"


def test_whoever_was_erased_is_known_by_id_and_by_pseudonym_and_only_where_they_were_erased() -> None:
    stone = Tombstone(digest_of(KEY, "user-42"), KEY.key_id, ("acme",), {})
    erased = ErasedIndex([stone], KEY)
    assert erased.holds("acme", "user-42")
    assert not erased.holds("other", "user-42")
    assert not erased.holds("acme", "user-43")
    by_pseudonym = ErasedIndex([Tombstone(digest_of(KEY, KEY.pseudonym("acme", "user-42")), KEY.key_id, None, {})], KEY)
    assert by_pseudonym.holds("acme", "user-42")
    assert by_pseudonym.holds("acme", KEY.pseudonym("acme", "user-42"))
    with pytest.raises(ConfigurationError, match="is not there"):
        ErasedIndex([stone], None)


def test_only_allowed_fields_of_an_event_are_kept_and_nothing_that_was_made_of_others() -> None:
    def field(path: str, name: str) -> dict[str, str]:
        return {"type": "field", "path": path, "id": name}

    rules = [
        {
            "id": "r",
            "when": {
                "type": "compare",
                "id": "c",
                "op": "==",
                "left": field("data.level", "l"),
                "right": field("data.mail", "m"),
            },
            "then": [{"type": "set_callback_data", "id": "s", "key": "k", "value": field("data.mail", "m2")}],
        }
    ]
    row = {"strategy_id": "s1", "strategy_version": 1, "ast_json": json.dumps({"rules": rules})}
    entries = [
        ("field", 3, "l", 3),
        ("field", "a@b.example", "m", DROPPED),
        ("compare", False, "c", False),
        ("set_callback_data", "a@b.example", "s", DROPPED),
        ("field", "x", "unknown", DROPPED),
        ("assign_points", 12.5, "p", 12.5),
    ]
    trace = json.dumps([{"type": kind, "value": value, "nodeId": node} for kind, value, node, _ in entries])
    kept, _ = FieldAllowlist(["level"], [row]).trace("s1", 1, read(trace))
    assert [entry["value"] for entry in json.loads(spell_json(kept))] == [expected for *_, expected in entries]
    # a program that nobody knows: no field can be proven allowed
    kept, _ = FieldAllowlist(["level"], []).trace("s1", 1, read(trace))
    assert json.loads(spell_json(kept))[0]["value"] == DROPPED


def test_a_lake_of_pseudonyms_takes_no_verbatim_ids_unasked(tmp_path: Path) -> None:
    text = Policy(KEY).to_json()
    assert "0123456789abcdef" not in text
    (tmp_path / FILE).write_text(text)
    lake = Lake(tmp_path)
    assert check_keys(lake, Policy(KEY), accept=False)[1] == []
    with pytest.raises(ConfigurationError, match="none is configured"):
        check_keys(lake, Policy(), accept=False)
    assert "accepted" in check_keys(lake, Policy(), accept=True)[1][0]
