"""Every family of the simulated engine, realm by realm."""

from __future__ import annotations

from analytics.demo.catalog import Family
from analytics.demo.families import elsewhere, learning, sports, tram_riders

FAMILIES: tuple[Family, ...] = (
    *sports.CYCLING_FAMILIES,
    *learning.SCHOOL_FAMILIES,
    *learning.LIBRARY_FAMILIES,
    *sports.GYM_FAMILIES,
    *tram_riders.FAMILIES,
    *elsewhere.FAMILIES,
)


def family(realm: str | None, name: str) -> Family:
    """Find a family by realm and name.

    Raises:
        KeyError: There is none.
    """
    for found in FAMILIES:
        if found.realm == realm and found.name == name:
            return found
    raise KeyError((realm, name))
