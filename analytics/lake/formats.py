"""Versions of the formats that the lake's own JSON files are in: what a newer version has written is neither damaged nor lost."""

from __future__ import annotations

from analytics.errors import LakeFormatError


def refuse_newer(data: object, known: int, what: object) -> None:
    """Stop where a file says that it is of a newer format than this version reads; whatever else is wrong with it is not asked.

    Args:
        data: What the file holds.
        known: The newest format that is read.
        what: The file, in words.

    Raises:
        LakeFormatError: It is of a newer one.
    """
    said = data.get("format") if isinstance(data, dict) else None
    if isinstance(said, int) and said > known:
        raise LakeFormatError(
            f"{what} is of format {said}, and this version of strategy-analytics knows formats up to {known}: a newer version "
            "has written this lake; nothing was changed",
            hint="upgrade this installation to the version that writes the lake: pip install --upgrade strategy-analytics",
            format=said,
        )
