"""What is kept of an object, and what never is."""

import base64
import json
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from collectors.cluster import trim, trim_pods
from collectors.cluster.certificates import secret
from collectors.cluster.k8s_events import event_body
from collectors.cluster.resources import INVENTORY, RESOURCES, SECRETS

CONTAINER = {
    "name": "app",
    "image": "shop:1",
    "command": ["sh", "-c", "login --password hunter2"],
    "args": ["--token=hunter2"],
    "env": [{"name": "PASSWORD", "value": "hunter2"}],
    "envFrom": [{"secretRef": {"name": "hunter2"}}],
    "ports": [{"containerPort": 80}],
    "resources": {"requests": {"cpu": "1"}},
    "readinessProbe": {
        "httpGet": {"path": "/ready", "port": 80, "httpHeaders": [{"value": "hunter2"}]},
        "periodSeconds": 5,
    },
    "livenessProbe": {"exec": {"command": ["check", "hunter2"]}},
    "lifecycle": {"preStop": {"exec": {"command": ["bye", "hunter2"]}}},
}
SPEC = {
    "containers": [CONTAINER],
    "initContainers": [CONTAINER],
    "nodeName": "node-a",
    "tolerations": [{"key": "a"}],
    "affinity": {"nodeAffinity": {"x": 1}, "podAffinity": {}},
    "hostNetwork": False,
    "volumes": [
        {"name": "data", "persistentVolumeClaim": {"claimName": "web"}},
        {"name": "cfg", "configMap": {"name": "web", "items": [{"key": "a", "path": "b"}]}},
        {"name": "tls", "secret": {"secretName": "web-tls"}},
        {"name": "csi", "csi": {"driver": "d", "volumeAttributes": {"password": "hunter2"}}},
        {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "x"}}]}},
    ],
}


def test_a_pod_keeps_what_a_diagnosis_needs_and_no_secret() -> None:
    meta = {
        "name": "web",
        "uid": "u",
        "managedFields": [{"manager": "x"}],
        "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "hunter2",
            "short": "kept",
            "long": "x" * 2000,
        },
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "o",
             "controller": True, "blockOwnerDeletion": True}
        ],
    }  # fmt: skip
    row = next(r for r in RESOURCES if r.name == "pods")
    kept = row.trimmed({"metadata": meta, "spec": SPEC, "status": {"phase": "Running"}})
    assert "hunter2" not in json.dumps(kept)
    assert kept["metadata"]["annotations"] == {"short": "kept"}
    assert kept["metadata"]["ownerReferences"] == [
        {"kind": "ReplicaSet", "name": "r", "uid": "o", "controller": True}
    ]
    spec = kept["spec"]
    assert spec["affinity"] == {"nodeAffinity": True}
    assert spec["hostNetwork"] is False
    assert spec["volumes"][0] == {"name": "data", "persistentVolumeClaim": {"claimName": "web"}}
    assert spec["volumes"][4]["projected"] == {"sources": [{"serviceAccountToken": {}}]}
    [container] = spec["containers"]
    assert container["readinessProbe"] == {
        "periodSeconds": 5, "httpGet": {"port": 80, "path": "/ready"}
    }  # fmt: skip
    assert container["livenessProbe"] == {"exec": {}}
    assert container["lifecycle"] == {"preStop": True}


