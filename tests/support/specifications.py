"""JSON Schemas of the specifications our files claim to follow, out of packages that carry them."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.coverage import Coverage, real_parts_required
from tests.support.downloads import PartUnavailableError, Progress, cached, run_step, tool

ASYNCAPI_PACKAGE, ASYNCAPI_PACKAGE_VERSION = "@asyncapi/specs", "6.11.1"
COMPOSE_MODULE, COMPOSE_MODULE_VERSION = "github.com/compose-spec/compose-go/v2", "v2.16.2"

Schema = dict[str, Any]


def fetch_asyncapi_schema(progress: Progress) -> Path:
    """The JSON Schema of AsyncAPI 3.0.0, from the npm package of AsyncAPI's own."""

    def fetch(target: Path) -> None:
        package = f"{ASYNCAPI_PACKAGE}@{ASYNCAPI_PACKAGE_VERSION}"
        run_step([tool("npm", "npm"), "pack", package, "--pack-destination", str(target)], package, progress)
        (archive,) = target.glob("*.tgz")
        with tarfile.open(archive) as packed:
            found = packed.extractfile("package/schemas/3.0.0-without-$id.json")
            if found is None:
                raise PartUnavailableError(f"{package} holds no schema of AsyncAPI 3.0.0")
            (target / "schema.json").write_bytes(found.read())
        archive.unlink()

    return cached(f"asyncapi-specs-{ASYNCAPI_PACKAGE_VERSION}", fetch, progress) / "schema.json"


def fetch_compose_schema(progress: Progress) -> Path:
    """The Compose specification's JSON Schema, from the Go module of its reference implementation."""

    def fetch(target: Path) -> None:
        module = f"{COMPOSE_MODULE}@{COMPOSE_MODULE_VERSION}"
        modules = target / "modules"
        environment = os.environ | {"GOMODCACHE": str(modules), "GOFLAGS": "-modcacherw"}
        run_step([tool("go", "Go"), "mod", "download", module], module, progress, environment, target)
        (schema,) = modules.glob("**/schema/compose-spec.json")
        schema.rename(target / "schema.json")
        shutil.rmtree(modules)

    return cached(f"compose-spec-{COMPOSE_MODULE_VERSION}", fetch, progress) / "schema.json"


@pytest.fixture(scope="session")
def asyncapi_schema(coverage: Coverage, progress: Progress) -> Schema:
    """The JSON Schema of AsyncAPI 3.0.0. Without it the test is skipped, loudly; in CI it fails."""
    return _load(fetch_asyncapi_schema, coverage, progress)


@pytest.fixture(scope="session")
def compose_schema(coverage: Coverage, progress: Progress) -> Schema:
    """The Compose specification's JSON Schema. Without it the test is skipped, loudly; in CI it fails."""
    return _load(fetch_compose_schema, coverage, progress)


def _load(fetch: Callable[[Progress], Path], coverage: Coverage, progress: Progress) -> Schema:
    try:
        schema: Schema = json.loads(fetch(progress).read_text("utf-8"))
    except PartUnavailableError as error:
        coverage.lacked("specifications", str(error))
        if real_parts_required():
            pytest.fail(f"OCR_REQUIRE_REAL_PARTS is set and a specification is missing: {error}", pytrace=False)
        pytest.skip(f"no specification to hold the file against: {error}")
    return schema
