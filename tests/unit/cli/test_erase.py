"""Whom to erase has to be said and confirmed, before anything is touched."""

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app


@pytest.mark.parametrize(("arguments", "status"), [(("../carol", "--yes"), 2), (("carol",), 1), ((), 2)])
def test_whom_to_erase_has_to_be_said_and_confirmed(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int
) -> None:
    # Nothing answers there: to be asked for it would be another status, and a traceback.
    monkeypatch.setenv("OCR_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    done = CliRunner().invoke(app, ["erase", *arguments], input="no\n")
    assert done.exit_code == status
    assert "revoked" not in done.output
