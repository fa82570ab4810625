"""Which partitions of a day are small, and what tells their content: by it a day file is known (see ``extraction.day_files``)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from analytics.model import PartitionInfo

SMALL_ROWS = 500
"""Rows from which on a partition is no small one."""

LEAST = 64
"""Small partitions of a day: fewer are read about as quickly one by one."""


def order(realm: str | None) -> tuple[bool, str]:
    """By which realms are sorted: the NULL realm last."""
    return (realm is None, realm or "")


def is_small(row_count: int) -> bool:
    """A partition has so few rows that day files hold them."""
    return row_count < SMALL_ROWS


def of(infos: Iterable[PartitionInfo]) -> list[PartitionInfo]:
    """The small ones, in the order of a day file."""
    return sorted((info for info in infos if is_small(info.row_count)), key=lambda info: order(info.partition.realm))


def digest(infos: Iterable[PartitionInfo]) -> str:
    """Of everything that decides what is in the files of these partitions."""
    told = [
        (
            info.partition.realm,
            (info.row_count, info.id_hash, info.fingerprint.row_count, info.fingerprint.change_hash),
            (info.file_bytes, info.node_days_bytes, _rates(info), info.extracted_at.isoformat()),
        )
        for info in infos
    ]
    return hashlib.sha256(ascii(told).encode()).hexdigest()[:32]


def _rates(info: PartitionInfo) -> object:
    if len(info.sample_rates) == 1:
        return info.sample_rates[0].rate  # as before there could be several: such day files stay what they are
    return [(step.since and step.since.isoformat(), step.rate) for step in info.sample_rates]
