"""Which words the lake's files hold, hashed: so another erasure need not open what cannot name the person.

Beside what the ledger knows of tombstones lies ``ledger/searched-words.json``: of every file that was searched for erased people
and held none, short keyed hashes of the words in it where an id may stand. An id that stands in a text by itself stands there
with its words whole, so a file without one of these words holds it not; a file that has them is opened, and believed.

It is derived: of another content than the file's, damaged, too long or lost, it is as none, and the file is searched. It holds no
word, and is as secret as the files beside it: whoever has it can try words one after the other.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from analytics.errors import LakeFormatError
from analytics.lake import derived
from analytics.lake.lake import Lake
from analytics.storage import typed_json

NAME: Final = "ledger/searched-words.json"
FORMAT: Final = 1
_MOST: Final = 50_000
"""Of a file; one with more is always searched: it is dear to remember, and there are few of them."""
_BYTES: Final = 4
_WORD = re.compile(r"\w+(?:[-.@]\w+)*")
"""What an id is made of: where one may begin and end (see ``tombstones``) none of these can be cut."""


class SearchedWords:
    """What is remembered of a lake's files.

    Args:
        lake: Where.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._salt, self._files = _read(lake)
        self._found: dict[str, tuple[str, str]] = {}
        self._hash = functools.lru_cache(maxsize=100_000)(self._hashed)

    def gather(self, words: set[bytes], texts: Iterable[str]) -> None:
        """Add hashes of the words of some texts, as far as a file's are remembered at all.

        Args:
            words: Those of the file so far.
            texts: In which an id may stand, in every form that it is looked for in.
        """
        for text in texts:
            if len(words) > _MOST:
                return
            words |= self._hash(text)

    def learn(self, name: str, mark: str, words: Collection[bytes]) -> bool:
        """Take in what a file holds, all of it; whether it will be remembered.

        Args:
            name: Its path in the lake.
            mark: What tells it from any other, see ``Storage.identity``.
            words: As ``gather`` gives them.
        """
        if len(words) > _MOST:
            return False
        self._found[name] = (_content(mark), base64.b85encode(b"".join(sorted(words))).decode())
        return True

    def seeker(self, ids: Iterable[str]) -> Callable[[str, str], bool]:
        """Ask of files, each by its path in the lake and its mark, whether one of these ids may stand there by itself.

        Only where the answer is no was anything found out.
        """
        each = [self._hash(one) for one in ids]
        by_one: dict[bytes, list[frozenset[bytes]]] = {}  # of thousands of pseudonyms a file is asked once
        for words in each:
            if words:
                by_one.setdefault(min(words), []).append(words)
        any_word = by_one.keys()

        def may_hold(name: str, mark: str) -> bool:
            content, told = self._files.get(name, ("", ""))
            if not content or content != _content(mark):
                return True
            there = {*_split(told)}
            return any(words <= there for one in any_word & there for words in by_one[one])

        return may_hold if all(each) else lambda *_: True  # an id without a word may stand everywhere

    def remember(self, marks: Mapping[str, str]) -> list[str]:
        """Write down what was learnt, and forget what is not there any more; only under the lock.

        Args:
            marks: All files that hold nobody, and what tells each from another.

        Returns:
            What was in the way, in sentences for a person.
        """
        notes: list[str] = []
        every = {**self._files, **self._found}
        files = {name: told for name, told in every.items() if told[0] == _content(marks.get(name, ""))}
        if files != self._files:
            body = json.dumps({name: [*told] for name, told in sorted(files.items())}, indent=0)
            about = {"format": FORMAT, "salt": self._salt.hex(), "sha256": hashlib.sha256(body.encode()).hexdigest()}
            with derived.skipped_where_blocked(notes):
                self._lake.write_text(self._lake.root / NAME, f"{json.dumps(about)}\n{body}\n")
        self._files, self._found = files, {}
        return notes

    def _hashed(self, text: str) -> frozenset[bytes]:
        return frozenset(
            hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=_BYTES, key=self._salt).digest()
            for word in _WORD.findall(text)
        )


def _split(words: str) -> Iterable[bytes]:
    told = base64.b85decode(words)
    return (told[place : place + _BYTES] for place in range(0, len(told), _BYTES))


def _content(mark: str) -> str:
    """What of a mark tells the content: a lake may be copied."""
    return mark.rpartition("-")[2] if mark.count("-") == 3 else mark


def _read(lake: Lake) -> tuple[bytes, dict[str, tuple[str, str]]]:
    """Nothing, and a new salt, where nothing was written down or it cannot be believed."""
    try:
        head, _, body = (lake.root / NAME).read_text(encoding="utf-8").partition("\n")
        about = typed_json.document(head)
        salt = bytes.fromhex(typed_json.text(about["salt"]))
        if about["format"] != FORMAT or hashlib.sha256(body[:-1].encode()).hexdigest() != about["sha256"] or not salt:
            return secrets.token_bytes(16), {}
        files = {name: (content, words) for name, (content, words) in json.loads(body).items()}
    except (OSError, LakeFormatError, *typed_json.WRONG):
        return secrets.token_bytes(16), {}
    return salt, files
