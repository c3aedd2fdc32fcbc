"""Mute timings: hours and days in which a receiver is not told. Form and meaning are those of
Alertmanager's and Grafana's time intervals, so that one text serves all three.

What still holds when the time is over is told then, and so is the end of what was told before.
"""

import re
from calendar import monthrange
from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from pipeline.base.config import Settings

_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = ("", "january", "february", "march", "april", "may", "june", "july", "august",
           "september", "october", "november", "december")  # fmt: skip
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|(24):(00)")


class ClockRange(Settings):
    """Hours of a day; one that goes over midnight is written as two."""

    start_time: str = Field(description="HH:MM, included.")
    end_time: str = Field(description="HH:MM, not included; 24:00 is the end of the day.")

    @model_validator(mode="after")
    def _in_order(self) -> "ClockRange":
        if _minute(self.start_time) >= _minute(self.end_time):
            raise ValueError(
                f"{self.start_time} is not before {self.end_time}; what goes over midnight is "
                "two ranges, to 24:00 and from 00:00"
            )
        return self

    def contains(self, minute: int) -> bool:
        return _minute(self.start_time) <= minute < _minute(self.end_time)


class TimeInterval(Settings):
    """All that is given must hold; of a list, one of its ranges."""

    times: list[ClockRange] = Field([], description="Hours of the day.")
    weekdays: list[str] = Field([], description="`saturday`, `monday:friday`; Sunday is first.")
    days_of_month: list[str] = Field([], description="`1:5`; `-3:-1` are the last three days.")
    months: list[str] = Field([], description="`december`, `1:3`.")
    years: list[str] = Field([], description="`2026`, `2026:2027`.")
    location: str = Field("UTC", description="Time zone, for example Asia/Shanghai.")

    @field_validator("days_of_month", "months", "years", mode="before")
    @classmethod
    def _texts(cls, value: object) -> object:
        """YAML reads `5` as a number."""
        return [str(one) for one in value] if isinstance(value, list) else value

    @model_validator(mode="after")
    def _readable(self) -> "TimeInterval":
        for texts, names in ((self.weekdays, _WEEKDAYS), (self.months, _MONTHS), (self.years, ())):
            for text in texts:
                first, last = _ends(text, names)
                if first > last:
                    raise ValueError(f"{text!r} ends before it begins")
        for text in self.days_of_month:
            first, last = _ends(text, ())
            if not (1 <= first <= last <= 31 or -31 <= first <= last <= -1):
                raise ValueError(f"{text!r} are no days of a month; write 1:5, or -3:-1")
        try:
            ZoneInfo(self.location)
        except (KeyError, OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
            raise ValueError(f"{self.location!r} is no time zone such as Europe/Berlin") from None
        return self

    def contains(self, at: int) -> bool:
        """Unix ms."""
        t = datetime.fromtimestamp(at / 1000, ZoneInfo(self.location))
        length = monthrange(t.year, t.month)[1]
        days = [[d if d > 0 else length + 1 + d for d in _ends(text, ())]
                for text in self.days_of_month]  # fmt: skip
        return (
            (not self.times or any(r.contains(t.hour * 60 + t.minute) for r in self.times))
            and _within((t.weekday() + 1) % 7, self.weekdays, _WEEKDAYS)
            and _within(t.month, self.months, _MONTHS)
            and _within(t.year, self.years, ())
            and (not days or any(first <= t.day <= last for first, last in days))
        )


class MuteTiming(Settings):
    """A name for times; receivers name it."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$", description="Its name, unique.")
    time_intervals: list[TimeInterval] = Field(min_length=1, description="In any of these.")


def muted(timings: Iterable[MuteTiming], at: int) -> bool:
    return any(interval.contains(at) for timing in timings for interval in timing.time_intervals)


def _within(value: int, texts: Sequence[str], names: Sequence[str]) -> bool:
    ends = (_ends(text, names) for text in texts)
    return not texts or any(first <= value <= last for first, last in ends)


def _ends(text: str, names: Sequence[str]) -> tuple[int, int]:
    """`a:b`, or `a` alone."""
    first, colon, last = text.partition(":")
    return _number(first, text, names), _number(last if colon else first, text, names)


def _number(word: str, text: str, names: Sequence[str]) -> int:
    word = word.strip().lower()
    if word and word in names:
        return names.index(word)
    if re.fullmatch(r"-?\d+", word) and names != _WEEKDAYS:
        return int(word)
    known = ", ".join(filter(None, names))
    raise ValueError(f"{text!r}: {word!r} is " + (f"none of {known}" if known else "no number"))


def _minute(text: str) -> int:
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time of a day such as 22:30")
    hour, minute = (int(part) for part in found.groups() if part is not None)
    return hour * 60 + minute
