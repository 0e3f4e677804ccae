"""Blocking calls of the object store and the database, made from the event loop: in a bounded pool of threads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime
from typing import ParamSpec, TypeVar

from sqlalchemy import Engine

from schemas.document import Document
from services.api.listing import ListPage, ListQuery, list_results
from services.api.results import ListedResult, find_result, list_deleted
from services.api.transactions import TransactionPage, list_transactions
from services.runtime.documents import DocumentStore
from services.runtime.object_store import ObjectStore, StoredObject

P = ParamSpec("P")
R = TypeVar("R")


async def in_thread(executor: Executor, call: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> R:
    """The outcome of a blocking call."""
    return await asyncio.get_running_loop().run_in_executor(executor, lambda: call(*arguments, **keywords))


class Stores:
    """What the API looks up: uploaded objects, documents, rows of the list."""

    def __init__(
        self,
        store: ObjectStore,
        documents: DocumentStore,
        engine: Engine,
        *,
        uploads_bucket: str,
        store_executor: Executor,
        database_executor: Executor,
    ) -> None:
        self.uploads_bucket = uploads_bucket
        self._store = store
        self._documents = documents
        self._engine = engine
        self._store_executor = store_executor
        self._database_executor = database_executor

    async def head(self, key: str) -> StoredObject | None:
        """What lies in the uploads bucket under `key`. Raises `StoreUnavailable`."""
        return await in_thread(self._store_executor, self._store.head, self.uploads_bucket, key)

    async def document(self, user_id: str, result_id: str) -> Document | None:
        """The document of a user's result. Raises `StoreUnavailable`."""
        stored = await in_thread(self._store_executor, self._documents.read, user_id, result_id)
        return None if stored is None else stored.document

    async def listed(self, result_id: str) -> ListedResult | None:
        """The row of a result, whoever's. Raises `DatabaseUnavailable`."""
        return await in_thread(self._database_executor, find_result, self._engine, result_id)

    async def list(self, query: ListQuery) -> ListPage:
        """A page of a user's results. Raises `DatabaseUnavailable`."""
        return await in_thread(self._database_executor, list_results, self._engine, query)

    async def bury(self, user_id: str, result_id: str, deleted_at: datetime) -> Document | None:
        """Replaces a document by its tombstone; None if there is none. Raises `StoreUnavailable`."""
        return await in_thread(self._store_executor, self._documents.bury, user_id, result_id, deleted_at)

    async def list_deleted(self, tombstone: Document) -> None:
        """Lists a result as deleted. Raises `DatabaseUnavailable`."""
        await in_thread(self._database_executor, list_deleted, self._engine, tombstone)

    async def transactions(self, user_id: str, limit: int, before: int | None) -> TransactionPage:
        """A page of what the ledger posted for a user. Raises `DatabaseUnavailable`."""
        return await in_thread(self._database_executor, list_transactions, self._engine, user_id, limit, before)
