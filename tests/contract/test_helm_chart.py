"""The chart, rendered by Helm: valid by Kubernetes' own schemas, nobody is root, and every setting exists."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.topics import TOPICS
from services.runtime import groups
from tests.support.compose import load_compose, required_variables
from tests.support.coverage import Coverage, real_parts_required
from tests.support.documents import ROOT
from tests.support.downloads import PartUnavailableError, Progress, helm_binary
from tests.support.settings import setting_names

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]

_CHART = ROOT / "deploy/helm/ocr-services"
_KUBERNETES = "1.33"
_SERVICES = {"api", "intake", "extractor", "ledger", "webhooks"}

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def helm(progress: Progress, coverage: Coverage) -> Path:
    """Helm's binary; without one the tests are skipped, and the end of the run says so."""
    try:
        return helm_binary(progress)
    except PartUnavailableError as error:
        if real_parts_required():
            raise
        coverage.lacked("helm", str(error))
        pytest.skip(f"no helm: {error}")


@pytest.fixture(scope="module")
def render(helm: Path) -> Render:
    """Renders the chart with the example's values, changed by `--set` arguments."""

    def render(*changes: str) -> list[Manifest]:
        done = _helm(helm, "template", "ocr", str(_CHART), "--kube-version", _KUBERNETES, *_values(changes))
        assert done.returncode == 0, done.stderr
        return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest is not None]

    return render


def _helm(helm: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(helm), *arguments], capture_output=True, text=True, timeout=120, check=False)


def _values(changes: tuple[str, ...]) -> list[str]:
    sets = [part for change in changes for part in ("--set", change)]
    return ["--values", str(_CHART / "example-values.yaml"), *sets]


def _of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    found = [manifest for manifest in manifests if manifest["kind"] == kind]
    return {manifest["metadata"]["labels"]["app.kubernetes.io/component"]: manifest for manifest in found}


def _pods(manifests: list[Manifest]) -> list[Manifest]:
    return [each["spec"]["template"]["spec"] for each in manifests if each["kind"] in ("Deployment", "Job")]


def _env(pod: Manifest) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in pod["containers"][0]["env"]}


@pytest.mark.parametrize(
    "changes",
    [
        (),
        ("extractor.keda.enabled=false", "ingress.enabled=true", "ingress.host=ocr.example.org", "ingress.tlsSecret=t"),
        (
            "kafka.caInSecret=true",
            "objectStore.existingSecret=s3",
            "kafka.saslMechanism=PLAIN",
            "provision.buckets=true",
        ),
        ("kafka.securityProtocol=PLAINTEXT", "kafka.existingSecret=", "image.pullSecrets[0].name=pull"),
    ],
)
def test_everything_is_valid_by_the_schemas_of_kubernetes(render: Render, changes: tuple[str, ...]) -> None:
    import kubernetes_validate

    checked = 0
    for manifest in render(*changes):
        if manifest["apiVersion"].startswith("keda.sh/"):
            continue
        kubernetes_validate.validate(manifest, _KUBERNETES, strict=True)
        checked += 1
    # Four deployments and budgets, two jobs, two accounts, a service.
    assert checked >= 13


def test_helm_finds_nothing_to_complain_about(helm: Path) -> None:
    done = _helm(helm, "lint", "--strict", str(_CHART), *_values(()))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "missing",
    ["kafka.bootstrapServers=", "kafka.existingSecret=", "objectStore.resultsBucket=", "database.existingSecret="],
)
def test_what_has_to_be_given_is_asked_for(helm: Path, missing: str) -> None:
    done = _helm(helm, "template", "ocr", str(_CHART), "--kube-version", _KUBERNETES, *_values((missing,)))
    assert done.returncode != 0
    assert missing.split(".")[1].rstrip("=") in done.stderr


def test_nobody_is_root_or_writes_beside_the_volumes(render: Render) -> None:
    pods = _pods(render())
    assert len(pods) == 7
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]