def test_templates_are_trimmed_as_pods_are_and_writers_of_replicas_kept() -> None:
    fields = [
        {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:replicas": {}, "f:paused": {}}}},
        {"manager": "kube-controller-manager", "subresource": "scale",
         "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "other", "fieldsV1": {"f:status": {"f:replicas": {}}}},
    ]  # fmt: skip
    deployment = {
        "metadata": {"name": "web", "uid": "u", "managedFields": fields},
        "spec": {"replicas": 0, "template": {"spec": SPEC}},
        "status": {"replicas": 3},
    }
    kept = trim_pods.workload(deployment)
    assert "hunter2" not in json.dumps(kept)
    assert kept["spec"]["replicas"] == 0
    assert kept["writers"] == {
        "kubectl": ["spec.replicas"], "kube-controller-manager": ["spec.replicas"]
    }  # fmt: skip
    cronjob = {"metadata": {}, "spec": {"jobTemplate": {"spec": {"template": {"spec": SPEC}}}}}
    assert "hunter2" not in json.dumps(trim_pods.workload(cronjob))


def test_what_a_program_wrote_as_it_ended_is_bounded() -> None:
    ended = {"terminated": {"exitCode": 1, "message": "x" * 9000 + "end"}}
    kept = trim_pods.pod_status({"containerStatuses": [{"name": "a", "lastState": ended}]})
    message = kept["containerStatuses"][0]["lastState"]["terminated"]["message"]
    assert len(message) == trim.MAX_MESSAGE
    assert message.endswith("end")


def test_nodes_without_images_webhooks_and_apis_without_bundles() -> None:
    assert trim.node({"status": {"images": [1], "phase": "x"}})["status"] == {"phase": "x"}
    hook = {"name": "h", "clientConfig": {"caBundle": "AAAA", "service": {"name": "s"}}}
    assert "AAAA" not in json.dumps(trim.webhooks({"webhooks": [hook]}))
    assert "AAAA" not in json.dumps(trim.whole({"spec": {"caBundle": "AAAA", "group": "g"}}))


def test_events_of_the_scheduler_and_of_a_kubelet() -> None:
    scheduler = {
        "metadata": {"uid": "u", "resourceVersion": "7", "creationTimestamp": None},
        "eventTime": "2026-11-23T07:18:32.599188Z",
        "series": {"count": 2, "lastObservedTime": "2026-11-23T07:18:33.831024Z"},
        "reportingController": "default-scheduler",
        "note": "0/2 nodes are available",
        "reason": "FailedScheduling",
        "type": "Warning",
        "deprecatedSource": {},
    }
    body = event_body(scheduler)
    assert (body["first_ms"], body["last_ms"]) == (1795418312599, 1795418313831)
    assert (body["component"], body["count"]) == ("default-scheduler", 2)
    kubelet = {
        "metadata": {"uid": "u", "resourceVersion": "8"},
        "involvedObject": {"kind": "Node", "name": "node-a", "uid": "node-a"},
        "source": {"component": "kubelet", "host": "node-a"},
        "firstTimestamp": "2026-11-23T06:24:53Z",
        "lastTimestamp": "2026-11-23T06:24:54Z",
        "count": 3,
        "eventTime": None,
    }
    body = event_body(kubelet)
    assert body["object"] == {"kind": "Node", "name": "node-a", "uid": "node-a"}
    assert (body["host"], body["count"]) == ("node-a", 3)
    assert body["last_ms"] - body["first_ms"] == 1000


def test_secrets_are_dates_only(certificates: tuple[Path, Path], tmp_path: Path) -> None:
    pem, key = (path.read_bytes() for path in certificates)
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in", certificates[0]],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    data = {
        "tls.crt": pem + pem,
        "tls.key": key,
        "ca-key.pem": pem,
        "password": b"hunter2",
        "broken.pem": b"-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n",
    }
    encoded = {name: base64.b64encode(value).decode() for name, value in data.items()}
    meta = {"name": "web-tls", "namespace": "shop", "uid": "u", "resourceVersion": "5",
            "annotations": {"copy": "hunter2"}, "labels": {"x": "hunter2"}}  # fmt: skip
    kept = SECRETS.trimmed({"metadata": meta, "type": "kubernetes.io/tls", "data": encoded})
    text = json.dumps(kept)
    assert "hunter2" not in text
    assert not any(value in text for value in encoded.values())
    found = {certificate["key"]: certificate for certificate in kept["certificates"]}
    assert found.keys() == {"tls.crt", "tls.crt#2", "broken.pem"}
    assert found["tls.crt"]["subject"] == "kubelet"
    assert found["tls.crt"]["not_before"] < found["tls.crt"]["not_after"]
    if shown:  # older openssl has no -dateopt
        assert shown.strip().replace(" ", "T").endswith(found["tls.crt"]["not_after"])
    assert found["broken.pem"] == {"key": "broken.pem", "unreadable": "not an X.509 certificate"}
    assert kept["metadata"].keys() == {"name", "namespace", "uid", "resourceVersion"}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["metadata", "spec", "status", "template", "containers", "volumes", "name",
                 "endpoints", "webhooks", "data", "series", "source", "ownerReferences",
                 "annotations", "managedFields", "containerStatuses", "lastState", "terminated",
                 "projected", "sources", "claimRef", "affinity", "lifecycle", "csi"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)  # fmt: skip


FIELDS = ["spec", "status", "data", "endpoints", "webhooks", "series", "source", "count"]


@given(st.dictionaries(st.sampled_from(FIELDS), anything), anything)
def test_no_object_is_stumbled_over(fields: dict, meta: object) -> None:
    """Whatever an API serves under these names, it is trimmed or kept, never a crash."""
    found = meta if isinstance(meta, dict) else {}
    for row in (*RESOURCES, SECRETS, INVENTORY):
        row.trimmed({"metadata": {**found, "uid": "u"}, **fields})
    event_body({"metadata": {"uid": "u"}, **fields})
    assert secret({"data": {"a": "x"}}) == {"certificates": []}
