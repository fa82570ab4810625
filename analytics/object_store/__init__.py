"""Lakes in an S3-compatible bucket: what lies there, single-request changes that say what they replace, and the lock."""

from __future__ import annotations

from analytics.object_store.bucket import Bucket
from analytics.object_store.lease import Lease, break_lease, hold_lease, holder
from analytics.object_store.path import SCHEME, LakePath, ObjectPath, place, readable

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
