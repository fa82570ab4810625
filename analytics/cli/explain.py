"""``explain``."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from analytics.cli import options as opt
from analytics.cli.output import ensure_ours, put, put_json, warn_of_losses
from analytics.errors import UsageError

_WIDEST = 120


@dataclass(frozen=True, kw_only=True)
class ExplainOptions(opt.RealmOptions):
    """Options of ``explain``."""

    execution: str = opt.argument("id of the run, or its first letters (four or more)", "EXECUTION_ID")
    versus: int | None = opt.value("what this version pays on the same inputs", "--versus", "VERSION", None, int)
    since: str | None = opt.since("default: all of the lake; a window is faster in a large one")
    until: str | None = opt.until()
    show_users: bool = opt.flag("show user ids; masked otherwise", "--show-users")
    json: bool = opt.as_json("everything, values in full")
    html: Path | None = opt.path("write a page instead; prints its path", "--html", "FILE", None)
    overwrite: bool = opt.overwrite()


def run_explain(options: ExplainOptions) -> int:
    """Explain one run."""
    from analytics import api

    if options.json and options.html:
        raise UsageError(
            "argument --html: not allowed with argument --json", hint="see strategy-analytics explain --help"
        )
    options.realms()  # refuses --realm together with --no-realm
    lake = api.open_lake(options.lake, realm=options.realms())
    warn_of_losses(lake.lost())
    found = api.explain(
        options.execution,
        lake,
        since=options.since,
        until=options.until,
        show_users=options.show_users,
        versus=options.versus,
    )
    if options.json:
        put_json(found.to_dict())
    elif options.html:
        ensure_ours(options.html, (), overwrite=options.overwrite)
        options.html.write_text(found.document(), encoding="utf-8")
        put(str(options.html))
    else:
        put(found.text(min(shutil.get_terminal_size((100, 24)).columns, _WIDEST)))
    return 0
