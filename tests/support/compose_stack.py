"""The services of `docker-compose.yml` as processes on 127.0.0.1, with the command and environment it gives them.

Only what a container would have of its own is put in place of what the file says: host names and ports, mount
points, and the programs that the images of others hold (Kafka, the S3 gateway, PostgreSQL).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import URLError

import psycopg
from psycopg import sql

from services.local.broker import answers_metadata
from services.local.ports import LOOPBACK, free_port
from services.local.process import ManagedProcess, ProcessNotReadyError
from tests.support.compose import ROOT, Service, start_order
from tests.support.downloads import Progress, java, kafka_jars, versitygw_binary
from tests.support.parts import DatabasePart
from tests.support.postgres import start_postgres

_PORTS = {
    "kafka": (19092, 9092, 9093),
    "object-store": (7070,),
    "database": (5432,),
    "intake": (8081,),
    "extractor": (8081,),
    "ledger": (8081,),
    "webhooks": (8081,),
    "api": (8000,),
}
_PREPARED = "service_completed_successfully"
_READY_SECONDS_MAX = 90.0


class ComposeStack:
    """Starts every service of the file, in its order, and stops them in the opposite one."""

    def __init__(self, services: dict[str, Service], directory: Path, progress: Progress) -> None:
        self._services = services
        self._directory = directory
        self._progress = progress
        self._processes: dict[str, ManagedProcess] = {}
        self._database: DatabasePart | None = None
        self._ports = {(name, port): free_port() for name, ports in _PORTS.items() for port in ports}

    @property
    def order(self) -> list[str]:
        """The services as they are started."""
        return start_order(self._services)

    def up(self) -> None:
        """Starts all of them; each waits for what it depends on, as its condition says.

        Raises:
            ProcessNotReadyError: one did not become healthy, or ended with an error.
        """
        one_shot = {
            name
            for service in self._services.values()
            for name, dependency in service.get("depends_on", {}).items()
            if dependency["condition"] == _PREPARED
        }
        starters = {"kafka": self._start_kafka, "object-store": self._start_store, "database": self._start_database}
        for name in self.order:
            if name in starters:
                starters[name]()
            elif name in one_shot:
                self.run(name)
            else:
                self._start_service(name)

    def down(self) -> None:
        """Stops all of them."""
        for process in reversed(list(self._processes.values())):
            process.stop()
        if self._database is not None:
            self._database.kill()

    def address(self, service: str, port: int) -> str:
        """Where a port of a container is found here, as `127.0.0.1:N`."""
        return f"{LOOPBACK}:{self._ports[service, port]}"

    def run(self, name: str, *arguments: str) -> str:
        """Runs a one-shot service, with other arguments than the file's if given, and returns what it printed."""
        command = self._command(name, arguments)
        done = subprocess.run(
            command, env=self._environment(name), cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
        )
        if done.returncode != 0:
            raise ProcessNotReadyError(f"{name} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def exit_statuses(self) -> dict[str, int | None]:
        """The exit status of each service; None for those that run."""
        return {name: process.exit_status for name, process in self._processes.items()}

    def stop(self, name: str, grace_seconds: float) -> int | None:
        """Stops one service as `docker stop` does and returns its exit status."""
        self._processes[name].stop(grace_seconds)
        return self._processes[name].exit_status

    def _start_service(self, name: str) -> None:
        self._start(name, self._command(name), self._environment(name))
        test = self._replaced_list(name, self._services[name]["healthcheck"]["test"])
        probe = [_program(part) for part in test[1:]]
        self._processes[name].wait_until_ready(lambda: self._succeeds(probe), _READY_SECONDS_MAX)

    def _start_kafka(self) -> None:
        """Kafka with the settings that its image makes of the environment."""
        environment = self._environment("kafka")
        settings = {
            name.removeprefix("KAFKA_").lower().replace("_", "."): value
            for name, value in environment.items()
            if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS"
        }
        path = self._directory / "server.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        program = [str(java()), *environment["KAFKA_HEAP_OPTS"].split(), "-XX:+UseSerialGC"]
        program += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{kafka_jars(self._progress)}/*"]
        storage = ["kafka.tools.StorageTool", "format", "-t", environment["CLUSTER_ID"], "-c", str(path)]
        subprocess.run([*program, *storage], cwd=self._directory, capture_output=True, timeout=60, check=True)
        self._start("kafka", [*program, "kafka.Kafka", str(path)], None)
        address = self.address("kafka", 19092)
        self._processes["kafka"].wait_until_ready(lambda: answers_metadata(address), _READY_SECONDS_MAX)

    def _start_store(self) -> None:
        """The gateway; its image holds the data folders."""
        for folder in ("objects", "sidecar"):
            (self._mount("/data") / folder).mkdir(parents=True, exist_ok=True)
        arguments = self._replaced_list("object-store", self._services["object-store"]["command"])
        program = str(versitygw_binary(self._progress))
        self._start("object-store", [program, *arguments], self._environment("object-store"))
        test = self._replaced_list("object-store", self._services["object-store"]["healthcheck"]["test"])
        self._processes["object-store"].wait_until_ready(lambda: _answers(test[-1]), _READY_SECONDS_MAX)

    def _start_database(self) -> None:
        """PostgreSQL with the account and database that its image makes of the environment."""
        directory = self._directory / "postgres"
        directory.mkdir(mode=0o755)
        self._database = start_postgres(directory)
        self._ports["database", 5432] = int(self._database.url.rpartition(":")[2].split("/")[0])
        environment = self._environment("database")
        server = self._database.url.replace("postgresql+psycopg://", "postgresql://")
        role, name = (sql.Identifier(environment[key]) for key in ("POSTGRES_USER", "POSTGRES_DB"))
        with psycopg.connect(server, autocommit=True) as connection:
            password = sql.Literal(environment["POSTGRES_PASSWORD"])
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}").format(role, password))
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, role))

    def _start(self, name: str, command: list[str], environment: dict[str, str] | None) -> None:
        log = self._directory / f"{name}.log"
        cwd = ROOT if command[0] == sys.executable else self._directory
        self._processes[name] = ManagedProcess(name, command, log, environment, cwd)
        self._processes[name].start()

    def _command(self, name: str, arguments: tuple[str, ...] = ()) -> list[str]:
        service = self._services[name]
        parts = [*service.get("entrypoint", []), *(arguments or service.get("command", []))]
        return [_program(part) for part in self._replaced_list(name, parts)]

    def _environment(self, name: str) -> dict[str, str]:
        """What the file gives, and of this machine only where programs are found."""
        given = self._services[name].get("environment", {})
        return {"PATH": os.environ["PATH"]} | {key: self._replaced(name, str(given[key])) for key in given}

    def _replaced_list(self, name: str, texts: list[Any]) -> list[str]:
        return [self._replaced(name, str(text)) for text in texts]

    def _replaced(self, name: str, text: str) -> str:
        """One string of the file with addresses, ports and mount points of this machine."""
        for (service, port), here in self._ports.items():
            text = re.sub(rf"\b{service}:{port}\b", f"{LOOPBACK}:{here}", text)
            if service == name:
                text = re.sub(rf"(?:\b127\.0\.0\.1|\blocalhost|\b0\.0\.0\.0)?:{port}\b", f"{LOOPBACK}:{here}", text)
                text = str(here) if text == str(port) else text
            for published in self._services[service].get("ports", []):
                host, container = published.rsplit(":", 1)
                if int(container) == port:
                    text = re.sub(rf"\b{re.escape(host)}\b", f"{LOOPBACK}:{here}", text)
        for target in self._mount_points(name):
            text = re.sub(rf"(?<![\w/]){target}\b", str(self._mount(target)), text)
        return LOOPBACK if text == "0.0.0.0" else text

    def _mount_points(self, name: str) -> list[str]:
        volumes = self._services[name].get("volumes", [])
        return [each["target"] if isinstance(each, dict) else each.split(":")[1] for each in volumes]

    def _mount(self, target: str) -> Path:
        path = self._directory / "mounts" / target.strip("/").replace("/", "-")
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _succeeds(self, command: list[str]) -> bool:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=30, check=False)
        time.sleep(0.2)  # a probe starts an interpreter: leave the service some of the machine
        return done.returncode == 0


def _program(part: str) -> str:
    return sys.executable if part == "python" else part


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except URLError:
        return False
