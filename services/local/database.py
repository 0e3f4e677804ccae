"""The local stack's database: migrated at each start, and told that the broker has forgotten everything."""

from __future__ import annotations

from collections.abc import Mapping

from services.api.relisting import relist
from services.api.result_list import clear_offsets as clear_result_offsets
from services.ledger.offsets import clear_offsets as clear_usage_offsets
from services.local.environment import settings_from
from services.runtime.database import create_database
from services.runtime.migrations import migrate_engine
from services.runtime.object_store import connect
from services.runtime.settings import DatabaseSettings, ObjectStoreSettings


def migrate_database(environment: Mapping[str, str]) -> None:
    """Brings the database to its newest revision."""
    engine = create_database(settings_from(DatabaseSettings, environment))
    try:
        migrate_engine(engine)
    finally:
        engine.dispose()


def forget_offsets(environment: Mapping[str, str]) -> None:
    """Clears the broker offsets that SQL remembers: on an empty broker they would skip what comes."""
    engine = create_database(settings_from(DatabaseSettings, environment))
    try:
        clear_usage_offsets(engine)
        clear_result_offsets(engine)
    finally:
        engine.dispose()


def list_what_was_missed(environment: Mapping[str, str]) -> None:
    """Lists the results whose events went with the last broker, before the list had read them."""
    settings = settings_from(ObjectStoreSettings, environment)
    engine, objects = create_database(settings_from(DatabaseSettings, environment)), connect(settings)
    try:
        relist(engine, objects, settings.results_bucket)
    finally:
        engine.dispose()
        objects.close()
