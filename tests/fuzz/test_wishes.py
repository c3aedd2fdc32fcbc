"""What people and other agents write about logs: it is understood, or it is named as a problem;
it never stops the processor, the watcher or `convert`."""

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from collectors.volumes.targets import searches
from collectors.volumes.wish import file_wish
from pipeline.base.errors import UsageError
from pipeline.contract.configs import ConfigVersion
from pipeline.contract.record import PodVersion
from pipeline.logconfig.convert import convert
from pipeline.logconfig.documents import documents
from pipeline.logconfig.manifest import pod_in
from pipeline.logconfig.objects import is_config, read_object
from pipeline.logconfig.precedence import resolve
from pipeline.logconfig.wishes import object_wishes, pod_wishes, wished_files
from tests.fuzz.hostile import CLASSICS, bent, examples, mistyped, only

SPEC = {
    "selector": {"matchLabels": {"a": "b"}, "containers": ["c*"],
                 "matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]},
    "exclude": "stdout", "multiline": {"start": "^x"}, "sample": {"rate": 0.5},
    "parse": {"format": "regex", "pattern": "(?P<x>.*)"}, "limit": {"bytesPerSecond": 5},
    "redact": {"presets": ["email"], "patterns": [{"name": "n", "pattern": "x"}]},
    "attributes": {"team": "a"},
}  # fmt: skip
STDOUT = {
    "IncludeLabel": {"a": "^b$"}, "ExcludeLabel": {"c": "d"}, "IncludeEnv": {"E": "f"},
    "K8sNamespaceRegex": "^(a|b)$", "K8sPodRegex": "^web.*$", "K8sContainerRegex": "c",
    "IncludeK8sLabel": {"app": "^web$"}, "ExcludeK8sLabel": {"x": ""}, "ExternalK8sLabelTag": {},
    "Stdout": True, "Stderr": False, "BeginLineRegex": "^\\d", "BeginLineTimeoutMs": 1,
}  # fmt: skip
ALIYUN = {
    "kind": "AliyunLogConfig", "metadata": {"name": "old", "namespace": "kube-system", "uid": "u"},
    "spec": {"project": "p", "logstore": "l", "logtailConfig": {"inputType": "plugin",
             "inputDetail": {"plugin": {
                 "inputs": [{"type": "service_docker_stdout", "detail": STDOUT}],
                 "processors": [
                     {"type": "processor_regex", "detail": {"SourceKey": "content", "Regex": "(x)",
                                                            "Keys": ["k"]}},
                     {"type": "processor_json", "detail": {"SourceKey": "content"}},
                     {"type": "processor_filter_regex", "detail": {"Include": {"a": "b"}}},
                     {"type": "processor_desensitize", "detail": {"RegexBegin": "x"}}]}}}},
}  # fmt: skip
PIPELINE = {
    "kind": "ClusterAliyunPipelineConfig", "metadata": {"name": "new"},
    "spec": {"project": {"name": "p"}, "config": {
        "inputs": [{"Type": "input_container_stdio", "IgnoringStderr": True,
                    "Multiline": {"StartPattern": "^x"},
                    "ContainerFilters": {"K8sNamespaceRegex": "^a$",
                                         "IncludeK8sLabel": {"a": "b"}}}],
        "processors": [{"Type": "processor_parse_regex_native", "SourceKey": "content",
                        "Regex": "(x)", "Keys": ["k"]},
                       {"Type": "processor_desensitize_native", "Method": "const"}],
        "flushers": [{"Type": "flusher_sls", "Logstore": "l"}]}},
}  # fmt: skip
OWN = [
    {"apiVersion": "kubeledger.io/v1alpha1", "kind": kind,
     "metadata": {"name": "n", "namespace": "shop", "uid": "u"}, "spec": SPEC}
    for kind in ("LogConfig", "ClusterLogConfig")
]  # fmt: skip
POD = {
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "shop", "labels": {"a": "b"}, "annotations": {
        "kubeledger.io/multiline": "java", "kubeledger.io/rate.c": "10%",
        "fluentbit.io/parser_stdout-c": "nginx", "fluentbit.io/exclude": "on"}},
    "spec": {"containers": [{"name": "c", "image": "i", "env": [
        {"name": "aliyun_logs_web", "value": "stdout"},
        {"name": "aliyun_logs_web_tags", "value": "a=b"},
        {"name": "aliyun_logs_biz", "value": "/logs/*.log"}]}]},
}  # fmt: skip
WORKLOAD = {"kind": "Deployment", "metadata": {"name": "d", "namespace": "shop"},
            "spec": {"template": POD}}  # fmt: skip
LOGTAIL = {
    "kind": "AliyunLogConfig", "metadata": {"name": "files"},
    "spec": {"logstore": "l", "logtailConfig": {"inputType": "file", "inputDetail": {
        "dockerFile": True, "logPath": "/logs", "filePattern": "*.log", "logType": "common_reg_log",
        "regex": "(x)", "key": ["k"], "logBeginRegex": "x.*", "maxDepth": 1,
        "advanced": {"k8s": {"IncludeK8sLabel": {"a": "b"}}}}}},
}  # fmt: skip
FILES = {
    "kind": "ClusterAliyunPipelineConfig", "metadata": {"name": "files"},
    "spec": {"config": {"inputs": [{
        "Type": "input_file", "FilePaths": ["/logs/**/a.log"], "EnableContainerDiscovery": True,
        "MaxDirSearchDepth": 0, "ContainerFilters": {"K8sNamespaceRegex": "^a$"}}]}},
}  # fmt: skip
OBJECTS = [ALIYUN, PIPELINE, LOGTAIL, FILES, *OWN, POD, WORKLOAD]


