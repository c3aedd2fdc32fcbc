"""AliyunLogConfig and ClusterAliyunPipelineConfig -> settings of a ClusterLogConfig.

What has no counterpart is named; a filter that cannot be said here makes the whole thing unusable,
since it would concern other containers. Where lines come from: aliyun_inputs.py.
"""

from dataclasses import dataclass

from pipeline.logconfig.aliyun_inputs import LOG_CONFIG, Input, Object, each, input_of, part
from pipeline.logconfig.aliyun_steps import Steps
from pipeline.logconfig.reading import read_spec
from pipeline.logconfig.spec import LogConfigSpec


@dataclass(frozen=True, slots=True)
class Converted:
    """Several: the agent's filters may mean `or`, a selector never does."""

    specs: tuple[LogConfigSpec, ...]
    notes: tuple[str, ...]  # what is left out, and why


def converted(document: Object) -> Converted:
    """Raises BadSettings for what cannot be followed at all."""
    spec = part(document, "spec")
    if document.get("kind") == LOG_CONFIG:
        detail = part(part(spec, "logtailConfig"), "inputDetail")
        plugin = part(detail, "plugin")
        steps = [(str(p.get("type")), part(p, "detail")) for p in each(plugin, "processors")]
        names = {"project": spec.get("project"), "logstore": spec.get("logstore")}
    else:
        config = part(spec, "config")
        steps = [(str(p.get("Type")), p) for p in each(config, "processors")]
        stores = [str(f["Logstore"]) for f in each(config, "flushers") if f.get("Logstore")]
        names = {"project": part(spec, "project").get("name"), "logstore": next(iter(stores), None)}
    return _converted(input_of(document), steps, {k: str(v) for k, v in names.items() if v})


def _converted(of: Input, steps: list[tuple[str, Object]], attributes: dict[str, str]) -> Converted:
    done = Steps()
    if of.files:
        done.read_files(of.options)
    else:
        done.read_output(of.options)
    for name, options in steps:
        done.read(name, options)
    values = done.settings(attributes)
    if of.files:
        values["files"] = list(of.files)
    specs = [read_spec({"selector": one, **values}, cluster=True) for one in of.selectors]
    return Converted(tuple(specs), tuple(done.notes))
