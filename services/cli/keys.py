"""`ocr-services keys create|list|revoke`: who may call the API."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.database import opened_database

if TYPE_CHECKING:
    from services.api.keys import ApiKey, ApiKeys

app = typer.Typer(no_args_is_help=True, help="API keys: create, list, revoke.")

_SCOPES_DEFAULT = ("process", "read")


@app.command()
def create(
    user: Annotated[str, typer.Argument(help="The user id: the second part of that user's object keys.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="`process`, `read`, `webhooks` or `operate`; repeat it for several. Default: process and read."
        ),
    ] = None,
    expires_in_days: Annotated[float | None, typer.Option(min=0.0, help="Default: never.")] = None,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
) -> None:
    """Make a key and print it: standard output is the key alone, and it is never shown again."""
    from services.api.keys import Scope

    unknown = sorted(set(scope or ()) - set(Scope))
    if unknown:
        raise typer.BadParameter(f"no such scope: {', '.join(unknown)}", param_hint="--scope")
    now = datetime.now(UTC)
    expires_at = None if expires_in_days is None else now + timedelta(days=expires_in_days)
    with _api_keys() as keys:
        try:
            key, text = keys.create(
                user, [Scope(each) for each in scope or _SCOPES_DEFAULT], now=now, expires_at=expires_at, label=label
            )
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    typer.echo(f"id {key.id}, {_description(key, now)}; keep the key, it is not shown again:", err=True)
    typer.echo(text)


@app.command("list")
def list_keys(user: Annotated[str | None, typer.Argument(help="Only this user's.")] = None) -> None:
    """List keys, oldest first, without the keys themselves."""
    now = datetime.now(UTC)
    with _api_keys() as keys:
        for key in keys.list(user):
            typer.echo(f"{key.id}  {key.hint}…  {key.user_id}  {_description(key, now)}  {key.label}".rstrip())


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]) -> None:
    """End a key. Processes that have just seen it may accept it for some seconds more."""
    from services.api.keys import UnknownKey

    with _api_keys() as keys:
        try:
            keys.revoke(key_id, datetime.now(UTC))
        except UnknownKey as error:
            raise typer.BadParameter(f"there is no key with the id {key_id}") from error
    typer.echo(f"revoked {key_id}")


@contextmanager
def _api_keys() -> "Iterator[ApiKeys]":
    from services.api.keys import ApiKeys

    with opened_database() as engine:
        yield ApiKeys(engine)


def _description(key: "ApiKey", now: datetime) -> str:
    scopes = "+".join(sorted(key.scopes))
    if key.revoked_at is not None:
        return f"{scopes}, revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at is None:
        return f"{scopes}, never expires"
    return f"{scopes}, {'expires' if key.is_valid(now) else 'expired'} {key.expires_at:%Y-%m-%d}"
