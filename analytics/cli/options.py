"""Options of the command: each declared once, as the field of its verb's dataclass, with the words of its help.

``arguments`` makes argparse's parsers and the shells' completions of them, and a test compares them with the docs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from analytics.errors import UsageError

if TYPE_CHECKING:
    from analytics.lake.lake import Lake
    from analytics.reports.explore.open_lake import OpenLake
    from analytics.warehouse.in_sight import LakeInSight

T = TypeVar("T")
Seen = TypeVar("Seen", bound="LakeInSight")

ROWS, PLACES, ANSWER, CONSENT = "which rows", "where", "the answer", "only where it is said"
"""Groups of the help, in this order; what has none comes first."""
GROUPS = (ROWS, PLACES, ANSWER, CONSENT)

_KEY = "option"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """How an option or argument is written, and what its help says.

    Attributes:
        text: Its help.
        names: ``--since``; none for an argument that stands without a name.
        metavar: What stands for its value in the help; none for a flag.
        group: Heading of the help that it stands under; empty for none.
        convert: Makes the value of a word; words stay as they are without one.
        choices: The only words it takes.
        nargs: How many words it takes, in argparse's signs.
        const: Its value where it is given without a word.
        repeats: May be given several times: its value is the list of them.
        is_path: A path of this machine: ``~`` is written out, and an address is refused.
        may_be_empty: The empty word means something.
        is_required: Has to be given.
    """

    text: str
    names: tuple[str, ...] = ()
    metavar: str | None = None
    group: str = ""
    convert: Callable[[str], object] | None = None
    choices: Sequence[str] = ()
    nargs: str | None = None
    const: str | None = None
    repeats: bool = False
    is_path: bool = False
    may_be_empty: bool = False
    is_required: bool = False

    @property
    def is_flag(self) -> bool:
        """It takes no word."""
        return self.metavar is None and not self.choices


def options_of(declared: type) -> Iterator[tuple[str, Option]]:
    """Name and option of each field of a verb's dataclass."""
    for each in fields(declared):
        option: Option = each.metadata[_KEY]
        yield each.name, option


def flag(text: str, name: str, group: str = "") -> bool:
    """A switch, off unless given."""
    return field(default=False, metadata={_KEY: Option(text=text, names=(name,), group=group)})


def word(
    text: str,
    name: str,
    metavar: str,
    group: str = "",
    *,
    const: str | None = None,
    is_path: bool = False,
    may_be_empty: bool = False,
) -> str | None:
    """An option with a word; with ``const`` it may be given without one."""
    option = Option(
        text=text,
        names=(name,),
        metavar=metavar,
        group=group,
        const=const,
        nargs="?" if const else None,
        is_path=is_path,
        may_be_empty=may_be_empty,
    )
    return field(default=None, metadata={_KEY: option})


def required_word(text: str, name: str, metavar: str, group: str = "") -> str:
    """An option with a word that has to be given."""
    option = Option(text=text, names=(name,), metavar=metavar, group=group, is_required=True)
    declared: str = field(metadata={_KEY: option})
    return declared


def words(text: str, name: str, metavar: str, group: str = "", *, may_be_empty: bool = False) -> list[str]:
    """An option with a word that may be repeated."""
    option = Option(text=text, names=(name,), metavar=metavar, group=group, repeats=True, may_be_empty=may_be_empty)
    return field(default_factory=list, metadata={_KEY: option})


def value(text: str, name: str, metavar: str, default: T, convert: Callable[[str], T], group: str = "") -> T:
    """An option whose word becomes a number, a day or the like."""
    option = Option(text=text, names=(name,), metavar=metavar, group=group, convert=convert)
    return field(default=default, metadata={_KEY: option})


def path(text: str, name: str, metavar: str, default: T, group: str = ANSWER) -> Path | T:
    """An option with a file or folder of this machine."""
    option = Option(text=text, names=(name,), metavar=metavar, group=group, convert=Path, is_path=True)
    return field(default=default, metadata={_KEY: option})


def required_path(text: str, name: str, metavar: str) -> Path:
    """An option with a folder of this machine that has to be given."""
    option = Option(
        text=text, names=(name,), metavar=metavar, group=ANSWER, convert=Path, is_path=True, is_required=True
    )
    declared: Path = field(metadata={_KEY: option})
    return declared


def choice(text: str, name: str, choices: Sequence[str], default: T) -> str | T:
    """An option with one of some words."""
    return field(default=default, metadata={_KEY: Option(text=text, names=(name,), choices=choices, group=ANSWER)})


def argument(text: str, metavar: str, *, choices: Sequence[str] = ()) -> str:
    """A word that stands for itself."""
    declared: str = field(metadata={_KEY: Option(text=text, metavar=metavar, choices=choices)})
    return declared


def optional_argument(text: str, metavar: str) -> str | None:
    """A word that stands for itself, or is not there."""
    return field(default=None, metadata={_KEY: Option(text=text, metavar=metavar, nargs="?")})


def paths(text: str, metavar: str, nargs: str) -> list[Path]:
    """Files of this machine that stand for themselves: any number (``*``), or one at least (``+``)."""
    option = Option(text=text, metavar=metavar, nargs=nargs, convert=Path, is_path=True)
    return field(default_factory=list, metadata={_KEY: option})


# ---- what several verbs have ---------------------------------------------------------------------------------------------


