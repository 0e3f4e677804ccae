"""OpenAPI says all of it."""

import re
from typing import Any

import jsonschema
import pytest

from services.api.docs_page import docs_page
from services.api.errors import ERRORS
from tests.support.documents import ROOT
from tests.unit.api.fakes import FakeWorld, app

DOCUMENT: dict[str, Any] = app(FakeWorld()).openapi()
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
WITH_KEY = [(name, operation) for name, operation in OPERATIONS if "/api/" in name]


def codes(operation: dict[str, Any], status: str) -> set[str]:
    return set(operation["responses"][status]["content"]["application/json"]["examples"])


def test_the_endpoints_are_those_of_the_contract() -> None:
    assert {name for name, _ in OPERATIONS} == {
        "POST /api/ocr/process",
        "GET /api/ocr/results",
        "GET /api/ocr/results/{id}",
        "GET /api/ocr/results/{id}/layout",
        "DELETE /api/ocr/results/{id}",
        "POST /api/files",
        "POST /api/files/upload",
        "GET /api/tokens/balance",
        "GET /api/tokens/transactions",
        "POST /api/webhooks",
        "GET /api/webhooks",
        "DELETE /api/webhooks/{id}",
        "POST /api/webhooks/{id}/secret",
        "GET /api/webhooks/{id}/deliveries",
        "POST /api/webhooks/{id}/deliveries/{delivery}/resend",
        "GET /api/operator/overview",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    }


def test_the_post_documents_every_answer() -> None:
    process = dict(OPERATIONS)["POST /api/ocr/process"]
    statuses = {
        "200",
        "202",
        "400",
        "401",
        "402",
        "403",
        "404",
        "409",
        "410",
        "413",
        "415",
        "422",
        "429",
        "500",
        "503",
        "504",
    }
    assert set(process["responses"]) == statuses
    assert codes(process, "400") == {"invalid_request", "invalid_key"}
    assert codes(process, "503") == {"overloaded", "unavailable"}
    assert "Location" in process["responses"]["202"]["headers"]
    assert {"Location", "Retry-After"} <= set(process["responses"]["504"]["headers"])


@pytest.mark.parametrize(("name", "operation"), WITH_KEY)
def test_everything_that_needs_a_key_says_so_and_documents_its_refusals(name: str, operation: dict[str, Any]) -> None:
    assert operation["security"] == [{"ApiKey": []}], name
    assert {"400", "401", "403", "429", "500", "503"} <= set(operation["responses"])
    for status, answer in operation["responses"].items():
        assert ("RateLimit-Remaining" in answer["headers"]) == (status != "401")
    assert "Retry-After" in operation["responses"]["429"]["headers"]


@pytest.mark.parametrize(("name", "operation"), OPERATIONS)
def test_every_error_has_the_one_shape_and_an_example_of_each_code(name: str, operation: dict[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        assert answer["description"], (name, status)
        assert "X-Request-Id" in answer["headers"]
        if int(status) < 400:
            continue
        content = answer["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/ErrorBody"}
        for code, example in content["examples"].items():
            assert ERRORS[code].status == int(status)
            assert set(example["value"]) == {"error", "code", "requestId"}


def test_bodies_have_examples_and_the_frameworks_own_errors_are_gone() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert not any("Validation" in name for name in schemas)
    for name in (
        "ProcessRequest",
        "OcrResult",
        "UploadRequest",
        "UploadTicket",
        "Balance",
        "AcceptedResult",
        "NewWebhook",
    ):
        assert schemas[name]["examples"], name
    assert set(schemas["OcrResult"]["required"]) == {
        "id",
        "text",
        "key",
        "fileUrl",
        "createdAt",
        "wordCount",
        "tokensUsed",
        "language",
    }


def test_every_example_is_valid_for_its_schema() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            document = {"components": DOCUMENT["components"], "$ref": f"#/components/schemas/{name}"}
            jsonschema.Draft202012Validator(document).validate(example)


def test_the_page_shows_every_operation_and_code_and_loads_nothing_from_elsewhere() -> None:
    page = docs_page(DOCUMENT)
    for name, operation in OPERATIONS:
        assert f"<code>{name}</code>" in page
        for answer in operation["responses"].values():
            for code in answer.get("content", {}).get("application/json", {}).get("examples", {}):
                assert f"&quot;code&quot;: &quot;{code}&quot;" in page
    assert "ocr/user_id/filename.jpg" in page
    assert "<script" not in page
    assert "src=" not in page
    assert "<link" not in page


def test_the_page_renders_the_markdown_of_the_descriptions() -> None:
    page = docs_page(DOCUMENT)
    assert "<ol><li><code>POST /api/files/upload</code> gives a presigned URL" in page
    assert "<p>Errors have one shape, <code>{&quot;error&quot;" in page
    described = re.sub(r"<style>.*?</style>|<pre>.*?</pre>", "", page, flags=re.DOTALL)
    assert "`" not in described
    assert "<th></th>" not in page


def test_the_page_has_the_consoles_look_and_leads_to_every_operation() -> None:
    page = docs_page(DOCUMENT)
    assert (ROOT / "services/api/console/base.css").read_text("utf-8") in page
    for _, operation in OPERATIONS:
        assert f'href="#{operation["operationId"]}"' in page
        assert f'id="{operation["operationId"]}"' in page


def test_the_page_escapes_what_it_shows() -> None:
    evil = "<img src=x onerror=alert(1)>"
    document = DOCUMENT | {"info": {"title": evil, "description": f"{evil}\n\n1. {evil}\n2. `{evil}`"}}
    assert "<img" not in docs_page(document)
