"""``schedule``: the lines that make cron or systemd run this checkout."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.cli import options as opt
from analytics.cli.output import Priority, put, say
from analytics.errors import UsageError

if TYPE_CHECKING:
    from analytics.storage import LakePath

EXTRACT_MINUTE = 15
"""Rows commit some minutes after their time, so the day that ended at midnight is complete then."""

REPORTS = timedelta(hours=5, minutes=30)
"""After midnight, UTC: yesterday is over, and five extractions have looked at it since."""

_CODES = {
    "extract": "# 75: another run holds the lock. 3 is worth another try, a wrong setting (2) is not.\n"
    "SuccessExitStatus=75\nRestartPreventExitStatus=1 2\n",
    "reports": "# 75: another run holds the lock. 1: findings, and no breakdown. 3 is worth another try, a wrong setting (2)\n"
    "# and days that are not extracted (4) are not.\nSuccessExitStatus=1 75\nRestartPreventExitStatus=2 4\n",
}
"""What a unit takes for success, and what it does not try again."""
_NIGHTLY = "nightly.toml"
_BEGIN, _END = "# begin strategy-analytics", "# end strategy-analytics"


@dataclass(frozen=True, kw_only=True)
class ScheduleOptions(opt.LakeOptions):
    """Options of ``schedule``."""

    definitions: list[Path] = opt.paths(
        "report definitions to run every morning (default: reports/nightly.toml, else every one in reports/)",
        "FILE",
        "*",
    )
    format: str = opt.choice("default: cron", "--format", ("cron", "systemd"), "cron")
    into: Path | None = opt.path("with systemd: write the units there instead", "--into", "DIR", None)
    out: str | None = opt.reports("folder of rendered reports (default: $ANALYTICS_REPORTS, else reports/out)")


def run_schedule(options: ScheduleOptions) -> int:
    """Print the lines, and say how to install them and where the database URL goes."""
    from analytics.config import Settings

    if options.into and options.format != "systemd":
        raise UsageError("--into is for systemd's units", hint="crontab lines are printed: pipe them into crontab")
    settings = Settings.from_env(lake=options.lake, reports=options.out, sample_rates="")
    here = Path.cwd()
    definitions = options.definitions or _definitions(here)
    for path in (here, settings.lake, settings.reports, *definitions, Path(sys.executable)):
        _check(str(path))
    if missing := [path for path in definitions if not path.is_file()]:
        raise UsageError(f"there is no report definition {missing[0]}", hint="name a file such as reports/nightly.toml")
    folders = {"ANALYTICS_LAKE": _absolute(here, settings.lake), "ANALYTICS_REPORTS": here / settings.reports}
    commands = {"extract": [*_program(), "extract"]}
    if definitions:
        commands["reports"] = [*_program(), "report", "run", *map(str, definitions)]
    if options.format == "cron":
        put("\n".join(_crontab(here, folders, commands)))
        given = [
            word
            for name, value in (("--lake", options.lake), ("--out", options.out))
            if value
            for word in (name, value)
        ]
        command = shlex.join([*_program(), "schedule", *map(str, options.definitions), *given])
        say("to install them, now and after every change:")
        say(f"  (crontab -l 2>/dev/null | sed '/^{_BEGIN}/,/^{_END}/d'; {command}) | crontab -")
    else:
        units = _units(here, folders, commands)
        for name, text in units.items():
            if options.into:
                options.into.mkdir(parents=True, exist_ok=True)
                (options.into / name).write_text(text, encoding="utf-8")
                put(str(options.into / name))
            else:
                put(f"# {name}\n{text}")
        timers = " ".join(name for name in units if name.endswith(".timer"))
        say("to install them: --into ~/.config/systemd/user, then")
        say(f"  systemctl --user daemon-reload && systemctl --user enable --now {timers} && loginctl enable-linger")
    _say_where_settings_go(here)
    return 0


def _absolute(here: Path, lake: LakePath) -> LakePath:
    return here / lake if isinstance(lake, Path) else lake


def _say_where_settings_go(here: Path) -> None:
    file, example = here / ".env", Path(".env.example")
    if not example.is_file():
        example = Path(str(resources.files("analytics"))) / "definitions" / "env.example"
    made = (
        "" if file.is_file() else f"; it is not there yet: (umask 077; {shlex.join(['cp', str(example), str(file)])})"
    )
    say(f"ANALYTICS_DATABASE_URL and all other settings are read from {file}{made}")
    say("  nobody else should read it (chmod 600); a password is better kept in ~/.pgpass")
    if file.is_file() and file.stat().st_mode & 0o077:
        say(f"  others can read it now: chmod 600 {shlex.quote(str(file))}", priority=Priority.WARNING)


def _definitions(here: Path) -> list[Path]:
    """The folder's nightly.toml, else every one of the folder; where there is none, that of an installed package."""
    from analytics.reports.schedule.definition import shipped

    every = sorted(path.relative_to(here) for path in (here / "reports").glob("*.toml"))
    if every:
        return [path for path in every if path.name == _NIGHTLY] or every
    own = shipped().get(_NIGHTLY)
    if own is None:
        say("reports/ holds no definition: only the extraction is scheduled", priority=Priority.WARNING)
        return []
    copied = f"mkdir -p reports && cp {shlex.quote(str(own))} reports/"
    say(f"reports/ holds no definition: the package's own is scheduled; to change it: {copied}")
    return [own]


