"""The page at `/docs`: OpenAPI as plain HTML in the console's look, made here: no network, no script, no other file."""

import importlib.resources
import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from itertools import groupby
from typing import Any

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_LOOK = importlib.resources.files("services.api").joinpath("console", "base.css").read_text("utf-8")
"""Colours, type and the bar, as the console has them; in the page itself, as its policy allows no file of styles."""

_STYLE = """
main { max-width: 56rem; overflow-wrap: anywhere; }
h1 { margin-bottom: 0.8rem; }
p, ol { margin: 0 0 0.8rem; }
ol { padding-left: 1.4rem; }
code { padding: 0.1em 0.3em; border-radius: 4px; background: var(--sunken); }
nav { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: 1rem 2rem; }
nav { margin: 1.5rem 0; }
nav h2, h3 { margin: 0; font: 600 0.87rem/2 var(--sans); color: var(--soft); }
nav a { text-decoration: none; }
nav code { padding: 0; background: none; }
section { padding: 1.5rem 0 1rem; border-top: 1px solid var(--line); scroll-margin-top: 3.5rem; }
section h2 { margin-bottom: 0.5rem; }
section h2 code { padding: 0; background: none; font: 600 1.1rem/1.4 var(--mono); }
h3 { margin-top: 1rem; }
pre { margin: 0.5rem 0; padding: 0.75rem 1rem; font: 0.85rem/1.5 var(--mono); white-space: pre-wrap; }
pre { border: 1px solid var(--line); border-radius: var(--radius); background: var(--surface); }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: 0.35rem 1rem 0.35rem 0; border-bottom: 1px solid var(--line); }
td:not(:last-child), th { overflow-wrap: normal; }
th { font-weight: 400; color: var(--soft); }
td:last-child, th:last-child { padding-right: 0; }
summary { padding: 0.35rem 0; cursor: pointer; }
summary b { font: 600 0.9em var(--mono); }
"""

_GLYPH = (
    '<svg class="glyph" viewBox="0 0 24 24" aria-hidden="true"><path d="M3 8V3h5M16 3h5v5M21 16v5h-5M8 21H3v-5"/>'
    '<path class="lit" d="M7 9.5h10M7 14.5h6"/></svg>'
)
_ITEM = re.compile(r"^\d+\. ", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")

_Operation = tuple[str, str, Mapping[str, Any]]
"""Method, path, and what OpenAPI says of it."""


def docs_page(document: Mapping[str, Any]) -> str:
    """The page for an OpenAPI document. Everything in it is escaped."""
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    info = document["info"]
    title = escape(info["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_LOOK}{_STYLE}</style></head><body>"
        f'<header class="bar"><a class="mark" href="./">{_GLYPH}<span>OCR Services</span></a></header>'
        f"<main><h1>{title}</h1>{_blocks(info.get('description', ''))}"
        f"{_contents(operations)}{''.join(_section(document, *each) for each in operations)}</main>"
        '<footer class="foot"><a href="./">Console</a><a href="openapi.json">OpenAPI, for programs</a></footer>'
        "</body></html>"
    )


def _contents(operations: Iterable[_Operation]) -> str:
    groups = groupby(operations, lambda each: each[2].get("tags", ["Others"])[0])
    return f'<nav aria-label="Operations">{"".join(_group(name, list(each)) for name, each in groups)}</nav>'


def _group(name: str, operations: Iterable[_Operation]) -> str:
    links = (
        f'<li><a href="#{escape(operation["operationId"])}"><code>{method} {escape(path)}</code></a></li>'
        for method, path, operation in operations
    )
    return f"<div><h2>{escape(name)}</h2><ul>{''.join(links)}</ul></div>"


def _section(document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f'<section id="{escape(operation["operationId"])}"><h2><code>{method} {escape(path)}</code></h2>',
        _blocks(operation.get("description", "")),
    ]
    if operation.get("security"):
        parts.append("<p>Needs an API key in the header <code>X-API-Key</code>.</p>")
    if operation.get("parameters"):
        parts.append(_table(("Parameter", "In", "Meaning"), map(_parameter, operation["parameters"])))
    body = operation.get("requestBody")
    if body is not None:
        (media_type,) = body["content"]
        schema = _resolved(document, body["content"][media_type]["schema"])
        parts.append(
            f"<h3>Body: {escape(media_type)}</h3>{_fields(schema)}{_example(schema.get('examples', [None])[0])}"
        )
    parts.append("<h3>Answers</h3>")
    parts.extend(_answer(document, status, answer) for status, answer in sorted(operation["responses"].items()))
    return "".join(parts) + "</section>"


def _answer(document: Mapping[str, Any], status: str, answer: Mapping[str, Any]) -> str:
    content = answer.get("content", {}).get("application/json", {})
    examples = [each["value"] for each in content.get("examples", {}).values()]
    if not examples:
        schema = content.get("schema", {})
        alternatives = [_resolved(document, each) for each in schema.get("anyOf", [schema])]
        examples = [each["examples"][0] for each in alternatives if each.get("examples")]
    summary = f"<summary><b>{escape(status)}</b> {_text(answer['description'])}</summary>"
    return f"<details>{summary}{''.join(map(_example, examples))}</details>"


def _fields(schema: Mapping[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = (
        (f"`{name}`", "yes" if name in required else "no", field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    )
    return _table(("Field", "Required", "Meaning"), rows)


def _parameter(parameter: Mapping[str, Any]) -> tuple[str, str, str]:
    return f"`{parameter['name']}`", parameter["in"], parameter.get("description", "")


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _blocks(markdown: str) -> str:
    """Paragraphs and numbered lists, between empty lines."""
    return "".join(map(_block, re.split(r"\n{2,}", markdown.strip()))) if markdown.strip() else ""


def _block(markdown: str) -> str:
    if not _ITEM.match(markdown):
        return f"<p>{_text(markdown)}</p>"
    return f"<ol>{''.join(f'<li>{_text(item)}</li>' for item in _ITEM.split(markdown)[1:])}</ol>"


def _text(markdown: str) -> str:
    """One run of text with its `code`; all else stands as it is."""
    return _CODE.sub(r"<code>\1</code>", escape(markdown))


def _example(value: object) -> str:
    return "" if value is None else f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").removeprefix("#/components/schemas/")
    found: Mapping[str, Any] = document["components"]["schemas"][name] if name else schema
    return found
