"""Files in volumes that other notations name: what is read, what counts for their lines, what it
is as a LogConfig. One case a row."""

from typing import Any

import pytest
import yaml

from pipeline.console.logconfig_text import explained
from pipeline.logconfig.convert import convert
from pipeline.logconfig.manifest import pod_in
from pipeline.logconfig.objects import is_config, read_object

POD = """
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}, annotations: {%s}}
spec:
  volumes: [{name: logs, emptyDir: {}}]
  containers:
  - {name: web, image: x, env: [%s], volumeMounts: [{name: logs, mountPath: /var/log/app}]}
"""
PATH = "{name: aliyun_logs_biz, value: /var/log/app/*.log}"
LOG = "/var/log/app/*.log"


def logtail(detail: str) -> Any:
    """An AliyunLogConfig of files."""
    return yaml.safe_load(f"""
        kind: AliyunLogConfig
        metadata: {{name: old, namespace: kube-system}}
        spec: {{logstore: biz, logtailConfig: {{inputType: file, inputDetail: {{{detail}}}}}}}
    """)


def pipeline(options: str) -> Any:
    return yaml.safe_load(f"""
        kind: ClusterAliyunPipelineConfig
        metadata: {{name: new}}
        spec: {{config: {{inputs: [{{Type: input_file, {options}}}],
                flushers: [{{Type: flusher_sls, Logstore: biz}}]}}}}
    """)


# annotations, variables, objects -> path: settings of its lines; and words in what is said of them
CASES: dict[str, tuple[str, str, list[Any], dict[str, dict[str, str]], list[str]]] = {
    "variable": ("", PATH, [], {LOG: {"attributes": "logstore=biz"}}, []),
    "variable and more": (
        "",
        f"{PATH}, {{name: aliyun_logs_biz_tags, value: 'team=支付'}}, "
        "{name: aliyun_logs_biz_project, value: p}, {name: aliyun_logs_biz_format, value: json}",
        [],
        {LOG: {"attributes": "logstore=biz, project=p, team=支付", "parse": "json"}}, [],
    ),
    "the other stream is not theirs": (
        "", f"{PATH}, {{name: aliyun_logs_out, value: stdout}}", [],
        {LOG: {"attributes": "logstore=biz"}}, [],
    ),
    "two of them": (
        "", f"{PATH}, {{name: aliyun_logs_one, value: /var/log/app/one.log}}", [],
        {LOG: {"attributes": "logstore=biz"},
         "/var/log/app/one.log": {"attributes": "logstore=biz"}}, [],
    ),
    "log-pilot": (
        "aliyun.logs.biz: '/var/log/app/*.log', aliyun.logs.biz.format: nginx", "", [],
        {LOG: {"attributes": "logstore=biz", "parse": "nginx"}}, [],
    ),
    "annotations are for them, too": (
        "kubeledger.io/parser: klog", f"{PATH}, {{name: aliyun_logs_biz_format, value: json}}", [],
        {LOG: {"attributes": "logstore=biz", "parse": "klog"}}, [],
    ),
    "no volume": (
        "", "{name: aliyun_logs_biz, value: /opt/x.log}", [],
        {"/opt/x.log": {"attributes": "logstore=biz"}}, ["is in no emptyDir or hostPath"],
    ),
    "AliyunLogConfig": (
        "", "", [logtail("dockerFile: true, logPath: /var/log/app/, filePattern: '*.log', "
                         "logType: common_reg_log, regex: '(\\d+) (.*)', key: [code, text], "
                         "logBeginRegex: '\\d.*', advanced: {k8s: {IncludeK8sLabel: {app: web}}}")],
        {LOG: {"attributes": "logstore=biz", "multiline": r"a record begins at \d.*",
               "parse": r"regex (?P<code>\d+) (?P<text>.*)"}}, [],
    ),
    "AliyunLogConfig that takes lines as they are": (
        "", "", [logtail("dockerFile: true, logPath: /var/log/app, filePattern: '*.log', "
                         "logType: common_reg_log, key: [content], logBeginRegex: '.*'")],
        {LOG: {"attributes": "logstore=biz"}}, [],
    ),
    "AliyunLogConfig with another format, and deep": (
        "", "", [logtail("dockerFile: true, logPath: /var/log/app, filePattern: '*.log', "
                         "logType: delimiter_log, maxDepth: 100")],
        {"/var/log/app/**/*.log": {"attributes": "logstore=biz"}},
        ["'delimiter_log': no counterpart", "10 deep, not 100"],
    ),
    "AliyunLogConfig, one directory down": (
        "", "", [logtail("dockerFile: true, logPath: /var/log/app, filePattern: '*.log', "
                         "maxDepth: 1")],
        {LOG: {"attributes": "logstore=biz"},
         "/var/log/app/*/*.log": {"attributes": "logstore=biz"}}, [],
    ),
    "AliyunLogConfig that filters and hides": (
        "", "", [logtail("dockerFile: true, logPath: /var/log/app, filePattern: '*.log', "
                         "filterKey: [content, ip], filterRegex: [^A, ^10], sensitive_keys: "
                         "[{key: content, type: const, const: '***', regex_begin: 'pw=', "
                         "regex_content: '[^,]+', all: true}, {key: ip, type: md5}]")],
        {LOG: {"attributes": "logstore=biz", "include_lines": "^A", "redact": "secret-1"}},
        ["filterKey on 'ip': only whole lines", "sensitive_keys on 'ip': only whole lines"],
    ),
    "AliyunLogConfig of others": (
        "", "", [logtail("dockerFile: true, logPath: /var/log/app, filePattern: '*.log', "
                         "advanced: {k8s: {K8sNamespaceRegex: ^bank$}}")], {}, [],
    ),
    "pipeline": (
        "", "", [pipeline("EnableContainerDiscovery: true, FilePaths: [/var/log/app/**/a.log], "
                          "ContainerFilters: {K8sContainerRegex: ^web$}")],
        {"/var/log/app/a.log": {"attributes": "logstore=biz"}}, [],
    ),
    "pipeline, three directories down at most": (
        "", "", [pipeline("EnableContainerDiscovery: true, MaxDirSearchDepth: 3, "
                          "FilePaths: [/var/log/app/**/a.log]")],
        {f"/var/log/app/{below}a.log": {"attributes": "logstore=biz"}
         for below in ("", "*/", "*/*/", "*/*/*/")}, [],
    ),
    "pipeline, more depths than a LogConfig has paths": (
        "", "", [pipeline("EnableContainerDiscovery: true, MaxDirSearchDepth: 9, "
                          "FilePaths: [/var/log/**/a.log, /var/log/**/b.log]")],
        {f"/var/log/**/{name}.log": {"attributes": "logstore=biz"} for name in "ab"}, [],
    ),
    "wild directories": (
        "", "{name: aliyun_logs_biz, value: '/var/**/x.log'}, "
            "{name: aliyun_logs_one, value: /var/log/*/y.log}", [],
        {"/var/**/x.log": {"attributes": "logstore=biz"},
         "/var/log/*/y.log": {"attributes": "logstore=one"}}, [],
    ),
    "pipeline, either of two labels": (
        "", "", [pipeline("EnableContainerDiscovery: true, FilePaths: [/var/log/app/a.log], "
                          "ContainerFilters: {IncludeK8sLabel: {app: web, tier: front}}")],
        {"/var/log/app/a.log": {"attributes": "logstore=biz"}}, [],
    ),
}  # fmt: skip
# what is not followed is said of the container
BAD: dict[str, tuple[str, list[Any], str]] = {
    "relative": ("{name: aliyun_logs_x, value: var/log}", [], "neither stdout nor a path"),
    "upwards": ("{name: aliyun_logs_x, value: /var/../etc/x}", [], "no . and no .."),
    "directories and no name": ("{name: aliyun_logs_x, value: '/var/**'}", [], "a name behind"),
    "brackets": ("{name: aliyun_logs_x, value: '/var/[ab].log'}", [], "[ and ]"),
    "of the node": ("", [logtail("logPath: /var/log, filePattern: messages")], "`host_files`"),
    "by variable": (
        "", [logtail("dockerFile: true, dockerIncludeEnv: {a: b}, logPath: /v, filePattern: x")],
        "filters by environment",
    ),
    "no paths": ("", [pipeline("EnableContainerDiscovery: true")], "a list of at most 16 paths"),
    "a pipeline of the node": ("", [pipeline("FilePaths: [/var/log/x]")], "`host_files`"),
}  # fmt: skip