def _program() -> list[str]:
    """The command of the interpreter that runs now, which need not be the one on cron's short PATH."""
    interpreter = Path(sys.executable)
    command = interpreter.with_name("strategy-analytics")
    return [str(command)] if command.is_file() else [str(interpreter), "-m", "analytics"]


def _check(path: str) -> None:
    if "\\" in path or not path.isprintable() or path != path.strip():
        raise UsageError(
            f"the path {path!r} holds a backslash, a control character or a blank at its end",
            hint="cron, systemd and the shell read those differently: rename the folder",
        )


def _crontab(here: Path, folders: dict[str, LakePath], commands: dict[str, list[str]]) -> list[str]:
    """The lines. `%` ends a command in a crontab, so it is escaped there, and only there."""
    now = datetime.now(UTC)
    due = (now.replace(hour=0, minute=0, second=0, microsecond=0) + REPORTS).astimezone()
    places = " ".join(f"{name}={shlex.quote(str(path))}" for name, path in folders.items())
    start = f"cd {shlex.quote(str(here))} && set -a && . ./.env && {places} && "
    lines = [f"{_BEGIN}: printed by its command schedule; {now.astimezone():%Z (UTC%z)} is this machine's time zone"]
    for name, words in commands.items():
        if name == "extract":
            when = f"{EXTRACT_MINUTE} * * * *"
            # Only what failed is mailed; 75 means that another run is at work.
            run = f'{{ said=$({shlex.join(words)} 2>&1) || [ $? -eq 75 ] || echo "$said"; }}'
        else:
            when = f"{due.minute} {due.hour} * * *"
            # Findings (1) stand in the index and are no breakdown; a mail is one.
            run = f'{{ said=$({shlex.join(words)} 2>&1) || case $? in 1|75) ;; *) echo "$said" ;; esac; }}'
        lines.append(f"{when}  " + (start + run).replace("%", r"\%"))
    return [*lines, _END]


def _units(here: Path, folders: dict[str, LakePath], commands: dict[str, list[str]]) -> dict[str, str]:
    """Services and timers of a user's own systemd, by file name."""
    units: dict[str, str] = {}
    for name, words in commands.items():
        hour, minute = divmod(REPORTS // timedelta(minutes=1), 60)
        calendar = f"*:{EXTRACT_MINUTE}:00" if name == "extract" else f"{hour:02}:{minute:02}:00"
        places = [f"{key}={path}" for key, path in folders.items()]
        units[f"strategy-analytics-{name}.service"] = (
            f"[Unit]\nDescription=strategy-analytics {name}\nStartLimitIntervalSec=50min\nStartLimitBurst=3\n\n"
            # env comes after the file of settings, whose folders may be relative
            f"[Service]\nType=oneshot\nWorkingDirectory={_percent(str(here))}\n"
            f"EnvironmentFile={_percent(str(here))}/.env\n"
            f"ExecStart=/usr/bin/env {' '.join(map(_quoted, [*places, *words]))}\n"
            f"{_CODES[name]}Restart=on-failure\nRestartSec=5min\n"
        )
        units[f"strategy-analytics-{name}.timer"] = (
            f"[Unit]\nDescription=strategy-analytics {name}\n\n"
            f"[Timer]\nOnCalendar=*-*-* {calendar} UTC\nRandomizedDelaySec=2min\nPersistent=true\n\n"
            "[Install]\nWantedBy=timers.target\n"
        )
    return units


def _percent(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """A word of ExecStart: `%` and `$` mean something there, also within quotation marks."""
    return '"' + _percent(word).replace("$", "$$").replace('"', '\\"') + '"'