def test_every_service_is_probed_budgeted_and_given_time_to_end(render: Render) -> None:
    manifests = render()
    deployments = _of_kind(manifests, "Deployment")
    assert set(deployments) == set(_of_kind(manifests, "PodDisruptionBudget")) == _SERVICES
    for deployment in deployments.values():
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        # Longer than the 25 s in which a worker finishes what it has in hand.
        assert pod["terminationGracePeriodSeconds"] > 30
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_every_setting_exists_and_credentials_come_from_secrets(render: Render) -> None:
    manifests = render("objectStore.existingSecret=s3", "kafka.caInSecret=true")
    for pod in _pods(manifests):
        env = _env(pod)
        assert set(env) <= setting_names()
        for name in ("OCR_KAFKA_SASL_PASSWORD", "OCR_S3_SECRET_KEY"):
            assert "secretKeyRef" in env[name]
    with_database = {name for name, each in _of_kind(manifests, "Deployment").items() if _database(each)}
    assert with_database == {"api", "ledger", "webhooks"}
    assert not [manifest for manifest in manifests if manifest["kind"] == "Secret"]


def _database(deployment: Manifest) -> bool:
    return "OCR_DATABASE_URL" in _env(deployment["spec"]["template"]["spec"])


def test_what_the_api_and_the_extractor_spool_lies_on_a_disk_of_bounded_size(render: Render) -> None:
    deployments = _of_kind(render("api.spoolSizeLimit=5Gi"), "Deployment")
    spooling = {}
    for name, deployment in deployments.items():
        pod = deployment["spec"]["template"]["spec"]
        volumes = {volume["name"]: volume.get("emptyDir") for volume in pod["volumes"]}
        mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        directories = {value for variable, value in _env(pod).items() if variable.endswith("_SPOOL_DIR")}
        assert directories <= set(mounts)
        if directories:
            spooling[name] = volumes[mounts[directories.pop()]]
    # No `medium: Memory`: what is spooled would count against the limit of the pod.
    assert spooling == {"api": {"sizeLimit": "5Gi"}, "extractor": {"sizeLimit": "2Gi"}}


def test_limits_are_those_of_the_compose_file_or_above(render: Render) -> None:
    compose = load_compose(dict.fromkeys(required_variables(), "x"))["services"]
    for name, deployment in _of_kind(render(), "Deployment").items():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        given, asked = (
            container["resources"]["limits"]["memory"],
            compose[name]["deploy"]["resources"]["limits"]["memory"],
        )
        assert _mebibytes(given) >= _mebibytes(asked), f"{name}: {given} in the chart, {asked} in docker-compose.yml"


def _mebibytes(text: str) -> int:
    """Of a quantity as Kubernetes or Compose writes it."""
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi|m|g)", text).groups()  # type: ignore[union-attr]
    return int(number) * (1024 if unit in ("Gi", "g") else 1)


def test_extractors_scale_on_the_lag_of_their_own_group_on_both_lanes(render: Render) -> None:
    manifests = render("kafka.topicPrefix=live.", "kafka.partitions=12")
    scaled = _of_kind(manifests, "ScaledObject")["extractor"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == _of_kind(manifests, "Deployment")["extractor"]["metadata"]["name"]
    assert "replicas" not in _of_kind(manifests, "Deployment")["extractor"]["spec"]
    metadata = [trigger["metadata"] for trigger in scaled["triggers"]]
    assert {each["topic"] for each in metadata} == {f"live.{topic.name}" for topic in TOPICS if topic.is_lane}
    assert {each["consumerGroup"] for each in metadata} == {f"live.{groups.EXTRACTOR}"}
    assert {each["sasl"] for each in metadata} == {"scram_sha512"}
    assert {each["tls"] for each in metadata} == {"enable"}
    # Beyond the partitions a replica has nothing to do.
    assert scaled["maxReplicaCount"] == 12
    names = {trigger["authenticationRef"]["name"] for trigger in scaled["triggers"]}
    assert names == {_of_kind(manifests, "TriggerAuthentication")["extractor"]["metadata"]["name"]}


def test_the_database_is_migrated_before_the_services_of_a_release_start(render: Render) -> None:
    jobs = _of_kind(render(), "Job")
    weights = {name: int(job["metadata"]["annotations"]["helm.sh/hook-weight"]) for name, job in jobs.items()}
    assert weights["migrate"] < weights["provision"]
    assert all("pre-upgrade" in job["metadata"]["annotations"]["helm.sh/hook"] for job in jobs.values())
    assert jobs["migrate"]["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate"]
