"""`ocr-services webhooks add|list|rotate|remove|deliveries|resend`: who is told of results, and how that went."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.database import opened_database

if TYPE_CHECKING:
    from services.webhook_registry.log import LoggedDelivery

app = typer.Typer(
    no_args_is_help=True, help="Webhooks: add, list, rotate, remove; the log of deliveries, and sending one again."
)


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
    from services.webhook_registry.addresses import AddressPolicy, ForbiddenAddress, PrivateAddress
    from services.webhook_registry.registry import InvalidWebhook, add_webhook
    from services.webhook_registry.settings import WebhookSettings

    try:
        AddressPolicy.of(WebhookSettings().allowed_networks).check_url(url)
        with opened_database() as engine:
            types = event or ["result.completed", "result.failed"]
            webhook = add_webhook(engine, user, url, types, datetime.now(UTC))
    except PrivateAddress as error:
        remedy = "OCR_WEBHOOKS_ALLOWED_NETWORKS allows networks of your own; on a stack of `ocr-services up` add --data"
        raise typer.BadParameter(f"{error}. {remedy}") from error
    except (ForbiddenAddress, InvalidWebhook) as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(f"id {webhook.id}; keep the secret, it is not shown again:", err=True)
    typer.echo(webhook.secret)


@app.command("list")
def list_webhooks(user: Annotated[str | None, typer.Argument(help="Only this user's.")] = None) -> None:
    """List registrations, oldest first, without their secrets."""
    from services.webhook_registry.registry import list_webhooks

    with opened_database() as engine:
        for each in list_webhooks(engine, user):
            typer.echo(f"{each.id}  {each.user_id}  {','.join(sorted(each.event_types))}  {each.url}")


@app.command()
def rotate(webhook_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]) -> None:
    """Give it a new secret and print that alone; the one before signs beside it for a while."""
    from services.webhook_registry.registry import UnknownWebhook, rotate_secret
    from services.webhook_registry.settings import WebhookSettings

    overlap = timedelta(hours=WebhookSettings().secret_overlap_hours)
    with opened_database() as engine:
        try:
            secret, until = rotate_secret(engine, webhook_id, overlap, datetime.now(UTC))
        except UnknownWebhook as error:
            raise typer.BadParameter(f"there is no webhook with the id {webhook_id}") from error
    typer.echo(f"the secret before signs, too, until {until:%Y-%m-%dT%H:%M:%SZ}; keep the new one:", err=True)
    typer.echo(secret)


@app.command()
def remove(webhook_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]) -> None:
    """End a registration; what is still to be delivered there is dropped, its log stays."""
    from services.webhook_registry.registry import UnknownWebhook, remove_webhook

    with opened_database() as engine:
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
    from services.webhook_registry.log import logged_deliveries

    with opened_database() as engine:
        for each in logged_deliveries(engine, webhook_id=webhook_id, statuses=status or (), limit=limit):
            typer.echo(
                f"{each.created_at:%Y-%m-%dT%H:%M:%SZ}  {each.status:9}  {each.event_type}  {each.result_id}  "
                f"webhook {each.webhook_id}  delivery {each.id}  {_last_attempt(each)}"
            )


@app.command()
def resend(delivery_id: Annotated[str, typer.Argument(metavar="DELIVERY", help="As `deliveries` shows it.")]) -> None:
    """Send a delivery again, under its old id: its text comes from the result, as the log keeps none."""
    from services.runtime.documents import DocumentStore
    from services.runtime.errors import StoreUnavailable
    from services.runtime.object_store import connect
    from services.runtime.settings import ObjectStoreSettings
    from services.webhook_registry.log import UnknownDelivery, logged_delivery, send_again
    from services.webhook_registry.payloads import CannotTellAgain, body_of_document

    store_settings = ObjectStoreSettings()
    documents = DocumentStore(connect(store_settings), store_settings.results_bucket)
    with opened_database() as engine:
        try:
            logged = logged_delivery(engine, delivery_id)
            found = documents.read(logged.user_id, logged.result_id)
            body = body_of_document(found.document if found else None, logged.event_type, logged.webhook_id)
            send_again(engine, delivery_id, body, datetime.now(UTC))
        except UnknownDelivery as error:
            raise typer.BadParameter(
                f"there is no delivery with the id {delivery_id}, or no webhook any more"
            ) from error
        except CannotTellAgain as error:
            raise typer.BadParameter(str(error)) from error
        except StoreUnavailable as error:
            typer.echo(f"The object store cannot be reached: {error}", err=True)
            raise typer.Exit(1) from error
    typer.echo(f"{delivery_id} is due again")


def _last_attempt(delivery: "LoggedDelivery") -> str:
    if delivery.last is None:
        return "no attempt yet" if delivery.attempts == 0 else f"attempt {delivery.attempts} is under way"
    outcome = " ".join(filter(None, (str(delivery.last.status_code or ""), delivery.last.error)))
    again = f", again at {delivery.next_attempt_at:%H:%M:%SZ}" if delivery.status == "pending" else ""
    return f"attempt {delivery.attempts}: {outcome} in {delivery.last.milliseconds} ms{again}"
