"""Bytes at rest: where a lake lies, on a disk or in a bucket, and what of it lasts; see ``analytics.storage.storage``."""

from __future__ import annotations

from pathlib import Path

from analytics.storage.bucket import Bucket
from analytics.storage.bucket_storage import BucketStorage
from analytics.storage.lease import Lease, break_lease, hold_lease, holder
from analytics.storage.path import SCHEME, LakePath, ObjectPath, place, readable
from analytics.storage.storage import Layout, LocalStorage, Storage, is_same_file

__all__ = [
    "SCHEME",
    "Bucket",
    "BucketStorage",
    "LakePath",
    "Layout",
    "Lease",
    "LocalStorage",
    "ObjectPath",
    "Storage",
    "break_lease",
    "hold_lease",
    "holder",
    "is_same_file",
    "local_path",
    "place",
    "readable",
    "storage_of",
]


def storage_of(root: LakePath) -> Storage:
    """The storage below a path."""
    return BucketStorage(root) if isinstance(root, ObjectPath) else LocalStorage(root)


def local_path(path: LakePath) -> Path | None:
    """The path where it is one of this machine; ``None`` in a bucket."""
    return None if isinstance(path, ObjectPath) else path
