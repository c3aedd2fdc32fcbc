"""The watcher against a toy API server: random changes, faults and changes of leader, in virtual
time. In the end, whatever happened, a reader of the log believes what the server knows.

The toy keeps a dictionary and a history; the watcher is the real one without its sockets; the
reader knows the contract's rules only (tests/collectors/cluster/reader.py).
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from collectors.cluster.ports import Broken, Ended, Instant, Refused
from pipeline.contract.state import TIMEOUT, UNREACHABLE, StateEvent, decode_state, encode_state
from tests.collectors.cluster.fake_store import FakeStore, gone, status
from tests.collectors.cluster.leader import SCOPES, Leader
from tests.collectors.cluster.reader import Reader

PODS, NODES, EVENTS, LEASES = (
    "/api/v1/pods",
    "/api/v1/nodes",
    "/api/v1/events",
    "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
)
DAY_S = 86_400
names = st.sampled_from("abcde")
numbers = st.integers(0, len(SCOPES) - 1)
faults = st.sampled_from(
    [
        None,
        Broken(UNREACHABLE, "connection refused"),
        Broken(TIMEOUT, ""),
        Refused(403, b"forbidden"),
        Refused(401),
        Refused(404, b"404 page not found"),
        Refused(429, b"", 1.0),
        Refused(500, b"etcdserver: leader changed"),
        Refused(504, b"Too large resource version"),
    ]
)


class WatcherModel(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.store = FakeStore()
        self.now = Instant.at(1_795_000_000.0)
        self.leader = Leader(self.store, self.now)
        self.leaders = 1
        self.log: list[StateEvent] = []
        self.late: list[StateEvent] = []  # of leaders that were slow
        self.ghosts = False

    # -- the cluster -------------------------------------------------------------------------

    @rule(name=names, n=st.integers(0, 9))
    def pod(self, name: str, n: int) -> None:
        self.store.put(PODS, name, "shop", spec={"nodeName": f"node-{n}"}, status={})

    @rule(name=names, n=st.integers(0, 9))
    def node(self, name: str, n: int) -> None:
        self.store.put(NODES, name, spec={"podCIDR": str(n)})

    @rule(name=names, n=st.integers(1, 9))
    def event(self, name: str, n: int) -> None:
        self.store.put(EVENTS, name, "shop", reason="Failed", count=n, message=str(n))

    @rule(name=names)
    def lease(self, name: str) -> None:
        renewed = f"2026-11-25T10:00:00.{self.store.version:06}Z"
        self.store.put(LEASES, name, "kube-node-lease", spec={"renewTime": renewed})

    @precondition(lambda self: self.store.objects)
    @rule(pick=st.integers(0, 1000))
    def delete(self, pick: int) -> None:
        there = sorted(self.store.objects)
        self.store.delete(*there[pick % len(there)])

    @rule()
    def compact(self) -> None:
        self.store.compact()

    # -- the leader --------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.01, 0.5, 5.0, 21.0, 400.0]))
    def wait(self, seconds: float) -> None:
        self.now = Instant.at(self.now.mono + seconds)
        self.leader.tick(self.now)

    @rule(seconds=st.integers(1, 4), told=st.booleans())
    def work(self, seconds: int, told: bool) -> None:
        """All goes well for some seconds."""
        self.now = self.leader.calm(self.now, seconds=seconds)
        if told:
            self.acknowledge(len(self.leader.out))

    @rule(number=numbers, fault=faults)
    def ask(self, number: int, fault: Refused | Broken | None) -> None:
        self.leader.open(number, self.now, fault)

    @rule(number=numbers, most=st.integers(1, 900))
    def arrive(self, number: int, most: int) -> None:
        self.leader.pull(number, self.now, most)

    @rule(number=numbers)
    def bookmark(self, number: int) -> None:
        self.leader.bookmark(number)

    @rule(number=numbers, clean=st.booleans())
    def drop(self, number: int, clean: bool) -> None:
        self.leader.drop(number, self.now, Ended() if clean else Broken(UNREACHABLE))

    @rule(number=numbers, expired=st.booleans())
    def error(self, number: int, expired: bool) -> None:
        reply = gone(1, 2) if expired else status(500, "InternalError", "unable to decode")
        self.leader.error(number, reply, self.now)

    @rule(most=st.integers(1, 50))
    def acknowledge(self, most: int) -> None:
        self._write(self.leader.out[:most])
        del self.leader.out[:most]

    @rule(slow=st.booleans())
    def another_leader(self, slow: bool) -> None:
        """Killed: what was not acknowledged is lost. Slow: it arrives at any later time."""
        if slow:
            self.ghosts = True
            self.late += self.leader.out
        self.leaders += 1
        self.leader = Leader(self.store, self.now, seed=self.leaders)

    @precondition(lambda self: self.late)
    @rule(most=st.integers(1, 20))
    def late_words(self, most: int) -> None:
        self._write(self.late[:most])
        del self.late[:most]

    def _write(self, events: list[StateEvent]) -> None:
        self.log += [decode_state(encode_state(event)[0]) for event in events]

    # -- the end -----------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        self._write(self.late)
        now = self.leader.calm(self.now, seconds=500)  # the longest pause: 450 s
        if self.ghosts:  # what a slow leader brought back lasts until all is written again
            now = self.leader.calm(Instant.at(now.mono + DAY_S), seconds=30)
            for number in list(self.leader.streams):
                self.leader.drop(number, now, Ended())
            self.leader.calm(now, seconds=60)
        self._write(self.leader.out)
        reader = Reader().read(self.log)
        for resource, path in (("pods", PODS), ("nodes", NODES), ("leases", LEASES)):
            assert _believed(reader, resource) == self._truth(path), resource
        latest = {uid: body["version"] for uid, body in reader.events.items()}
        assert self._truth(EVENTS).items() <= latest.items()
        for uid, versions in reader.versions.items():
            assert {(uid, version) for version in versions} <= self.store.record, "invented"

    def _truth(self, path: str) -> dict[str, str]:
        found = [self.store.objects[path, name]["metadata"] for name in self.store.names(path)]
        return {meta["uid"]: meta["resourceVersion"] for meta in found}


def _believed(reader: Reader, resource: str) -> dict[str, str]:
    objects = reader.objects.get(resource, {})
    return {uid: obj["metadata"]["resourceVersion"] for uid, obj in objects.items()}


TestWatcher = WatcherModel.TestCase
TestWatcher.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
