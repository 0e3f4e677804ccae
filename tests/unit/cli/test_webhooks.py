"""What `ocr-services webhooks add` refuses before it opens the database."""

from typer.testing import CliRunner

from services.cli.__main__ import app


def test_a_malformed_host_name_is_told_as_one() -> None:
    done = CliRunner().invoke(app, ["webhooks", "add", "alice", "https://a..example.com/hook"])
    assert done.exit_code == 2
    assert "is unknown" in done.stderr


def test_a_private_address_is_told_with_the_remedy() -> None:
    done = CliRunner().invoke(app, ["webhooks", "add", "alice", "http://127.0.0.1:9000/hook"])
    assert done.exit_code == 2
    for said in ("127.0.0.1 is not a public address", "OCR_WEBHOOKS_ALLOWED_NETWORKS", "--data"):
        assert said in done.stderr
