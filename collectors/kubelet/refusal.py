"""What a kubelet's 401 or 403 means for whoever runs the agent.

The kubelet asks the API server (SubjectAccessReview) about subresources of `nodes`
(k8s.io/kubernetes pkg/kubelet/server/auth.go, KEP-2862). Its 403 says which, in two forms:

    Forbidden (user=USER, verb=get, resource=nodes, subresource=proxy)              up to 1.31
    Forbidden (user=USER, verb=get, resource=nodes, subresource(s)=[pods proxy])    from 1.32

With several, any one of them is enough, the narrowest first. `proxy` is the widest: it allows
exec into every container of the node.
"""

import re

_FORBIDDEN = re.compile(
    r"user=(?P<user>[^,]*), verb=(?P<verb>\w+), resource=(?P<resource>\w+), "
    r"subresource(?:\(s\))?=\[?(?P<subresources>[\w ]+)"
)
_WIDE = "proxy"
_NARROW = {  # path -> subresource of kubelets with KubeletFineGrainedAuthz, on by default from 1.33
    "/pods": "pods",
    "/runningpods": "pods",
    "/healthz": "healthz",
    "/configz": "configz",
}


def missing_rule(path: str, body: str) -> str:
    """A sentence that names the RBAC rule that a 403 for `path` asks for, and quotes it."""
    said = " ".join(body.split())[:300]
    found = _FORBIDDEN.search(said)
    wanted = found["subresources"].split() if found else []
    whom = f"the user {found['user']}" if found else "the service account"
    verb = found["verb"] if found else "get"
    rules = [f"`nodes/{name}`" for name in wanted if name != _WIDE]
    narrow = _NARROW.get(path.partition("?")[0].rstrip("/"))
    if not rules and narrow:
        rules = [f"`nodes/{narrow}` (kubelets with KubeletFineGrainedAuthz, default since 1.33)"]
    if narrow or _WIDE in wanted:
        rules.append(f"`nodes/{_WIDE}` (older kubelets; it also allows exec)")
    grant = " or ".join(f"`{verb}` on {rule}" for rule in rules) or "the access it names"
    return f"403: grant {whom} {grant}. The kubelet says: {said}"
