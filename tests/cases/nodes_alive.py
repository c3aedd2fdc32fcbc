"""Nodes that say themselves that they are not ready, and those that are slow: catalogue 3.1."""

from pipeline.contract.state import CONFIGZ, METRICS, RESOURCE, STATS, TIMEOUT
from tests.cases.case import Cases
from tests.cases.rig import Rig

case = Cases()

WRITE_STATUS = (
    'E1123 05:51:17.076067 16481 generic.go:455] "PLEG: Write status" err="rpc error: code = '
    'DeadlineExceeded desc = context deadline exceeded" pod="shop/web-0"'
)
SANDBOX_STATUS = (
    'E1123 05:51:17.076000   16481 remote_runtime.go:295] "PodSandboxStatus from runtime service '
    'failed" err="rpc error: code = DeadlineExceeded desc = context deadline exceeded" '
    'podSandboxID="0a1b2c3d4e5f"'
)
UNABLE = (
    'E1123 05:45:07.076067 16481 generic.go:232] "GenericPLEG: Unable to retrieve pods" err="rpc '
    'error: code = DeadlineExceeded desc = context deadline exceeded"'
)
LIST_FAILED = (
    'E1123 05:45:07.076000   16481 remote_runtime.go:277] "ListPodSandbox with filter from runtime '
    'service failed" err="rpc error: code = DeadlineExceeded desc = context deadline exceeded" '
    'filter="nil"'
)
SKIPPING = (
    'E1123 05:48:17.000000 16481 kubelet.go:2412] "Skipping pod synchronization" err="PLEG is not '
    'healthy: pleg was last seen active 3m5.0277s ago; threshold is 3m0s"'
)
OLD_SKIPPING = (
    "I0314 11:10:13.909915 1105457 kubelet.go:1794] skipping pod synchronization - [PLEG is not "
    "healthy: pleg was last seen active 3m5.0277s ago; threshold is 3m0s]"
)
PLEG = "PLEG is not healthy: pleg was last seen active 3m5.0277s ago; threshold is 3m0s"
DOWN = "container runtime is down"
CNI = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
    "message:Network plugin returns error: cni plugin not initialized"
)


def _stale(rig: Rig, start: float, stop: float) -> None:
    """/metrics answers; the last relist ages from `start`."""
    s = start + 5
    while s <= stop:
        rig.metrics(s, age=s - start, relist_count=start, relist_sum=start / 50)
        rig.healthz(s)
        rig.tick(s)
        if s % 20 == 0:
            rig.lease(s)
        s += 5


@case("pleg.umbrella")
def relist_is_stuck_and_nothing_says_on_what(rig: Rig) -> None:
    rig.healthy(0, 60)
    _stale(rig, 60, 260)
    rig.log(245, "kubelet", SKIPPING)
    rig.node(250, "False", PLEG)
    rig.tick(260)


@case("pleg.umbrella")
def relist_is_stuck_on_an_old_kubelet(rig: Rig) -> None:
    rig.healthy(0, 60)
    _stale(rig, 60, 200)
    rig.log(201, "kubelet", OLD_SKIPPING)
    rig.tick(205)


@case("", lookalike_of="pleg.umbrella")
def relist_is_late_for_half_a_minute(rig: Rig) -> None:
    rig.healthy(0, 60)
    _stale(rig, 60, 95)
    rig.healthy(100, 160)


@case("", lookalike_of="pleg.umbrella")
def one_container_makes_metrics_hang(rig: Rig) -> None:
    rig.healthy(0, 60)
    for s in range(65, 200, 5):
        rig.sample(s, METRICS, outcome=TIMEOUT)
        rig.sample(s + 1, STATS, outcome=TIMEOUT)
        rig.alive(s, s)
    rig.patient(80, age=1, took_s=110)
    rig.tick(205)


