"""`--data` after any command takes the settings of the stack that runs there, and nothing of the caller's."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner, Result

from services.cli.__main__ import app
from services.cli.local_stack import add_data_option
from services.local.layout import Layout
from services.runtime.database import create_database
from services.runtime.migrations import migrate_engine
from services.runtime.settings import DatabaseSettings


@pytest.fixture
def data(tmp_path: Path, sqlite_url: str) -> Path:
    """A data directory as a stack that runs leaves it, with a migrated database."""
    engine = create_database(DatabaseSettings.model_validate({"url": sqlite_url}))
    migrate_engine(engine)
    engine.dispose()
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "stack.json").write_text(json.dumps({"OCR_DATABASE_URL": sqlite_url}))
    return folder


@pytest.fixture(autouse=True)
def _environment_of_this_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_a_key_is_made_for_the_stack_that_data_names(data: Path) -> None:
    os.environ["OCR_DATABASE_URL"] = "sqlite:////nowhere/else.db"
    made = run("keys", "create", "alice", "--data", str(data))
    assert made.exit_code == 0, made.output
    assert "alice" in run("keys", "list", "--data", str(data)).stdout


@pytest.fixture
def no_parts_named() -> None:
    """The shell of somebody who has set up nothing, after the line that `make up` prints."""
    for name in [name for name in os.environ if name.startswith(("OCR_", "AWS_"))]:
        del os.environ[name]
    os.environ |= {"OCR_URL": "http://127.0.0.1:8000", "OCR_S3": "http://127.0.0.1:9", "OCR_KAFKA": "127.0.0.1:9"}


@pytest.mark.usefixtures("no_parts_named")
def test_the_stack_that_runs_on_data_is_taken_where_nothing_else_is_named(data: Path) -> None:
    with Layout(data).locked():
        made = run("keys", "create", "alice")
    assert made.exit_code == 0, made.output
    assert made.stderr.startswith("on the stack that runs on ./data, as with --data data\n")
    assert len(made.stdout.split()) == 1, "standard output is the key alone"
    assert "alice" in run("keys", "list", "--data", str(data)).stdout


@pytest.mark.usefixtures("no_parts_named", "data")
def test_a_stack_that_was_killed_is_not_taken() -> None:
    done = run("keys", "list")
    assert "there is no database at data/ocr.db" in done.stderr
    assert "on the stack" not in done.stderr


@pytest.mark.usefixtures("no_parts_named")
@pytest.mark.parametrize("name", ["OCR_DATABASE_URL", "OCR_KAFKA_BOOTSTRAP_SERVERS", "OCR_S3_REGION", "AWS_PROFILE"])
def test_settings_of_ones_own_keep_a_command_off_the_stack_on_data(data: Path, name: str) -> None:
    os.environ[name] = "sqlite:////nowhere/else.db"
    with Layout(data).locked():
        done = run("keys", "list")
    assert "there is no database at " in done.stderr
    assert "on the stack" not in done.stderr


def test_where_no_stack_runs_it_is_said(tmp_path: Path) -> None:
    done = run("tokens", "balance", "alice", "--data", str(tmp_path))
    assert done.exit_code == 1
    assert "no stack runs on" in done.stderr


def test_the_settings_take_the_place_of_all_that_was_there() -> None:
    app = typer.Typer()

    @app.command()
    def look(name: str) -> None:
        typer.echo(os.environ.get(name))

    add_data_option(app)
    Path("stack.json").write_text('{"OCR_A": "theirs"}')
    os.environ |= {"OCR_A": "mine", "OCR_B": "mine", "AWS_PROFILE": "mine", "OTHER": "mine"}
    answers = [CliRunner().invoke(app, [name, "--data", "."]).stdout.strip() for name in ("OCR_A", "OCR_B", "OTHER")]
    assert answers == ["theirs", "", "mine"]
    assert "AWS_PROFILE" not in os.environ


def test_every_command_that_works_on_a_stack_has_it() -> None:
    def without(group: object, path: tuple[str, ...]) -> set[tuple[str, ...]]:
        commands = getattr(group, "commands", None)
        if commands is None:
            return set() if "data" in {parameter.name for parameter in group.params} else {path}  # type: ignore[attr-defined]
        return {found for name, each in commands.items() for found in without(each, (*path, name))}

    assert without(get_command(app), ()) == {("process",), ("recognise",)}


@pytest.mark.parametrize("command", [("keys", "create", "a"), ("tokens", "balance", "a"), ("webhooks", "list")])
def test_without_a_database_it_is_said_and_none_is_made(command: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*command)
    assert done.exit_code == 1
    assert "there is no database at data/ocr.db: start `ocr-services up`" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_database_without_tables_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    os.environ["OCR_DATABASE_URL"] = f"sqlite:///{tmp_path}/empty.db"
    done = run("keys", "list")
    assert done.exit_code == 1
    assert "the database has no tables" in done.stderr
