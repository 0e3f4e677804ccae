"""`ocr-services tokens grant|balance|history`: what users have and what it went on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlalchemy import Engine

app = typer.Typer(no_args_is_help=True, help="Tokens: grant, balance, history.")

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


@contextmanager
def _ledger() -> "Iterator[Engine]":
    from services.runtime.database import create_database
    from services.runtime.errors import DatabaseUnavailable
    from services.runtime.logs import configure_logs
    from services.runtime.settings import DatabaseSettings, ProcessSettings

    configure_logs("tokens", ProcessSettings())
    engine = create_database(DatabaseSettings())
    try:
        yield engine
    except DatabaseUnavailable as error:
        raise _failure(f"the database is away: {error}") from error
    finally:
        engine.dispose()


def _failure(what: object) -> typer.Exit:
    typer.echo(str(what), err=True)
    return typer.Exit(1)


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False))
