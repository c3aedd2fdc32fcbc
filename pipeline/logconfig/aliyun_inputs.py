"""Where the lines of an AliyunLogConfig or a pipeline come from. Light: the collector looks for the
files, too.

Both describe the same agent: an input (standard output of containers, or files), a filter of
containers, and a chain of processors.
Sources: Alibaba Cloud SLS, "AliyunLogConfig" and "AliyunPipelineConfig parameters"; iLogtail docs
(service_docker_stdout, input_container_stdio, input_file), alibaba/ilogtail docs/cn/plugins.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.logconfig.aliyun_filter import refuse, selectors
from pipeline.logconfig.complaints import BadSettings, Path
from pipeline.logconfig.paths import DEEPEST, MOST_FILES, checked_path

LOG_CONFIG, PIPELINE = "AliyunLogConfig", "ClusterAliyunPipelineConfig"
KINDS = (LOG_CONFIG, PIPELINE, "AliyunPipelineConfig")
_STDOUT = ("service_docker_stdout", "input_container_stdio", "service_container_stdout")
_FILES = ("input_file", "file_log")
_BY_ENVIRONMENT = (
    "dockerIncludeEnv", "dockerExcludeEnv", "dockerIncludeLabel", "dockerExcludeLabel",
)  # fmt: skip
_OF_NODE = "files of the node itself: name them in the collector's `host_files`"
_ANY_DEPTH = "/**/"
Object = Mapping[str, Any]


class Input(NamedTuple):
    """`files` (): standard output. One of the selectors must hold, as a ClusterLogConfig's does."""

    options: Object
    files: tuple[str, ...]
    selectors: list[dict[str, Any]]


def input_of(document: Object) -> Input:
    """Raises BadSettings for what cannot be followed at all."""
    spec = part(document, "spec")
    if document.get("kind") != LOG_CONFIG:
        inputs = [(str(i.get("Type")), i) for i in each(part(spec, "config"), "inputs")]
        return _input(inputs)
    logtail = part(spec, "logtailConfig")
    detail = part(logtail, "inputDetail")
    if logtail.get("inputType") == "file":
        return _logtail_files(detail)
    plugin = part(detail, "plugin")
    return _input([(str(i.get("type")), part(i, "detail")) for i in each(plugin, "inputs")])


def _input(inputs: list[tuple[str, Object]]) -> Input:
    if len(inputs) != 1:
        raise BadSettings([(("inputs",), f"expected one input, found {len(inputs)}")])
    kind, options = inputs[0]
    chosen = selectors({**options, **part(options, "ContainerFilters")})
    if kind in _STDOUT:
        return Input(options, (), chosen)
    where = ("inputs", 0)
    if kind not in _FILES:
        raise BadSettings([(where, f"input {kind!r} has no counterpart")])
    if options.get("EnableContainerDiscovery") is not True:
        raise BadSettings([(where, _OF_NODE)])
    paths = options.get("FilePaths")
    if not isinstance(paths, list) or not 0 < len(paths) <= MOST_FILES:
        text = f"expected a list of at most {MOST_FILES} paths"
        raise BadSettings([((*where, "FilePaths"), text)])
    deep = _down([str(path) for path in paths], options.get("MaxDirSearchDepth"))
    return Input(options, tuple(_checked(path, (*where, "FilePaths")) for path in deep), chosen)


def _logtail_files(detail: Object) -> Input:
    where = ("spec", "logtailConfig", "inputDetail")
    if detail.get("dockerFile") is not True:
        raise BadSettings([((*where, "dockerFile"), _OF_NODE)])
    refuse(detail, _BY_ENVIRONMENT, where)
    path = (
        f"{str(detail.get('logPath', '')).rstrip('/')}{_ANY_DEPTH}{detail.get('filePattern', '')}"
    )
    paths = _down([path], detail.get("maxDepth"))
    chosen = selectors(part(part(detail, "advanced"), "k8s"))
    return Input(detail, tuple(_checked(path, (*where, "logPath")) for path in paths), chosen)


def _down(paths: list[str], depth: object) -> list[str]:
    """Their ** leads `depth` directories down, none unless it is said; ours leads to DEEPEST. So
    each depth becomes a path of its own, if there may be so many: else more is read than is
    wished, never less, but for what lies deeper than that."""
    down = depth if isinstance(depth, int) else 0
    if down >= DEEPEST:
        return paths
    steps = ["/" + "*/" * n for n in range(max(down, 0) + 1)]
    exact = [path.replace(_ANY_DEPTH, step) for path in paths for step in steps]
    exact = list(dict.fromkeys(exact))
    return exact if len(exact) <= MOST_FILES else paths


def _checked(path: str, where: Path) -> str:
    try:
        return checked_path(path)
    except ValueError as error:
        raise BadSettings([(where, f"{path!r}: {error}")]) from None


def part(source: Object, name: str) -> Object:
    value = source.get(name)
    return value if isinstance(value, Mapping) else {}


def each(source: Object, name: str) -> list[Object]:
    value = source.get(name)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
