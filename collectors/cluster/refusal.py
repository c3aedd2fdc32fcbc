"""What an answer that is no 200 means, in words that say what to do."""

import json
from collections.abc import Mapping
from typing import Any

from collectors.cluster.ports import Refused
from collectors.cluster.resources import Scope
from collectors.cluster.trim import part
from pipeline.contract import state
from pipeline.contract.documents import read_json

GONE, TOO_MANY = 410, 429
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404


def status_of(source: Mapping[str, Any]) -> Refused:
    """The Status object of an ERROR event in a stream, as if it were an answer
    (k8s.io/apimachinery meta/v1 Status: code, reason, message, details.retryAfterSeconds)."""
    code = source.get("code")
    if not isinstance(code, int):
        code = GONE if source.get("reason") in ("Expired", "Gone") else 500
    retry = part(source, "details").get("retryAfterSeconds")
    pause = float(retry) if isinstance(retry, int) else None
    return Refused(code, json.dumps(dict(source)).encode(), pause)


def message_of(body: bytes) -> str:
    """The server's words: of a Status its message, else what there is."""
    text = body[:4096].decode("utf-8", "replace")
    try:
        status = read_json(text)
    except ValueError:
        status = None
    if isinstance(status, dict) and isinstance(status.get("message"), str):
        text = status["message"]
    return " ".join(text.split())[:300]


def outcome_of(refused: Refused) -> str:
    return state.FORBIDDEN if refused.status in (UNAUTHORIZED, FORBIDDEN) else state.STATUS


def explain(refused: Refused, scope: Scope, verb: str) -> str:
    """`verb` is what was refused, list or watch."""
    said = message_of(refused.body)
    resource = scope.resource
    group = resource.group or "core"
    if refused.status == FORBIDDEN:
        return f"403: {missing_rule(scope, verb)}. The API server says: {said}"
    if refused.status == UNAUTHORIZED:
        return f"401: the API server does not accept the credentials. It says: {said}"
    if refused.status == NOT_FOUND:
        versions = ", ".join(f"{group}/{version}" for version in resource.versions)
        return f"404: not served ({versions}): a CRD that is not installed, or an older server"
    return f"{refused.status}: {said}"


def missing_rule(scope: Scope, verb: str) -> str:
    """The RBAC rule to grant; both verbs, since one without the other is of no use."""
    resource = scope.resource
    kind = "Role" if scope.namespace else "ClusterRole"
    where = f" in namespace {scope.namespace}" if scope.namespace else ""
    names = f', resourceNames: ["{resource.object_name}"]' if resource.object_name else ""
    return (
        f"{verb} is refused; grant by a {kind}{where}: "
        f'apiGroups: ["{resource.group}"], resources: ["{resource.plural or resource.name}"]'
        f'{names}, verbs: ["list", "watch"]'
    )
