"""The object store: buckets, the clock it signs by, who may look in, and whether it keeps conditional writes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session

from services.doctor.findings import Finding, fail, ok, warn
from services.runtime.errors import Halt, StoreUnavailable
from services.runtime.object_store import ObjectStore
from services.runtime.probe import probe_conditional_writes
from services.runtime.settings import ObjectStoreSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TIMEOUT_SECONDS = 10
_SKEW_SECONDS_MAX = 300.0
_ADDRESS = "correct OCR_S3_ENDPOINT_URL, OCR_S3_REGION, OCR_S3_ACCESS_KEY and OCR_S3_SECRET_KEY"


def check_buckets(client: "S3Client", settings: ObjectStoreSettings) -> Iterator[Finding]:
    """Whether both buckets are there and two, and this machine's clock is the store's."""
    if settings.uploads_bucket == settings.results_bucket:
        yield fail(
            "buckets",
            f"uploads and results are to lie in one bucket, {settings.uploads_bucket}",
            "set OCR_S3_RESULTS_BUCKET to another: uploads may be public, results must not, and they would notify",
        )
    for bucket in dict.fromkeys((settings.uploads_bucket, settings.results_bucket)):
        try:
            answer = client.head_bucket(Bucket=bucket)
        except ClientError as error:
            yield _refused(bucket, int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)))
        except (BotoCoreError, OSError) as error:
            yield fail("buckets", f"the object store does not answer: {error}", f"start it, or {_ADDRESS}")
            return
        else:
            yield ok("buckets", f"{bucket} is there")
            yield from _clock(answer["ResponseMetadata"]["HTTPHeaders"].get("date"))


def _refused(bucket: str, status: int) -> Finding:
    if status == 404:
        return fail("buckets", f"{bucket} does not exist", "run `ocr-services provision`")
    if status in (401, 403):
        return fail("buckets", f"{bucket}: access is refused", f"{_ADDRESS}, or the policy: see docs/object-stores.md")
    return fail("buckets", f"{bucket}: the object store answers {status}", _ADDRESS)


def _clock(date: str | None) -> Iterator[Finding]:
    if date is None:
        return
    skew = abs((datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds())
    if skew > _SKEW_SECONDS_MAX:
        yield fail(
            "clock",
            f"this machine's clock and the object store's are {skew:.0f} s apart",
            "set both by NTP: signatures and presigned URLs are refused beyond 15 minutes",
        )


def check_privacy(settings: ObjectStoreSettings, base_url: str, *, embedded: bool) -> Finding:
    """Whether a stranger, without any credentials, may list the results."""
    url = f"{base_url.rstrip('/')}/{quote(settings.results_bucket)}?list-type=2&max-keys=1"
    status = _status(AWSRequest("GET", url))
    if status is None:
        return warn("privacy", "the object store did not say who may list the results", "check it by hand")
    if status >= 300:
        return ok("privacy", f"{settings.results_bucket} is closed to strangers ({status})")
    what = f"anybody may list {settings.results_bucket}, where all texts are"
    if embedded:
        return warn("privacy", what, "the embedded store answers everybody on this machine: keep it to development")
    return fail("privacy", what, "take away its public policy or ACL; only the services need it")


def check_cors(client: "S3Client", settings: ObjectStoreSettings, base_url: str, origin: str | None) -> Finding:
    """Whether a browser on `origin` may PUT to a presigned URL; without an origin, on one that the rules name."""
    asked = origin or _first_origin(client, settings.uploads_bucket) or "https://console.example"
    url = f"{base_url.rstrip('/')}/{quote(settings.uploads_bucket)}/ocr/doctor/probe.png"
    headers = {
        "Origin": asked,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = URLLib3Session(timeout=_TIMEOUT_SECONDS)
    try:
        response = answer.send(AWSRequest("OPTIONS", url, headers).prepare())
    except (BotoCoreError, OSError) as error:
        return warn("cors", f"the preflight of a browser got no answer: {type(error).__name__}", "see the buckets")
    finally:
        answer.close()
    allowed = response.headers.get("access-control-allow-origin")
    methods = (response.headers.get("access-control-allow-methods") or "").upper()
    if response.status_code < 300 and allowed in ("*", asked) and "PUT" in methods:
        return ok("cors", f"a browser on {asked} may PUT to {settings.uploads_bucket}")
    return warn(
        "cors",
        f"a browser on {asked} may not PUT to {settings.uploads_bucket} (preflight: {response.status_code})",
        "put the CORS rule of docs/object-stores.md on it if the console, or your own pages, upload to the store; "
        "POST /api/files and other programs need none",
    )


def check_conditional_writes(store: ObjectStore, bucket: str) -> Finding:
    """Races writers as the extractor does when it starts, and tidies up."""
    try:
        probe_conditional_writes(store, bucket)
    except Halt as halt:
        return fail("conditional", str(halt), "use a store that does: docs/object-stores.md names some, with versions")
    except StoreUnavailable as error:
        return fail("conditional", f"{bucket} cannot be written: {error}", "allow s3:PutObject and s3:DeleteObject")
    return ok("conditional", "of many conditional writers, one wins")


def endpoint_of(client: "S3Client", settings: ObjectStoreSettings) -> str:
    """The base that browsers and strangers use."""
    return settings.public_endpoint_url or settings.endpoint_url or str(client.meta.endpoint_url)


def _first_origin(client: "S3Client", bucket: str) -> str | None:
    try:
        rules = client.get_bucket_cors(Bucket=bucket)["CORSRules"]
    except (ClientError, BotoCoreError):
        return None
    origins = [origin for rule in rules for origin in rule["AllowedOrigins"] if "*" not in origin]
    return origins[0] if origins else None


def _status(request: AWSRequest) -> int | None:
    session = URLLib3Session(timeout=_TIMEOUT_SECONDS)
    try:
        return int(session.send(request.prepare()).status_code)
    except (BotoCoreError, OSError):
        return None
    finally:
        session.close()
