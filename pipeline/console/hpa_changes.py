"""Settings of an HPA as a person changes them on the command line of `kubeledger whatif hpa`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.base.errors import UsageError
from pipeline.elasticity.behavior import PERCENT, PODS, Behavior, Policy, Rules
from pipeline.elasticity.hpa import Settings, Target
from pipeline.elasticity.replicas import Tolerance

_LONGEST_S = 1800  # of a period, as the API allows it


@dataclass(frozen=True, slots=True)
class Changes:
    """What to try; None: as it was recorded. `policies_*` are TYPE:VALUE:SECONDS, `targets` are
    VALUE or NAME=VALUE."""

    low: int | None = None
    high: int | None = None
    targets: Sequence[str] = ()
    tolerance: float | None = None
    window_up: float | None = None
    window_down: float | None = None
    policies_up: Sequence[str] = ()
    policies_down: Sequence[str] = ()
    select_up: str | None = None
    select_down: str | None = None

    def applied(self, settings: Settings) -> Settings:
        """Raises UsageError for what is no value, or has no such metric."""
        low = settings.low if self.low is None else self.low
        high = settings.high if self.high is None else self.high
        if low > high:
            raise UsageError(f"--min {low} is more than the maximum, {high}; set --max, too")
        return replace(
            settings,
            low=low,
            high=high,
            targets=_targets(settings, self.targets),
            behavior=self._behavior(settings.behavior),
            controller=settings.controller
            if self.tolerance is None
            else Tolerance(self.tolerance, self.tolerance),
        )

    def _behavior(self, recorded: Behavior | None) -> Behavior | None:
        """A part that is given turns the rest of an absent `behavior` into its defaults, as the
        API server does."""
        up = (self.window_up, self.policies_up, self.select_up)
        down = (self.window_down, self.policies_down, self.select_down)
        given = any(part not in (None, ()) for part in (*up, *down))
        if recorded is None and not given:
            return None
        found = recorded or Behavior()
        return Behavior(
            _rules(found.up, *up, self.tolerance), _rules(found.down, *down, self.tolerance)
        )


def _rules(
    rules: Rules,
    window: float | None,
    policies: Sequence[str],
    select: str | None,
    tolerance: float | None,
) -> Rules:
    return Rules(
        tuple(map(_policy, policies)) or rules.policies,
        rules.window_s if window is None else window,
        select or rules.select,
        rules.tolerance if tolerance is None else None,
    )


def _policy(text: str) -> Policy:
    try:
        kind, value, period = text.split(":")
        policy = Policy(kind.capitalize(), int(value), float(period))
    except ValueError:
        policy = Policy("", 0, 0)
    if (
        policy.type not in (PODS, PERCENT)
        or policy.value < 1
        or not 0 < policy.period_s <= _LONGEST_S
    ):
        raise UsageError(
            f"policy {text!r} is not TYPE:VALUE:SECONDS, such as Pods:4:15 or Percent:100:60"
            f" (at most {_LONGEST_S} seconds)"
        )
    return policy


def _targets(settings: Settings, wanted: Sequence[str]) -> tuple[Target, ...]:
    targets = list(settings.targets)
    for text in wanted:
        name, _, value = text.rpartition("=")
        at = [n for n, target in enumerate(targets) if not name or target.name == name]
        names = ", ".join(target.name for target in targets) or "none"
        if not at or (not name and len(at) > 1):
            raise UsageError(f"--target {text}: say NAME=VALUE; the metrics of the HPA are {names}")
        try:
            number = float(value)
        except ValueError:
            number = 0.0
        if number <= 0:
            raise UsageError(f"--target {text}: {value!r} is no number above 0")
        targets[at[0]] = replace(targets[at[0]], value=number)
    return tuple(targets)
