"""Which documents have no entry in the ledger."""

from collections.abc import Collection, Sequence

from sqlalchemy import Engine, select

from services.ledger.tables import entries
from services.runtime.database import among, reading
from services.runtime.object_store import StoredObject


def suspects(engine: Engine, listed: Sequence[tuple[str, StoredObject]]) -> list[str]:
    """The result ids, of those listed with their documents, that a listing cannot clear.

    A completed result is charged under its own id. A failure is charged under its author's event id, which only
    its document tells: an entry of the result that is younger than the document is taken to be that one.
    """
    with reading(engine) as connection:
        found = connection.execute(
            select(entries.c.result_id, entries.c.reference, entries.c.posted_at).where(
                among(connection, entries.c.result_id, [result_id for result_id, _ in listed])
            )
        ).all()
    charged = {row.result_id for row in found if row.reference == row.result_id}
    posted_at = {row.result_id: row.posted_at for row in sorted(found, key=lambda row: row.posted_at)}
    return [
        result_id
        for result_id, document in listed
        if result_id not in charged and (result_id not in posted_at or posted_at[result_id] < document.modified_at)
    ]


def unposted(engine: Engine, usage_ids: Collection[str]) -> set[str]:
    """Those of `usage_ids` that are not in the ledger."""
    if not usage_ids:
        return set()
    with reading(engine) as connection:
        statement = select(entries.c.reference).where(entries.c.kind == "usage")
        found = connection.execute(statement.where(among(connection, entries.c.reference, usage_ids)))
        return set(usage_ids) - {row.reference for row in found}
