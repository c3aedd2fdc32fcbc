"""Which pods a controller owes: the accounting that tells growth from replacement.

A set is the pods of one controller with one template (a ReplicaSet; of a StatefulSet or DaemonSet
one revision; a Job). It has slots: those that a pod fills, and those whose pod was lost. A pod that
comes while there is a lost one replaces that; else it is growth, and some decision caused it. When
fewer are wanted, slots are given up: first those whose pod was lost, then one with each of the pods
that go for it.

The order of pods and their losses is certain (they come by one watch). What is wanted comes by
another, earlier or later. So a pod waits in a queue until it is clear which it is: growth that a
decision expects is clear at once, the rest after SETTLE_MS. What happens to the set behind it waits
with it. And a word that comes late is applied to the slots as they were when it was given.

Versions are resourceVersions: they say what came first across watches, where all objects are in one
store, which is so for everything but Events. 0: not known.
"""

from dataclasses import dataclass, field

SETTLE_MS = 10_000
FINISHED = "finished"  # why a Job's pod went that did its work: its slot stays filled
_AHEAD = 50  # of these a set keeps the last
_LOG = 64  # changes that are looked through for old ones

CAME, LOST, LIMIT = "came", "lost", "limit"


@dataclass(slots=True)
class Step:
    """Something that happened to a set. `number`: how many are wanted (LIMIT)."""

    kind: str
    version: int
    uid: str = ""
    name: str = ""
    why: str = ""
    number: int = 0


