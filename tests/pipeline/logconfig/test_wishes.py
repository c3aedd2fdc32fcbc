"""Who wins, and what cannot be followed: one case a row."""

import textwrap
from collections import Counter
from typing import Any

import pytest
import yaml

from pipeline.console.logconfig_text import explained
from pipeline.logconfig.manifest import pod_in
from pipeline.logconfig.objects import read_object
from pipeline.stages.redact import Redactor

POD = """
kind: Pod
metadata:
  {name: web-0, namespace: shop, labels: {app: web, tier: front}, annotations: {%s}}
spec: {containers: [{name: web, image: x, env: [%s]}, {name: side, image: y}]}
"""


def log_config(name: str, spec: str, kind: str = "LogConfig", namespace: str = "shop") -> Any:
    head = f"kind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n"
    return yaml.safe_load(head + textwrap.indent(spec, "  "))


def stdout(detail: str, processors: str = "[]") -> Any:
    return yaml.safe_load(
        f"""
        kind: AliyunLogConfig
        metadata: {{name: old, namespace: kube-system}}
        spec:
          logstore: app-log
          project: p1
          logtailConfig:
            inputType: plugin
            inputDetail:
              plugin:
                inputs: [{{type: service_docker_stdout, detail: {{{detail}}}}}]
                processors: {processors}
        """
    )


def pipeline(inputs: str, processors: str = "[]") -> Any:
    return yaml.safe_load(
        f"""
        kind: ClusterAliyunPipelineConfig
        metadata: {{name: new}}
        spec:
          project: {{name: p2}}
          config:
            inputs: [{inputs}]
            processors: {processors}
            flushers: [{{Type: flusher_sls, Logstore: app}}]
        """
    )


A = log_config("a", "parse: {format: json}")
B = log_config("b", "parse: {format: nginx}")
FIRST = log_config("z", "{priority: 5, parse: {format: klog}}")
WHOLE = log_config(
    "c", "{parse: {format: logfmt}, limit: {bytesPerSecond: 10}}", "ClusterLogConfig"
)
MASKED = log_config("m", "redact: {presets: [jwt]}", "ClusterLogConfig")
OTHER = log_config("o", "parse: {format: klog}", namespace="bank")
CHOOSY = log_config("s", "{selector: {matchLabels: {app: api}}, exclude: all}")
BY_TERMS = log_config(
    "t",
    "selector: {matchExpressions: [{key: tier, operator: In, values: [front]}, "
    "{key: old, operator: DoesNotExist}], containers: ['w?b'], pods: [web-*]}\nexclude: stderr",
)
CHINESE = log_config("中文", "redact: {patterns: [{name: 订单, pattern: '订单号\\d+'}]}")

