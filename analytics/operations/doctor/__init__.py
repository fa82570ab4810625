"""One thing the doctor found, and how to repair it."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing the doctor found.

    Attributes:
        level: ``ok``, ``advice`` (works, and could be better) or ``problem`` (a run would fail or lose its promise).
        name: What was looked at.
        sentence: What was found.
        repair: A command, statement or step; empty when all is well.
    """

    level: str
    name: str
    sentence: str
    repair: str = ""

    def to_dict(self) -> dict[str, str]:
        """As plain JSON values."""
        return asdict(self)


def ok(name: str, sentence: str) -> Check:
    """All is well."""
    return Check("ok", name, sentence)


def advice(name: str, sentence: str, repair: str) -> Check:
    """It works, and could be better."""
    return Check("advice", name, sentence, repair)


def problem(name: str, sentence: str, repair: str) -> Check:
    """A run would fail, or could not keep its promise."""
    return Check("problem", name, sentence, repair)
