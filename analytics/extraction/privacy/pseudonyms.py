"""Keyed pseudonyms: the same person in the same realm has the same one every day, and nobody without the key can tell whose it is.

HMAC-SHA256 (RFC 2104, FIPS 198-1), cut to its first 128 bits, which NIST SP 800-107 allows; by the birthday bound, two of ten
billion users share one with a probability below 2e-19. The message holds the realm, so that nobody can be followed from one
tenant to another.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from pathlib import Path

from analytics.errors import ConfigurationError

PREFIX = "psn_"
LEAST_KEY = 32
"""Characters: 32 random hexadecimal digits are 128 bits."""

FORM = re.compile(rf"{PREFIX}[0-9a-f]{{32}}")
"""Of a pseudonym."""
_MAKE_ONE = (
    "make one with `openssl rand -hex 32`, in a file that only the extraction's user can read (chmod 600), and keep a copy: "
    "without it nobody can say whose a pseudonym is"
)


@dataclass(frozen=True, slots=True)
class PseudonymKey:
    """The secret that pseudonyms are made with.

    Attributes:
        secret: Never shown in ``repr``, never written.
    """

    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, text: str, where: str) -> PseudonymKey:
        """A key as it was configured.

        Args:
            text: The key; white space around it does not count.
            where: The variable or file it comes from, for the error.

        Raises:
            ConfigurationError: It is so short that somebody could try them all.
        """
        secret = text.strip().encode("utf-8", "surrogateescape")
        if len(secret) < LEAST_KEY or len(set(secret)) < 8:
            raise ConfigurationError(
                f"the pseudonym key in {where} is too weak: it needs {LEAST_KEY} characters or more, and random ones",
                hint=_MAKE_ONE,
            )
        return cls(secret)

    @classmethod
    def read(cls, path: str | Path) -> PseudonymKey:
        """The key in a file.

        Raises:
            ConfigurationError: The file cannot be read, or the key is too weak.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ConfigurationError(f"the pseudonym key file {path} cannot be read: {why}", hint=_MAKE_ONE) from None
        return cls.of(text, str(path))

    @staticmethod
    def open_to_others(path: str | Path) -> bool:
        """Whether others than its owner may read the file of a key."""
        try:
            return bool(Path(path).stat().st_mode & 0o077)
        except OSError:
            return False

    @property
    def key_id(self) -> str:
        """Tells keys apart without saying anything about them: 16 hexadecimal digits."""
        return self.mac("key", "")[:16]

    def pseudonym(self, realm: str | None, user: str) -> str:
        """A user's pseudonym in a realm: ``psn_`` and 32 hexadecimal digits."""
        # PostgreSQL holds no text with a zero byte, so the parts cannot run into each other.
        return PREFIX + self.mac("user", f"{'null' if realm is None else f'realm {realm}'}\0{user}")[:32]

    def mac(self, purpose: str, text: str) -> str:
        """HMAC-SHA256 of a text, in hexadecimal digits; never the same for two purposes."""
        message = f"strategy-analytics 1 {purpose}\0{text}".encode("utf-8", "surrogatepass")
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()


def is_pseudonym(text: str) -> bool:
    """It has the form of one."""
    return FORM.fullmatch(text) is not None