# annotations, variables, objects, settings of container web, words in what is not followed
CASES = {
    "nothing": ("", "", [], {}, []),
    "exclude": ("kubeledger.io/exclude: 'true'", "", [], {"exclude": "all"}, []),
    "exclude for nobody": ("kubeledger.io/exclude: 'false'", "", [CHOOSY], {"exclude": "none"}, []),
    "exclude a stream": ("kubeledger.io/exclude: stderr", "", [], {"exclude": "stderr"}, []),
    "exclude wrongly": ("kubeledger.io/exclude: 'ja'", "", [], {}, ["'ja' is not one of true"]),
    "of a container": (
        "kubeledger.io/parser: json, kubeledger.io/parser.web: klog", "", [],
        {"parse": "klog"}, [],
    ),
    "of another container": ("kubeledger.io/parser.side: klog", "", [], {}, []),
    "rate as a share": (
        "kubeledger.io/rate: 10%", "", [],
        {"sample": "10 % of lines, errors and worse are all stored"}, [],
    ),
    "rate of bytes": (
        "kubeledger.io/rate: 64KiB/s", "", [], {"limit": "65,536 bytes a second"}, [],
    ),
    "rate in words": ("kubeledger.io/rate: slow", "", [], {}, ["neither a share"]),
    "rate above all": ("kubeledger.io/rate: 200%", "", [], {}, ["less than or equal to 1"]),
    "rate of nothing": ("kubeledger.io/rate: 0%", "", [], {}, ["greater than 0"]),
    "own start": (
        "kubeledger.io/multiline: 'start:^\\d{4}-'", "", [],
        {"multiline": r"a record begins at ^\d{4}-"}, [],
    ),
    "trace": (
        "kubeledger.io/multiline: java", "", [], {"multiline": "stack traces of java"}, [],
    ),
    "no such trace": ("kubeledger.io/multiline: cobol", "", [], {}, ["'java', 'python'"]),
    "regex": (
        "kubeledger.io/parser: 'regex:(?P<id>\\d+)'", "", [], {"parse": r"regex (?P<id>\d+)"}, [],
    ),
    "regex without names": ("kubeledger.io/parser: 'regex:a'", "", [], {}, ["names no field"]),
    "regex that RE2 has not": (
        "kubeledger.io/parser: 'regex:(?P<a>x)(?=y)'", "", [], {}, ["not an RE2 pattern"],
    ),
    "presets": (
        "kubeledger.io/redact: 'jwt, cards'", "", [], {"redact": "jwt, cards"}, [],
    ),
    "no such preset": ("kubeledger.io/redact: pasword", "", [], {}, ["'cloud-keys'"]),
    "unknown annotation": (
        "kubeledger.io/exlude: 'true'", "", [], {}, ["did you mean kubeledger.io/exclude?"],
    ),
    "object": ("", "", [A], {"parse": "json"}, []),
    "object of another namespace": ("", "", [OTHER], {}, []),
    "annotation before object": ("kubeledger.io/parser: klog", "", [A], {"parse": "klog"}, []),
    "older name first": ("", "", [B, A], {"parse": "json"}, []),
    "priority before name": ("", "", [A, B, FIRST], {"parse": "klog"}, []),
    "namespace before cluster": (
        "", "", [WHOLE, A], {"parse": "json", "limit": "10 bytes a second"}, [],
    ),
    "smallest limit": (
        "kubeledger.io/rate: 1MB/s", "", [WHOLE],
        {"parse": "logfmt", "limit": "10 bytes a second"}, [],
    ),
    "redaction adds up": (
        "kubeledger.io/redact: email", "", [MASKED], {"redact": "email, jwt"}, [],
    ),
    "selected by labels": ("", "", [CHOOSY], {}, []),
    "selected by terms": ("", "", [BY_TERMS], {"exclude": "stderr"}, []),
    "中文": ("", "", [CHINESE], {"redact": "订单"}, []),
    "variable": (
        "", "{name: aliyun_logs_app, value: stdout}", [], {"attributes": "logstore=app"}, [],
    ),
    "variable and more": (
        "",
        "{name: aliyun_logs_app, value: stdout}, {name: aliyun_logs_app_project, value: p}, "
        "{name: aliyun_logs_app_tags, value: 'team=支付,env=生产'}",
        [], {"attributes": "logstore=app, project=p, team=支付, env=生产"}, [],
    ),
    "variable with a path": (
        "", "{name: aliyun_logs_file, value: /var/log/*.log}", [], {}, [],
    ),
    "variable without a head": (
        "", "{name: aliyun_logs_app_tags, value: a=b}", [], {}, ["app is not set"],
    ),
    "variable that is neither": (
        "", "{name: aliyun_logs_app, value: stderr}", [], {}, ["neither stdout nor a path"],
    ),
    "tags that are none": (
        "",
        "{name: aliyun_logs_a, value: stdout}, {name: aliyun_logs_a_tags, value: 'x,k=v'}",
        [], {"attributes": "logstore=a, k=v"}, ["'x' is not key=value"],
    ),
    "log-pilot": (
        "aliyun.logs.web: stdout, aliyun.logs.web.format: json", "", [],
        {"attributes": "logstore=web", "parse": "json"}, [],
    ),
    "log-pilot's expression": (
        "aliyun.logs.w: stdout, aliyun.logs.w.format: regexp, "
        "aliyun.logs.w.format.pattern: '(?<code>\\d+)'", "", [],
        {"attributes": "logstore=w", "parse": r"regex (?P<code>\d+)"}, [],
    ),
    "variables of the store alone": (
        "", "{name: aliyun_logs_y, value: stdout}, {name: aliyun_logs_y_shard, value: '4'}, "
            "{name: aliyun_logs_y_logstoremode, value: query}", [],
        {"attributes": "logstore=y"}, [],
    ),
    "variable before label": (
        "aliyun.logs.x: stdout", "{name: aliyun_logs_y, value: stdout}", [],
        {"attributes": "logstore=y"}, [],
    ),
    "fluent bit": (
        "fluentbit.io/parser: nginx, fluentbit.io/exclude_stderr: 'true'", "", [],
        {"parse": "nginx", "exclude": "stderr"}, [],
    ),
    "fluent bit of a container": (
        "fluentbit.io/exclude-side: 'true', fluentbit.io/exclude-web: 'true'", "", [],
        {"exclude": "all"}, [],
    ),
    "fluent bit, a container alone": (
        "fluentbit.io/exclude: 'true', fluentbit.io/exclude-web: 'false'", "", [], {}, [],
    ),
    "fluent bit, a stream of a container": (
        "fluentbit.io/exclude: 'true', fluentbit.io/exclude_stderr-web: 'no'", "", [],
        {"exclude": "stdout"}, [],
    ),
    "a label without a value": (
        "", "", [stdout("IncludeK8sLabel: {app: }")],
        {"attributes": "project=p1, logstore=app-log"}, [],
    ),
    "fluent bit's own parser": (
        "fluentbit.io/parser: mine", "", [], {}, ["not known here; use kubeledger.io/parser"],
    ),
    "fluent bit says maybe": ("fluentbit.io/exclude: ja", "", [], {}, ["neither true nor false"]),
    "object before fluent bit": ("fluentbit.io/parser: nginx", "", [A], {"parse": "json"}, []),
    "AliyunLogConfig": (
        "", "", [stdout("IncludeK8sLabel: {app: web}, Stderr: false, BeginLineRegex: '\\[.*'")],
        {"attributes": "project=p1, logstore=app-log", "exclude": "stderr",
         "multiline": r"a record begins at \[.*"}, [],
    ),
    "AliyunLogConfig of others": (
        "", "", [stdout("K8sNamespaceRegex: '^(bank|pay-.*)$'")], {}, [],
    ),
    "AliyunLogConfig by variable": (
        "", "", [stdout("IncludeEnv: {a: b}")], {}, ["environment or container label"],
    ),
    "AliyunLogConfig's steps": (
        "", "", [stdout("K8sContainerRegex: ^web$",
                        "[{type: processor_regex, detail: {Regex: '(\\d+) (.*)', Keys: [n, t]}},"
                        "{type: processor_anchor, detail: {}}]")],
        {"attributes": "project=p1, logstore=app-log", "parse": r"regex (?P<n>\d+) (?P<t>.*)"},
        ["note: processor_anchor: no counterpart"],
    ),
    "pipeline": (
        "", "", [pipeline("{Type: input_container_stdio, ContainerFilters: {K8sPodRegex: '^web-'}, "
                          "Multiline: {StartPattern: 'x'}}",
                          "[{Type: processor_parse_json_native, SourceKey: content}]")],
        {"attributes": "project=p2, logstore=app", "parse": "json",
         "multiline": "a record begins at x"}, [],
    ),
    "pipeline of the node's files": (
        "", "", [pipeline("{Type: input_file, FilePaths: [/x]}")], {}, ["files of the node itself"],
    ),
    "pipeline of something else": (
        "", "", [pipeline("{Type: input_ebpf}")], {}, ["'input_ebpf' has no counterpart"],
    ),
    "object with a typo": (
        "", "", [log_config("t", "parser: {format: json}")], {}, ["did you mean `parse`?"],
    ),
    "object of a wrong type": (
        "", "", [log_config("t", "limit: {bytesPerSecond: viel}")], {}, ["expected a number"],
    ),
    "object that names others": (
        "", "", [log_config("t", "selector: {namespaces: [bank]}")], {}, ["for its own namespace"],
    ),
    "rate beyond every number": (
        f"kubeledger.io/rate: '{'9' * 400}MB/s'", "", [], {}, ["is neither a share like 10%"],
    ),
    "object without sense": ("", "", [log_config("t", "[]")], {}, ["found a list"]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("annotations", "variables", "objects", "expected", "words"), CASES.values(), ids=CASES.keys()
)
def test_what_counts_for_a_container(annotations, variables, objects, expected, words) -> None:
    pod = pod_in(yaml.safe_load(POD % (annotations, variables)))
    assert pod is not None
    found = explained(pod, [read_object(one) for one in objects])[0].document()
    assert {name: one["value"] for name, one in found["settings"].items()} == expected
    told = [*found["problems"], *(f"note: {note.partition(': ')[2]}" for note in found["notes"])]
    assert len(told) == len(words), told
    for word in words:
        assert any(word.removeprefix("note: ") in text for text in told), told


def test_objects_of_one_rank_that_contradict_each_other_are_a_conflict() -> None:
    pod = pod_in(yaml.safe_load(POD % ("", "")))
    assert pod is not None
    found = explained(pod, [read_object(one) for one in (A, B, WHOLE)])[0].document()
    assert found["conflicts"] == ["parse: LogConfig shop/a counts, LogConfig shop/b says otherwise"]
    assert found["settings"]["parse"]["beaten"] == ["LogConfig shop/b", "ClusterLogConfig c"]


def test_what_replaces_a_secret_may_begin_with_a_digit() -> None:
    options = "SourceKey: content, Method: const, RegexBegin: pw=, RegexContent: x+"
    step = f"[{{Type: processor_desensitize, {options}, ReplaceString: '0\\1'}}]"
    (spec,) = read_object(pipeline("{Type: input_container_stdio}", step)).specs
    assert spec.redact is not None
    assert Redactor(spec.redact).apply([b"pw=xxx"], Counter()) == [b"pw=0\\1"]


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 40