@case("pleg.runtime-hang")
def runtime_does_not_list_pods(rig: Rig) -> None:
    rig.healthy(0, 60)
    _stale(rig, 60, 180)
    rig.log(181, "kubelet", LIST_FAILED)
    rig.log(181, "kubelet", UNABLE)
    rig.node(190, "False", DOWN)
    rig.tick(195)


@case("pleg.runtime-hang")
def runtime_is_stopped(rig: Rig) -> None:
    rig.healthy(0, 60)
    for s in range(65, 100, 5):
        rig.sample(s, METRICS, outcome=TIMEOUT)
        rig.healthz(s)
        rig.host(s, daemons={"kubelet": {"pid": 1, "state": "S"},
                             "containerd": {"pid": 2, "state": "T"}})  # fmt: skip
        rig.tick(s)


@case("pleg.runtime-hang")
def everything_falls_silent_at_once(rig: Rig) -> None:
    rig.healthy(0, 60)
    for s in range(65, 110, 5):
        rig.sample(s, METRICS, outcome=TIMEOUT)
        rig.sample(s, RESOURCE, outcome=TIMEOUT)
        rig.healthz(s)
        since = rig.fold.scene.now - (s - 61) * 1000
        rig.growth(s, silent={"since_ms": since, "containers": 12}, newest_ms=since)
        rig.tick(s)


@case("pleg.runtime-hang")
def black_box_finds_no_answer(rig: Rig) -> None:
    rig.healthy(0, 60)
    _stale(rig, 60, 130)
    call = {"call": "ListPodSandbox", "target": "", "outcome": TIMEOUT, "ms": 2000}
    rig.probe(131, probe="cri", why="stale", verdict="runtime-wide", calls=[call], stuck=[])


@case("pleg.stuck-pod")
def one_pod_does_not_answer(rig: Rig) -> None:
    rig.healthy(0, 60)
    _stale(rig, 60, 175)
    rig.log(180, "kubelet", SANDBOX_STATUS)
    rig.log(180, "kubelet", WRITE_STATUS)
    rig.metrics(185, relist_sum=123.0)
    rig.tick(190)


@case("pleg.stuck-pod", lookalike_of="pleg.runtime-hang")
def black_box_names_the_pod(rig: Rig) -> None:
    rig.healthy(0, 60)
    _stale(rig, 60, 130)
    call = {"call": "PodSandboxStatus", "target": "0a1b", "outcome": TIMEOUT, "ms": 2000}
    stuck = [{"namespace": "shop", "pod": "web-0", "container": "", "id": "0a1b"}]
    rig.probe(131, probe="cri", why="stale", verdict="one-container", calls=[call], stuck=stuck)


@case("pleg.cni-lock", lookalike_of="pleg.stuck-pod")
def terway_does_not_release_an_address(rig: Rig) -> None:
    rig.healthy(0, 60)
    _stale(rig, 60, 175)
    rig.log(180, "kubelet", WRITE_STATUS)
    rig.log(181, "kubelet", "I1123 05:51:17.076067   16481 plugins.go:405] Calling network plugin "
            'cni to tear down pod "web-0_shop"')  # fmt: skip
    rig.log(182, "terway", "error release ip for pod, maybe cause resource leak: context deadline "
            "exceeded")  # fmt: skip
    rig.tick(185)


@case("pleg.dbus")
def systemd_lost_its_cookie(rig: Rig) -> None:
    rig.healthy(0, 60)
    _stale(rig, 60, 130)
    rig.log(131, "messages", "Nov 23 05:41:11 node-a systemd: Failed to propagate agent release "
            "message: Operation not supported")  # fmt: skip
    rig.tick(135)


@case("pleg.dbus", lookalike_of="pleg.runtime-hang")
def runc_waits_for_systemd(rig: Rig) -> None:
    rig.healthy(0, 60)
    _stale(rig, 60, 130)
    runc = [{"pid": 4711, "age_s": 400, "command": "runc create", "comm": "runc"}]
    rig.host(131, runc=runc, systemd={"outcome": TIMEOUT, "ms": 2000})
    rig.log(182, "kubelet", UNABLE)
    rig.tick(185)


