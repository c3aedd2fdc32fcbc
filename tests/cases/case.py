"""A case: what is recorded, what a diagnosis must say of it, and what it must not say.

`expected` maps entities to verdicts at the end; empty for no incident at all. `lookalike_of` names
the cause that this case resembles and must not get.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.cases.rig import Rig


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    expected: dict[str, str]
    build: Callable[[Rig], None]
    lookalike_of: str = ""


class Cases:
    """Collects what is marked with it, in order."""

    def __init__(self) -> None:
        self.all: list[Case] = []

    def __call__(
        self, expected: dict[str, str] | str, *, lookalike_of: str = ""
    ) -> Callable[[Callable[[Rig], None]], Callable[[Rig], None]]:
        """`expected`: a verdict of the node, or verdicts by entity."""
        if isinstance(expected, str):
            expected = {"node/node-a": expected} if expected else {}

        def keep(build: Callable[[Rig], None]) -> Callable[[Rig], None]:
            self.all.append(Case(build.__name__, expected, build, lookalike_of))
            return build

        return keep


def told(case: Case) -> tuple[dict[str, str], Rig]:
    """Verdicts that were standing when the recording ended."""
    rig = Rig()
    case.build(rig)
    return rig.open(), rig
