"""Cron schedules of CronHPA jobs: how long the longest pause between two runs is.

Which time zone a schedule is meant in depends on the controller's container and is not known here;
the longest pause is the same in all of them, but for the hour of a change of the clocks. Fields:
second, minute, hour, day, month, weekday (AliyunContainerService/kubernetes-cronhpa-controller).
"""

from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice, pairwise

from cronsim import CronSim, CronSimError

_NAMED = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}
_RUNS = 64  # enough for a month of "on weekdays at 8, 12 and 18"
_START = datetime(2028, 1, 1, tzinfo=UTC)  # any day would do; a leap year has all dates
CLOCK_CHANGE_MS = 3_600_000


@lru_cache(maxsize=1024)
def longest_pause_ms(schedule: str) -> int:
    """0 if the schedule cannot be read (then nothing is known of when it runs)."""
    text = _NAMED.get(schedule.strip(), schedule).replace("?", "*")
    try:
        runs = list(islice(CronSim(text, _START), _RUNS))
    except CronSimError:
        return 0
    pauses = [b - a for a, b in pairwise(runs)]
    longest = int(max(p.total_seconds() for p in pauses) * 1000) if pauses else 0
    return longest + CLOCK_CHANGE_MS if longest > CLOCK_CHANGE_MS else longest
