"""The group as a value: sharing, generations, and never two holders of one partition."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pipeline.broker.group import Group, dump, parse
from pipeline.broker.protocol import TopicPartition


def alive(_process: str) -> bool:
    return False


def test_shares_are_even_and_complete() -> None:
    group = Group()
    for name in ("a", "b", "c"):
        group.join(name, ["t", "u"], deadline=10)
    shares = group.shares({"t": 8, "u": 1, "other": 5})
    assert sorted(len(share) for share in shares.values()) == [3, 3, 3]
    assert frozenset().union(*shares.values()) == {
        *(TopicPartition("t", n) for n in range(8)),
        TopicPartition("u", 0),
    }


def test_a_busy_member_delays_its_successor() -> None:
    group = Group()
    group.join("busy", ["t"], deadline=10)
    assert group.settle("busy", {"t": 2}) == {TopicPartition("t", 0), TopicPartition("t", 1)}
    group.join("new", ["t"], deadline=10)
    assert group.settle("new", {"t": 2}) is None
    assert not group.owns("busy", [TopicPartition("t", 0)])  # a rebalance is under way
    assert group.settle("busy", {"t": 2}) == {TopicPartition("t", 0)}
    assert group.settle("new", {"t": 2}) == {TopicPartition("t", 1)}
    assert group.owns("new", [TopicPartition("t", 1)])
    assert not group.owns("new", [TopicPartition("t", 0), TopicPartition("t", 1)])


def test_silence_and_death_end_membership() -> None:
    group = Group()
    group.join("silent", ["t"], deadline=10)
    group.join("killed", ["t"], deadline=99, process="p1")
    group.join("alive", ["t"], deadline=99, process="p2")
    group.expire(11, lambda process: process == "p1")
    assert set(group.members) == {"alive"}
    generation = group.generation
    group.beat("silent", 50)  # too late: no way back but to join
    assert (set(group.members), group.generation) == ({"alive"}, generation)


actions = st.lists(
    st.tuples(st.sampled_from(["join", "leave", "settle", "expire"]), st.integers(0, 4)),
    max_size=40,
)


@given(actions)
def test_no_partition_has_two_holders_whatever_happens(script: list[tuple[str, int]]) -> None:
    group = Group()
    for now, (action, number) in enumerate(script):
        name = f"m{number}"
        if action == "join":
            group.join(name, ["t"], deadline=now + 6)
        elif action == "leave":
            group.leave(name)
        elif action == "settle" and name in group.members:
            group.settle(name, {"t": 5})
        else:
            group.expire(now, alive)
        held = Counter(tp for member in group.members.values() for tp in member.holds)
        assert all(count == 1 for count in held.values())
        assert parse(dump(group)) == group
    for name in group.members:  # everybody has seen the last generation: all is taken
        group.settle(name, {"t": 5})
    for name in group.members:
        assert group.settle(name, {"t": 5}) is not None
    if group.members:
        assert sum(len(member.holds) for member in group.members.values()) == 5