def _explained(annotations: str, variables: str, objects: list[Any]) -> list[Any]:
    pod = pod_in(yaml.safe_load(POD % (annotations, variables)))
    assert pod is not None
    return [one.document() for one in explained(pod, [read_object(one) for one in objects])]


@pytest.mark.parametrize(
    ("annotations", "variables", "objects", "expected", "words"), CASES.values(), ids=CASES.keys()
)
def test_what_counts_for_files(annotations, variables, objects, expected, words) -> None:
    whole, *files = _explained(annotations, variables, objects)
    found = {
        one["file"]: {name: wish["value"] for name, wish in one["settings"].items()}
        for one in files
    }
    assert found == expected
    told = [text for one in files for text in (*one["problems"], *one["notes"])]
    assert len(told) == len(words), told
    for word in words:
        assert any(word in text for text in told), told
    assert not whole["problems"]
    assert "biz" not in str(whole["settings"].get("attributes"))


@pytest.mark.parametrize(("variables", "objects", "word"), BAD.values(), ids=BAD.keys())
def test_what_is_not_followed(variables: str, objects: list[Any], word: str) -> None:
    whole, *files = _explained("", variables, objects)
    assert not files
    assert any(word in text for text in [*whole["problems"], *whole["notes"]]), whole


@pytest.mark.parametrize("case", CASES)
def test_as_a_log_config_it_says_the_same(case: str) -> None:
    """Of the files. What a pod says itself outranks a LogConfig, so it is taken away here."""
    annotations, variables, objects, expected, _ = CASES[case]
    pod = yaml.safe_load(POD % (annotations, variables))
    made = convert([*objects, pod])
    assert all(is_config(one) for one in made.objects)
    assert not made.problems
    found = {
        one["file"]: {name: wish["value"] for name, wish in one["settings"].items()}
        for one in _explained("", "", made.objects)[1:]
    }
    expected = {path: dict(wishes) for path, wishes in expected.items()}
    assert {path: _sorted(one) for path, one in found.items()} == {
        path: _sorted(one) for path, one in expected.items()
    }


def _sorted(settings: dict[str, str]) -> dict[str, str]:
    return settings | {"attributes": ", ".join(sorted(settings["attributes"].split(", ")))}
