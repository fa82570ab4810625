"""Commands and calls that a report tells people to run, quoted for a shell whatever an author's text holds."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from analytics.lake.shell import option, realm, word
from analytics.reports import page


def roll_back(strategy_id: object, version: object) -> str:
    """The call that makes an earlier version the live one, and points games and tasks back to it.

    Publishing it again is no way: the engine answers 409 for an archived version.

    Args:
        strategy_id: Id of any version of the family.
        version: Number of the version to go back to.
    """
    named = page.visible(str(strategy_id)) if strategy_id is not None else "<id of any version>"
    number = page.visible(str(version)) if version is not None else "<version>"
    return f"POST …/v1/strategies/custom/{named}/rollback/{number}      # path as in your deployment"


def new_draft(strategy_id: object) -> str:
    """The call that makes a draft of a new program: of a published version it answers the draft, with an id of its own."""
    named = page.visible(str(strategy_id)) if strategy_id is not None else "<id of the live version>"
    body = '{"astJson": <the program>}'
    return f"PUT …/v1/strategies/custom/{named}      # {body}: answers the draft, with its id"


def publish(strategy_id: object) -> str:
    """The call that publishes a draft and archives the version that was published. Games and tasks keep the id that they name."""
    named = page.visible(str(strategy_id)) if strategy_id is not None else "<id of the draft>"
    return f"POST …/v1/strategies/custom/{named}/publish"


def usage(strategy_id: object) -> str:
    """The call that lists the games and tasks that name a version, to be given another."""
    named = page.visible(str(strategy_id)) if strategy_id is not None else "<id of the live version>"
    body = '{"strategyId": "custom:<id of the draft>"}'
    return f"GET …/v1/strategies/custom/{named}/usage      # then PATCH …/v1/games/<gameId>[/tasks/<taskId>] {body}"


def experiment() -> str:
    """The call that makes a strategy of its own, under a tag that reports can compare by."""
    body = '{"name": …, "type": …, "astJson": <the program>, "experimentTag": "NAME"}'
    return f"POST …/v1/strategies/custom      # {body}"


PROGRAM = "strategy-analytics"
_LONGEST = 200
"""Letters of a name that somebody may be asked to paste; a longer one is named by an id."""


def strategy(tenant: str | None, name: str, strategy_id: str | None, *, is_named: bool) -> str:
    """Which strategy: its tenant and name, or the id of a version where it has no name that can be given.

    Args:
        tenant: None is the NULL realm.
        name: Of the family.
        strategy_id: Of one of its versions.
        is_named: A definition gives the name; otherwise it is an id itself.
    """
    # An empty realm cannot be told from none at all by a report; an id is of one tenant.
    where = "" if tenant == "" else f"{realm(tenant)} "
    if not is_named:
        return where + option("strategy", name)
    if strategy_id is not None and (tenant == "" or len(name) > _LONGEST):
        return where + option("strategy", strategy_id)
    return where + option("family", name)


def window(since: datetime, until: datetime) -> str:
    """From when to when: whole days as days."""
    return f"{_end('since', since)} {_end('until', until)}"


def _end(name: str, moment: datetime) -> str:
    at = moment.astimezone(UTC)
    if at.time() == time():
        return f"--{name} {at:%Y-%m-%d}"
    # A window that ends within a minute would lack the run that ended it.
    at += timedelta(minutes=1) if name == "until" and (at.second or at.microsecond) else timedelta()
    return f"--{name} '{at:%Y-%m-%d %H:%M}'"


def post_mortem(about: str, since: datetime, until: datetime) -> str:
    """The report of one strategy; ``about`` as ``strategy`` gives it."""
    return f"{PROGRAM} report post_mortem {about} {window(since, until)}"


def explain(execution_id: str, since: datetime, until: datetime) -> str:
    """Why one run paid what it paid; the window spares other days."""
    return f"{PROGRAM} explain {word(execution_id)} {window(since, until)}"


def query(name: str, whose: str, since: datetime | None = None, until: datetime | None = None, **values: object) -> str:
    """A named query; ``whose`` as ``realm`` gives it, or ``--all-realms``."""
    asked = f" {window(since, until)}" if since is not None and until is not None else ""
    given = "".join(f" --param {word(f'{key}={value}')}" for key, value in values.items())
    return f"{PROGRAM} query --name {name} {whose}{asked}{given}"
