"""Where a store refuses a call, what is raised names the right that the call needs."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.stub import Stubber

from services.runtime.errors import StoreUnavailable
from services.runtime.object_store import ObjectStore, create_client
from services.runtime.old_versions import delete_all
from services.runtime.settings import ObjectStoreSettings

_ONE_VERSION = {"Versions": [{"Key": "ocr/alice/a.png", "VersionId": "1"}]}


def _delete_all(store: ObjectStore) -> Any:
    return delete_all(store.client, "uploads", "ocr/alice/")


@pytest.mark.parametrize(
    ("call", "answered", "refused", "right"),
    [
        (_delete_all, {}, "list_object_versions", "s3:ListBucketVersions"),
        (_delete_all, {"list_object_versions": _ONE_VERSION}, "delete_object", "s3:DeleteObjectVersion"),
        (lambda store: store.delete("uploads", "ocr/alice/a.png"), {}, "delete_object", "s3:DeleteObject"),
        (lambda store: store.head("uploads", "ocr/alice/a.png"), {}, "head_object", "s3:GetObject"),
        (lambda store: list(store.list("uploads", "ocr/")), {}, "list_objects_v2", "s3:ListBucket"),
    ],
)
def test_a_refused_call_names_the_right_it_needs(
    call: Callable[[ObjectStore], Any], answered: dict[str, Any], refused: str, right: str
) -> None:
    client = create_client(ObjectStoreSettings.model_validate({"access_key": "any", "secret_key": "any"}))
    with Stubber(client) as stubber:
        for method, answer in answered.items():
            stubber.add_response(method, answer)
        # HEAD has no body that could hold a code: it is the status.
        code = "403" if refused == "head_object" else "AccessDenied"
        stubber.add_client_error(refused, code, http_status_code=403)
        with pytest.raises(StoreUnavailable, match=rf"allow {right}$"):
            call(ObjectStore(client))
