"""The command's table of contents: every verb with what it is for, where its options and its work are, and examples.

A verb's module is imported when that verb is asked for, and no other one is: what takes long to load is loaded by who needs it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verb:
    """One command.

    Attributes:
        name: As it is typed, one word or two.
        summary: What it does, in a line of the help.
        home: Its module in ``cli``, the class of its options and the function that does it.
        examples: Lines to type, without the program's name.
    """

    name: str
    summary: str
    home: tuple[str, str, str]
    examples: tuple[str, ...] = ()

    def options(self) -> type:
        """Its options: a dataclass whose fields are made by the functions of ``options``."""
        declared: type = getattr(self._module(), self.home[1])
        return declared

    def run(self) -> Callable[..., int]:
        """What does it: takes the options, returns the exit code."""
        does: Callable[..., int] = getattr(self._module(), self.home[2])
        return does

    def _module(self) -> object:
        return importlib.import_module(f"analytics.cli.{self.home[0]}")


@dataclass(frozen=True, slots=True)
class Chapter:
    """Verbs that belong together.

    Attributes:
        title: In the help.
        verbs: In the order of the help.
    """

    title: str
    verbs: tuple[Verb, ...]


CHAPTERS = (
    Chapter(
        "keep the lake",
        (
            Verb(
                "extract",
                "make the lake equal to the log table for a window of days",
                ("extract", "ExtractCommand", "run_extract"),
                ("extract --since 7d", "extract --since 2026-07-01 --until 2026-07-08 --realm acme-cycling"),
            ),
            Verb(
                "doctor",
                "would an unattended extraction work? exit 1 when it would not",
                ("status", "DoctorOptions", "run_doctor"),
                ("doctor", "doctor --role-sql | psql"),
            ),
            Verb(
                "status",
                "calendar of realms and days: complete, partial, missing, stale, expired",
                ("status", "StatusOptions", "run_status"),
                ("status --all-realms",),
            ),
            Verb(
                "check",
                "is the lake sound? exit 1 when a check of severity error fails",
                ("status", "CheckOptions", "run_check"),
                ("check --all-realms",),
            ),
            Verb(
                "audit",
                "does the log agree with its sampling rate, and with the engine's counters?",
                ("status", "AuditOptions", "run_audit"),
                ("audit --all-realms --since 7d --counters https://prometheus.example",),
            ),
            Verb(
                "expire",
                "drop the lake's days that are too old; without --yes it only says which",
                ("expire", "ExpireOptions", "run_expire"),
                ("expire --older-than 180d", "expire --older-than 180d --yes"),
            ),
        ),
    ),
    Chapter(
        "ask the lake",
        (
            Verb(
                "query",
                "ask the lake in SQL, run a named query, or estimate",
                ("query", "QueryOptions", "run_query"),
                (
                    "query --all-realms 'from strategy_days limit 5'",
                    "query --name strategy_summary --since 7d --realm acme-cycling --format csv",
                    "query --estimate points --by external_user_id --where \"status = 'ok'\" --since 7d --realm acme-cycling",
                    "query --list",
                ),
            ),
            Verb(
                "explain",
                "why one run paid what it paid, rule after rule",
                ("query", "ExplainOptions", "run_explain"),
                ("explain 3f885dde", "explain 3f885dde --versus 2 --html run.html"),
            ),
            Verb(
                "export",
                "flat files for other tools",
                ("extract", "ExportOptions", "run_export"),
                ("export nodes --all-realms --out flat",),
            ),
        ),
    ),
    Chapter(
        "report",
        (
            Verb(
                "report",
                "render a report; prints the page's path",
                ("report", "ReportOptions", "run_report"),
                (
                    "report runaway_rules --all-realms",
                    'report post_mortem --realm acme-cycling --family "Speed bonus" --since 2026-07-07 --until 2026-07-11',
                    'report rehearsal --realm acme-cycling --family "Speed bonus" --draft next.json --since 7d',
                    "report reports/nightly.toml --fail-on new",
                ),
            ),
            Verb(
                "report run",
                "render all reports of a definition that are due; ends with a table",
                ("report", "ReportRunOptions", "run_reports"),
                ("report run reports/nightly.toml --jobs 2",),
            ),
            Verb(
                "gather",
                "one share of what report runaway_rules asks; as many processes or machines as you like",
                ("report", "GatherOptions", "run_gather"),
                ("gather --all-realms --share 1/4 --into gathered",),
            ),
            Verb(
                "schedule",
                "print the crontab lines, or systemd units, that run this checkout",
                ("schedule", "ScheduleOptions", "run_schedule"),
                ("schedule", "schedule --format systemd --into ~/.config/systemd/user"),
            ),
        ),
    ),
    Chapter(
        "people",
        (
            Verb(
                "pseudonym",
                "a person's pseudonyms, and what the lake holds of them",
                ("people", "PseudonymOptions", "run_pseudonym"),
                ("pseudonym u-4711 --out theirs.json",),
            ),
            Verb(
                "erase",
                "take a person out of the lake, for good; prints a receipt",
                ("people", "EraseOptions", "run_erase"),
                ("erase --user u-4711",),
            ),
        ),
    ),
    Chapter(
        "begin",
        (
            Verb(
                "demo",
                "embedded PostgreSQL, simulated engine, extract, both reports",
                ("demo", "DemoOptions", "run_demo"),
                ("demo",),
            ),
            Verb(
                "completion",
                "print what makes a shell complete commands and options",
                ("arguments", "CompletionOptions", "run_completion"),
                (
                    "completion bash > ~/.local/share/bash-completion/completions/strategy-analytics",
                    "completion zsh > ~/.zfunc/_strategy-analytics",
                    "completion fish > ~/.config/fish/completions/strategy-analytics.fish",
                ),
            ),
        ),
    ),
)
VERBS = {verb.name: verb for chapter in CHAPTERS for verb in chapter.verbs}
"""Every verb by its name."""
