"""What may not be read in one report: secrets, places, other tenants, users."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from analytics import sql
from analytics.config import Settings
from analytics.errors import ConfigurationError
from analytics.lake import Lake
from analytics.leak_gate import secrets
from analytics.leak_gate.ids import key
from analytics.leak_gate.vocabulary import is_own_word
from analytics.object_store import LakePath, place
from analytics.people.erased import Erased, recognised
from analytics.people.policy import Policy
from analytics.people.pseudonyms import PseudonymKey
from analytics.people.telling import is_telling
from analytics.warehouse import Warehouse
from analytics.window import Window

_LOOK_BACK = timedelta(days=14)
"""Reports look back so far for what is usual, and may show a run of then."""


@dataclass(frozen=True)
class Forbidden:
    """What may not be read in one report.

    Attributes:
        secrets: Texts that may stand nowhere, and what each is.
        hosts: User and host that may not stand in an address.
        folders: Absolute paths of this machine, and what each is.
        users: Ids of users; empty when they may be shown.
        realms: Other tenants; empty for a report of all of them.
        strategies: Names of their strategies.
        own: The tenants it is about; ``None`` for all.
        lake: For what is asked only when something was found.
        window: Which runs it can show.
        code: What its notebook says before it is run, and what whoever asked for the report said. A name in it was written by
            them.
        erased: People who may not be named, whoever may be shown.
    """

    secrets: Mapping[str, str]
    hosts: frozenset[tuple[str, str]]
    folders: Mapping[str, str]
    users: frozenset[str] = frozenset()
    realms: frozenset[str] = frozenset()
    strategies: frozenset[str] = frozenset()
    own: tuple[str | None, ...] | None = None
    lake: Warehouse | None = field(default=None, repr=False)
    window: Window | None = None
    code: str = ""
    erased: Erased | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        lake: str | LakePath | None,
        out: str | Path | None = None,
        *,
        window: Window | None = None,
        realms: Sequence[str | None] | None = None,
        show_users: bool = False,
        notebook: Path | None = None,
        said: Iterable[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> Forbidden:
        """What may not be read in a report of this lake.

        Args:
            lake: Its folder; ``None`` when only the machine's own secrets are known.
            out: Folder of rendered reports.
            window: Of the report; two weeks before it count too. Without one only the machine's secrets are known.
            realms: The tenants it is about; ``None`` for all.
            show_users: Users may be named in it.
            notebook: What is executed.
            said: The report's name and parameters.
            env: The environment; that of the process when not given.

        Raises:
            LakeError: There is no lake in that folder.
        """
        machine = cls(
            secrets.secrets(env),
            frozenset(secrets.hosts(env)),
            secrets.folders(place(lake) if lake else None, Path(out) if out else None),
            code="\n".join([*([notebook.read_text(encoding="utf-8")] if notebook else []), *said]),
        )
        if lake is None or window is None:
            return machine
        opened, wide = Warehouse(Lake(lake)), Window(window.since - _LOOK_BACK, window.until)
        users: Iterable[str | None] = ()
        if not show_users:
            asked = opened.sql(sql.text("leaks", "users"), since=wide.since, until=wide.until)
            users = asked.to_arrow_table().column(0).to_pylist()
        gone = recognised(opened.lake.root, _key(env))
        found = replace(machine, users=frozenset(filter(None, users)), lake=opened, window=wide, erased=gone)
        return found.about(realms)

    def about(self, realms: Sequence[str | None] | None) -> Forbidden:
        """The same for a report of these tenants; ``None`` for all."""
        if realms is None or self.lake is None:
            return self
        others = frozenset(realm for realm in self.lake.realms if realm and realm not in realms)
        named = self.lake.sql(
            sql.text("leaks", "strategies_of_others"),
            own=[realm for realm in realms if realm is not None],
            null_is_own=None in realms,
        )
        return replace(
            self, own=tuple(realms), realms=others, strategies=frozenset(name for (name,) in named.fetchall())
        )

    @functools.cached_property
    def _in_sight(self) -> Warehouse:
        """The lake with the report's own tenants."""
        if self.lake is None:
            raise ValueError("no lake is known")
        if self.own is None:
            return self.lake
        known = self.lake.realms
        return Warehouse(self.lake.lake, realms=[realm for realm in self.own if realm in known])

    def _is_in_code(self, text: str) -> bool:
        made = key(text)
        return made is not None and made.at(self.code) >= 0

    def ids_of_others(self, found: Iterable[str]) -> dict[str, str]:
        """Those of the ids that are other tenants', and whether each is a "strategy" or a "run"."""
        if self.lake is None or self.window is None or self.own is None:
            return {}
        asked = self.lake.sql(
            sql.text("leaks", "ids_of_others"),
            found=list(found),
            own=[realm for realm in self.own if realm is not None],
            null_is_own=None in self.own,
            since=self.window.since,
            until=self.window.until,
        )
        kinds = dict(asked.fetchall())
        # An id may be a date or a word, where no engine made it.
        telling = [name for name in kinds if is_telling(name)]
        return {name: kinds[name] for name in self.without_authors_words(telling, rows=True)}

    def leaked_users(self, found: Sequence[str]) -> list[str]:
        """Those ids of users that would not stand there if the user did not exist.

        Whoever may call the engine chooses the ids that it logs: an ordinary word, or the name of a tenant. Such a word stands in
        reports anyway, and may not keep one from being published.

        Args:
            found: What was found in a report.
        """
        shown = () if self.lake is None else self._in_sight.realms
        left = [word for word in self.without_authors_words(found, rows=False) if word not in shown]
        if not left or self.lake is None or self.window is None or self.own is None:
            return left
        # What the rows of the report's own tenants say is theirs, unless it is one of their own users.
        asked = self._in_sight.sql(
            sql.text("leaks", "users_among"), found=left, since=self.window.since, until=self.window.until
        )
        own = {word for (word,) in asked.fetchall()}
        others = self.without_authors_words([word for word in left if word not in own], rows=True)
        return [word for word in left if word in own or word in others]

    def strategies_among(self, found: Sequence[str]) -> list[str]:
        """Those names of others' strategies that neither the reports nor the authors in sight write anyway."""
        shown = () if self.lake is None else self._in_sight.realms
        return self.without_authors_words([name for name in found if name not in shown], rows=True)

    def without_authors_words(self, found: Sequence[str], *, rows: bool, own: bool = True) -> list[str]:
        """Those words that neither the reports nor the authors in sight write anyway.

        Args:
            found: What was found in a report.
            rows: Words in a tenant's rows are its own, too. Not for ids of users: the rows are where they come from.
            own: Words of the reports themselves, and of the notebook, do not count.
        """
        left = [word for word in found if not (own and (is_own_word(word) or self._is_in_code(word)))]
        if not left or self.lake is None or self.window is None:
            return left
        lake = self._in_sight
        for name in ("words_of_programs", "words_of_rows") if rows else ("words_of_programs",):
            asked = lake.sql(
                sql.text("leaks", name),
                found=left,
                written=[json.dumps(word, ensure_ascii=False)[1:-1] for word in left],
                since=self.window.since,
                until=self.window.until,
            )
            written = {word for (word,) in asked.fetchall()}
            left = [word for word in left if word not in written]
            if not left:
                break
        return left


def tenants(parameters: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str | None] | None:
    """Whom a report is about: the tenant that was asked for, else the one it found itself; ``None`` for all.

    What a notebook says of itself does not open the gate for another tenant than the one that was asked for.
    """
    if parameters.get("no_realm"):
        return [None]
    if parameters.get("realm"):
        return [str(parameters["realm"])]
    return [facts["realm_id"]] if "realm_id" in facts else None


def _key(env: Mapping[str, str] | None) -> PseudonymKey | None:
    """The pseudonym key, where this machine has it: most that render reports have not."""
    try:
        return Policy.of(Settings.from_env(env, sample_rates="")).key
    except ConfigurationError:
        return None
