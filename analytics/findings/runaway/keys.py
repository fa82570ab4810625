"""What runaway findings speak of: one version of one strategy in one realm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

FamilyKey = tuple[str | None, str]
"""All versions of one strategy: tenant (None is the NULL realm) and name."""


class Key(NamedTuple):
    """One version.

    Attributes:
        realm: Tenant; None is the NULL realm.
        strategy: Family name, or the strategy_id where no definition is known.
        version: Version of the program.
    """

    realm: str | None
    strategy: str
    version: int

    @property
    def family(self) -> FamilyKey:
        """All versions of it."""
        return self.realm, self.strategy


def key_of(realm: Any, strategy: Any, version: Any) -> Key:
    """A key from values of a frame, where NULL may come as NaN."""
    return Key(text_or_none(realm), str(strategy), int(version))


def text_or_none(value: Any) -> str | None:
    """A text of a frame; None for NULL in any of its forms."""
    return value if isinstance(value, str) else None


def keyed(frame: pd.DataFrame) -> Iterator[tuple[Key, pd.DataFrame]]:
    """The rows of each version; NULL realms are a group like any other."""
    columns = ["realm_id", "strategy", "strategy_version"]
    for values, rows in frame.groupby(columns, dropna=False, sort=False, observed=True):
        yield key_of(*values), rows
