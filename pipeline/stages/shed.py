"""Which lines are not stored, by the wish of their configuration; and what the others weigh.

A line is kept by chance when the hash of its place (file, offset) is below its share, so a batch
that is built again keeps the same lines, and what is kept is spread evenly over everything that
repeats. A kept line stands for `weight` lines: sums of weights are unbiased estimates of counts.

Above a limit the share is what makes the rest fit. Lines that speak of errors are kept as long as
they fill no more than half of what is allowed; beyond that they are sampled like the others.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.logconfig.spec import Limit
from pipeline.stages.lines import Bytes8, Ints, Mask
from pipeline.stages.matching import matching
from pipeline.stages.treatment import ERRORS, Treatment

EXCLUDED = "excluded"  # the container's, or the stream's, logs are not wanted
FILTERED = "filtered"  # the line is not
SAMPLED = "sampled"  # a share was asked for
QUOTA = "quota"  # the namespace wrote more than its quota
LIMITED = "limited"  # there was more than the limit
REASONS = (EXCLUDED, FILTERED, SAMPLED, QUOTA, LIMITED)

_BURST_S = 10.0
_NS = 1_000_000_000
Floats = NDArray[np.float64]
Bucket = tuple[str, str, str]  # pod's uid, container, file in a volume


@dataclass(slots=True)
class Limiter:
    """Token buckets, in the lines' own time: a container has one, whatever files the runtime
    writes, and each file in a volume. Lost with the partition: then each may have one more burst,
    and nothing else changes."""

    buckets: dict[Bucket, tuple[int, float]] = field(default_factory=dict)  # last ts, bytes left
    most: int = 50_000

    def allow(self, of: Bucket, limit: Limit, ts: Ints, wanted: int) -> float:
        """How many of `wanted` bytes may be stored; they are taken."""
        rate = limit.bytes_per_second
        burst = float(limit.burst_bytes or rate * _BURST_S)
        newest = int(ts.max())
        last, left = self.buckets.pop(of, (newest, burst))
        left = min(burst, left + max(newest - last, 0) / _NS * rate)
        # A backlog is read at once: what its own time span allows is allowed.
        left = max(left, min((newest - int(ts.min())) / _NS * rate, float(wanted)))
        taken = min(left, float(wanted))
        self.buckets[of] = max(newest, last), left - taken
        while len(self.buckets) > self.most:
            del self.buckets[next(iter(self.buckets))]
        return taken


@dataclass(frozen=True, slots=True)
class Shares:
    """Per line: `reason` is an index into REASONS, -1 for what is kept; and its weight."""

    reason: NDArray[np.int8]
    weight: Floats


def shares(
    wish: Treatment,
    bodies: list[bytes],
    *,
    file_id: int,
    stream: Bytes8,
    off: Ints,
    nbytes: Ints,
    ts: Ints,
    limiter: Limiter,
    bucket: Bucket,
) -> Shares:
    """The lines of one chunk's origin."""
    reason = np.full(len(bodies), -1, np.int8)
    weight = np.ones(len(bodies), np.float64)
    if wish.exclude:
        reason[np.isin(stream, list(wish.exclude))] = REASONS.index(EXCLUDED)
    if wish.include_lines:
        _mark(reason, ~matching(wish.include_lines, bodies), FILTERED)
    if wish.exclude_lines:
        _mark(reason, matching(wish.exclude_lines, bodies), FILTERED)
    if wish.sample is None and wish.limit is None and wish.share == 1:
        return Shares(reason, weight)
    share, chance = np.ones(len(bodies), np.float64), chances(file_id, off)
    spared = wish.limit is not None or (wish.sample is not None and wish.sample.keep_errors)
    errors = matching((ERRORS,) if spared else (), bodies)
    if wish.sample is not None:
        kept = matching(wish.keep, bodies)
        kept |= errors if wish.sample.keep_errors else kept
        share[~kept] = wish.sample.rate
        _mark(reason, chance >= share, SAMPLED)
    if wish.share < 1:
        share *= wish.share
        _mark(reason, chance >= share, QUOTA)
    if wish.limit is not None and (left := reason < 0).any():
        wanted = int(nbytes[left].sum())
        allowed = limiter.allow(bucket, wish.limit, ts[left], wanted)
        if allowed < wanted:
            share *= _fitting(left, errors, nbytes, allowed, wanted)
            _mark(reason, chance >= share, LIMITED)
    weight = 1.0 / np.maximum(share, 1e-12)
    return Shares(reason, weight)


def _fitting(left: Mask, errors: Mask, nbytes: Ints, allowed: float, wanted: int) -> Floats:
    spared = int(nbytes[left & errors].sum())
    if spared * 2 > allowed:
        return np.full(len(left), allowed / wanted, np.float64)
    share = (allowed - spared) / max(wanted - spared, 1)
    return np.where(errors, 1.0, share)


def _mark(reason: NDArray[np.int8], which: Mask, name: str) -> None:
    reason[which & (reason < 0)] = REASONS.index(name)


def chances(file_id: int, off: Ints) -> Floats:
    """A number in [0, 1) for each place, evenly spread: splitmix64's finisher."""
    mix = off.astype(np.uint64) + np.uint64(file_id & (1 << 64) - 1)
    mix *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mix ^= mix >> np.uint64(shift)
        mix *= np.uint64(factor)
    mix ^= mix >> np.uint64(31)
    return (mix >> np.uint64(11)).astype(np.float64) / float(1 << 53)