@case("pleg.runtime-hang", lookalike_of="pleg.dbus")
def systemd_answers_and_the_runtime_does_not(rig: Rig) -> None:
    rig.healthy(0, 60)
    _stale(rig, 60, 130)
    rig.host(131, runc=[{"pid": 4711, "age_s": 400, "command": "runc create"}],
             systemd={"outcome": "ok", "ms": 3})  # fmt: skip
    rig.log(182, "kubelet", UNABLE)
    rig.tick(185)


@case("pleg.overload", lookalike_of="pleg.stuck-pod")
def relists_are_slow(rig: Rig) -> None:
    rig.healthy(0, 60)
    for n, s in enumerate(range(65, 260, 10)):
        rig.metrics(s, age=6, relist_count=60 + n, relist_sum=2 + 8.0 * n)
        rig.healthz(s)
        rig.tick(s)
        if s % 20 == 5:
            rig.lease(s)


@case("", lookalike_of="pleg.overload")
def one_relist_was_slow(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.metrics(65, age=6, relist_count=61, relist_sum=9.2)
    rig.healthy(75, 200)


@case("", lookalike_of="pleg.umbrella")
def evented_pleg_relists_rarely(rig: Rig) -> None:
    rig.sample(0, CONFIGZ, {"evented_pleg": True})
    rig.node(0)
    for s in range(0, 280, 5):
        rig.metrics(s, age=0.1, relist_count=10, relist_sum=1)
        rig.healthz(s)
        rig.tick(s)
        if s % 20 == 0:
            rig.lease(s)


@case("node.runtime-down")
def runtime_has_crashed(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.host(65, daemons={"kubelet": {"pid": 1, "state": "S"}})
    rig.log(66, "kubelet", 'E1123 05:45:07.076067 16481 kubelet.go:2885] "Container runtime '
            'sanity check failed" err="rpc error: code = Unavailable desc = connection error: '
            'desc = \\"transport: Error while dialing: dial unix /run/containerd/containerd.sock: '
            'connect: connection refused\\""')  # fmt: skip
    rig.node(95, "False", DOWN)
    rig.tick(105)


@case("node.runtime-down", lookalike_of="pleg.runtime-hang")
def runtime_unit_failed(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.host(65, systemd={"outcome": "ok", "ms": 2},
             units={"containerd.service": {"active": "failed", "sub": "failed"}})  # fmt: skip
    rig.node(95, "False", DOWN)
    rig.tick(105)


@case("", lookalike_of="node.runtime-down")
def runtime_is_upgraded(rig: Rig) -> None:
    """Stopped, exchanged, started: gone for ten seconds."""
    rig.healthy(0, 60)
    for s in (65, 70, 75):
        rig.metrics(s)
        rig.healthz(s)
        rig.host(s, daemons={"kubelet": {"pid": 1, "state": "S"}}, systemd={"outcome": "ok"},
                 units={"containerd.service": {"active": "inactive", "sub": "dead"}})  # fmt: skip
        rig.tick(s)
    rig.healthy(80, 160)


@case("node.not-ready", lookalike_of="node.runtime-down")
def runtime_is_down_says_the_status_and_nothing_else(rig: Rig) -> None:
    rig.healthy(0, 90)
    rig.node(95, "False", DOWN)
    rig.alive(100, 110)


@case("node.cni-not-ready")
def cni_configuration_is_gone(rig: Rig) -> None:
    rig.healthy(0, 400)
    rig.log(405, "containerd", 'time="2026-11-23T05:45:07Z" level=error msg="failed to reload cni '
            'configuration after receiving fs change event(REMOVE \\"/etc/cni/net.d/10.conf\\")" '
            'error="cni config load failed: no network config found in /etc/cni/net.d: cni plugin '
            'not initialized: failed to load cni config"')  # fmt: skip
    rig.node(410, "False", CNI)
    rig.alive(415, 520)


@case("", lookalike_of="node.cni-not-ready")
def a_new_node_waits_for_its_network(rig: Rig) -> None:
    rig.tick(0)
    rig.node(1, "False", CNI)
    rig.ticks(5, 40)
    rig.node(45)
    rig.healthy(50, 120)


@case("node.network-unavailable")
def route_quota_is_exceeded(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.node(65, NetworkUnavailable="True")
    rig.alive(70, 110)


@case("node.disk-pressure")
def disk_is_full(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.event(64, "EvictionThresholdMet", "Attempting to reclaim ephemeral-storage",
              kind="Node", name="node-a")  # fmt: skip
    rig.node(65, DiskPressure="True")
    rig.tick(70)


@case("node.memory-pressure")
def kernel_kills_because_the_node_is_out_of_memory(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.event(64, "SystemOOM", "System OOM encountered, victim process: java, pid: 4711",
              kind="Node", name="node-a")  # fmt: skip
    rig.tick(70)


@case("", lookalike_of="node.memory-pressure")
def a_container_meets_its_own_limit(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.log(61, "kernel", "Memory cgroup out of memory: Killed process 4711 (java) total-vm:1kB, "
            "anon-rss:1kB, file-rss:1kB")  # fmt: skip
    rig.tick(65)


@case("node.pid-pressure")
def no_process_ids_are_left(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.node(65, PIDPressure="True")
    rig.tick(70)


@case("node.kernel")
def tasks_hang_in_the_kernel(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.log(61, "kernel", "INFO: task dockerd:4711 blocked for more than 120 seconds.")
    rig.tick(65)


@case("node.kernel")
def a_network_device_does_not_go(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.log(61, "kernel", "[12345.678901] unregister_netdevice: waiting for eth0 to become free. "
            "Usage count = 1")  # fmt: skip
    rig.tick(65)


@case("node.csi-init")
def csinode_is_missing(rig: Rig) -> None:
    rig.healthy(0, 400)
    rig.node(405, "False", "CSINode is not yet initialized")
    rig.alive(410, 480)


@case("node.shutdown")
def node_shuts_down(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.node(65, "False", "node is shutting down")
    rig.tick(75)


@case("node.rebooted")
def node_came_back_from_a_reboot(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.host(100, boot_id="first")
    rig.node(130, "Unknown")
    rig.host(140, boot_id="second")
    rig.event(141, "Rebooted", "Node node-a has been rebooted, boot id: second",
              kind="Node", name="node-a")  # fmt: skip
    rig.node(142, "False", "container runtime status check may not have completed yet")
    rig.tick(145)


@case("", lookalike_of="node.rebooted")
def kubelet_was_restarted(rig: Rig) -> None:
    rig.healthy(0, 60)
    rig.metrics(65, process_start=65.0)
    rig.event(65, "Starting", "Starting kubelet.", kind="Node", name="node-a")
    rig.healthy(70, 120)


@case("node.slow-join")
def a_new_node_never_becomes_ready(rig: Rig) -> None:
    rig.tick(0)
    rig.node(1, "False", "container runtime status check may not have completed yet")
    rig.log(125, "kubelet", "E1123 05:51:17.076067 16481 kubelet.go:1] Node not becoming ready in "
            "time after startup")  # fmt: skip
    rig.ticks(5, 135)


@case("", lookalike_of="node.slow-join")
def a_new_node_takes_its_time_and_becomes_ready(rig: Rig) -> None:
    """Images, CNI and CSI of a new node take a minute: no fault."""
    rig.tick(0)
    rig.node(1, "False", "container runtime status check may not have completed yet")
    rig.ticks(5, 45)
    rig.node(50, "True", "kubelet is posting ready status")
    rig.ticks(55, 180)
