"""The only module that imports the library for S3: its connection, and the few calls that are made of it."""

from __future__ import annotations

import logging
import time
from typing import Any

import s3fs
from fsspec import asyn

_log = logging.getLogger(__name__)


class Client:
    """Calls of the S3 API, each waited for; credentials, region and endpoint as ``s3fs`` and ``botocore`` find them.

    That is: ``AWS_*`` variables (``AWS_ENDPOINT_URL`` among them), ``AWS_PROFILE`` and its files, the role of a machine or
    a pod, and fsspec's own configuration. A call that failed for a moment is made again by the libraries, with growing pauses.
    """

    def __init__(self) -> None:
        self._filesystem = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """One call that answers without a body."""
        began = time.perf_counter()
        try:
            found: dict[str, Any] = self._filesystem.call_s3(method, **arguments)
        finally:
            about = arguments.get("Key") or arguments.get("Prefix") or ""
            _log.debug("%s %s took %.3f s", method, about, time.perf_counter() - began)
        return found

    def body(self, **arguments: Any) -> tuple[bytes, dict[str, Any]]:
        """``get_object``, and what it holds."""
        found: tuple[bytes, dict[str, Any]] = asyn.sync(self._filesystem.loop, self._body, arguments)
        return found

    async def _body(self, arguments: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
        async def read() -> tuple[bytes, dict[str, Any]]:
            answer = await self._filesystem._s3.get_object(**arguments)  # noqa: SLF001  # s3fs has no call that gives the answer's head
            async with answer["Body"] as body:
                return await body.read(), answer

        await self._filesystem.set_session()
        # With the pauses of every other call: an answer that breaks off in its middle is asked for again.
        found: tuple[bytes, dict[str, Any]] = await s3fs.core._error_wrapper(read, retries=self._filesystem.retries)  # noqa: SLF001
        return found
