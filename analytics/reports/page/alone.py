"""A page without what lies beside it."""

from __future__ import annotations

import re

BESIDE_FACTS = " Same facts for programs: summary.json"
"""Ends the last line of a page, as long as it lies beside that file."""


def alone(html: str) -> str:
    """A page to be mailed: without links to files that lie beside it.

    What the page says of itself stays; a link inside a sentence becomes its words.
    """
    # An author's "<" is written "&lt;", so that marks and links are the template's and the blocks' own.
    without = re.sub(r"<!--beside-->.*?<!--/beside-->\n?", "", html, flags=re.S)
    without = without.replace(BESIDE_FACTS, "")
    return re.sub(r'<a (?:rel="[a-z]+" )?href="(?!#)[^"]*">(.*?)</a>', r"\1", without, flags=re.S)
