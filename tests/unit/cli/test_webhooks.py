"""What `ocr-services webhooks add` refuses before it opens the database."""

from typer.testing import CliRunner

from services.cli.__main__ import app


def test_a_malformed_host_name_is_told_as_one() -> None:
    done = CliRunner().invoke(app, ["webhooks", "add", "alice", "https://a..example.com/hook"])
    assert done.exit_code == 2
    assert "is unknown" in done.stderr
