"""A consumer group as a value: who is in it, which generation, who holds which partition.

Pure: the memory and SQLite backends load it, change it and store it under a lock of their own.
Invariants:
- every change of membership raises `generation`; a commit needs the current one;
- a partition is held by one member at most. A member takes its share only when nobody else
  holds any of it, so a busy member delays its successor and never works beside it;
- a member holds nothing from an earlier generation once it has seen the new one (`settle`).
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.broker.protocol import Partitions, TopicPartition


@dataclass(slots=True)
class Member:
    """`deadline` is on the machine's monotonic clock; `process` names the operating-system
    process (empty: unknown); `order` is the place in the queue of those who joined."""

    order: int
    topics: tuple[str, ...]
    deadline: float
    process: str = ""
    generation: int = -1
    holds: Partitions = frozenset()


@dataclass(slots=True)
class Group:
    generation: int = 0
    joined: int = 0
    members: dict[str, Member] = field(default_factory=dict)

    def join(
        self, name: str, member_topics: Iterable[str], *, deadline: float, process: str = ""
    ) -> None:
        self.joined += 1
        self.members[name] = Member(self.joined, tuple(member_topics), deadline, process)
        self.generation += 1

    def leave(self, name: str) -> None:
        if self.members.pop(name, None) is not None:
            self.generation += 1

    def expire(self, now: float, gone: Callable[[str], bool]) -> None:
        """Remove members that were silent for too long, or whose process is no more."""
        for name, member in list(self.members.items()):
            if member.deadline < now or gone(member.process):
                self.leave(name)

    def beat(self, name: str, deadline: float) -> None:
        member = self.members.get(name)
        if member is not None:
            member.deadline = max(member.deadline, deadline)

    def settle(self, name: str, counts: Mapping[str, int]) -> Partitions | None:
        """Give back what this member held before and take its share of the current
        generation; None while somebody else still holds a part of it."""
        member = self.members[name]
        member.holds = frozenset()
        share = self.shares(counts)[name]
        held = [m.holds for m in self.members.values()]
        if any(share & other for other in held):
            return None
        member.generation, member.holds = self.generation, share
        return share

    def shares(self, counts: Mapping[str, int]) -> dict[str, Partitions]:
        """Who should have what: partitions in order, dealt to the member with the fewest."""
        shares: dict[str, set[TopicPartition]] = {name: set() for name in self.members}
        ordered = sorted(self.members.items(), key=lambda item: item[1].order)
        for topic in sorted(counts):
            takers = [name for name, member in ordered if topic in member.topics]
            for partition in range(counts[topic] if takers else 0):
                taker = min(takers, key=lambda name: len(shares[name]))
                shares[taker].add(TopicPartition(topic, partition))
        return {name: frozenset(share) for name, share in shares.items()}

    def owns(self, name: str, tps: Iterable[TopicPartition]) -> bool:
        """May this member commit for these partitions now?"""
        member = self.members.get(name)
        if member is None or member.generation != self.generation:
            return False
        return member.holds.issuperset(tps)


def dump(group: Group) -> str:
    return json.dumps(
        {
            "generation": group.generation,
            "joined": group.joined,
            "members": {
                name: [m.order, m.topics, m.deadline, m.process, m.generation, sorted(m.holds)]
                for name, m in group.members.items()
            },
        },
        separators=(",", ":"),
    )


def parse(text: str) -> Group:
    """The opposite of `dump`; the text is our own."""
    document = json.loads(text)
    members = {
        name: Member(
            order,
            tuple(topics),
            deadline,
            process,
            generation,
            frozenset(TopicPartition(topic, partition) for topic, partition in holds),
        )
        for name, (order, topics, deadline, process, generation, holds) in document[
            "members"
        ].items()
    }
    return Group(document["generation"], document["joined"], members)
