"""`ocr-services keys`, as a shell calls it."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from services.api.keys import ApiKeys, looks_like_key
from services.cli.__main__ import app
from services.runtime.database import create_database
from services.runtime.migrations import migrate_engine
from services.runtime.settings import DatabaseSettings


@pytest.fixture
def keys(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> ApiKeys:
    monkeypatch.setenv("OCR_DATABASE_URL", sqlite_url)
    engine = create_database(DatabaseSettings(url=SecretStr(sqlite_url)))
    migrate_engine(engine)
    return ApiKeys(engine)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments])


def test_standard_output_of_create_is_the_key_alone(keys: ApiKeys) -> None:
    done = run("create", "alice", "--label", "laptop")
    text = done.stdout.strip()
    assert done.exit_code == 0
    assert looks_like_key(text)
    key = keys.find(text)
    assert key is not None
    assert (key.user_id, sorted(key.scopes), key.expires_at, key.label) == (
        "alice",
        ["process", "read"],
        None,
        "laptop",
    )


def test_scope_and_expiry_are_what_was_asked_for(keys: ApiKeys) -> None:
    text = run("create", "alice", "--scope", "read", "--expires-in-days", "1.5").stdout.strip()
    key = keys.find(text)
    assert key is not None
    assert key.expires_at is not None
    assert sorted(key.scopes) == ["read"]
    assert (key.expires_at - key.created_at).total_seconds() == 1.5 * 86_400


def test_a_list_tells_keys_apart_without_telling_them(keys: ApiKeys) -> None:
    text = run("create", "alice").stdout.strip()
    run("create", "bob")
    listed = run("list").stdout
    assert "alice" in listed
    assert "bob" in listed
    assert text not in listed
    assert "bob" not in run("list", "alice").stdout
    assert keys.list("alice")[0].id in listed


def test_a_revoked_key_is_listed_as_such(keys: ApiKeys) -> None:
    text = run("create", "alice").stdout.strip()
    identity = keys.list()[0].id
    assert run("revoke", identity).exit_code == 0
    assert "revoked" in run("list").stdout
    key = keys.find(text)
    assert key is not None
    assert key.revoked_at is not None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["create", "a/b"], "user id"),
        (["create", "alice", "--scope", "everything"], "no such scope"),
        (["create", "alice", "--expires-in-days", "-1"], "--expires-in-days"),
        (["revoke", "nothing"], "there is no key"),
    ],
)
@pytest.mark.usefixtures("keys")
def test_a_mistake_is_told_in_a_sentence(arguments: list[str], says: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert says in done.output
    assert "Traceback" not in done.output


def test_a_database_that_is_away_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCR_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    done = run("list")
    assert done.exit_code == 1
    assert "cannot be reached" in done.output
