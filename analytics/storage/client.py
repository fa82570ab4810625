"""The only module that knows the library for S3: its connection, the few requests that are made of it, and what it refuses."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import IO, Any, NamedTuple, TypeAlias

from analytics.errors import LakeError

Answer: TypeAlias = Mapping[str, Any]
"""What the library makes of an answer of the store; S3's reference says what is in it."""

_WRITER = "writer"
"""Metadata: who made an object, so that an answer that was lost can be told from somebody else's write."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """An object.

    Attributes:
        size: Its bytes.
        etag: Names its version.
        modified: When it was written, UTC; ``None`` for one this process has just written.
    """

    size: int
    etag: str
    modified: datetime | None


class Head(NamedTuple):
    """What the store says of an object when it is asked for nothing else.

    Attributes:
        entry: Size, version and time.
        writer: Who made it, as ``Client.put`` was told; empty for others' objects.
        now: The time by the store's own clock; ``None`` where it does not say.
    """

    entry: Entry
    writer: str
    now: datetime | None


class Page(NamedTuple):
    """Part of a listing.

    Attributes:
        entries: Whole keys, and what is known of each object.
        token: Asks for the part that follows; ``None`` at the end.
    """

    entries: list[tuple[str, Entry]]
    token: str | None


class Client:
    """Requests to one bucket, each waited for; credentials, region and endpoint as ``s3fs`` and ``botocore`` find them.

    That is: ``AWS_*`` variables (``AWS_ENDPOINT_URL`` among them), ``AWS_PROFILE`` and its files, the role of a machine or
    a pod, and fsspec's own configuration. A request that failed for a moment is made again by the libraries, with growing
    pauses. All of them raise what the libraries raise; ``FileNotFoundError`` where there is no such object.

    Args:
        bucket: Its name.

    Raises:
        ImportError: The library is not installed.
    """

    def __init__(self, bucket: str) -> None:
        import s3fs

        self._bucket = bucket
        self._filesystem = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
        self._wants_bare_etags = False

    def head(self, key: str) -> Head:
        """Ask for an object's size, version, time and writer."""
        answer = self._call("head_object", Key=key)
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        entry = Entry(answer["ContentLength"], answer["ETag"], answer.get("LastModified"))
        return Head(entry, answer.get("Metadata", {}).get(_WRITER, ""), parsedate_to_datetime(date) if date else None)

    def get(self, key: str) -> tuple[bytes, Entry]:
        """A whole object as it is now."""
        return self._body(Key=key)

    def get_range(self, key: str, entry: Entry, start: int, end: int) -> bytes:
        """Bytes of one version of an object; the store refuses where another is there."""
        return self._body(Key=key, Range=f"bytes={start}-{end - 1}", IfMatch=entry.etag)[0]

    def put(self, key: str, body: IO[bytes], replaces: Entry | None, writer: str) -> str:
        """Make an object in the place of one version, or of none; the store refuses where another is there.

        Returns:
            The ETag of the new version.
        """
        if replaces is None:
            return self._put(key, body, writer, IfNoneMatch="*")
        if self._wants_bare_etags:
            return self._put(key, body, writer, IfMatch=_bare(replaces.etag))
        try:
            return self._put(key, body, writer, IfMatch=replaces.etag)
        except Exception as error:
            # Ceph's gateway (16.2) compares the quotes too, and so takes every version for another one.
            if not is_other_version(error) or not self._is_still(key, replaces):
                raise
        body.seek(0)
        etag = self._put(key, body, writer, IfMatch=_bare(replaces.etag))
        self._wants_bare_etags = True
        return etag

    def delete(self, key: str) -> None:
        """Take an object away."""
        self._call("delete_object", Key=key)

    def copy(self, key: str, target: str) -> None:
        """Make an object of the same content."""
        self._call("copy_object", Key=target, CopySource={"Bucket": self._bucket, "Key": key})

    def list_page(self, prefix: str, most: int, token: str | None) -> Page:
        """Objects whose keys begin so, by key; what follows is asked for with the token of the page before."""
        more = {"ContinuationToken": token} if token else {}
        answer = self._call("list_objects_v2", Prefix=prefix, MaxKeys=most, **more)
        entries = [
            (item["Key"], Entry(item["Size"], item["ETag"], item["LastModified"]))
            for item in answer.get("Contents", ())
        ]
        return Page(entries, answer["NextContinuationToken"] if answer.get("IsTruncated") else None)

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _put(self, key: str, body: IO[bytes], writer: str, **condition: str) -> str:
        etag: str = self._call("put_object", Key=key, Body=body, Metadata={_WRITER: writer}, **condition)["ETag"]
        return etag

    def _is_still(self, key: str, entry: Entry) -> bool:
        try:
            return self.head(key).entry.etag == entry.etag
        except FileNotFoundError:
            return False

    def _call(self, method: str, **arguments: object) -> Answer:
        """One request whose answer has no body."""
        began = time.perf_counter()
        try:
            answer: Answer = self._filesystem.call_s3(method, Bucket=self._bucket, **arguments)
        finally:
            about = arguments.get("Key") or arguments.get("Prefix") or ""
            _log.debug("%s %s took %.3f s", method, about, time.perf_counter() - began)
        return answer

    def _body(self, **arguments: object) -> tuple[bytes, Entry]:
        from fsspec import asyn

        data, answer = asyn.sync(self._filesystem.loop, self._get_object, {"Bucket": self._bucket, **arguments})
        return data, Entry(len(data), answer["ETag"], answer.get("LastModified"))

    async def _get_object(self, arguments: Mapping[str, object]) -> tuple[bytes, Answer]:
        from s3fs.core import _error_wrapper

        async def read() -> tuple[bytes, Answer]:
            answer = await self._filesystem._s3.get_object(**arguments)  # noqa: SLF001  # s3fs has no call that gives the answer's head
            async with answer["Body"] as body:
                return await body.read(), answer

        await self._filesystem.set_session()
        # With the pauses of every other call: an answer that breaks off in its middle is asked for again.
        body_and_answer: tuple[bytes, Answer] = await _error_wrapper(read, retries=self._filesystem.retries)
        return body_and_answer


