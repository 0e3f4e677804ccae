"""The models' runtime keeps what it could tell its maker neither here nor anywhere."""

import os
import subprocess
import sys
from pathlib import Path

_LOAD_AN_ENGINE = "from services.recognition.engine import create_engine; create_engine('onnx', threads=1)"


def test_loading_the_models_leaves_no_telemetry_behind(tmp_path: Path) -> None:
    unwanted = {"ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in unwanted} | {"HOME": str(tmp_path)}
    command = [sys.executable, "-c", _LOAD_AN_ENGINE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert "telemetry" not in done.stderr.lower()
    assert [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name.lower()] == []
