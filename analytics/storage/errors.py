"""What an object store refused, in words, and how to repair it."""

from __future__ import annotations

from collections.abc import Iterator

from analytics.errors import LakeError

_OTHER_VERSION = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
_NO_BUCKET = ("NoSuchBucket",)
_DENIED = ("AccessDenied", "403", "Forbidden", "AllAccessDisabled")
_WHO = (
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
)
_AWAY = (
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ConnectionClosedError",
    "HTTPClientError",
    "ConnectionError",
    "ClientConnectorError",
    "TimeoutError",
    "gaierror",
)
_BUSY = ("SlowDown", "503", "500", "InternalError", "ServiceUnavailable", "RequestTimeout")
_UNKNOWN_CONDITION = ("NotImplemented", "501")
_UNKNOWN_CHECKSUM = ("InvalidArgument", "XAmzContentSHA256Mismatch", "MissingContentMD5", "InvalidRequest", "BadDigest")
_PLAIN = "AWS_REQUEST_CHECKSUM_CALCULATION=when_required"
"""Stores that are not Amazon's may know neither the checksums that its libraries send since 2025 nor a word for that."""


def failure(error: BaseException, url: str) -> LakeError:
    """An error of the library as one of this package."""
    codes = set(_codes(error))
    what, hint = (
        "refused",
        "see whether the store is there and run again: what was finished stays, no other was touched",
    )
    if codes & {*_NO_BUCKET}:
        what, hint = "there is no such bucket", "make the bucket first, or mend ANALYTICS_LAKE (or --lake)"
    elif codes & {*_WHO}:
        what = "nobody is signed in, or not as somebody the store knows"
        hint = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role is given; AWS_ENDPOINT_URL "
        hint += "names a store other than Amazon's"
    elif codes & {*_DENIED} or isinstance(error, PermissionError):
        what = "it may not be done by whoever is signed in"
        hint = "allow s3:ListBucket on the bucket and s3:GetObject on the prefix, and to write s3:PutObject and s3:DeleteObject"
    elif codes & {*_UNKNOWN_CONDITION}:
        what = "the store knows no conditional writes"
        hint = f"if it is the newer checksums that it does not know, set {_PLAIN}; else keep the lake in a store that does "
        hint += "(If-None-Match and If-Match on PUT), or on a file system"
    elif codes & {*_UNKNOWN_CHECKSUM}:
        what = "the store does not take what was sent"
        hint = f"if it is not Amazon's, it may not know the newer checksums: set {_PLAIN}"
    elif codes & {*_AWAY}:
        what = "the store cannot be reached"
        hint = "see AWS_ENDPOINT_URL, the region and the network; run again then: what was finished stays, no other was touched"
    elif codes & {*_BUSY}:
        what = "the store fails, also when asked again"
        hint = "run again when it is sound: what was finished stays, no other was touched"
    return LakeError(f"the lake {url}: {what} ({_words(error)})", hint=hint, path=url)


def is_other_version(error: BaseException) -> bool:
    """The store refused because another version is there than the one named."""
    return bool({*_codes(error)} & {*_OTHER_VERSION})


def is_no_bucket(error: BaseException) -> bool:
    """The bucket itself is not there."""
    return bool({*_codes(error)} & {*_NO_BUCKET})


def _codes(error: BaseException) -> Iterator[str]:
    """What an error and those it was made of call themselves."""
    seen: BaseException | None = error
    while seen is not None:
        yield from (kind.__name__ for kind in type(seen).__mro__)
        response = getattr(seen, "response", None)
        if isinstance(response, dict):
            yield str(response.get("Error", {}).get("Code", ""))
            yield str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
        seen = seen.__cause__


def _words(error: BaseException) -> str:
    """One line without what a library puts around it."""
    return " ".join(str(error).split())[:300] or type(error).__name__
