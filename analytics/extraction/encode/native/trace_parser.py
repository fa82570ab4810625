"""One trace's text → codes; see ``loops.trace_parser``."""

from __future__ import annotations

from typing import TypeAlias

from analytics.extraction.encode.native.machine_code import INTEGER, Loop

LITERALS = b'{"type": "' + b'", "value": ' + b', "branch": "' + b'", "nodeId": ' + b', "nodeId": ' + b"null}" + bytes(8)
"""The fixed parts of an entry, one after the other; compiled functions get their address."""

Tables: TypeAlias = tuple[int, int, int]
"""Addresses of the control blocks of names, values and templates."""

scan = Loop("trace_parser.scan", (INTEGER,) * 3, *[INTEGER] * 4, (INTEGER,) * 2, returns=1)
"""Read one trace: its number of entries; -1 where it is not of the one shape."""
