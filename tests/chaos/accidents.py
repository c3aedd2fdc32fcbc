"""What happens to whom, and when: drawn from a seed, before anything runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

COLLECT, STORE, KAFKA, BUS = "collect", "store", "kafka", "bus"
PROCESSORS = ("process-logs", "process-logs-2")
DEADLY = ("kill", "outage")  # each of these that is drawn happens, however long it has to wait


@dataclass(frozen=True, slots=True)
class Profile:
    """How hard. Times are seconds."""

    kills: int = 50
    every: float = 2.5  # mean time between accidents
    longest: float = 15.0  # of a pause or a cut
    session: float = 10.0  # group session timeout: pauses of processors go beyond it
    sweep: float = 5.0
    mbps: float = 0.8
    containers: int = 20
    max_files: int = 12


@dataclass(frozen=True, slots=True)
class Accident:
    """`after` seconds since the one before. `what`: kill, pause, outage (a pause that ends with
    a kill), drop, stall, mute (links), lock (the bus's file). `lasts` 0 for a kill."""

    after: float
    what: str
    whom: str
    lasts: float


_COMMON = (
    (6, "kill", COLLECT),
    (4, "kill", PROCESSORS[0]),
    (4, "kill", PROCESSORS[1]),
    (4, "kill", STORE),
    (1, "outage", COLLECT),
    (2, "pause", COLLECT),
    (2, "pause", PROCESSORS[0]),
    (2, "pause", PROCESSORS[1]),
    (1, "pause", STORE),
    (1, "drop", f"{PROCESSORS[0]}>{STORE}"),
    (1, "mute", f"{PROCESSORS[0]}>{STORE}"),
    (1, "stall", f"{PROCESSORS[1]}>{STORE}"),
    (1, "mute", f"{PROCESSORS[1]}>{STORE}"),
)
_OF_BUS = {
    "sqlite": ((2, "lock", BUS),),
    "kafka": (
        (4, "kill", KAFKA),
        (1, "pause", KAFKA),
        *((1, what, f"{who}>{KAFKA}") for who in (COLLECT, *PROCESSORS)
          for what in ("drop", "stall", "mute")),
    ),
}  # fmt: skip


def draw(bus: str, seed: int, profile: Profile) -> Iterator[Accident]:
    """Until `profile.kills` processes have been killed."""
    rng = Random(f"{bus}:{seed}")
    choices = (*_COMMON, *_OF_BUS[bus])
    weights = [weight for weight, *_ in choices]
    kills = 0
    while kills < profile.kills:
        _, what, whom = rng.choices(choices, weights)[0]
        after = rng.expovariate(1 / profile.every)
        lasts = 0.0 if what == "kill" else _lasts(rng, what, whom, profile)
        kills += what in DEADLY
        yield Accident(round(min(after, 4 * profile.every), 2), what, whom, round(lasts, 2))


def _lasts(rng: Random, what: str, whom: str, profile: Profile) -> float:
    """Mostly short; processors often for longer than their session, and an outage for longer
    than rotation keeps a file."""
    if what == "outage":
        return profile.longest * rng.uniform(1.2, 1.8)
    if whom.startswith(PROCESSORS[0]) and rng.random() < 0.5:
        return rng.uniform(profile.session, profile.session * 1.5)
    return min(1 + rng.expovariate(4 / profile.longest), profile.longest)
