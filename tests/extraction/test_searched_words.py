"""Words of searched files tell only what they can: where an id may stand, the file is opened."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from analytics.extraction import resurfaced
from analytics.extraction.privacy.tombstones import ErasedIndex, Tombstone, digest_of
from analytics.extraction.searched_words import NAME, SearchedWords
from analytics.lake.lake import Lake
from tests.extraction.test_admission import KEY


@pytest.mark.parametrize("ids", [["-§-§-§-§-"], ["nobody", "anna maria"], ["x.y@anna-4711"]])
def test_what_words_do_not_tell_is_searched(fresh: Lake, tmp_path: Path, ids: list[str]) -> None:
    words = SearchedWords(fresh)
    said: set[bytes] = set()
    words.gather(said, ["see anna maria and x.y@anna-4711, or x-anna-4711"])
    assert words.learn("a", "1-2-3-content", said)
    words.remember({"a": "1-2-3-content"})
    again = SearchedWords(fresh)
    assert again.seeker(ids)("a", "9-9-9-content")  # copied
    assert again.seeker(["nobody"])("a", "1-2-3-other")
    assert again.seeker(["nobody"])("b", "1-2-3-content")
    for absent in (
        ["nobody"],
        ["anna-4711"],
        ["x.y"],
        ["anna bob"],
    ):  # as parts of longer ids they do not stand by themselves
        assert not again.seeker(absent)("a", "1-2-3-content")
    path = Path(str(fresh.root / NAME))
    path.write_text(path.read_text(encoding="utf-8").replace("content", "contemt"), encoding="utf-8")
    assert SearchedWords(fresh).seeker(["nobody"])("a", "1-2-3-contemt")


def test_words_are_looked_for_wherever_a_tombstone_finds_ids(fresh: Lake) -> None:
    """Whatever text a tombstone recognises somebody in, has the person's words."""
    drawn = random.Random(4711)
    words = SearchedWords(fresh)
    found = 0
    for _ in range(3000):
        user = "".join(drawn.choices("ab1.@-_ '\"\\é/", k=drawn.randint(6, 9)))
        text = "".join(drawn.choices(["a", "1", ".", "@", "-", " ", '"', "é", user], k=drawn.randint(1, 5)))
        gone = ErasedIndex([Tombstone(digest_of(KEY, user), KEY.key_id, None, {"length": len(user)})], KEY)
        forms = resurfaced._forms(text)
        if any(gone.find_ids("acme", form) for form in forms):
            found += 1
            there: set[bytes] = set()
            words.gather(there, forms)
            assert words._hash(user) <= there, (user, text)
    assert found > 100
