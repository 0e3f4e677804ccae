"""`ocr-services erase USER`: what is kept of a person is removed, in the order in which nothing comes back."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from services.runtime.documents import DocumentStore
    from services.runtime.object_store import ObjectStore, StoredObject

_FAILURES_IN_A_ROW_MAX = 3
_REMAINS = """\
What remains, and for how long:
  events with keys and texts, until their topics forget them (ocr.results 7 days, ocr.usage 30, ledger.entries 365)
  the ledger's entries, the keys of deleted results, and revoked API keys without their text: they are the books
  backups, until they expire
Run it again in some minutes: a document that was being read meanwhile is found then."""


def erase(
    user: Annotated[str, typer.Argument(help="Whose.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Revoke a user's keys, end the webhooks, delete files and results; safe to repeat. Texts and layouts are gone."""
    from schemas.identity import is_user_id
    from services.runtime.database import create_database
    from services.runtime.errors import TransientError
    from services.runtime.object_store import connect
    from services.runtime.settings import DatabaseSettings, ObjectStoreSettings

    if not is_user_id(user):
        raise typer.BadParameter(f"{user!r} is no user id")
    if not yes:
        typer.confirm(f"Erase everything of {user}, for good?", abort=True)
    settings = ObjectStoreSettings()
    engine, objects = create_database(DatabaseSettings()), connect(settings)
    try:
        # 1, 2. Nothing new comes in, and nothing goes out.
        revoked, ended = _revoke_keys(engine, user), _end_webhooks(engine, user)
        typer.echo(f"{revoked} keys revoked")
        typer.echo(f"{ended} webhooks ended")
        # 3. The files before the results: without a file nothing is read anew while the results go.
        deleted = _delete_files(objects, settings.uploads_bucket, user)
        typer.echo(f"{deleted} versions of files deleted")
        # 4. Tombstones, not gaps: a gap would be an upload that was not read yet.
        buried = _bury_results(engine, objects, settings.results_bucket, user)
        typer.echo(f"{buried.count} results deleted")
        is_known = any((revoked, ended, deleted, buried.count, buried.left)) or _has_traces(
            engine, objects, settings.results_bucket, user
        )
    except TransientError as error:
        typer.echo(f"Not all of it is done; put this right, and run it again: {error}", err=True)
        raise typer.Exit(1) from error
    finally:
        engine.dispose()
        objects.close()
    for problem in buried.removed:
        typer.echo(f"  removed without a tombstone: {problem}")
    if buried.left:
        typer.echo("Not all of it is done; these are left, run it again:", err=True)
        for problem in buried.left:
            typer.echo(f"  {problem}", err=True)
        raise typer.Exit(1)
    if not is_known:
        typer.echo(f"nothing is known of {user}: check the id", err=True)
        raise typer.Exit(1)
    typer.echo(_REMAINS)


@dataclass
class _Buried:
    count: int = 0
    """Results that are deleted by this run."""
    removed: list[str] = field(default_factory=list)
    """What was no document of this version, and is gone with all it held."""
    left: list[str] = field(default_factory=list)
    """What could not be deleted, and why."""


def _has_traces(engine: "Engine", objects: "ObjectStore", bucket: str, user: str) -> bool:
    """Whether the books know of a user of whom there is nothing to erase: one who is erased is no mistake."""
    from sqlalchemy import select

    from schemas.identity import document_prefix
    from services.api.keys import ApiKeys
    from services.api.tables import RESULTS
    from services.ledger.history import NoAccount, read_balance
    from services.runtime.database import reading
    from services.webhook_registry.tables import WEBHOOKS

    if ApiKeys(engine).list(user) or any(objects.list(bucket, document_prefix(user))):
        return True
    with reading(engine) as connection:
        for table in (RESULTS, WEBHOOKS):
            if connection.execute(select(table.c.id).where(table.c.user_id == user).limit(1)).first() is not None:
                return True
    try:
        read_balance(engine, user)
    except NoAccount:
        return False
    return True


def _revoke_keys(engine: "Engine", user: str) -> int:
    from services.api.keys import ApiKeys

    keys = ApiKeys(engine)
    live = [key for key in keys.list(user) if key.revoked_at is None]
    for key in live:
        keys.revoke(key.id, datetime.now(UTC))
    return len(live)


def _end_webhooks(engine: "Engine", user: str) -> int:
    from services.webhook_registry.registry import list_webhooks, remove_webhook

    found = list_webhooks(engine, user)
    for webhook in found:
        remove_webhook(engine, webhook.id, datetime.now(UTC))
    return len(found)


def _delete_files(objects: "ObjectStore", bucket: str, user: str) -> int:
    from schemas.identity import document_prefix
    from services.runtime.old_versions import delete_all

    # Uploads and documents of a user lie under the same prefix, in buckets of their own.
    return delete_all(objects.client, bucket, document_prefix(user))


def _bury_results(engine: "Engine", objects: "ObjectStore", bucket: str, user: str) -> _Buried:
    from schemas.identity import document_prefix
    from services.runtime.documents import DocumentStore
    from services.runtime.errors import Halt, StoreUnavailable
    from services.runtime.object_store import PreconditionFailed
    from services.runtime.old_versions import delete_old

    documents, prefix, buried, in_a_row = DocumentStore(objects, bucket), document_prefix(user), _Buried(), 0
    for found in objects.list(bucket, prefix):
        result_id = found.key.removeprefix(prefix).removesuffix(".json")
        try:
            try:
                buried.count += _bury(engine, documents, user, result_id)
            except Halt as problem:
                _remove(engine, objects, bucket, user, result_id, found)
                buried.removed.append(str(problem))
                buried.count += 1
            in_a_row = 0
        except PreconditionFailed:
            buried.left.append(f"{bucket}/{found.key} changed meanwhile")
        except StoreUnavailable as problem:
            # One that the store cannot give must not keep the others; a store that is away must not be asked for all.
            in_a_row += 1
            if in_a_row == _FAILURES_IN_A_ROW_MAX:
                raise
            buried.left.append(f"{bucket}/{found.key}: {problem}")
    # A bucket with versions keeps what the tombstones have replaced.
    delete_old(objects.client, bucket, prefix)
    return buried


def _bury(engine: "Engine", documents: "DocumentStore", user: str, result_id: str) -> bool:
    """Whether this run deleted it."""
    from services.api.results import list_deleted

    before = documents.read(user, result_id)
    if before is None:
        return False
    tombstone = documents.bury(user, result_id, datetime.now(UTC))
    if tombstone is None:
        return False
    list_deleted(engine, tombstone)
    return before.document.deleted_at is None


def _remove(
    engine: "Engine", objects: "ObjectStore", bucket: str, user: str, result_id: str, found: "StoredObject"
) -> None:
    """Removes what nobody can make a tombstone of. Its upload is gone already: nothing is read for the gap."""
    from services.api.results import list_removed

    # The list first: after a crash in between, the next run finds the object, and would not find the row.
    list_removed(engine, user, result_id, datetime.now(UTC))
    objects.delete_version(bucket, found.key, found.etag)
