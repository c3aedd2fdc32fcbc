"""A 403 becomes the rule that is missing."""

import pytest

from collectors.kubelet.refusal import missing_rule

OLD = "Forbidden (user=system:serviceaccount:k:c, verb=get, resource=nodes, subresource={})"
NEW = "Forbidden (user=x, verb=get, resource=nodes, subresource(s)=[{}])\n"


@pytest.mark.parametrize(
    ("path", "body", "rule"),
    [
        ("/metrics", OLD.format("metrics"), "`get` on `nodes/metrics`"),
        ("/metrics/probes", NEW.format("metrics"), "`get` on `nodes/metrics`"),
        ("/stats/summary", NEW.format("stats"), "`get` on `nodes/stats`"),
        ("/pods", NEW.format("pods proxy"), "`get` on `nodes/pods` or `get` on `nodes/proxy`"),
        (
            "/healthz?verbose",
            NEW.format("healthz proxy"),
            "`get` on `nodes/healthz` or `get` on `nodes/proxy`",
        ),
        (
            "/configz",
            OLD.format("proxy"),
            "`get` on `nodes/configz` (kubelets with KubeletFineGrainedAuthz, default since 1.33) "
            "or `get` on `nodes/proxy`",
        ),
    ],
)
def test_the_missing_rule_is_named_and_the_kubelet_quoted(path: str, body: str, rule: str) -> None:
    text = missing_rule(path, body)
    assert rule in text
    assert body.strip() in text
    assert ("nodes/proxy" in text) is ("proxy" in body)
    user = "system:serviceaccount:k:c" if body.startswith(OLD[:30]) else "x"
    assert f"the user {user} " in text


def test_a_refusal_in_other_words_is_quoted() -> None:
    text = missing_rule("/metrics", "go away")
    assert "the access it names" in text
    assert text.endswith("go away")
