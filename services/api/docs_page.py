"""The page at `/docs`: OpenAPI as plain HTML, made here, so that it needs no network and runs no script."""

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid #8886; padding: 1rem 0; }
h2 code { font-size: 1.1rem; }
pre { overflow-x: auto; padding: .75rem; background: #8882; border-radius: .4rem; font-size: .85rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #8883; }
details { margin: .3rem 0; }
"""


def docs_page(document: Mapping[str, Any]) -> str:
    """The page for an OpenAPI document. Everything in it is escaped."""
    sections = (
        _operation(document, method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    info = document["info"]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{escape(info['title'])}</h1>"
        f"<pre>{escape(info.get('description', ''))}</pre>"
        '<p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"{''.join(sections)}</body></html>"
    )


def _operation(document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f'<section id="{escape(operation["operationId"])}"><h2><code>{method.upper()} {escape(path)}</code></h2>',
        f"<p>{escape(operation.get('description', ''))}</p>",
    ]
    if operation.get("security"):
        parts.append("<p>Needs an API key in the header <code>X-API-Key</code>.</p>")
    if operation.get("parameters"):
        parts.append(_table(("Parameter", "In", ""), map(_parameter, operation["parameters"])))
    body = operation.get("requestBody")
    if body is not None:
        (media_type,) = body["content"]
        schema = _resolved(document, body["content"][media_type]["schema"])
        parts.append(
            f"<h3>Body: {escape(media_type)}</h3>{_fields(schema)}{_example(schema.get('examples', [None])[0])}"
        )
    parts.append("<h3>Answers</h3>")
    parts.extend(_answer(document, status, answer) for status, answer in operation["responses"].items())
    return "".join(parts) + "</section>"


def _answer(document: Mapping[str, Any], status: str, answer: Mapping[str, Any]) -> str:
    content = answer.get("content", {}).get("application/json", {})
    examples = [each["value"] for each in content.get("examples", {}).values()]
    if not examples:
        schema = content.get("schema", {})
        alternatives = [_resolved(document, each) for each in schema.get("anyOf", [schema])]
        examples = [each["examples"][0] for each in alternatives if each.get("examples")]
    summary = f"<summary><b>{escape(status)}</b> {escape(answer['description'])}</summary>"
    return f"<details>{summary}{''.join(map(_example, examples))}</details>"


def _fields(schema: Mapping[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = (
        (name, "required" if name in required else "optional", field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    )
    return _table(("Field", "", ""), rows)


def _parameter(parameter: Mapping[str, Any]) -> tuple[str, str, str]:
    return parameter["name"], parameter["in"], parameter.get("description", "")


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _example(value: object) -> str:
    return "" if value is None else f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").removeprefix("#/components/schemas/")
    found: Mapping[str, Any] = document["components"]["schemas"][name] if name else schema
    return found
