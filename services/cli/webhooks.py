"""`ocr-services webhooks add|list|remove|deliveries`: who is told of results, and how that went."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from services.webhooks.deliveries import LoggedDelivery

app = typer.Typer(no_args_is_help=True, help="Webhooks: add, list, remove, and the log of deliveries.")


@app.command()
def add(
    user: Annotated[str, typer.Argument(help="Whose results it is told of.")],
    url: Annotated[str, typer.Argument(help="https://host/path, at a public address.")],
    event: Annotated[
        list[str] | None,
        typer.Option(help="result.completed, result.failed or result.refused; repeat it. Default: the first two."),
    ] = None,
) -> None:
    """Register an address and print the secret that signs what it gets: standard output is the secret alone."""
    from services.webhooks.addresses import AddressPolicy, ForbiddenAddress
    from services.webhooks.registry import InvalidWebhook, add_webhook
    from services.webhooks.settings import WebhookSettings

    try:
        AddressPolicy.of(WebhookSettings().allowed_networks).check_url(url)
        with _database() as engine:
            types = event or ["result.completed", "result.failed"]
            webhook = add_webhook(engine, user, url, types, datetime.now(UTC))
    except (ForbiddenAddress, InvalidWebhook) as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(f"id {webhook.id}; keep the secret, it is not shown again:", err=True)
    typer.echo(webhook.secret)


@app.command("list")
def list_webhooks(user: Annotated[str | None, typer.Argument(help="Only this user's.")] = None) -> None:
    """List registrations, oldest first, without their secrets."""
    from services.webhooks.registry import list_webhooks

    with _database() as engine:
        for each in list_webhooks(engine, user):
            typer.echo(f"{each.id}  {each.user_id}  {','.join(sorted(each.event_types))}  {each.url}")


@app.command()
def remove(webhook_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]) -> None:
    """End a registration; what is still to be delivered there is dropped, its log stays."""
    from services.webhooks.registry import UnknownWebhook, remove_webhook

    with _database() as engine:
        try:
            remove_webhook(engine, webhook_id, datetime.now(UTC))
        except UnknownWebhook as error:
            raise typer.BadParameter(f"there is no webhook with the id {webhook_id}") from error
    typer.echo(f"removed {webhook_id}")


@app.command()
def deliveries(
    webhook_id: Annotated[str | None, typer.Argument(metavar="ID", help="Only this webhook's.")] = None,
    status: Annotated[
        list[str] | None, typer.Option(help="pending, delivered, failed or removed; repeat it. Default: all.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
) -> None:
    """Show the log, newest first: when, what, to where, and how the last attempt went."""
    from services.webhooks.deliveries import logged_deliveries

    with _database() as engine:
        for each in logged_deliveries(engine, webhook_id=webhook_id, statuses=status or (), limit=limit):
            typer.echo(
                f"{each.created_at:%Y-%m-%dT%H:%M:%SZ}  {each.status:9}  {each.event_type}  {each.result_id}  "
                f"webhook {each.webhook_id}  delivery {each.id}  {_last_attempt(each)}"
            )


def _last_attempt(delivery: "LoggedDelivery") -> str:
    if delivery.last is None:
        return "no attempt yet" if delivery.attempts == 0 else f"attempt {delivery.attempts} is under way"
    outcome = " ".join(filter(None, (str(delivery.last.status_code or ""), delivery.last.error)))
    again = f", again at {delivery.next_attempt_at:%H:%M:%SZ}" if delivery.status == "pending" else ""
    return f"attempt {delivery.attempts}: {outcome} in {delivery.last.milliseconds} ms{again}"


@contextmanager
def _database() -> "Iterator[Engine]":
    from services.runtime.database import create_database
    from services.runtime.errors import DatabaseUnavailable
    from services.runtime.settings import DatabaseSettings

    engine = create_database(DatabaseSettings())
    try:
        yield engine
    except DatabaseUnavailable as error:
        typer.echo(f"The database cannot be reached: {error}", err=True)
        raise typer.Exit(1) from error
    finally:
        engine.dispose()
