"""Every family of the simulated engine, realm by realm."""

from __future__ import annotations

from analytics.demo.catalog import Family
from analytics.demo.families import acme_cycling, elsewhere, harbor_schools, north_library, sunny_gym, tram_riders

FAMILIES: tuple[Family, ...] = (
    *acme_cycling.FAMILIES,
    *harbor_schools.FAMILIES,
    *north_library.FAMILIES,
    *sunny_gym.FAMILIES,
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
