"""One trace's text → codes, proved while it is read.

PostgreSQL spells jsonb in one way only: keys by length and then by byte, one space after ``:`` and ``,``, no other. So the
entry of a trace is always

    {"type": "…", "value": …, "branch": "…", "nodeId": "…"}      (branch may be missing, nodeId may be null)

and this reader accepts exactly that, byte by byte, and nothing else. What it accepts can be spelled again from the codes
alone, so nothing needs to be compared afterwards. Any other text (more keys, fewer, an escape in a name, a number as a node
id, an entry that is no object) is refused as a whole and left to the exact reader.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from analytics.extraction.encode.native.memory import (
    BEFORE,
    BLOB,
    ENDS,
    FIRST_HINT,
    FIRST_HINTS,
    NEXT_HINT,
    VALUE,
    add_template,
    compiled,
    equal,
    find_template,
    intern,
    load8,
    load32,
    load64,
    store32,
)

_QUOTE, _BACKSLASH, _COMMA, _SPACE = 34, 92, 44, 32
_OPEN, _CLOSE, _OPEN_OBJECT, _CLOSE_OBJECT = 91, 93, 123, 125

LITERALS = b'{"type": "' + b'", "value": ' + b', "branch": "' + b'", "nodeId": ' + b', "nodeId": ' + b"null}" + bytes(8)
"""The fixed parts of an entry, one after the other; compiled functions get their address."""
_TYPE, _VALUE, _BRANCH, _AFTER_BRANCH, _NODE, _NULL_END = 0, 10, 22, 35, 48, 60
_TYPE_SIZE, _VALUE_SIZE, _BRANCH_SIZE, _AFTER_BRANCH_SIZE, _NODE_SIZE, _NULL_END_SIZE = 10, 12, 13, 13, 12, 5


Tables: TypeAlias = tuple[int, int, int]
"""Addresses of the control blocks of names, values and templates."""


@compiled
def _name_end(at: int, end: int) -> int:
    """Where the quote after a plain name stands; -1 where an escape stands in it or nothing ends it."""
    while at < end:
        byte = load8(at)
        if byte == _QUOTE:
            return at
        if byte == _BACKSLASH:
            return -1
        at += 1
    return -1


@compiled
def _text_end(at: int, end: int) -> int:
    """Behind the closing quote of a JSON string whose opening quote is at ``at``; -1 where nothing ends it."""
    at += 1
    while at < end:
        byte = load8(at)
        if byte == _QUOTE:
            return at + 1
        at += 2 if byte == _BACKSLASH else 1
    return -1


@compiled
def _value_end(at: int, end: int) -> int:
    """Behind a JSON value; -1 where there is none. The text is valid JSON already: PostgreSQL wrote it."""
    if at >= end:
        return -1
    byte = load8(at)
    if byte == _QUOTE:
        return _text_end(at, end)
    if byte != _OPEN and byte != _OPEN_OBJECT:
        start = at
        while at < end and load8(at) != _COMMA and load8(at) != _CLOSE_OBJECT and load8(at) != _CLOSE:
            at += 1
        return at if at > start else -1
    depth = 0
    while at < end:
        byte = load8(at)
        if byte == _QUOTE:
            at = _text_end(at, end)
            if at < 0:
                return -1
            continue
        if byte == _OPEN or byte == _OPEN_OBJECT:  # noqa: SIM109  (compiled: two comparisons, no tuple)
            depth += 1
        elif byte == _CLOSE or byte == _CLOSE_OBJECT:  # noqa: SIM109
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return -1


@compiled
def _starts(at: int, end: int, literal: int, size: int) -> bool:
    return at + size <= end and equal(at, literal, size)


@compiled
def _guessed(values: int, templates: int, template: int, at: int, end: int) -> tuple[int, int]:
    """The entry at ``at``, if it has this template: its value's code and where it ends; -1 where it has not."""
    ends = load64(templates + ENDS) + 4 * template
    literal = load64(templates + BLOB) + load32(ends)
    before = np.int64(load32(load64(templates + BEFORE) + 4 * template))
    after = np.int64(load32(ends + 4)) - load32(ends) - before
    if before == 0 or at + before + after >= end or not equal(at, literal, before):
        return np.int64(-1), np.int64(-1)
    start = at + before
    hint = load64(templates + VALUE) + 4 * template
    value = np.int64(load32(hint))
    if value >= 0:
        ends = load64(values + ENDS) + 4 * value
        size = np.int64(load32(ends + 4)) - load32(ends)
        if (
            start + size + after <= end
            and equal(start, load64(values + BLOB) + load32(ends), size)
            # a value that went on, as 10 goes on after 1, would not be followed by the comma this begins with
            and equal(start + size, literal + before, after)
        ):
            return value, start + size + after
    stop = _value_end(start, end)
    if stop < 0 or stop + after > end or not equal(stop, literal + before, after):
        return np.int64(-1), np.int64(-1)
    value = intern(values, start, stop - start)
    store32(hint, np.int32(value))
    return value, stop + after


