"""Who wishes what: a claim is one source's settings for one container, with its rank."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from pipeline.logconfig.spec import LogConfigSpec


class Rank(IntEnum):
    """The one precedence, highest first. deploy/logconfig.md says it in words."""

    CONTAINER_ANNOTATION = 100  # kubeledger.io/X.CONTAINER
    POD_ANNOTATION = 90  # kubeledger.io/X
    LOG_CONFIG = 80
    CLUSTER_LOG_CONFIG = 70
    ALIYUN_ENVIRONMENT = 60  # aliyun_logs_*
    LOG_PILOT = 50  # aliyun.logs.*
    FLUENT_BIT = 40  # fluentbit.io/*
    ALIYUN_RESOURCE = 30  # AliyunLogConfig, AliyunPipelineConfig
    PROCESSOR = 20  # the log processor's own configuration file


@dataclass(frozen=True, slots=True)
class Claim:
    """`settings` has a selector of no meaning here: the claim is about one container already.
    Among claims of one rank the higher priority, then who names the file, then the older, then the
    first by name counts."""

    rank: Rank
    origin: str  # for people: "annotation kubeledger.io/parser", "LogConfig shop/web"
    settings: LogConfigSpec
    since_ms: int = 0

    @property
    def order(self) -> tuple[int, int, bool, int, str]:
        """Ascending: the first one wins."""
        of_all = self.settings.files is None
        return (-self.rank, -self.settings.priority, of_all, self.since_ms, self.origin)


@dataclass(frozen=True, slots=True)
class Problem:
    """A wish that cannot be followed. Logs are stored without it."""

    origin: str
    text: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.text}"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What somebody wrote, and what of it is not understood."""

    claims: Sequence[Claim] = ()
    problems: Sequence[Problem] = ()
    notes: Sequence[Problem] = ()  # understood, and of no meaning here

    def __add__(self, other: "Wishes") -> "Wishes":
        return Wishes(
            [*self.claims, *other.claims],
            [*self.problems, *other.problems],
            [*self.notes, *other.notes],
        )
