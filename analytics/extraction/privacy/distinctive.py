"""Which ids can be looked for inside other texts: those that cannot stand there by chance."""

from __future__ import annotations

import re

_DATE_OR_NUMBER = re.compile(r"v?[\d.,:+-]+|\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?")


def is_distinctive(text: str, least: int = 8) -> bool:
    """Long enough, and neither a date, a number with signs nor a version, which stand everywhere.

    Args:
        text: An id.
        least: Characters; two fewer do where letters and digits are mixed.
    """
    mixed = any(map(str.isdigit, text)) and any(map(str.isalpha, text))
    if len(text) < (least - 2 if mixed else least):
        return False
    return text.isdigit() or not _DATE_OR_NUMBER.fullmatch(text)
