"""Apache Kafka from its jars: one process that is broker and controller (KRaft), on 127.0.0.1."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.local.broker import EmbeddedBroker, answers_metadata
from services.local.ports import LOOPBACK, free_port
from services.local.process import ManagedProcess
from tests.support.downloads import KAFKA_VERSION, PartUnavailableError, Progress, java, kafka_jars
from tests.support.parts import KafkaPart

CLUSTER_ID = "b2NyLXNlcnZpY2VzLXRlcw"  # 16 bytes in URL-safe base64; any will do
_JVM_OPTIONS = (
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
PRODUCTION_JVM_OPTIONS = (
    "-Xms512m",
    "-Xmx512m",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
"""As Kafka's own start script has them, but for half of its heap: a broker that has run for a while is faster, one that
has just started compiles for a minute."""
_READY_SECONDS_MAX = 150.0
_STOP_GRACE_SECONDS = 15.0


@dataclass(frozen=True)
class ProxiedListener:
    """A second way to a broker, for clients that are to reach it through a proxy."""

    port: int
    """Where the broker listens."""
    proxy_port: int
    """Where it says that it listens."""


class ApacheKafka:
    """A broker on a free port that it keeps, with its log directory, when it is started again."""

    def __init__(
        self,
        directory: Path,
        progress: Progress,
        proxied: ProxiedListener | None = None,
        jvm_options: Sequence[str] = _JVM_OPTIONS,
    ) -> None:
        self.bootstrap_servers = f"{LOOPBACK}:{free_port()}"
        self._proxied = proxied
        self._directory = directory
        self._java = str(java())
        self._class_path = f"{kafka_jars(progress)}/*"
        self._settings_path = directory / "server.properties"
        self._process = ManagedProcess(
            name=f"Apache Kafka {KAFKA_VERSION}",
            command=[
                self._java,
                *jvm_options,
                "-cp",
                self._class_path,
                "kafka.Kafka",
                str(self._settings_path),
            ],
            log_path=directory / "kafka.log",
            directory=directory,
        )

    def format(self) -> None:
        """Writes the settings and the metadata that a KRaft log directory begins with."""
        settings = broker_settings(self.bootstrap_servers, str(self._directory / "data"))
        if self._proxied is not None:
            settings |= _proxied_settings(settings, self._proxied)
        self._settings_path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        command = [self._java, *_JVM_OPTIONS, "-cp", self._class_path, "kafka.tools.StorageTool", "format"]
        command += ["-t", CLUSTER_ID, "-c", str(self._settings_path)]
        done = subprocess.run(command, cwd=self._directory, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise PartUnavailableError(f"Kafka's storage could not be formatted:\n{done.stdout}{done.stderr}")

    def start(self) -> None:
        """Starts the broker and waits until it answers a metadata request."""
        self._process.start()
        self._process.wait_until_ready(lambda: answers_metadata(self.bootstrap_servers), _READY_SECONDS_MAX)

    def stop(self) -> None:
        """A controlled shutdown."""
        self._process.stop(_STOP_GRACE_SECONDS)

    def kill(self) -> None:
        """Kills the process at once."""
        self._process.kill()


def start_apache_kafka(
    directory: Path,
    progress: Progress,
    proxied: ProxiedListener | None = None,
    jvm_options: Sequence[str] = _JVM_OPTIONS,
) -> KafkaPart:
    """A formatted, running broker. Raises PartUnavailableError where jars or Java cannot be had."""
    broker = ApacheKafka(directory, progress, proxied, jvm_options)
    broker.format()
    broker.start()
    return KafkaPart(broker.bootstrap_servers, "package", f"Apache Kafka {KAFKA_VERSION} from its jars", broker)


class _Embedded:
    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker

    def start(self) -> None:
        self._broker.start()

    def stop(self) -> None:
        self._broker.stop()

    def kill(self) -> None:
        self._broker.process.kill()


def start_embedded_broker(directory: Path) -> KafkaPart:
    """The stand-in where no Apache Kafka can be had."""
    broker = EmbeddedBroker(directory, directory / "broker.log")
    broker.start()
    return KafkaPart(broker.bootstrap_servers, "embedded", "the embedded broker (Tansu)", _Embedded(broker))


def _proxied_settings(settings: Mapping[str, str], proxied: ProxiedListener) -> dict[str, str]:
    return {
        "listeners": f"{settings['listeners']},PROXIED://{LOOPBACK}:{proxied.port}",
        "advertised.listeners": f"{settings['advertised.listeners']},PROXIED://{LOOPBACK}:{proxied.proxy_port}",
        "listener.security.protocol.map": f"{settings['listener.security.protocol.map']},PROXIED:PLAINTEXT",
    }


def broker_settings(bootstrap_servers: str, data: str) -> dict[str, str]:
    """`server.properties` of one node: everything replicated once, timers short enough for tests."""
    controller = f"{LOOPBACK}:{free_port()}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "listeners": f"PLAINTEXT://{bootstrap_servers},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{bootstrap_servers}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.quorum.voters": f"1@{controller}",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "num.partitions": "1",
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        # As in production: a producer that crashed must not hold up every read_committed reader for long.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        # A broker that was killed may register again once its old session is over.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        "log.segment.bytes": str(16 * 1024 * 1024),
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    }
