"""The object store's most frequent calls at less than half of boto3's cost: signed and sent, nothing else.

boto3 spends most of a call on parameters, events and parsing that plain calls have no use for; the signature and
the connections are botocore's own here too. Whatever is not a plain answer is for the caller to ask again through
boto3, which knows redirects, retries, clock skew and how errors are told.
"""

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, HTTPClientError
from botocore.httpsession import URLLib3Session

from services.runtime.settings import ObjectStoreSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PLACEHOLDER = "key"
_TIMEOUT_SECONDS_MAX = 5


class SignedRequests:
    """Plain requests for objects. Safe to share between threads."""

    def __init__(self, client: "S3Client", settings: ObjectStoreSettings) -> None:
        self._client = client
        self._credentials = _credentials(settings)
        self._region = str(client.meta.region_name or settings.region)
        self._bases: dict[str, str] = {}
        # A store that hangs is left to boto3 and its longer patience.
        timeout_seconds = max(1, min(int(settings.timeout_seconds), _TIMEOUT_SECONDS_MAX))
        self._session = URLLib3Session(
            timeout=timeout_seconds,
            max_pool_connections=settings.connections_max,
            # As boto3 does: a body that follows its head would else wait 40 ms for the head's acknowledgement.
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # type: ignore[list-item]  # wrong stubs
        )

    def send(
        self,
        method: str,
        bucket: str,
        key: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        stream: bool = False,
    ) -> AWSResponse | None:
        """The answer; with `stream` its body is read from `raw`. None: there was none, ask boto3."""
        if self._credentials is None:
            return None
        url = self._base(bucket) + quote(key, safe="/~")
        request = AWSRequest(method, url, dict(headers or {}), body, stream_output=stream)
        try:
            # Frozen anew each time: temporary credentials are renewed in here.
            S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self._region).add_auth(request)
            return self._session.send(request.prepare())
        except (BotoCoreError, HTTPClientError):
            return None

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def _base(self, bucket: str) -> str:
        """The bucket's URL, ending with a slash, as boto3 itself would address it."""
        base = self._bases.get(bucket)
        if base is None:
            url = self._client.generate_presigned_url("head_object", Params={"Bucket": bucket, "Key": _PLACEHOLDER})
            base = self._bases[bucket] = url.partition("?")[0].removesuffix(_PLACEHOLDER)
        return base


def _credentials(settings: ObjectStoreSettings) -> Credentials | None:
    if settings.access_key is not None and settings.secret_key is not None:
        return Credentials(settings.access_key.get_secret_value(), settings.secret_key.get_secret_value())
    found: Credentials | None = boto3.session.Session().get_credentials()
    return found
