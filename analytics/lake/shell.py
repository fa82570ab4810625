"""Foreign text where a person reads or pastes it outside a page: nothing hidden in it, and one word of a shell's line."""

from __future__ import annotations

import shlex
import unicodedata

MARKS_IN_A_ROW = 4
# Joiners change how letters and emoji connect and are ordinary spelling in Persian, Hindi and emoji.
_SPELLING = {"\u200c", "\u200d"}


def visible(value: object, *, lines: bool = False) -> str:
    r"""Writes out what cannot be seen: control, bidi and zero-width characters become escapes such as `\u202e`.

    Args:
        value: Anything; `str()` of it is shown.
        lines: Keep line breaks and tabs (for code); otherwise they are written out too.
    """
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    out: list[str] = []
    marks = 0
    for letter in text:
        category = unicodedata.category(letter)
        # A hundred accents on one letter would paint over the lines above; a few are ordinary spelling.
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks > MARKS_IN_A_ROW:
            if marks == MARKS_IN_A_ROW + 1:
                out.append("…")
        elif lines and letter in "\n\t":
            out.append(letter)
        elif (
            category in ("Cc", "Cs", "Zl", "Zp")
            or (category == "Cf" and letter not in _SPELLING)
            or (category == "Cn" and ord(letter) & 0xFFFE == 0xFFFE)
        ):
            out.append(_escaped(letter))
        else:
            out.append(letter)
    return "".join(out)


def _escaped(letter: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    code = ord(letter)
    return named.get(letter) or (f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}")


def word(text: str) -> str:
    r"""One word of a command line.

    What cannot be seen is written out as bytes, `$'\xe2\x80\xae'`: nothing hidden is pasted, and the shell (bash, zsh, ksh,
    and sh as POSIX has it since 2024) makes the same text of it.
    """
    if visible(text) == text:
        return shlex.quote(text)
    letters = (
        letter
        if letter.isascii() and letter.isprintable() and letter not in "\\'"
        else "".join(f"\\x{byte:02x}" for byte in letter.encode())
        for letter in text
    )
    return f"$'{''.join(letters)}'"


def option(name: str, value: str) -> str:
    """An option with its value; a value that begins with a dash is not taken for another option."""
    return f"--{name}={word(value)}" if value.startswith("-") else f"--{name} {word(value)}"


def realm(tenant: str | None) -> str:
    """Whose rows."""
    return "--no-realm" if tenant is None else option("realm", tenant)
