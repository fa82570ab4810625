"""Build the site: ``python -m tests.website [--quick] [--serve PORT]``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import analytics
from analytics.cli import main as command
from analytics.cli.verbs import VERBS
from tests.website import notebooks, pictures, reference
from tests.website.nav import ROOT, contents
from tests.website.stage import stage

BUILD = ROOT / "build"
LAKE = ROOT / "demo" / "lake"
"""Always the demo's: what is shown is invented, whatever lake somebody has configured."""


def generate(into: Path, lake: Path) -> None:
    """Write the pages that the package says of itself."""
    opened = analytics.open_lake(lake)
    (into / "dictionary.md").write_text(reference.dictionary(opened), encoding="utf-8")
    (into / "queries.md").write_text(reference.queries(opened), encoding="utf-8")
    (into / "commands").mkdir(exist_ok=True)
    for name in VERBS:
        (into / "commands" / f"{name.replace(' ', '-')}.md").write_text(reference.command(name), encoding="utf-8")


def build(pages: Path, site: Path) -> None:
    """MkDocs over the staged pages; a link that leads nowhere ends it.

    Args:
        pages: Where they are staged; the configuration is written beside them.
        site: Folder of the site.

    Raises:
        ValueError: A page stands in no chapter.
        SystemExit: MkDocs has found something, and has said what.
    """
    os.environ["NO_MKDOCS_2_WARNING"] = "1"  # Material's notice of a successor that nobody uses here
    from mkdocs.__main__ import cli

    there = [path.relative_to(pages).as_posix() for path in pages.rglob("*.md")]
    written = pages.parent / "mkdocs.yml"
    # JSON is YAML.
    settings = {
        "INHERIT": str(ROOT / "docs" / "mkdocs.yml"),
        "docs_dir": str(pages),
        "site_dir": str(site),
        "hooks": [str(ROOT / "tests" / "website" / "hooks.py")],
        "nav": contents(there),
    }
    written.write_text(json.dumps(settings, indent=1), encoding="utf-8")
    # Not --quiet: it takes the warnings away before --strict has counted them.
    cli(["build", "--strict", "--config-file", str(written)], standalone_mode=False)


def serving(site: Path, port: int) -> ThreadingHTTPServer:
    """A server of the site on loopback; 0 takes any free port."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(SimpleHTTPRequestHandler, directory=str(site)))


def serve(site: Path, port: int) -> None:
    """Show the site until Ctrl-C."""
    with serving(site, port) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}/index.html, until Ctrl-C", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def run(words: list[str] | None = None) -> None:
    """Stage, generate, build; and show, where that is asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.website", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without notebooks, reports and pictures")
    parser.add_argument("--serve", type=int, metavar="PORT", help="show it on loopback; 0 for any free port")
    parser.add_argument("--show", action="store_true", help="with --serve: what was built last")
    asked = parser.parse_args(words)
    pages, site = BUILD / "docs", BUILD / "site"
    if not asked.show:
        if not LAKE.exists() and (code := command(["demo", "--lake-only", "--out", str(LAKE.parent)])):
            sys.exit(code)
        stage(pages)
        generate(pages, LAKE)
        if not asked.quick:
            notebooks.write(pages, LAKE)
            pictures.write(pages, pictures.render(LAKE, BUILD / "reports"), LAKE)
        build(pages, site)
        print(site / "index.html")
    if asked.serve is not None:
        serve(site, asked.serve)


if __name__ == "__main__":
    run()