def _bare(etag: str) -> str:
    return etag.strip('"')


# ---- refusals ----------------------------------------------------------------------------------------------------------

_OTHER_VERSION = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
_NO_BUCKET = frozenset({"NoSuchBucket"})
_PLAIN = "AWS_REQUEST_CHECKSUM_CALCULATION=when_required"
"""Stores that are not Amazon's may know neither the checksums that its libraries send since 2025 nor a word for that."""


class _Refusal(NamedTuple):
    """A kind of refusal.

    Attributes:
        codes: By one of these it is known: error codes of S3, HTTP's, classes of the libraries' errors.
        what: It is, as a sentence's end.
        hint: How to repair it.
    """

    codes: frozenset[str]
    what: str
    hint: str


_REFUSALS = (
    _Refusal(_NO_BUCKET, "there is no such bucket", "make the bucket first, or mend ANALYTICS_LAKE (or --lake)"),
    _Refusal(
        frozenset(
            {
                "InvalidAccessKeyId",
                "SignatureDoesNotMatch",
                "ExpiredToken",
                "InvalidToken",
                "NoCredentialsError",
                "PartialCredentialsError",
                "ProfileNotFound",
                "TokenRetrievalError",
                "UnauthorizedSSOTokenError",
                "CredentialRetrievalError",
            }
        ),
        "nobody is signed in, or not as somebody the store knows",
        "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role is given; AWS_ENDPOINT_URL "
        "names a store other than Amazon's",
    ),
    _Refusal(
        frozenset({"RequestTimeTooSkewed", "RequestExpired"}),
        "the clocks of this machine and of the store are too far apart",
        "set this machine's clock (see timedatectl); stores take a signature for a quarter of an hour around their own time",
    ),
    _Refusal(
        frozenset({"AccessDenied", "403", "Forbidden", "AllAccessDisabled"}),
        "it may not be done by whoever is signed in",
        "allow s3:ListBucket on the bucket and s3:GetObject on the prefix, and to write s3:PutObject and s3:DeleteObject",
    ),
    _Refusal(
        frozenset({"NotImplemented", "501"}),
        "the store knows no conditional writes",
        f"if it is the newer checksums that it does not know, set {_PLAIN}; else keep the lake in a store that does "
        "(If-None-Match and If-Match on PUT), or on a file system",
    ),
    _Refusal(
        frozenset({"InvalidArgument", "XAmzContentSHA256Mismatch", "MissingContentMD5", "InvalidRequest", "BadDigest"}),
        "the store does not take what was sent",
        f"if it is not Amazon's, it may not know the newer checksums: set {_PLAIN}",
    ),
    _Refusal(
        frozenset(
            {
                "EndpointConnectionError",
                "ConnectTimeoutError",
                "ReadTimeoutError",
                "ConnectionClosedError",
                "HTTPClientError",
                "ConnectionError",
                "ClientConnectorError",
                "TimeoutError",
                "gaierror",
            }
        ),
        "the store cannot be reached",
        "see AWS_ENDPOINT_URL, the region and the network; run again then: what was finished stays, no other was touched",
    ),
    _Refusal(
        frozenset({"SlowDown", "503", "500", "InternalError", "ServiceUnavailable", "RequestTimeout"}),
        "the store fails, also when asked again",
        "run again when it is sound: what was finished stays, no other was touched",
    ),
    _Refusal(
        frozenset({"BaseException"}),
        "refused",
        "see whether the store is there and run again: what was finished stays, no other was touched",
    ),
)
"""The first that fits is meant; the last fits all."""


def failure(error: BaseException, url: str) -> LakeError:
    """An error of the library as one of this package."""
    codes = {*_codes(error), *(["AccessDenied"] if isinstance(error, PermissionError) else [])}
    refusal = next(refusal for refusal in _REFUSALS if codes & refusal.codes)
    words = " ".join(str(error).split())[:300] or type(error).__name__
    return LakeError(f"the lake {url}: {refusal.what} ({words})", hint=refusal.hint, path=url)


def is_other_version(error: BaseException) -> bool:
    """The store refused because another version is there than the one named."""
    return not _OTHER_VERSION.isdisjoint(_codes(error))


def is_no_bucket(error: BaseException) -> bool:
    """The bucket itself is not there."""
    return not _NO_BUCKET.isdisjoint(_codes(error))


def _codes(error: BaseException) -> Iterator[str]:
    """What an error and those it was made of call themselves."""
    cause: BaseException | None = error
    while cause is not None:
        yield from (kind.__name__ for kind in type(cause).__mro__)
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            yield str(response.get("Error", {}).get("Code", ""))
            yield str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
        cause = cause.__cause__
