"""Files that are made of others and only make reading quicker: where something else lies in their place, the work goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

_IN_THE_WAY = (FileExistsError, IsADirectoryError, NotADirectoryError)


@contextlib.contextmanager
def skipped_where_blocked(notes: list[str]) -> Iterator[None]:
    """Write a derived file, or leave it out where a folder has its place or a file that of its folder.

    What else keeps a file from being written (a full disk, an owner) concerns the whole lake, and is raised as ever.

    Args:
        notes: Where a sentence is put, for a person, about what was in the way.
    """
    try:
        yield
    except _IN_THE_WAY as error:
        what = error.filename2 or error.filename  # a rename names both its ends
        notes.append(
            f"something that the lake did not write is in the way at {ascii(str(what))[1:-1]}: what the lake keeps there is made "
            "of its other files and was left out; answers are the same, reading may be slower; move it away, and the next "
            "extraction writes what is missing"
        )