def understood(document: Any) -> None:
    """All that is done with a document: in the processor, by the watcher, by people's commands."""
    if not isinstance(document, dict):
        return
    found = pod_in(document)
    pods = [pod for pod in (found, pod_in(POD)) if pod]
    objects = [read_object(one) for one in (document, OWN[1]) if is_config(one)]
    for pod in pods:
        for container in pod.images:
            for file in ("", *wished_files(objects, pod, container)):
                wishes = pod_wishes(pod, container, file)
                wishes += object_wishes(objects, pod, container, file)
                resolve(wishes.claims)
        searches([], [pod], kubelet_pods="/pods", host_paths=[])
    with suppress(ValueError, LookupError, TypeError):  # as the feed does
        file_wish(ConfigVersion("u", 1, 0, object=document))
    for made in convert([document, POD]).objects:
        json.dumps(made)


@examples(80)
@given(mistyped(OBJECTS))
def test_objects(document: Any) -> None:
    understood(document)


@pytest.mark.parametrize("kind", ["AliyunLogConfig", "ClusterAliyunPipelineConfig"])
def test_details_of_foreign_objects(kind: str) -> None:
    """Where most of them is: the input's filter and the chain of processors."""
    if kind == "AliyunLogConfig":
        whole: Any = ALIYUN
        plugin = whole["spec"]["logtailConfig"]["inputDetail"]["plugin"]
    else:
        whole, plugin = PIPELINE, PIPELINE["spec"]["config"]  # type: ignore[index]

    @examples(100)
    @given(mistyped([plugin]))
    def run(found: Any) -> None:
        document = copy.deepcopy(whole)
        if kind == "AliyunLogConfig":
            document["spec"]["logtailConfig"]["inputDetail"]["plugin"] = found
        else:
            document["spec"]["config"] = found
        understood(document)

    run()


texts = st.text(max_size=20) | bent([b"regex:(?P<x>.*)", b"start:^x", b"64KiB/s", b"10%"]).map(
    lambda text: text.decode("utf-8", "replace")
)
KEYS = ["kubeledger.io/" + key for key in ("exclude", "multiline", "parser", "rate", "redact")]
KEYS += ["kubeledger.io/rate.c", "fluentbit.io/parser", "fluentbit.io/exclude-c"]
VARIABLES = ["aliyun_logs_x", "aliyun_logs_x_tags", "aliyun_logs_x_format", "aliyun_logs_", "x"]
VARIABLES += ["aliyun_logs_x_project", "aliyun_logs_x_ttl", "aliyun_logs_", "aliyun_log_x"]


@examples(100)
@given(
    st.dictionaries(st.sampled_from(KEYS) | texts, texts, max_size=4),
    st.dictionaries(st.sampled_from(VARIABLES) | texts, texts, max_size=4),
    st.dictionaries(st.sampled_from(["aliyun.logs.x", "aliyun.logs.x.tags"]) | texts, texts,
                    max_size=3),
)  # fmt: skip
def test_words_of_pods(
    annotations: dict[str, str], variables: dict[str, str], labels: dict[str, str]
) -> None:
    pod = PodVersion(
        uid="u", name="web", namespace="shop", node="", version=0, labels=labels,
        annotations=annotations, images={"c": "i"}, env={"c": variables},
    )  # fmt: skip
    resolve(pod_wishes(pod, "c").claims)


@examples(60)
@given(bent([yaml.safe_dump_all(OBJECTS).encode(), json.dumps(ALIYUN).encode()]))
def test_files(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    read(tmp_path_factory.getbasetemp() / "wishes.yaml", text)


SHORT = [text for text in CLASSICS if len(text) < 10_000]  # the reader of YAML takes its time
ANCHORS = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n" % (
        letter + 1, letter + 1, *[letter] * 9
    ) for letter in range(ord("a"), ord("i"))
)  # fmt: skip


@pytest.mark.parametrize(
    "text", [*SHORT, b"? [a]\n: b", b"!!python/object:os.system {}", b"kind: &a [*a]", ANCHORS,
             b"kind: PodList\nitems: 5", b"1: 2", b"kind: 2026-13-45", b"- " * 1000],
    ids=lambda text: repr(text[:12]),
)  # fmt: skip
def test_odd_files(tmp_path: Path, text: bytes) -> None:
    read(tmp_path / "wishes.yaml", text)
    read(tmp_path / "wishes.yaml", b"kind: AliyunLogConfig\nspec: " + text)


def read(path: Path, text: bytes) -> None:
    path.write_bytes(text)

    def all_of_it() -> None:
        for document in documents(path):
            document.line(("spec", "selector", 0))
            understood(document.value)

    only(UsageError, all_of_it)
