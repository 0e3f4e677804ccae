"""`ocr-services relist`: the list of results from the documents, where the events that tell of them are lost."""

import typer

from services.cli.database import opened_database


def relist() -> None:
    """List results whose events were lost with a broker before the list had read them; safe to repeat."""
    from services.api.relisting import relist as run
    from services.runtime.errors import TransientError
    from services.runtime.object_store import connect
    from services.runtime.settings import ObjectStoreSettings

    settings = ObjectStoreSettings()
    objects = connect(settings)
    try:
        with opened_database() as engine:
            count = run(engine, objects, settings.results_bucket)
    except TransientError as error:
        typer.echo(f"Not all of it is done; run it again: {error}", err=True)
        raise typer.Exit(1) from error
    finally:
        objects.close()
    print(f"{count} results listed that were not")
