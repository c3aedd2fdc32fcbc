"""The node agent with its samples on: 100 pods, /metrics every 5 s, then every second.

Idle containers, so that what the samples cost shows against the same agent without a kubelet. The
kubelet is the tests' HTTPS server with recorded answers, pods multiplied to 100.
"""

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.agent import agent
from tests.bench.buses import EMBEDDED, bus
from tests.bench.report import at_most, emit
from tests.bench.tree import make_tree
from tests.collectors.kubelet.server import KubeletServer, Route, make_certificates
from tests.collectors.node.bodies import body

PODS = 100
WINDOW_S, SETTLE_S = 30.0, 10.0


def run(work: Path) -> None:
    tree = make_tree(work / "tree", containers=PODS, size=1_000_000)
    (work / "tls").mkdir()
    (work / "token").write_text("t")
    certificate, key = make_certificates(work / "tls")
    with KubeletServer(certificate, key, routes=_routes()) as server, bus(EMBEDDED, work) as found:
        kubelet = {
            "url": server.url, "ca_file": str(certificate), "token_file": str(work / "token"),
        }  # fmt: skip
        # The recorded answers stand still: without this they would be suspicious.
        calm = {"pleg_age_s": 1e12, "relist_stall_s": 1e12}
        samples = {"healthz_url": "", "suspicion": calm}
        paces: Mapping[str, Any] = {
            "without": {},
            "5s": {"kubelet": kubelet, "samples": samples},
            "1s": {"kubelet": kubelet, "samples": samples | {"metrics_s": 1, "healthz_s": 1}},
        }
        for name, more in paces.items():
            with agent(tree.root, found.url, work / f"state-{name}", more) as running:
                time.sleep(SETTLE_S)
                before, asked = running.cpu_so_far(), server.asked("/metrics")
                time.sleep(WINDOW_S)
                share = 100 * (running.cpu_so_far() - before) / WINDOW_S
                resident, asked = running.resident_mib(), server.asked("/metrics") - asked
                running.stop()
            emit(f"node.{name}.cpu", [share], "% of a core", target=at_most(5), metrics=asked)
            emit(f"node.{name}.rss", [resident], "MiB", target=at_most(48), metrics=asked)


def _routes() -> dict[str, Route]:
    pods = json.dumps({"kind": "PodList", "items": [_pod(n) for n in range(PODS)]})
    return {
        "/metrics": Route(body=body("metrics")),
        "/metrics/probes": Route(body=_multiplied(body("metrics-probes-1"))),
        "/metrics/resource": Route(body=_multiplied(body("metrics-resource"))),
        "/stats/summary": Route(body=_stats(body("stats-summary"))),
        "/configz": Route(body=body("configz")),
        "/healthz": Route(body=b"[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n"),
        "/pods": Route(body=pods.encode()),
    }


def _multiplied(text: bytes) -> bytes:
    """Every line that names a pod, as often as it takes to have them all."""
    lines = text.split(b"\n")
    pods = {found[1] for line in lines if (found := re.search(rb'pod="([^"]+)"', line))}
    copies = range(-(-PODS // len(pods)))
    return b"\n".join(
        b"\n".join(line.replace(b'pod="', b'pod="copy-%d-' % n) for n in copies)
        if b'pod="' in line
        else line
        for line in lines
    )


def _stats(text: bytes) -> bytes:
    document = json.loads(text)
    document["pods"] = (document["pods"] * PODS)[:PODS]
    return json.dumps(document, indent=1).encode()


def _pod(number: int) -> dict[str, Any]:
    return {
        "metadata": {"name": f"app-{number}", "namespace": "shop", "uid": f"uid-{number}"},
        "spec": {"containers": [{"name": "main", "image": "registry.example/app:1"}]},
    }
