"""The Kubernetes manifests: right for the API, for its restricted profile, for our settings, and for each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from cds_service import create_app
from cds_service.cli import main
from cds_service.security.clients import load_clients
from cds_service.server import GRACE
from cds_service.settings import PREFIX, Settings
from tests.conftest import NO_LIBRARY
from tests.deploy.files import DEPLOY, PROXY, proxy_config_map

Manifest = dict[str, Any]
MANIFESTS: list[tuple[str, Manifest]] = [
    (path.name, manifest)
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
each_manifest = pytest.mark.parametrize(
    "manifest", [m for _, m in MANIFESTS], ids=[f"{name}:{m['kind']}" for name, m in MANIFESTS]
)
NAMESPACE = "coverage-cds"
SECRETS = {"coverage-cds", "coverage-cds-tls"}
OLDEST = "1.33"
"""The oldest release that is supported now, and has sidecars for good."""


def of_kind(*kinds: str) -> list[Manifest]:
    return [manifest for _, manifest in MANIFESTS if manifest["kind"] in kinds]


def pods() -> Iterator[Manifest]:
    for manifest in of_kind("StatefulSet", "Job", "CronJob"):
        spec = manifest["spec"]
        yield (spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec)["template"]


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def ours() -> list[Manifest]:
    return [c for pod in pods() for c in containers(pod) if c["image"].startswith("coverage-cds:")]


def service_pod() -> Manifest:
    (found,) = of_kind("StatefulSet")
    template: Manifest = found["spec"]["template"]
    return template


def service_container() -> Manifest:
    (found,) = service_pod()["spec"]["containers"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("release", [OLDEST, kubernetes_validate.latest_version()])
@each_manifest
def test_a_manifest_is_one_of_the_api(manifest: Manifest, release: str) -> None:
    kubernetes_validate.validate(manifest, release, strict=True)


def test_the_validation_finds_what_is_wrong() -> None:
    wrong = of_kind("PodDisruptionBudget")[0]
    wrong = {**wrong, "spec": {**wrong["spec"], "maxUnavailabel": 1}}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, OLDEST, strict=True)


@each_manifest
def test_everything_is_in_one_namespace(manifest: Manifest) -> None:
    name = manifest["metadata"]["name"] if manifest["kind"] == "Namespace" else manifest["metadata"]["namespace"]

    assert name == NAMESPACE


def test_what_was_asked_for_is_there() -> None:
    kinds = {manifest["kind"] for _, manifest in MANIFESTS}

    assert kinds == {
        "Namespace", "ServiceAccount", "ConfigMap", "Service", "StatefulSet", "Job", "CronJob", "NetworkPolicy",
        "HorizontalPodAutoscaler", "PodDisruptionBudget",
    }  # fmt: skip


@pytest.mark.parametrize("pod", list(pods()), ids=lambda pod: pod["metadata"]["labels"]["app.kubernetes.io/component"])
def test_a_pod_keeps_to_the_restricted_profile_and_writes_to_volumes_only(pod: Manifest) -> None:
    spec, context = pod["spec"], pod["spec"]["securityContext"]

    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert spec["automountServiceAccountToken"] is False
    for container in containers(pod):
        confined = container["securityContext"]
        assert confined["allowPrivilegeEscalation"] is False
        assert confined["capabilities"] == {"drop": ["ALL"]}
        assert confined["readOnlyRootFilesystem"] is True
        assert confined.get("runAsUser", context["runAsUser"]) > 0
        assert all("hostPort" not in port for port in container.get("ports", []))
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
    kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
    assert kinds <= {"configMap", "secret", "emptyDir"}


def test_every_volume_that_is_mounted_is_there() -> None:
    for pod in pods():
        claimed = [c["metadata"]["name"] for m in of_kind("StatefulSet") for c in m["spec"]["volumeClaimTemplates"]]
        known = {volume["name"] for volume in pod["spec"]["volumes"]} | set(claimed)

        assert {mount["name"] for c in containers(pod) for mount in c["volumeMounts"]} <= known


def test_config_maps_that_are_named_are_here_and_secrets_are_not() -> None:
    here = {manifest["metadata"]["name"] for manifest in of_kind("ConfigMap")}
    volumes = [volume for pod in pods() for volume in pod["spec"]["volumes"]]
    named = {v["configMap"]["name"] for v in volumes if "configMap" in v}
    named |= {source["configMapRef"]["name"] for c in ours() for source in c["envFrom"]}

    assert named == here
    assert {v["secret"]["secretName"] for v in volumes if "secret" in v} == SECRETS


def test_the_settings_are_settings_and_can_be_used(tmp_path: Path) -> None:
    by_name = {manifest["metadata"]["name"]: manifest["data"] for manifest in of_kind("ConfigMap")}
    told = by_name["coverage-cds"]
    names = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    clients = tmp_path / "clients.yaml"
    clients.write_text(by_name["coverage-cds-files"]["clients.yaml"], encoding="utf-8")

    assert told.keys() <= names
    assert not told.keys() & {f"{PREFIX}DATABASE_URL", f"{PREFIX}RECORD_KEYS"}
    values = {name.removeprefix(PREFIX).lower(): value for name, value in told.items()}
    assert Settings.load(**{**values, "secrets_dir": tmp_path}).base_url == told[f"{PREFIX}BASE_URL"]
    assert len(load_clients(clients)) == 1
    mounts = {mount["name"]: mount["mountPath"] for mount in service_container()["volumeMounts"]}
    assert told[f"{PREFIX}SECRETS_DIR"] == mounts["secrets"]
    assert told[f"{PREFIX}CLIENTS"] == f"{mounts['files']}/clients.yaml"
    assert mounts["data"] == "/data"


@pytest.mark.parametrize("container", ours(), ids=lambda container: " ".join(container["args"]))
def test_our_containers_run_commands_that_there_are(container: Manifest) -> None:
    command: Any = main
    arguments = list(container["args"])
    while hasattr(command, "commands"):
        command = command.commands[arguments.pop(0)]

    assert command.make_context(command.name, arguments).params is not None


def test_the_probes_ask_what_the_service_answers_on_the_port_that_it_serves(tmp_path: Path) -> None:
    routes = {rule.rule for rule in create_app(Settings.load(data_dir=tmp_path), NO_LIBRARY).url_map.iter_rules()}
    container = service_container()
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}

    assert {kind: probe["path"] for kind, probe in probes.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    assert {"/healthz", "/readyz"} <= routes
    assert {probe["port"] for probe in probes.values()} == {"http"}
    assert container["ports"] == [{"name": "http", "containerPort": 8000}]


def test_there_is_time_to_drain() -> None:
    told = {m["metadata"]["name"]: m["data"] for m in of_kind("ConfigMap")}["coverage-cds"]
    drain = float(told[f"{PREFIX}DRAIN_DELAY"])
    readiness = service_container()["readinessProbe"]

    assert drain >= readiness["periodSeconds"]
    assert service_pod()["spec"]["terminationGracePeriodSeconds"] >= drain + GRACE + 10


def test_the_journal_is_on_a_volume_of_the_pods_own_that_outlives_it() -> None:
    (found,) = of_kind("StatefulSet")
    (claim,) = found["spec"]["volumeClaimTemplates"]

    assert (claim["metadata"]["name"], claim["spec"]["accessModes"]) == ("data", ["ReadWriteOnce"])
    assert found["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert found["spec"]["serviceName"] in {s["metadata"]["name"] for s in of_kind("Service")}


def test_selectors_find_the_pods_of_the_service_and_no_others() -> None:
    labels = [pod["metadata"]["labels"] for pod in pods()]
    (statefulset,) = of_kind("StatefulSet")
    (budget,) = of_kind("PodDisruptionBudget")
    spread = [c["labelSelector"] for c in service_pod()["spec"]["topologySpreadConstraints"]]
    selectors = [statefulset["spec"]["selector"], budget["spec"]["selector"], *spread]
    selected = [s["matchLabels"] for s in selectors] + [s["spec"]["selector"] for s in of_kind("Service")]

    for selector in selected:
        assert [pod for pod in labels if selector.items() <= pod.items()] == [service_pod()["metadata"]["labels"]]
    (policy,) = of_kind("NetworkPolicy")
    assert all(policy["spec"]["podSelector"]["matchLabels"].items() <= pod.items() for pod in labels)


def test_ports_that_services_and_policies_name_are_open() -> None:
    ports = {p["name"]: p["containerPort"] for c in containers(service_pod()) for p in c.get("ports", [])}
    (policy,) = of_kind("NetworkPolicy")

    assert {port["targetPort"] for s in of_kind("Service") for port in s["spec"]["ports"]} == ports.keys()
    assert {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]} == set(ports.values())


def test_the_autoscaler_scales_the_service_by_its_own_container() -> None:
    (autoscaler,) = of_kind("HorizontalPodAutoscaler")
    (statefulset,) = of_kind("StatefulSet")
    target = autoscaler["spec"]["scaleTargetRef"]

    assert (target["kind"], target["name"]) == ("StatefulSet", statefulset["metadata"]["name"])
    assert autoscaler["spec"]["metrics"][0]["containerResource"]["container"] == service_container()["name"]
    assert autoscaler["spec"]["minReplicas"] >= 2
    assert "replicas" not in statefulset["spec"]


def test_the_proxy_has_the_shipped_configuration() -> None:
    assert PROXY.read_text(encoding="utf-8") == proxy_config_map(), "python -m tests.deploy.files writes it anew"


def test_the_proxy_finds_the_service_certificates_and_port_where_the_pod_has_them() -> None:
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    pod = service_pod()["spec"]
    (proxy,) = pod["initContainers"]
    upstream = re.search(r"server ([\w-]+):(\d+);", text)

    assert upstream
    assert pod["hostAliases"] == [{"ip": "127.0.0.1", "hostnames": [upstream[1]]}]
    assert int(upstream[2]) == service_container()["ports"][0]["containerPort"]
    assert f"listen {proxy['ports'][0]['containerPort']} ssl;" in text
    assert {m["mountPath"] for m in proxy["volumeMounts"]} == {"/etc/nginx/nginx.conf", "/etc/nginx/tls", "/tmp"}  # noqa: S108
    assert proxy["restartPolicy"] == "Always"
