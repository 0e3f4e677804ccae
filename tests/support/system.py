"""The whole system on a stage: every service a process of its own, over real parts."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine

from schemas.events import SweepReported
from schemas.topics import SWEEPS
from services.api.keys import ApiKeys, Scope
from services.ledger.grants import grant
from services.runtime.database import create_database
from services.runtime.migrations import migrate
from services.runtime.settings import DatabaseSettings
from tests.support.stage import Stage, Topics, Worker, wait_for

SCRIPTED_EXTRACTOR = "tests.support.scripted_engine"
REAL_EXTRACTOR = "services.extractor"

# Seconds where production has minutes, so that a test sees the sweeps.
_QUICK = {
    "OCR_INTAKE_SWEEP_INTERVAL_SECONDS": "1",
    "OCR_INTAKE_SWEEP_AGE_SECONDS_MIN": "1",
    "OCR_INTAKE_SWEEP_REPEAT_SECONDS": "3",
    "OCR_INTAKE_SWEEP_TOP_UP_DELAY_SECONDS": "0.5",
    "OCR_LEDGER_HEARTBEAT_SECONDS": "1",
    "OCR_LEDGER_SWEEP_CYCLE_SECONDS": "1",
    "OCR_LEDGER_SWEEP_GRACE_SECONDS": "3",
}


@dataclass(frozen=True)
class Answer:
    """What the API answered."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]


@dataclass
class System:
    """A stage with a database, and the services that were started on it."""

    stage: Stage
    database_url: str
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        """Migrates the database and points the services at it."""
        migrate(self.database_url)
        self.engine = create_database(DatabaseSettings(url=SecretStr(self.database_url)))
        self.stage.environment |= {"OCR_DATABASE_URL": self.database_url} | _QUICK

    def account(self, user_id: str, tokens: int) -> str:
        """Opens an account with so many tokens and returns an API key of its user."""
        self.grant(user_id, tokens, f"opening {user_id}".replace(" ", "-"))
        return ApiKeys(self.engine).create(user_id, list(Scope), now=datetime.now(UTC))[1]

    def grant(self, user_id: str, tokens: int, key: str) -> None:
        """Gives tokens."""
        grant(self.engine, user_id, tokens, key, now=datetime.now(UTC))

    def ledger(self) -> Worker:
        """Starts a ledger."""
        return self.stage.start_ready("services.ledger")

    def api(self) -> Worker:
        """Starts a replica of the API."""
        return self.stage.start_ready("services.api", port_variable="OCR_API_PORT")

    def intake(self, **environment: str) -> Worker:
        """Starts intake, by default on the topic of notifications."""
        return self.stage.start_ready("services.intake", **({"OCR_INTAKE_KAFKA_ENABLED": "true"} | environment))

    def extractor(self, module: str = SCRIPTED_EXTRACTOR, **environment: str) -> Worker:
        """Starts an extractor."""
        return self.stage.start_ready(module, **environment)

    def call(self, api: Worker, method: str, path: str, key: str | None, body: object = None, **headers: str) -> Answer:
        """One request of the API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{api.port}{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        if key is not None:
            request.add_header("X-API-Key", key)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=150) as answer:
                return Answer(answer.status, json.loads(answer.read() or b"{}"), dict(answer.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, json.loads(error.read()), dict(error.headers))

    def process(self, api: Worker, key: str | None, object_key: str, **headers: str) -> Answer:
        """The POST of the contract."""
        return self.call(api, "POST", "/api/ocr/process", key, {"key": object_key}, **headers)

    def balance(self, api: Worker, key: str) -> int:
        """The balance as the API tells it."""
        return int(self.call(api, "GET", "/api/tokens/balance", key).body["balance"])

    def sweep_again(self, passes: int) -> None:
        """Returns when the reconciler has gone through all users so many times more."""
        sweeps = Topics(self.stage.kafka, (SWEEPS,))
        sweeps.start()
        try:
            before = len(sweeps.events(SweepReported))
            # One was under way, perhaps, and read the bucket before.
            wait_for(lambda: len(sweeps.events(SweepReported)) > before + passes, "further sweeps", 90)
        finally:
            sweeps.close()

    def strike(self) -> None:
        """Ends everything."""
        self.stage.strike()
        self.engine.dispose()
