import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.pods.document import DocumentError, pod_versions, pods_in
from pipeline.contract.record import Owner, decode_pod, encode_pod

RECORDING = Path(__file__).parents[2] / "recordings" / "healthy"


def pod(**metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "namespace": "n", "uid": "u", **metadata},
        "spec": {"nodeName": "node-a", "containers": [{"name": "c", "image": "i:1"}]},
    }


def controlled(kind: str, name: str, **labels: str) -> tuple[Owner, ...]:
    reference = {"kind": kind, "name": name, "controller": True}
    (found,) = pod_versions(pod(ownerReferences=[reference], labels=labels), "node-a")
    return found.owners


def test_the_recorded_list_matches_the_recorded_log_tree() -> None:
    text = (RECORDING / "pods.json").read_text("utf-8")
    versions = [version for item in pods_in(text) for version in pod_versions(item, "other")]
    folders = {path.name for path in (RECORDING / "container-logs").iterdir()}
    assert {f"{v.namespace}_{v.name}_{v.uid}" for v in versions} == folders
    assert {v.node for v in versions} == {"node-a"}
    by_name = {v.name: v for v in versions}
    assert by_name["web-db8b6cdd-m8m8q"].workload == "Deployment/web"
    assert by_name["plain"].workload == "Pod/plain"
    assert dict(by_name["odd"].images) == dict.fromkeys(
        ("init", "main", "sidecar"), "localhost/loggen:1"
    )
    assert dict(by_name["odd"].annotations) == {}  # last-applied-configuration is not kept
    for version in versions:
        assert decode_pod(encode_pod(version)) == version
        assert len(encode_pod(version)) < 600


def test_owner_chain() -> None:
    rule = {"pod-template-hash": "6d5f"}
    deployment = (Owner("ReplicaSet", "web-6d5f"), Owner("Deployment", "web", derived=True))
    assert controlled("ReplicaSet", "web-6d5f", **rule) == deployment
    assert controlled("ReplicaSet", "web-6d5f") == (Owner("ReplicaSet", "web-6d5f"),)
    assert controlled("ReplicaSet", "other", **rule) == (Owner("ReplicaSet", "other"),)
    assert controlled("Job", "back-up-29923535") == (
        Owner("Job", "back-up-29923535"),
        Owner("CronJob", "back-up", derived=True),
    )
    assert controlled("Job", "import-20261123") == (Owner("Job", "import-20261123"),)
    assert controlled("Job", "import-7") == (Owner("Job", "import-7"),)
    assert controlled("StatefulSet", "db") == (Owner("StatefulSet", "db"),)
    assert controlled("Node", "node-a") == (Owner("Node", "node-a"),)


def test_an_owner_that_does_not_control_is_none() -> None:
    (found,) = pod_versions(pod(ownerReferences=[{"kind": "ConfigMap", "name": "x"}]), "node-a")
    assert found.owners == ()
    assert found.workload == "Pod/p"


def test_a_static_pod_is_known_by_its_config_hash_too() -> None:
    mirror = pod(annotations={"kubernetes.io/config.hash": "f00", "kubeledger.io/level": "warn"})
    first, second = pod_versions(mirror, "node-a")
    assert (first.uid, second.uid) == ("u", "f00")
    assert first.name == second.name
    assert dict(second.annotations) == {"kubeledger.io/level": "warn"}
    assert len(pod_versions(pod(annotations={"kubernetes.io/config.hash": "u"}), "n")) == 1


def test_of_the_environment_only_what_speaks_of_logs_is_kept() -> None:
    source = pod(annotations={"fluentbit.io/parser": "nginx", "team": "x"})
    source["spec"] = {"containers": [
        {"name": "a", "image": "i", "env": [
            {"name": "aliyun_logs_web", "value": "stdout"}, {"name": "PASSWORD", "value": "s3cret"},
            {"name": "aliyun_logs_key", "valueFrom": {"secretKeyRef": {"name": "k"}}}]},
        {"name": "b", "image": "i"},
    ]}  # fmt: skip
    (found,) = pod_versions(source, "node-a")
    assert found.env == {"a": {"aliyun_logs_web": "stdout"}}
    assert dict(found.annotations) == {"fluentbit.io/parser": "nginx"}
    assert decode_pod(encode_pod(found)) == found


def test_whatever_people_write_the_record_stays_small() -> None:
    greedy = pod(
        labels={f"l{i:04}": "v" * 5000 for i in range(500)},
        annotations={f"kubeledger.io/{i:04}": "v" * 5000 for i in range(500)},
    )
    (found,) = pod_versions(greedy, "node-a")
    assert len(encode_pod(found)) < 200_000
    assert (found.labels["l0000"], len(found.labels)) == ("v" * 1024, 64)


def names(text: str) -> list[str]:
    return [item["metadata"]["name"] for item in pods_in(text)]


def test_forms_of_documents() -> None:
    single = pod() | {"kind": "Pod"}
    assert names(json.dumps(single)) == ["p"]
    assert names(json.dumps({"kind": "PodList", "items": None})) == []
    assert names(json.dumps({"items": [], "kind": "PodList"}, indent=3)) == []
    others = {"kind": "List", "items": [{"kind": "Service"}, single, pod()], "metadata": {}}
    assert names(" \n" + json.dumps(others, indent=2) + "\n") == ["p", "p"]
    assert names(json.dumps({"metadata": {"items": [1]}, "items": [pod()]})) == ["p"]


NOT_PODS = ["", "[]", "nonsense", "{", "{}", '{"a":1} x', '{"a" 1}', "[" * 100_000]
NOT_PODS += ['{"items":[', '{"items":[{}', '{"items":[{}]', '{"items":[{},]}', '{"a":1,}']
NOT_PODS += ['{"kind":"Deployment","spec":{}}']


@pytest.mark.parametrize("text", NOT_PODS, ids=range(len(NOT_PODS)))
def test_anything_else_is_one_clear_error(text: str) -> None:
    with pytest.raises(DocumentError):
        list(pods_in(text))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(head=st.dictionaries(st.text(max_size=6), JSON, max_size=4), items=st.lists(JSON))
def test_taking_a_list_apart_gives_what_the_parser_gives(head: Any, items: Any) -> None:
    document = {**head, "items": items}
    whole = json.loads(json.dumps(document))
    if whole.get("kind") == "Pod":
        return
    expected = [i for i in whole["items"] if isinstance(i, dict) and i.get("kind", "Pod") == "Pod"]
    for indent in (None, 2):
        assert list(pods_in(json.dumps(document, indent=indent))) == expected


BROKEN = [{}, {"metadata": []}, {"metadata": {"name": "p"}}, pod(labels=[1]), pod(annotations="x")]
BROKEN += [pod(ownerReferences=[3]), pod() | {"spec": {"containers": [{}]}}]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
def test_what_is_not_a_pod_is_one_clear_error(broken: dict[str, Any]) -> None:
    with pytest.raises(DocumentError, match="not a pod"):
        pod_versions(broken, "node-a")
