"""What MkDocs calls while it builds (``hooks`` in docs/mkdocs.yml)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.website import notebooks


def on_page_content(html: str, *, page: Any, config: Any, **_: Any) -> str:
    """The notebook of a page is set in behind Markdown, which would read its HTML as text."""
    if not page.file.src_uri.startswith("notebooks/"):
        return html
    return notebooks.insert(html, Path(config["docs_dir"]).parent)
