"""`ocr-services tokens grant|balance|history|audit`: what users have, what it went on, and whether it adds up."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.database import opened_database

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from services.cli.audit_report import Compared
    from services.ledger.repair import Repair

app = typer.Typer(no_args_is_help=True, help="Tokens: grant, balance, history, audit.")

User = Annotated[str, typer.Argument(help="The user id: the second part of that user's object keys.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON value on standard output, for scripts.")]


@app.command()
def grant(
    user: User,
    amount: Annotated[int, typer.Argument(help="Tokens.")],
    key: Annotated[str, typer.Option(help="Idempotency key: the same key again is the same grant.")],
    note: Annotated[str | None, typer.Option(help="What it is for; kept with the entry.")] = None,
    as_json: AsJson = False,
) -> None:
    """Give tokens to a user; opens the account. Repeat it with the same key when in doubt."""
    from services.ledger import grants

    with _ledger() as engine:
        try:
            granted = grants.grant(engine, user, amount, key, now=datetime.now(UTC), note=note)
        except grants.InvalidGrant as error:
            raise typer.BadParameter(str(error)) from error
        except grants.GrantConflict as error:
            raise _failure(error) from error
    if as_json:
        fields = {"entryId": granted.entry_id, "userId": user, "amount": amount, "balance": granted.balance}
        _print_json(fields | {"isNew": granted.is_new})
    elif granted.is_new:
        print(f"granted {amount} tokens to {user}; balance {granted.balance}")
    else:
        print(f"granted before with this key: {amount} tokens to {user}; balance {granted.balance}")


@app.command()
def balance(user: User, as_json: AsJson = False) -> None:
    """Print a user's balance as the ledger has it now."""
    from services.ledger.history import NoAccount, read_balance

    with _ledger() as engine:
        try:
            tokens = read_balance(engine, user)
        except NoAccount as error:
            raise _failure(error) from error
    if as_json:
        _print_json({"userId": user, "balance": tokens})
    else:
        print(tokens)


@app.command()
def history(
    user: User,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Newest entries.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List a user's entries, newest first."""
    from schemas.base import format_time
    from services.ledger.history import NoAccount, read_history

    with _ledger() as engine:
        try:
            lines = read_history(engine, user, entries_max=limit)
        except NoAccount as error:
            raise _failure(error) from error
    if as_json:
        _print_json(
            [
                {
                    "sequence": line.sequence,
                    "postedAt": format_time(line.posted_at),
                    "kind": line.kind,
                    "amount": line.amount,
                    "reference": line.reference,
                    "resultId": line.result_id,
                }
                for line in lines
            ]
        )
        return
    for line in lines:
        print(
            f"{line.sequence:>8}  {format_time(line.posted_at)}  {line.kind:<5}  {line.amount:>+12}  {line.reference}"
        )


@app.command()
def audit(
    repair: Annotated[
        bool, typer.Option(help="First post again, from ledger.entries, the grants that a restored database lacks.")
    ] = False,
    documents: Annotated[
        bool, typer.Option(help="Compare with the documents in the results bucket; needs the store and the broker.")
    ] = True,
    since: Annotated[
        datetime | None, typer.Option(help="Look for the documents of entries posted from this moment (UTC) on.")
    ] = None,
    grace_seconds: Annotated[
        float, typer.Option(min=0, help="The usage of a younger document may still be under way.")
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Check every invariant of the ledger, and name what breaks one.

    Status 1 if anything does, 3 if something could not be judged: the store or the broker is away, or the ledger is
    behind.
    """
    from services.cli.audit_report import Compared, Report
    from services.ledger.audit import audit as run

    with _ledger() as engine:
        repaired = _repair(engine) if repair else None
        compared = _compare(engine, since, grace_seconds) if documents else Compared.left_out()
        report = Report(run(engine), compared, repaired)
    if as_json:
        _print_json(report.fields())
    else:
        for line in report.lines():
            print(line)
    if report.status:
        raise typer.Exit(report.status)


def _compare(engine: "Engine", since: datetime | None, grace_seconds: float) -> "Compared":
    from services.cli.audit_report import Compared
    from services.ledger.document_audit_wiring import run_document_audit
    from services.runtime.errors import TransientError
    from services.runtime.settings import KafkaSettings, ObjectStoreSettings

    moment = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
    settings = ObjectStoreSettings()
    try:
        return Compared(
            run_document_audit(engine, KafkaSettings(), settings, since=moment, grace_seconds=grace_seconds), None
        )
    except TransientError as error:
        return Compared(None, str(error))


def _repair(engine: "Engine") -> "Repair":
    from services.ledger.repair import published_entries, repair_grants
    from services.runtime.settings import KafkaSettings

    return repair_grants(engine, published_entries(KafkaSettings()))


@contextmanager
def _ledger() -> "Iterator[Engine]":
    from services.runtime.errors import TransientError
    from services.runtime.logs import configure_logs
    from services.runtime.settings import ProcessSettings

    configure_logs("tokens", ProcessSettings())
    try:
        with opened_database() as engine:
            yield engine
    except TransientError as error:
        raise _failure(f"the broker or the object store is away: {error}") from error


def _failure(what: object) -> typer.Exit:
    typer.echo(str(what), err=True)
    return typer.Exit(1)


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False))