@dataclass(slots=True)
class PodSet:
    """`filled`: slots that hold a pod, or the work of a Job's pod that finished; pods in the queue
    have none yet. `losses`: the slots whose pod was lost, and how."""

    key: str
    controller: str
    filled: int = 0
    losses: list[Step] = field(default_factory=list)
    wanted: int | None = None  # by its ReplicaSet, where that was seen
    leaving: int = 0  # pods that are still to go since fewer are wanted
    leaving_until: int = 0
    queue: list[Step] = field(default_factory=list)
    ahead: list[Step] = field(default_factory=list)  # LIMITs that no pod was told behind
    version: int = 0  # of the last pod that came or went
    log: list[tuple[int, int, int]] = field(default_factory=list)  # lately: version, +-1, time
    closed: list[tuple[int, int]] = field(default_factory=list)  # pods that went so: version, time

    @property
    def empty(self) -> bool:
        return self.filled == 0 and not self.queue

    @property
    def slots(self) -> int:
        return self.filled + len(self.losses)

    @property
    def waits(self) -> str:
        """uid of the first pod of the queue: there is always one, or nothing waits."""
        return self.queue[0].uid if self.queue else ""

    def came(self, uid: str, version: int, now: int) -> None:
        self._told(Step(CAME, version, uid), now)

    def lost(self, uid: str, name: str, why: str, version: int, now: int) -> None:
        """A pod does not count any more."""
        self._told(Step(LOST, version, uid, name, why), now)

    def want(self, number: int, version: int, now: int) -> None:
        """Its ReplicaSet wants so many from now on."""
        before, self.wanted = self.wanted, number
        if number != before:
            self.limit(number, version, now)

    def limit(self, number: int, version: int, now: int) -> None:
        """Slots above are given up."""
        step = Step(LIMIT, version, number=number)
        if version > self.version:
            self.ahead.append(step)
            del self.ahead[:-_AHEAD]
            return
        at = next((n for n, s in enumerate(self.queue) if s.version > version), len(self.queue))
        self.queue.insert(at if version else len(self.queue), step)
        self._advance(now)

    def _told(self, step: Step, now: int) -> None:
        """A pod came or went; what was wanted before that comes before it."""
        self.version = max(self.version, step.version)
        ripe = [s for s in self.ahead if not step.version or s.version < step.version]
        del self.ahead[: len(ripe)]
        self.queue += [*ripe, step]
        self._advance(now)

    def growth(self) -> str:
        """uid of the first pod that fills a slot for the first time, whatever the pods before it
        turn out to be; "" if there is none, or that is not clear yet."""
        vacant, leaving = len(self.losses), self.leaving
        for step in self.queue:
            if step.kind == LIMIT:
                return ""
            if step.kind == LOST:
                if leaving:
                    leaving -= 1
                elif step.why != FINISHED:
                    vacant += 1
            elif vacant == 0:
                return step.uid
            else:
                vacant -= 1
        return ""

    def grow(self, uid: str, now: int) -> None:
        """It fills a slot for the first time."""
        self._fill(uid, now)
        self._advance(now)

    def refill(self, uid: str, now: int) -> Step:
        """It fills a slot again: whose it was."""
        loss = self.losses.pop(0)
        self._fill(uid, now)
        self._advance(now)
        return loss

    def _fill(self, uid: str, now: int) -> None:
        at = next(n for n, s in enumerate(self.queue) if s.kind == CAME and s.uid == uid)
        step = self.queue.pop(at)
        self.filled += 1
        self._note(step.version, 1, now)

    def _advance(self, now: int) -> None:
        """What is in front of the queue and no pod that has to wait."""
        while self.queue and self.queue[0].kind != CAME:
            step = self.queue.pop(0)
            if step.kind == LIMIT:
                self._limit(step, now)
            elif step.why != FINISHED:
                self._lose(step, now)

    def _lose(self, step: Step, now: int) -> None:
        self.filled -= 1
        self._note(step.version, -1, now)
        if self.leaving and now <= self.leaving_until:
            self.leaving -= 1
            self.closed.append((step.version, now))
        else:
            self.losses.append(step)

    def _limit(self, step: Step, now: int) -> None:
        """Of the slots that there were at that time, give up what is too much: without a pod then,
        without a pod now, or else when their pods go."""
        version = step.version
        since = sum(change for at, change, _ in self.log if version and at > version)
        before = [s for s in self.losses if not version or s.version <= version]
        after = self.losses[len(before) :]
        # Given up already, by the same word from another object:
        excess = -sum(at > version for at, _ in self.closed) if version else 0
        excess = max(0, excess + self.filled - since + len(before) - step.number)
        for losses in (before, after):
            gone = losses[: min(excess, len(losses))]
            excess -= len(gone)
            del losses[: len(gone)]
            self.closed += [(loss.version, now) for loss in gone]
        self.losses = before + after
        if excess:
            self.leaving, self.leaving_until = excess, now + SETTLE_MS

    def _note(self, version: int, change: int, now: int) -> None:
        self.log.append((version, change, now))
        if len(self.log) % _LOG == 0:
            self.log = [entry for entry in self.log if now - entry[2] <= SETTLE_MS]
            self.closed = [entry for entry in self.closed if now - entry[1] <= SETTLE_MS]


@dataclass(slots=True)
class Controller:
    """What has a number of replicas. `workload` is its outermost owner, the name people know."""

    entity: str
    workload: str
    uid: str = ""
    desired: int | None = None
    wishes: list[tuple[int, int]] = field(default_factory=list)  # lately: version, desired
    baseline: int | None = None  # desired when it was first seen, if it existed before
    fresh: bool = False  # it was created under our eyes, and has wanted nothing so far
    ended: bool = False  # it was deleted
    generation: int = 0
    changed_t: int = 0  # when its spec last changed otherwise than in number, and the record
    changed_offset: int = 0
    current: str = ""  # the set that grew last: the template in force
    sets: dict[str, None] = field(default_factory=dict)
    decisions: dict[str, None] = field(default_factory=dict)  # ids of those in memory, in order

    def wish(self, number: int, version: int) -> None:
        self.desired = number
        self.wishes = [*self.wishes[-_AHEAD:], (version, number)]

    def desired_at(self, version: int) -> int | None:
        """How many were wanted when something of this version happened."""
        older = [number for at, number in self.wishes if at <= version or not version]
        return older[-1] if older else self.desired
