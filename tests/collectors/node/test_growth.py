"""Silence of all containers at once, and what is none."""

from collectors.node.growth import Growth
from collectors.node.ports import Instant

A, B, C, D = "shop/a/main", "shop/b/main", "shop/c/main", "shop/d/slow"


class Logs:
    """Containers that write with a fixed pause; a sweep every 5 s, as the tailer's."""

    def __init__(self, **pauses: float) -> None:
        self.growth = Growth()
        self.pauses = {name.replace("_", "/"): pause for name, pause in pauses.items()}
        self.stopped: set[str] = set()
        self.now = 0.0

    def run(self, until: float) -> "Logs":
        while self.now < until:
            self.now = round(self.now + 0.5, 1)
            for name, pause in self.pauses.items():
                if name not in self.stopped and self.now % pause == 0:
                    self.growth.grew(name, self.now)
            if self.now % 5 == 0:
                self.growth.looked(self.now, list(self.pauses))
        return self

    def read(self) -> dict[str, object]:
        return self.growth.read(Instant.at(self.now))


def three() -> Logs:
    return Logs(shop_a_main=0.5, shop_b_main=1, shop_c_main=2)


def test_containers_that_write_are_active() -> None:
    logs = three().run(60)
    assert logs.read() == {"active": 3, "newest_ms": 60_000}
    assert not logs.growth.news()
    assert Growth().read(Instant.at(5)) == {"active": 0}


def test_all_silent_at_once_is_noticed_within_two_sweeps_and_so_is_its_end() -> None:
    logs = three().run(61)
    logs.stopped = set(logs.pauses)
    logs.run(65)
    assert not logs.growth.news()
    logs.run(70)
    assert logs.growth.news()
    found = logs.read()
    assert found["silent"] == {"since_ms": 61_000, "containers": 3}
    assert found["last_ms"] == {A: 61_000, B: 61_000, C: 60_000}
    assert not logs.growth.news()
    logs.run(200)
    assert logs.read() == {
        "active": 0, "newest_ms": 61_000, "silent": {"since_ms": 61_000, "containers": 3},
    }  # fmt: skip
    logs.stopped = set()
    logs.run(200.5)
    assert logs.growth.news()
    logs.run(203)
    found = logs.read()
    assert found["resumed"] == {"since_ms": 61_000, "at_ms": 200_500, "containers": 3}
    assert "silent" not in found
    assert set(found["last_ms"]) == {A, B, C}  # type: ignore[call-overload]
    assert "resumed" not in logs.read()


def test_two_are_not_enough_and_a_third_that_goes_on_is_against_it() -> None:
    pair = Logs(shop_a_main=0.5, shop_b_main=1).run(60)
    pair.stopped = set(pair.pauses)
    assert not pair.run(120).growth.news()
    logs = three().run(60)
    logs.pauses[D] = 1
    logs.stopped = {A, B, C}
    logs.run(120)
    assert not logs.growth.news()
    assert logs.read()["last_ms"] == {A: 60_000, B: 60_000, C: 60_000}  # these did stop


def test_long_pauses_are_no_silence_and_one_slow_container_does_not_hide_it() -> None:
    slow = Logs(shop_a_main=20, shop_b_main=20, shop_c_main=20).run(300)
    assert not slow.growth.news()
    logs = Logs(shop_a_main=0.5, shop_b_main=1, shop_c_main=2, shop_d_slow=20).run(119)
    logs.stopped = set(logs.pauses)
    assert logs.run(130).growth.news()
    silent = logs.read()["silent"]
    assert silent == {"since_ms": 119_000, "containers": 3}


def test_bursts_make_longer_pauses_normal_for_a_while() -> None:
    logs = three().run(60)
    logs.stopped = set(logs.pauses)
    logs.run(64)
    logs.stopped = set()
    logs.run(80)  # all made a pause of more than 3 s: their silence dates nothing now
    logs.stopped = set(logs.pauses)
    assert not logs.run(100).growth.news()
    logs.stopped = set()
    logs.run(300)
    logs.stopped = set(logs.pauses)
    assert logs.run(320).growth.news()


def test_nothing_is_concluded_before_the_files_were_looked_at() -> None:
    """A tailer that is held back sizes files in its sweeps only."""
    logs = three().run(60)
    logs.stopped = set(logs.pauses)
    for _ in range(100):
        logs.now += 1
        assert not logs.growth.news()


def test_containers_without_a_file_to_write_to_are_forgotten() -> None:
    """Pods that are deleted together do not fall silent."""
    logs = three().run(60)
    logs.growth.looked(70, [])
    assert not logs.growth.news()
    assert logs.read()["active"] == 0
