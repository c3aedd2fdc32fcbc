"""AliyunLogConfig and ClusterAliyunPipelineConfig -> settings of a ClusterLogConfig.

Both describe the same agent: where lines come from (standard output of containers, or files), a
filter of containers, and a chain of processors. What has no counterpart is named; a filter that
cannot be said here makes the whole thing unusable, since it would concern other containers.
Sources: Alibaba Cloud SLS, "AliyunLogConfig" and "AliyunPipelineConfig parameters"; iLogtail docs
(service_docker_stdout, input_container_stdio, processor_*), alibaba/ilogtail docs/cn/plugins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.logconfig.aliyun_filter import selectors
from pipeline.logconfig.aliyun_steps import Steps
from pipeline.logconfig.reading import BadSettings, read_spec
from pipeline.logconfig.spec import LogConfigSpec

LOG_CONFIG, PIPELINE = "AliyunLogConfig", "ClusterAliyunPipelineConfig"
KINDS = (LOG_CONFIG, PIPELINE, "AliyunPipelineConfig")
_STDOUT = ("service_docker_stdout", "input_container_stdio", "service_container_stdout")
Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Converted:
    """Several: the agent's filters may mean `or`, a selector never does."""

    specs: tuple[LogConfigSpec, ...]
    notes: tuple[str, ...]  # what is left out, and why


def converted(document: Object) -> Converted:
    """Raises BadSettings for what cannot be followed at all."""
    spec = part(document, "spec")
    if document.get("kind") == LOG_CONFIG:
        logtail = part(spec, "logtailConfig")
        detail = part(logtail, "inputDetail")
        if logtail.get("inputType") == "file":
            raise BadSettings([(("spec", "logtailConfig", "inputType"), _FILES)])
        plugin = part(detail, "plugin")
        inputs = [(str(i.get("type")), part(i, "detail")) for i in each(plugin, "inputs")]
        steps = [(str(p.get("type")), part(p, "detail")) for p in each(plugin, "processors")]
        names = {"project": spec.get("project"), "logstore": spec.get("logstore")}
    else:
        config = part(spec, "config")
        inputs = [(str(i.get("Type")), i) for i in each(config, "inputs")]
        steps = [(str(p.get("Type")), p) for p in each(config, "processors")]
        stores = [str(f["Logstore"]) for f in each(config, "flushers") if f.get("Logstore")]
        names = {"project": part(spec, "project").get("name"), "logstore": next(iter(stores), None)}
    return _converted(inputs, steps, {k: str(v) for k, v in names.items() if v})


_FILES = (
    "files inside containers are not read for this; write a LogConfig with `files` for those in"
    " emptyDir and hostPath volumes"
)


def _converted(
    inputs: list[tuple[str, Object]], steps: list[tuple[str, Object]], attributes: dict[str, str]
) -> Converted:
    if len(inputs) != 1:
        raise BadSettings([(("inputs",), f"expected one input, found {len(inputs)}")])
    kind, detail = inputs[0]
    if kind not in _STDOUT:
        text = _FILES if "file" in kind else f"input {kind!r} has no counterpart"
        raise BadSettings([(("inputs", 0), text)])
    done = Steps()
    done.read_input(detail)
    for name, options in steps:
        done.read(name, options)
    values = done.settings(attributes)
    chosen = selectors({**detail, **part(detail, "ContainerFilters")})
    specs = [read_spec({"selector": one, **values}, cluster=True) for one in chosen]
    return Converted(tuple(specs), tuple(done.notes))


def part(source: Object, name: str) -> Object:
    value = source.get(name)
    return value if isinstance(value, Mapping) else {}


def each(source: Object, name: str) -> list[Object]:
    value = source.get(name)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
