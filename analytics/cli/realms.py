"""Whose rows a command shows: of one tenant, or of all side by side, which has to be said."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from analytics.cli.output import chosen_realms, warn_of_losses
from analytics.errors import UsageError

if TYPE_CHECKING:
    from analytics.lake.lake import Lake
    from analytics.reports.explore.open_lake import OpenLake


def open_in_sight(options: argparse.Namespace) -> OpenLake:
    """The lake, with the tenants in sight that were chosen; what it has lost of theirs is said.

    Raises:
        UsageError: It holds several, and none was chosen.
        UnknownNameError: It holds nothing of the one that was.
    """
    from analytics import api

    realms = chosen_realms(options)
    opened = api.open_lake(options.lake, realm=realms)
    if not realms and not options.all_realms:
        must_choose(opened.lake)
    warn_of_losses(opened.lost(), opened.lost_programs())
    return opened


def must_choose(lake: Lake) -> None:
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