def since(default: str) -> str | None:
    """``--since``."""
    return word(f"2026-07-08, today, yesterday, 7d … ({default})", "--since", "WHEN", ROWS)


def until(default: str = "the end of today") -> str | None:
    """``--until``."""
    return word(f"the same, exclusive (default: {default})", "--until", "WHEN", ROWS)


def database_url() -> str | None:
    """``--database-url``."""
    return word("default: $ANALYTICS_DATABASE_URL, $DATABASE_URL, else libpq's own", "--database-url", "URL", PLACES)


def source_retention() -> str | None:
    """``--source-retention``."""
    return word(
        "the source deletes rows that are older, 30d or 26w: warn of days it deletes before they are extracted "
        "(default: $ANALYTICS_SOURCE_RETENTION, else nothing is known)",
        "--source-retention",
        "AGE",
    )


def counters(default: str = "$ANALYTICS_COUNTERS") -> str | None:
    """``--counters``."""
    return word(
        f"Prometheus server or exported file with the engine's counters (default: {default}, else none)",
        "--counters",
        "URL|FILE",
        PLACES,
    )


def wait(text: str = "wait for another run (default: refuse, exit 75)") -> float:
    """``--wait``."""
    return value(text, "--wait", "SECONDS", 0.0, float)


def reports(text: str, name: str = "--out", default: T = None) -> str | T:  # type: ignore[assignment]  # None where T says so
    """The folder of rendered reports."""
    option = Option(text=text, names=(name,), metavar="DIR", group=PLACES, is_path=True)
    return field(default=default, metadata={_KEY: option})


def overwrite() -> bool:
    """``--overwrite``."""
    return flag(
        "replace the file also where it does not hold an earlier answer of this command", "--overwrite", CONSENT
    )


def as_json(text: str) -> bool:
    """``--json``."""
    return flag(text, "--json", ANSWER)


@dataclass(frozen=True, kw_only=True)
class LakeOptions:
    """Which lake.

    Attributes:
        lake: Its folder, or its address in a bucket; settings decide where none is given.
    """

    lake: str | None = word(
        "folder of the lake, or s3://bucket/prefix (default: $ANALYTICS_LAKE)", "--lake", "DIR", PLACES
    )


@dataclass(frozen=True, kw_only=True)
class RealmOptions(LakeOptions):
    """Whose rows a command shows: of one tenant, or of all side by side, which has to be said.

    Attributes:
        realm: The tenant.
        all_realms: All of them.
        no_realm: The NULL realm, which has no name.
    """

    realm: str | None = word("only this tenant", "--realm", "R", ROWS, may_be_empty=True)
    all_realms: bool = flag("all tenants side by side; has to be said where there are several", "--all-realms", ROWS)
    no_realm: bool = flag("the rows without a realm (NULL)", "--no-realm", ROWS)

    def realms(self) -> list[str | None]:
        """The tenants that were named; empty for all.

        Raises:
            UsageError: Two of the options contradict each other.
        """
        if self.realm is not None and self.no_realm:
            raise UsageError("either --realm or --no-realm", hint="the NULL realm has no name")
        if self.all_realms and (self.realm is not None or self.no_realm):
            raise UsageError("either all realms or one of them", hint="leave out --all-realms")
        return [None] if self.no_realm else [] if self.realm is None else [self.realm]

    def look_at_lake(self) -> LakeInSight:
        """As ``open_lake``, for who asks the ledger alone: no DuckDB is loaded."""
        from analytics.lake.lake import Lake
        from analytics.reports.explore.lake_folder import find_lake
        from analytics.warehouse.in_sight import LakeInSight

        return self._said_what_is_lost(LakeInSight(Lake(find_lake(self.lake)), realms=self.realms() or None))

    def open_lake(self) -> OpenLake:
        """The lake, with the tenants in sight that were chosen; what it has lost of theirs is said.

        Raises:
            UsageError: It holds several, and none was chosen.
            UnknownNameError: It holds nothing of the one that was.
        """
        from analytics.reports.explore.open_lake import open_lake

        return self._said_what_is_lost(open_lake(self.lake, realm=self.realms()))

    def _said_what_is_lost(self, found: Seen) -> Seen:
        from analytics.cli.output import warn_of_losses

        if not self.realms() and not self.all_realms:
            require_realm_choice(found.lake)
        warn_of_losses(found.lost(), found.lost_programs())
        return found


@dataclass(frozen=True, kw_only=True)
class ManyRealmOptions(LakeOptions):
    """Whose rows a command works on: all of them, unless tenants are named.

    Attributes:
        realm: Some tenants.
        no_realm: The NULL realm as well.
    """

    realm: list[str] = words("only this tenant (may be repeated)", "--realm", "R", ROWS, may_be_empty=True)
    no_realm: bool = flag("the rows without a realm (NULL)", "--no-realm", ROWS)

    def realms(self) -> list[str | None]:
        """The tenants that were named; empty for all."""
        return [*self.realm, *([None] if self.no_realm else [])]


def require_realm_choice(lake: Lake) -> None:
    """Refuse to show several tenants side by side unasked.

    Raises:
        UsageError: The lake holds more than one. Their names are not told.
    """
    count = len(lake.realms())
    if count > 1:
        raise UsageError(
            f"the lake holds {count} realms, and nobody said whose rows to show",
            hint="--realm NAME (or --no-realm) for one of them, --all-realms for all side by side",
        )
