"""Random scaling, rollouts, losses and deletions, told by streams that are not in step: every pod
has exactly one cause, it is the right one, and repeats and restarts change nothing."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pipeline.console.scalings import scaling_documents, unscaled_documents
from pipeline.contract.facts import encode_fact
from tests.pipeline.elasticity.scaling.toy import Toy, folds

NAMES = ("web", "db")
STREAMS = ("deployments", "replicasets", "pods", "events")
LAG_S = 4  # what happened is told within this time


class ScalingModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.toy = Toy()
        self.twin = folds()  # sees every event twice, and is restored from its dump all the time
        self.twin_facts: list[object] = []
        self.told = 0
        self.bare = 0

    @rule(name=st.sampled_from(NAMES), replicas=st.integers(0, 5))
    def create_or_scale(self, name: str, replicas: int) -> None:
        if name not in self.toy.deployments:
            self.toy.create(name, replicas)
        else:
            self.toy.scale(name, replicas)

    @rule(name=st.sampled_from(NAMES), how=st.sampled_from(["deleted", "failed"]))
    def lose(self, name: str, how: str) -> None:
        told = self.toy.deployments.get(name)
        if told is not None and told.live:
            self.toy.lose(name, how)

    @rule(name=st.sampled_from(NAMES))
    def roll_out(self, name: str) -> None:
        """Not while the one before is still being told: which of two templates came first is not
        in what a watch says later."""
        if name in self.toy.deployments and self.toy.deployments[name].replicas:
            self.settle()
            self.toy.roll_out(name)

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        """Told whole before it can be made anew."""
        if name in self.toy.deployments:
            self.toy.delete(name)
            self.settle()

    @rule()
    def bare_pod(self) -> None:
        self.bare += 1
        self.toy.bare(f"bare-{self.bare}")

    @precondition(lambda self: any(self.toy.queues.values()))
    @rule(stream=st.sampled_from(STREAMS), count=st.integers(1, 4))
    def tell(self, stream: str, count: int) -> None:
        self.toy.deliver(stream, count)

    @rule(order=st.permutations(STREAMS), seconds=st.floats(0.1, 5))
    def time_passes(self, order: list[str], seconds: float) -> None:
        if seconds > LAG_S:
            self.toy.deliver_all(*order)
        self.toy.tick(min(seconds, LAG_S))
        self.toy.deliver_all(*order)

    def settle(self) -> None:
        self.toy.settle()

    @invariant()
    def repeats_and_restarts_change_nothing(self) -> None:
        toy = self.toy
        while self.told < len(toy.events):
            again = folds()
            again.restore(self.twin.dump())
            assert again.dump() == self.twin.dump()
            self.twin = again
            event = toy.events[self.told]
            for _ in range(2):
                self.twin_facts += map(encode_fact, self.twin.apply(event, self.told))
            self.told += 1
        assert self.twin_facts == [encode_fact(fact) for fact in toy.facts]

    def teardown(self) -> None:
        toy = self.toy
        self.settle()
        self.repeats_and_restarts_change_nothing()
        scalings, unscaled = scaling_documents(toy.facts), unscaled_documents(toy.facts)
        caused = {pod["uid"]: body for body in scalings for pod in body["pods"]}
        excused = {pod["uid"]: pod["reason"] for pod in unscaled}
        assert len(caused) == sum(len(body["pods"]) for body in scalings), "in one decision"
        assert len(excused) == len(unscaled), "listed once"
        assert not caused.keys() & excused.keys(), "one or the other"
        assert caused.keys() | excused.keys() == toy.causes.keys(), "all of them"
        for body in scalings:
            assert len(body["pods"]) <= max(body["to"] - body["from"], body["to"]), body
        told = Counter(self._told(uid, caused, excused) for uid in toy.causes)
        assert told == Counter(self._kind(uid, why) for uid, why in toy.causes.items())

    def _told(self, uid: str, caused: dict, excused: dict) -> tuple[str, str]:
        name = uid.split("-")[0]
        if uid in excused:
            return name, excused[uid].split()[0]
        body = caused[uid]
        spans = body["by"] in ("create", "manual")
        return name, f"{body['from']}->{body['to']}" if spans else str(body["by"])

    def _kind(self, uid: str, why: str) -> tuple[str, str]:
        name, word = uid.split("-")[0], why.split()[0]
        if word == "bare":
            return name, "no"  # no controller made it
        return name, why.split()[1] if word in ("create", "scale") else word


TestScaling = ScalingModel.TestCase
TestScaling.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
