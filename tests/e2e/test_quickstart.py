"""docs/quickstart.md, as it stands there, against a running stack."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from services.local.up import readme_exports
from tests.e2e.local.running import running_stack
from tests.support.documents import ROOT, marked_block

_PAGE = ROOT / "docs/quickstart.md"


def test_the_five_minutes_end_with_a_text_and_a_healthy_doctor(tmp_path: Path) -> None:
    with running_stack(tmp_path / "data") as stack:
        exported = dict(re.findall(r"([A-Z_0-9]+)='?([^' ]+)'?", readme_exports(stack.facts)))
        answer = json.loads(_bash(marked_block(_PAGE, "quickstart"), ROOT, exported))
        assert answer["key"] == "ocr/demo/quickstart.jpg"
        assert answer["wordCount"] == len(answer["text"].split()) > 0
        command = marked_block(_PAGE, "doctor").replace(".venv/bin/ocr-services", f"{sys.executable} -m services.cli")
        lines = _bash(command, tmp_path, {"PYTHONPATH": str(ROOT)}).splitlines()
        assert any(line.startswith("ok    broker") for line in lines)
        assert not any(line.startswith("fail") for line in lines)


def _bash(script: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
