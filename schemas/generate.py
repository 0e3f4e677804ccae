"""The JSON Schemas of the wire, generated from the models.

`python -m schemas.generate` writes `schemas/json/`; `--check` fails when a committed file differs; `--release` also
makes the present schemas the baseline that later changes are held against.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from schemas.base import WireModel
from schemas.cloudevents import event_type
from schemas.document import Document
from schemas.events import EVENTS

FOLDER = Path(__file__).parent
GENERATED = FOLDER / "json"
BASELINE = FOLDER / "baseline"
EXAMPLES = FOLDER / "examples"

DOCUMENT_TYPE = "ocr.document.v1"
MODELS: Mapping[str, type[WireModel]] = {event_type(event): event for event in EVENTS} | {DOCUMENT_TYPE: Document}
"""Every model that gets a schema, by its name with the major version."""

Schema = dict[str, Any]


class _WireSchema(GenerateJsonSchema):
    """Without the titles that pydantic makes out of field names: they say nothing that the name does not."""

    def field_title_should_be_set(self, _schema: Any) -> bool:
        """Never."""
        return False

    def generate(self, schema: Any, mode: Any = "validation") -> JsonSchemaValue:
        """The schema with its dialect on top."""
        return {"$schema": self.schema_dialect} | super().generate(schema, mode)


def generate_schema(name: str) -> Schema:
    """The JSON Schema (2020-12) of one model: what every reader has to accept."""
    schema = MODELS[name].model_json_schema(by_alias=True, schema_generator=_WireSchema)
    head = {"$schema": schema.pop("$schema"), "$id": f"urn:ocr-services:{name}", "title": name}
    schema.pop("title")
    return head | schema


def generate_all() -> dict[str, str]:
    """File name → text of every schema."""
    return {f"{name}.schema.json": _text(generate_schema(name)) for name in MODELS}


def differences(folder: Path) -> list[str]:
    """The files of `folder` that are missing, too many, or not what the models say."""
    wanted = generate_all()
    found = {path.name: path.read_text("utf-8") for path in folder.glob("*.json")}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def write(folder: Path) -> None:
    """Makes `folder` hold every schema and no other."""
    folder.mkdir(exist_ok=True)
    wanted = generate_all()
    for path in folder.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, "utf-8")


def main() -> int:
    """Runs the command line; the exit status is 1 when a check fails."""
    parser = argparse.ArgumentParser(prog="python -m schemas.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a file differs")
    parser.add_argument("--release", action="store_true", help="also write the baseline of this release")
    arguments = parser.parse_args()
    if arguments.check:
        stale = differences(GENERATED)
        for name in stale:
            print(f"{name} is not what the models say: run python -m schemas.generate")
        return 1 if stale else 0
    for folder in (GENERATED, BASELINE) if arguments.release else (GENERATED,):
        write(folder)
    return 0


def _text(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
