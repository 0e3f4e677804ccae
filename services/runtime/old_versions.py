"""Versions of objects that a bucket keeps: a deletion or a replacement hides what it was for, and these remove it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from services.runtime.errors import StoreUnavailable
from services.runtime.object_store import describe

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_UNVERSIONED = {"NotImplemented", "MethodNotAllowed", "InvalidRequest"}


def delete_all(client: "S3Client", bucket: str, prefix: str) -> int:
    """Deletes everything under a prefix, in every version, markers included; returns how many versions that were.

    Raises:
        StoreUnavailable: some of it may be there still; again goes on. A refused call names the right that it needs.
    """
    return _delete(client, bucket, _versions(client, bucket, prefix, newest=True))


def delete_old(client: "S3Client", bucket: str, prefix: str) -> int:
    """Deletes what was replaced under a prefix, and leaves what stands there. Returns and raises as `delete_all`."""
    return _delete(client, bucket, _versions(client, bucket, prefix, newest=False))


def _versions(client: "S3Client", bucket: str, prefix: str, *, newest: bool) -> Iterator[dict[str, Any]]:
    try:
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
            for kind in ("Versions", "DeleteMarkers"):
                for each in page.get(kind, ()):  # type: ignore[attr-defined]
                    if newest or not each["IsLatest"]:
                        yield {"Key": each["Key"], "VersionId": each["VersionId"]}
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in _UNVERSIONED:
            raise _unavailable("list versions of", bucket, "s3:ListBucketVersions", error) from error
        if newest:
            yield from _objects(client, bucket, prefix)
    except BotoCoreError as error:
        raise _unavailable("list versions of", bucket, "s3:ListBucketVersions", error) from error


def _objects(client: "S3Client", bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    """Where the store keeps no versions, what stands there is all there is."""
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from ({"Key": each["Key"]} for each in page.get("Contents", ()))
    except (ClientError, BotoCoreError) as error:
        raise _unavailable("list", bucket, "s3:ListBucket", error) from error


def _delete(client: "S3Client", bucket: str, found: Iterator[dict[str, Any]]) -> int:
    # Listed to its end before anything is deleted: a listing over what vanishes may leave out what follows.
    versions = list(found)
    for each in versions:
        try:
            client.delete_object(Bucket=bucket, **each)
        except (ClientError, BotoCoreError) as error:
            right = "s3:DeleteObjectVersion" if "VersionId" in each else "s3:DeleteObject"
            raise _unavailable("delete from", bucket, right, error) from error
    return len(versions)


def _unavailable(what: str, bucket: str, right: str, error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"{what} {bucket}: {describe(error, right)}")