@compiled
def _read(tables: Tables, literals: int, at: int, end: int) -> tuple[int, int, int]:
    """The entry at ``at``: template, value, where it ends; -1 where it is none of the one shape."""
    names, values, templates = tables
    refused = (np.int64(-1), np.int64(-1), np.int64(-1))
    if not _starts(at, end, literals + _TYPE, _TYPE_SIZE):
        return refused
    type_at = at + _TYPE_SIZE
    type_end = _name_end(type_at, end)
    if type_end < 0 or not _starts(type_end, end, literals + _VALUE, _VALUE_SIZE):
        return refused
    start = type_end + _VALUE_SIZE
    stop = _value_end(start, end)
    if stop < 0:
        return refused
    branch_at = branch_end = np.int64(-1)
    if _starts(stop, end, literals + _BRANCH, _BRANCH_SIZE):
        branch_at = stop + _BRANCH_SIZE
        branch_end = _name_end(branch_at, end)
        if branch_end < 0 or not _starts(branch_end, end, literals + _AFTER_BRANCH, _AFTER_BRANCH_SIZE):
            return refused
        node_at = branch_end + _AFTER_BRANCH_SIZE
    elif _starts(stop, end, literals + _NODE, _NODE_SIZE):
        node_at = stop + _NODE_SIZE
    else:
        return refused
    node_end = np.int64(-1)
    if _starts(node_at, end, literals + _NULL_END, _NULL_END_SIZE):
        closed = node_at + _NULL_END_SIZE
    elif node_at < end and load8(node_at) == _QUOTE:
        node_at += 1
        node_end = _name_end(node_at, end)
        if node_end < 0 or node_end + 1 >= end or load8(node_end + 1) != _CLOSE_OBJECT:
            return refused
        closed = node_end + 2
    else:
        return refused
    template, digest, place = find_template(templates, at, start - at, stop, closed - stop)
    if template < 0:
        kind = intern(names, type_at, type_end - type_at)
        branch = intern(names, branch_at, branch_end - branch_at) if branch_at >= 0 else np.int64(-1)
        node = intern(names, node_at, node_end - node_at) if node_end >= 0 else np.int64(-1)
        template = add_template(templates, at, start - at, stop, closed - stop, digest, place, (kind, branch, node))
    value = intern(values, start, stop - start)
    store32(load64(templates + VALUE) + 4 * template, np.int32(value))
    return template, value, closed


@compiled
def scan(tables: Tables, literals: int, at: int, size: int, strategy: int, outputs: tuple[int, int]) -> int:
    """Read one trace.

    Args:
        tables: Addresses of the tables of names, values and templates.
        literals: Address of ``LITERALS``.
        at, size: Address and bytes of the trace.
        strategy: Code of the strategy, whose traces begin alike.
        outputs: Addresses that the codes of templates and values go to, four bytes each.

    Returns:
        Its number of entries; -1 where it is not of the one shape, and what was written is to be forgotten.
    """
    _, values, templates = tables
    out_templates, out_values = outputs
    end = at + size
    if size < 2 or load8(at) != _OPEN:
        return -1
    at += 1
    if load8(at) == _CLOSE:
        return 0 if at + 1 == end else -1
    count = 0
    hint = load64(templates + FIRST_HINT) + 4 * (strategy & (FIRST_HINTS - 1))
    while True:
        template = np.int64(load32(hint))
        value = closed = np.int64(-1)
        if template >= 0:
            value, closed = _guessed(values, templates, template, at, end)
        if closed < 0:
            template, value, closed = _read(tables, literals, at, end)
            if template < 0:
                return -1
            store32(hint, np.int32(template))
        store32(out_templates + 4 * count, np.int32(template))
        store32(out_values + 4 * count, np.int32(value))
        count += 1
        hint = load64(templates + NEXT_HINT) + 4 * template
        if closed >= end:
            return -1
        if load8(closed) == _CLOSE:
            return count if closed + 1 == end else -1
        if closed + 2 > end or load8(closed) != _COMMA or load8(closed + 1) != _SPACE:
            return -1
        at = closed + 2
