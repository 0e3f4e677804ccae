"""The script that builds images says loudly that it built none, and is an error where images are required."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_NEEDED = ("bash", "dirname", "sed", "timeout")
_ENGINE = '#!{bash}\n[ "$1" = info ]\n'
"""One that runs, and knows and finds no image at all."""


def _build(tools: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(tools / "bash"), str(_ROOT / "deploy/build_images.sh")],
        env={"PATH": str(tools), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH without any container engine."""
    for name in _NEEDED:
        found = shutil.which(name)
        assert found is not None
        os.symlink(found, tmp_path / name)
    return tmp_path


def test_without_an_engine_it_says_that_nothing_was_built(tools: Path) -> None:
    done = _build(tools)
    assert done.returncode == 0
    assert "*** SKIPPED: no image was built: neither docker nor podman" in done.stderr


def test_without_a_base_image_it_says_that_nothing_was_built(tools: Path) -> None:
    engine = tools / "podman"
    engine.write_text(_ENGINE.format(bash=tools / "bash"))
    engine.chmod(0o755)
    done = _build(tools)
    assert done.returncode == 0
    assert "*** SKIPPED: no image was built: podman runs, but the base image" in done.stderr


def test_where_images_are_required_that_is_an_error(tools: Path) -> None:
    assert _build(tools, REQUIRE_IMAGES="1").returncode == 1
