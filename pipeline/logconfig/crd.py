"""The custom resources, from the model: a structural schema as the API server wants it."""

from typing import Any

from pipeline.logconfig.spec import CEL, CLUSTER, GROUP, NAMESPACED, VERSION, LogConfigSpec

_KEPT = (
    "type", "description", "enum", "minimum", "maximum", "minLength", "maxLength", "maxItems",
    "maxProperties", "minItems", "pattern", CEL,
)  # fmt: skip
_STATUS = {
    "type": "object",
    "description": "What became of it; written by the watcher.",
    "properties": {
        "observedGeneration": {"type": "integer"},
        "matchedPods": {"type": "integer"},
        "conditions": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
            "items": {
                "type": "object",
                "required": ["type", "status", "reason", "message", "lastTransitionTime"],
                "properties": {
                    "type": {"type": "string"},
                    "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                    "observedGeneration": {"type": "integer"},
                    "lastTransitionTime": {"type": "string", "format": "date-time"},
                    "reason": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
_COLUMNS = [
    {"name": "Accepted", "type": "string",
     "jsonPath": '.status.conditions[?(@.type=="Accepted")].status'},
    {"name": "Conflicting", "type": "string",
     "jsonPath": '.status.conditions[?(@.type=="Conflicting")].status'},
    {"name": "Pods", "type": "integer", "jsonPath": ".status.matchedPods"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]  # fmt: skip


def custom_resources() -> list[dict[str, Any]]:
    """Both CustomResourceDefinitions."""
    return [_definition(NAMESPACED, "Namespaced"), _definition(CLUSTER, "Cluster")]


def _definition(kind: str, scope: str) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    spec = _structural(LogConfigSpec.model_json_schema(by_alias=True))
    if kind == NAMESPACED:
        del spec["properties"]["selector"]["properties"]["namespaces"], spec["properties"]["quota"]
        del spec[CEL]  # of quotas
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    schema = {
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": _STATUS,
        },
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": _COLUMNS,
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {"group": GROUP, "scope": scope, "names": names, "versions": [version]},
    }


def _structural(schema: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema -> the subset of OpenAPI v3 that CRDs may use: no references, no null."""
    shared = schema.get("$defs", {})

    def plain(node: dict[str, Any]) -> dict[str, Any]:
        outer = {name: node[name] for name in ("description",) if name in node}
        if "$ref" in node:
            return {**plain(shared[node["$ref"].rpartition("/")[2]]), **outer}
        if "anyOf" in node:
            real = [one for one in node["anyOf"] if one.get("type") != "null"]
            return {**plain(real[0]), **outer}
        made = {name: node[name] for name in _KEPT if name in node}
        if "exclusiveMinimum" in node:
            made |= {"minimum": node["exclusiveMinimum"], "exclusiveMinimum": True}
        if "items" in node:
            made["items"] = plain(node["items"])
        if isinstance(node.get("additionalProperties"), dict):
            made["additionalProperties"] = plain(node["additionalProperties"])
        if "properties" in node:
            made["properties"] = {name: plain(one) for name, one in node["properties"].items()}
            if node.get("required"):
                made["required"] = node["required"]
        return made

    return plain(schema)
