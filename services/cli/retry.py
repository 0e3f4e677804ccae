"""`ocr-services retry`: failures that an upgrade may read are asked for again."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from schemas.events import ErrorCode


def retry(
    code: Annotated[list[ErrorCode] | None, typer.Option(help="Only failures of this code; may be repeated.")] = None,
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only those made from this moment (UTC) on.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Only those made before this moment (UTC).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list them.")] = False,
) -> None:
    """Remove the documents of failures, so that the reconciler has their objects read again. Results stay."""
    from services.runtime.documents import DocumentStore
    from services.runtime.errors import Halt, StoreUnavailable
    from services.runtime.failed_documents import Choice, failures, remove
    from services.runtime.object_store import connect
    from services.runtime.settings import ObjectStoreSettings

    settings = ObjectStoreSettings()
    objects = connect(settings)
    documents = DocumentStore(objects, settings.results_bucket)
    choice = Choice(tuple(code or ()), user, _utc(since), _utc(until))
    count = 0
    passed_over: list[Halt] = []
    try:
        for failure in failures(objects, documents, choice, passed_over.append):
            document = failure.document
            if not dry_run and not remove(objects, documents, failure):
                print(f"{document.result_id}  {document.key}  changed meanwhile, left alone")
                continue
            count += 1
            print(f"{document.result_id}  {document.key}  {document.error.code if document.error else ''}")
    except StoreUnavailable as error:
        typer.echo(f"the object store is away after {count} failures; repeat it: {error}", err=True)
        raise typer.Exit(1) from error
    finally:
        objects.close()
    print(f"{count} failures {'found' if dry_run else 'removed; the reconciler requests their objects again'}")
    if passed_over:
        typer.echo("Left alone, because nobody can tell what they are:", err=True)
        for problem in passed_over:
            typer.echo(f"  {problem}", err=True)
        raise typer.Exit(1)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
