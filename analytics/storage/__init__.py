"""Lakes in an S3-compatible bucket: what lies there, single-request changes that say what they replace, and the lock."""

from __future__ import annotations

from analytics.storage.bucket import Bucket
from analytics.storage.lease import Lease, break_lease, hold_lease, holder
from analytics.storage.path import SCHEME, LakePath, ObjectPath, place, readable

__all__ = [
    "SCHEME",
    "Bucket",
    "LakePath",
    "Lease",
    "ObjectPath",
    "break_lease",
    "hold_lease",
    "holder",
    "place",
    "readable",
]
