"""The chart through the real Helm: it renders for many sets of values, every object is valid, every
configuration in it is one that its service accepts, and nobody has more rights than stated."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from kubeledger import cli
from tests.deploy import chart
from tests.deploy.chart import PROFILES, Object, objects, profile

pytestmark = pytest.mark.real

KAFKA = "existingKafka.servers={kafka-0:9093,kafka-1:9093}"
HOST = "existingClickHouse.host=clickhouse"
PLAIN = ("--set", KAFKA, "--set", HOST, "--set", "existingKafka.security=plaintext",
         "--set", "existingClickHouse.secure=false")  # fmt: skip
SETS: dict[str, tuple[str, ...]] = {
    **{name: profile(name) for name in PROFILES},
    "plaintext": PLAIN,
    "mtls": (*PLAIN, "--set", "existingKafka.security=tls", "--set",
             "existingKafka.clientCertSecret=kafka-client", "--set",
             "existingKafka.caSecret.name=kafka-ca"),
    "openshift-crio": (*PLAIN, "--set", "collector.seLinuxOptions.type=spc_t", "--set",
                       "collector.paths.criSocket=/run/crio/crio.sock"),
    "volume-files": (*PLAIN, "--set", "collector.volumeFiles.enabled=true", "--set",
                     "collector.volumeFiles.hostPaths={/data/logs,/var/log/apps}"),
    "docker": (*PLAIN, "--set", "collector.paths.links={/var/lib/docker/containers}", "--set",
               "collector.criSocket.enabled=false"),
    "bottlerocket": (*PLAIN, "--set", "collector.paths.state=/local/kubeledger", "--set",
                     "collector.dbus.enabled=false"),
    "no-node-sockets": (*PLAIN, "--set", "collector.criSocket.enabled=false", "--set",
                        "collector.dbus.enabled=false", "--set", "collector.journal.enabled=false",
                        "--set", "collector.kubelet.enabled=false"),
    "keda-monitored": (*PLAIN, "--set", "logProcessor.autoscaling.kind=keda", "--set",
                       "serviceMonitor.enabled=true", "--set",
                       "serviceMonitor.labels.release=prometheus"),
    "mesh-certificates": (*PLAIN, "--set", "watcher.certificates[0].namespace=istio-system",
                          "--set", "watcher.certificates[0].name=cacerts"),
    "forward": (*PLAIN, "--set", "collector.forward.enabled=true", "--set",
                "collector.forward.tlsSecret=forward-tls", "--set",
                "collector.forward.sharedKeySecret.name=forward-key", "--set",
                "collector.forward.socket.enabled=true"),
    "forward-socket": (*PLAIN, "--set", "collector.forward.enabled=true", "--set",
                       "collector.forward.hostPort=0", "--set",
                       "collector.forward.socket.enabled=true"),
    "bare": (*PLAIN, "--set", "alerts.enabled=false", "--set", "networkPolicy.enabled=false",
             "--set", "migrate.enabled=false", "--set", "grafana.dashboards.enabled=false",
             "--set", "logProcessor.autoscaling.kind=none"),
    "digest": (*PLAIN, "--set", f"image.digest=sha256:{'a' * 64}", "--set",
               "image.pullSecrets={registry}"),
}  # fmt: skip
FOREIGN = {"ScaledObject", "ServiceMonitor"}  # their schemas are of other projects
# What the collector needs beyond "restricted", each with its reason in deploy/security.md.
COLLECTOR_PATHS = {
    "/var/log", "/var/lib/kubeledger", "/proc", "/run/log/journal", "/etc/machine-id",
    "/run/containerd", "/run/dbus",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _helm() -> None:
    chart.need_helm()


def check(files: list[Path]) -> None:
    """`kubeledger check`, as people call it."""
    result = CliRunner().invoke(cli, ["check", *map(str, files)])
    assert result.exit_code == 0, result.output


def pods(found: list[Object]) -> Iterator[tuple[str, Object]]:
    for each in found:
        if each["kind"] in ("Deployment", "DaemonSet", "StatefulSet", "Job"):
            yield (
                each["metadata"]["labels"]["app.kubernetes.io/component"],
                each["spec"]["template"],
            )


@pytest.mark.parametrize("name", PROFILES)
def test_lint(name: str) -> None:
    chart.run_helm("lint", "--strict", str(chart.CHART), *profile(name))


@pytest.mark.parametrize("name", SETS)
def test_every_object_is_valid(name: str) -> None:
    found = objects(*SETS[name])
    assert len(found) > 12
    for each in found:
        if each["kind"] not in FOREIGN:
            kubernetes_validate.validate(each, "1.34", strict=True)
        assert each["metadata"].get("namespace") or each["kind"].startswith("Cluster")


@pytest.mark.parametrize("name", SETS)
def test_every_configuration_is_accepted(name: str, tmp_path: Path) -> None:
    written = []
    for each in objects(*SETS[name]):
        for key, text in (each.get("data") or {}).items() if each["kind"] == "ConfigMap" else ():
            if key.endswith(".yaml"):
                written.append(tmp_path / key)
                written[-1].write_text(text)
    assert {path.stem for path in written} >= {"collect", "watch"}
    check(written)


@pytest.mark.parametrize("name", SETS)
def test_everything_but_the_collector_is_restricted(name: str) -> None:
    for component, pod in pods(objects(*SETS[name])):
        spec = pod["spec"]
        own, (container,) = spec["securityContext"], spec["containers"]
        inner = container["securityContext"]
        assert inner["allowPrivilegeEscalation"] is False
        assert inner["readOnlyRootFilesystem"] is True
        assert inner["capabilities"]["drop"] == ["ALL"]
        assert own["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not spec.get("hostNetwork")
        assert not spec.get("hostPID")
        if component == "collect":
            assert inner["capabilities"]["add"] == ["DAC_READ_SEARCH"]
            continue
        assert own["runAsNonRoot"] is True
        assert "add" not in inner["capabilities"]
        assert all("hostPath" not in volume for volume in spec.get("volumes", ()))
        assert spec["automountServiceAccountToken"] is (component == "watch")


def test_the_collector_sees_what_is_listed_and_writes_its_positions_alone() -> None:
    (pod,) = [pod for name, pod in pods(objects(*SETS["standard"])) if name == "collect"]
    volumes = {v["name"]: v["hostPath"]["path"] for v in pod["spec"]["volumes"] if "hostPath" in v}
    assert set(volumes.values()) == COLLECTOR_PATHS
    mounts = pod["spec"]["containers"][0]["volumeMounts"]
    writable = {
        volumes[m["name"]] for m in mounts if m["name"] in volumes and not m.get("readOnly")
    }
    assert writable == {"/var/lib/kubeledger"}
    assert pod["spec"]["tolerations"] == [{"operator": "Exists"}]


@pytest.mark.parametrize(
    ("socket", "mounted"),
    [
        ("/run/crio/crio.sock", "/run/crio"),
        ("/run/k3s/containerd/containerd.sock", "/run/k3s/containerd"),
        ("/run/cri-dockerd.sock", "/run/cri-dockerd.sock"),
        ("/var/run/dockershim.sock", "/var/run/dockershim.sock"),
    ],
)
def test_a_socket_is_there_again_after_its_listener_was_restarted(
    socket: str, mounted: str
) -> None:
    """By its directory, but for one in /run itself, of which the container has its own."""
    found = objects(*PLAIN, "--set", f"collector.paths.criSocket={socket}")
    (pod,) = [pod for name, pod in pods(found) if name == "collect"]
    (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == "cri"]
    (mount,) = [
        each for each in pod["spec"]["containers"][0]["volumeMounts"] if each["name"] == "cri"
    ]
    assert volume["hostPath"] == {"path": mounted}
    assert (mount["mountPath"], mount["readOnly"]) == (mounted, True)


def test_the_forward_input_is_asked_for_guarded_and_reachable() -> None:
    def collect(name: str) -> tuple[Object, Object, Object]:
        found = objects(*SETS[name])
        (pod,) = [pod for component, pod in pods(found) if component == "collect"]
        named = {each["kind"]: each for each in found
                 if each["metadata"]["name"] == "kubeledger-collect"}  # fmt: skip
        config = yaml.safe_load(named["ConfigMap"]["data"]["collect.yaml"])
        return pod["spec"]["containers"][0], named["NetworkPolicy"]["spec"], config

    for name in ("standard", "forward-socket"):
        container, policy, config = collect(name)
        assert [port["name"] for port in container["ports"]] == ["metrics"]
        assert [rule["ports"] for rule in policy["ingress"]] == [[{"port": "metrics"}]]
        assert "listen" not in config.get("forward", {})
    container, policy, config = collect("forward")
    assert container["ports"][1] == {"name": "forward", "containerPort": 24224, "hostPort": 24224}
    assert policy["ingress"][1] == {
        "from": [{"namespaceSelector": {}}], "ports": [{"port": "forward"}],
    }  # fmt: skip
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    for key in ("cert_file", "key_file", "shared_key_file"):
        assert mounts[str(Path(config["forward"][key]).parent)]["readOnly"]
    assert "readOnly" not in mounts[str(Path(config["forward"]["unix"]).parent)]


@pytest.mark.parametrize("name", SETS)
def test_rights_are_the_table_and_nothing_else(name: str) -> None:
    found = objects(*SETS[name])
    rules: dict[str, list[Any]] = {}
    for each in found:
        if each["kind"] in ("Role", "ClusterRole"):
            rules.setdefault(each["metadata"]["labels"]["app.kubernetes.io/component"], []).extend(
                each["rules"]
            )
    assert set(rules) <= {"collect", "watch"}
    verbs = {verb for rule in rules["watch"] for verb in rule["verbs"]}
    assert verbs == {"list", "watch", "get", "update", "create", "patch"}
    for rule in rules["watch"]:
        if "patch" in rule["verbs"]:
            assert rule["verbs"] == ["patch"]
            assert rule["resources"] == ["clusterlogconfigs/status", "logconfigs/status"]
        elif set(rule["verbs"]) - {"list", "watch"}:
            assert rule["resources"] == ["leases"]
        if "secrets" in rule["resources"]:
            assert rule["resourceNames"] == ["cacerts"]
    for rule in rules.get("collect", ()):
        assert rule["verbs"] == ["get"]
        assert "nodes/proxy" not in rule["resources"]
    text = yaml.safe_dump(rules)
    assert "*" not in text


def test_what_is_generated_is_what_is_committed() -> None:
    for path, text in chart.rules().items():
        assert path.read_text() == text, "run `make manifests`"
    for name in PROFILES:
        assert (chart.PLAIN / f"{name}.yaml").read_text() == chart.plain(name), (
            "run `make manifests`"
        )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--set", "collectr.enabled=true"), "collectr"),
        (("--set", "existingKafka.servers={user:secret@kafka:9092}"), "existingKafka"),
        (("--set", HOST, "--set", "existingKafka.security=tls"), "existingKafka.servers"),
        (("--set", KAFKA, "--set", HOST), "existingKafka.passwordSecret"),
        ((*PLAIN, "--set", "existingKafka.users.collector.username=x"), "collector"),
        (
            ("--set", KAFKA, "--set", HOST, "--set", "existingKafka.users.collect.username=x"),
            "existingKafka.users.watch.passwordSecret.name",
        ),
        ((*PLAIN, "--set", "logProcessor.autoscaling.kind=often"), "autoscaling"),
        ((*PLAIN, "--set", "collector.forward.enabled=true"), "collector.forward.tlsSecret"),
        (
            (
                *PLAIN,
                "--set",
                "collector.forward.enabled=true",
                "--set",
                "collector.forward.tlsSecret=x",
            ),
            "collector.forward.sharedKeySecret.name",
        ),
        (
            (
                *PLAIN,
                "--set",
                "collector.forward.enabled=true",
                "--set",
                "collector.forward.hostPort=0",
            ),
            "collector.forward: give a hostPort",
        ),
        ((*PLAIN, "--set", "collector.volumeFiles.hostPaths={/a,/a}"), "hostPaths"),
        ((*PLAIN, "--set", "podAnnotations.a=1"), "podAnnotations"),
        ((*PLAIN, "--set", "collector.nodeSelector.gpu=true"), "nodeSelector"),
        (
            (*PLAIN, "--set-string", r"podLabels.app\.kubernetes\.io/name=x"),
            "app.kubernetes.io/name",
        ),
        ((*PLAIN, "--set", "logProcessor.replicas=9"), "logProcessor.autoscaling.maxReplicas"),
    ],
)
def test_wrong_values_are_refused_by_name(wrong: tuple[str, ...], said: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        chart.template(*wrong)
    assert said in caught.value.stderr


@pytest.mark.parametrize("name", chart.PROFILES)
def test_a_release_and_a_namespace_may_be_called_by_a_number(name: str) -> None:
    text = chart.run_helm(
        "template", "123", str(chart.CHART), "--namespace", "456",
        "--kube-version", chart.KUBE_VERSION, *chart.profile(name),
    )  # fmt: skip
    for found in filter(None, yaml.safe_load_all(text)):
        meta = found["metadata"]
        assert isinstance(meta.get("namespace", ""), str), meta
        assert meta["labels"]["app.kubernetes.io/instance"] == "123"
        spaces = [one["namespace"] for one in found.get("subjects", ())]
        assert set(spaces) <= {"456"}


def test_nobody_is_not_everybody() -> None:
    nobody = ("networkPolicy.metricsFrom", "networkPolicy.alertsEgress", "collector.forward.from")
    wish = [word for name in nobody for word in ("--set-json", f"{name}=[]")]
    forward = ("enabled=true", "tlsSecret=x", "sharedKeySecret.name=x")
    wish += [word for one in forward for word in ("--set", f"collector.forward.{one}")]
    found = [one for one in chart.objects(*PLAIN, *wish) if one["kind"] == "NetworkPolicy"]
    assert len(found) == 6
    assert not any(one["spec"]["ingress"] for one in found)


def test_a_directory_is_mounted_once() -> None:
    paths = "{/var/lib/docker/containers,/var/lib/kubelet/pods,/var/log,/data}"
    given = ("volumeFiles.enabled=true", f"volumeFiles.hostPaths={paths}",
             "paths.links={/var/lib/docker/containers}")  # fmt: skip
    wish = [word for one in given for word in ("--set", f"collector.{one}")]
    (collect,) = (one for one in chart.objects(*PLAIN, *wish) if one["kind"] == "DaemonSet")
    (container,) = collect["spec"]["template"]["spec"]["containers"]
    mounted = [one["mountPath"] for one in container["volumeMounts"]]
    assert len(mounted) == len(set(mounted))
    assert "/data" in mounted


def test_no_secret_is_given_as_a_value() -> None:
    """A password can only be named."""
    text = (chart.CHART / "values.yaml").read_text()
    assert "password:" not in text
    rendered = chart.template(*SETS["standard"])
    assert "kind: Secret" not in rendered


@pytest.mark.parametrize("name", ["standard", "large"])
def test_each_service_has_its_own_user_and_no_other_ones_password(name: str) -> None:
    """And those users are the ones that deploy/kafka/acls.csv has rights for."""
    found = chart.objects(*profile(name))
    configs = {o["metadata"]["name"].removeprefix("kubeledger-"): o["data"]
               for o in found if o["kind"] == "ConfigMap"}  # fmt: skip
    users = {}
    for component, pod in pods(found):
        secrets = {v["secret"]["secretName"] for v in pod["spec"]["volumes"] if "secret" in v}
        assert {s for s in secrets if s.startswith("kafka-")} == {"kafka-ca", f"kafka-{component}"}
        settings = yaml.safe_load(configs[component][f"{component}.yaml"])
        users[component] = settings["broker"]["username"]
        if "store" in settings:
            own = "migrate" if component == "migrate" else "kubeledger"
            assert secrets >= {f"clickhouse-{own}"}
            assert settings["store"]["user"].endswith(own)
    granted = (chart.ROOT / "deploy" / "kafka" / "acls.csv").read_text().splitlines()[1:]
    assert set(users.values()) == {row.split(",")[0] for row in granted}
    assert users == {component: component for component in users}


def test_the_image_has_the_versions_that_were_tested() -> None:
    def pins(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([a-zA-Z0-9_.-]+)==([^ ;\\\n]+)", path.read_text(), re.MULTILINE))

    tested = pins(chart.ROOT / "requirements.lock")
    shipped = pins(chart.ROOT / "deploy" / "image" / "requirements.lock")
    assert len(shipped) > 30
    assert shipped.items() <= tested.items(), "run `make lock`"
    assert "pytest" not in shipped


def test_compose_configurations_are_accepted() -> None:
    check(sorted((chart.ROOT / "deploy" / "compose" / "config").glob("*.yaml")))


def test_compose_names_files_that_exist_and_ports_of_loopback() -> None:
    folder = chart.ROOT / "deploy" / "compose"
    made = yaml.safe_load((folder / "compose.yaml").read_text())
    for name, service in made["services"].items():
        assert ":latest" not in service["image"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (folder / source).exists(), volume


def test_compose_services_can_write_their_volumes() -> None:
    """A new volume belongs to whom its path belongs to in the image: /data to its user, what is not
    there to root. A uid 0 without DAC_OVERRIDE is stopped by the rights of the first."""
    folder = chart.ROOT / "deploy" / "compose"
    made = yaml.safe_load((folder / "compose.yaml").read_text())
    kept = [
        (service, volume.split(":")[1])
        for service in made["services"].values()
        if service["image"].startswith("kubeledger:")
        for volume in service.get("volumes", ())
        if volume.split(":")[0] in made["volumes"]
    ]
    assert len(kept) == 2
    for service, path in kept:
        assert (path == "/data") == (service.get("user") != "0:0"), service
        config = folder / "config" / Path(service["command"][-1]).name
        assert yaml.safe_load(config.read_text())["state_dir"].startswith(f"{path}/")
