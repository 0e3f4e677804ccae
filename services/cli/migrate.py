"""`ocr-services migrate`: the database at its newest revision. Safe to repeat; run before the services."""


def migrate() -> None:
    """Bring the database to its newest revision."""
    from services.runtime.logs import configure_logs
    from services.runtime.migrations import migrate as run
    from services.runtime.settings import DatabaseSettings, ProcessSettings

    configure_logs("migrate", ProcessSettings())
    print(f"database at revision {run(DatabaseSettings().url.get_secret_value())}")
