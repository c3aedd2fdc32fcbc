"""What is converted can be applied, all of it."""

from typing import Any

import pytest
import yaml

from pipeline.logconfig.convert import Conversion, convert
from pipeline.logconfig.reading import read_spec
from pipeline.logconfig.spec import CLUSTER

WEB = "metadata: {labels: {app: web}, annotations: {kubeledger.io/parser: json}}"
CONTAINERS = "spec: {containers: [{name: web, env: [%s]}]}"


def workload(kind: str, meta: str, variables: str = "") -> Any:
    spec = f"spec: {{template: {{{WEB}, {CONTAINERS % variables}}}}}"
    return yaml.safe_load(f"kind: {kind}\nmetadata: {{{meta}, namespace: shop}}\n{spec}")


def stdout(namespace: str) -> Any:
    plugin = {"inputs": [{"type": "service_docker_stdout", "detail": {}}]}
    detail = {"inputType": "plugin", "inputDetail": {"plugin": plugin}}
    meta = {"name": "app", "namespace": namespace}
    spec = {"logstore": f"log-{namespace}", "logtailConfig": detail}
    return {"kind": "AliyunLogConfig", "metadata": meta, "spec": spec}


def names(done: Conversion) -> list[str]:
    for one in done.objects:
        read_spec(one["spec"], cluster=one["kind"] == CLUSTER)
    return [one["metadata"]["name"] for one in done.objects]


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ([workload("Deployment", "name: web"), workload("StatefulSet", "name: web")],
         ["web", "web-2"]),
        ([stdout("a"), stdout("b"), stdout("c")], ["app", "app-2", "app-3"]),
        ([workload("Job", "generateName: once-")], ["once"]),
    ],
)  # fmt: skip
def test_each_object_has_a_name_of_its_own(documents: list[Any], expected: list[str]) -> None:
    assert names(convert(documents)) == expected


def test_more_attributes_than_a_log_config_has_are_named() -> None:
    variables = ""
    for stream in "ab":
        tags = ",".join(f"{stream}{number}=x" for number in range(10))
        variables += f"{{name: aliyun_logs_{stream}, value: stdout}}, "
        variables += f"{{name: aliyun_logs_{stream}_tags, value: '{tags}'}}, "
    done = convert([workload("Deployment", "name: web", variables)])
    assert names(done) == ["web"]
    (problem,) = done.problems
    assert "16 attributes at most: " in problem.text
