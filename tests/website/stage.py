"""The site's sources: pages of the repository, their links turned to where things lie within the site."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tests.website.nav import ROOT, place

_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)#:\s]+)((?:#[^)]*)?\))")
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def sources() -> Iterator[PurePosixPath]:
    """Files of the repository that the site is made of, below its root."""
    folders = [path for name in ("docs", "findings") for path in sorted((ROOT / name).rglob("*")) if path.is_file()]
    for path in (*sorted(ROOT.glob("*.md")), ROOT / "LICENSE", *folders):
        relative = PurePosixPath(path.relative_to(ROOT).as_posix())
        if place(relative) is not None and "__pycache__" not in relative.parts:
            yield relative


def stage(into: Path) -> None:
    """Write pages and files as MkDocs takes them.

    Args:
        into: Folder to write; what it held is gone.

    Raises:
        ValueError: A page links to something that the site has not.
    """
    shutil.rmtree(into, ignore_errors=True)
    known = set(sources())
    for source in known:
        target = into / str(place(source))
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            target.write_text(turned((ROOT / source).read_text(encoding="utf-8"), source, known), encoding="utf-8")
        else:
            shutil.copyfile(ROOT / source, target)


def turned(text: str, source: PurePosixPath, known: set[PurePosixPath]) -> str:
    """A page's text with its links as they are within the site; what stands in fenced blocks stays.

    Raises:
        ValueError: A link leads to something that the site has not.
    """
    here = place(source)
    assert here is not None, source

    def link(match: re.Match[str]) -> str:
        asked = PurePosixPath(os.path.normpath(source.parent / match[2]))
        target = place(asked) if asked in known else None
        if target is None:
            raise ValueError(f"{source} links to {match[2]}, which is no part of the site: tests/website/nav.py")
        return f"{match[1]}{os.path.relpath(target, here.parent)}{match[3]}"

    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [_LINK.sub(link, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(link, text[end:])])
