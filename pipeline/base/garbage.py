"""Cyclic garbage, for processes whose state is large and lives long.

Python looks for cycles each time that 700 objects were made, and now and then through everything
that is alive. The state of the folds is millions of plain values without a cycle: looking through
them cost a third of the state processor's time. For the whole process, so it is called where a
process begins and nowhere else.
"""

import gc

_YOUNG, _MIDDLE, _ALL = 100_000, 50, 1_000


def collect_rarely() -> None:
    """Look for cycles among new objects now and then, among all of them hardly ever."""
    gc.set_threshold(_YOUNG, _MIDDLE, _ALL)
