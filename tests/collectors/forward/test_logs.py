"""Virtual files of clients' logs: every byte in the ledger, over lives that end well or badly."""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.collectors.forward.rig import SECOND, Input, entries

Make = Callable[..., Input]


def test_a_graceful_stop_ends_every_file_exactly(inputs: Make) -> None:
    rig = inputs()
    client = rig.client()
    client.sendall(msgpack.packb(["a.b", entries(10)]) + msgpack.packb(["c", entries(10)]))
    rig.until(lambda: len(rig.records()) == 20)
    rig.stop()
    for file in rig.files().values():
        (end,) = file.ends
        assert (end.size, end.exact) == (len(file.content()), True)
    assert {file.events[0].source.container for file in rig.files().values()} == {"a.b", "c"}
    assert list(rig.start().positions.items()) == []


def test_after_a_kill_files_are_ended_and_new_ones_begun(inputs: Make) -> None:
    rig = inputs()
    rig.ask(rig.client(), ["t", entries(10), {"chunk": "c"}])
    rig.rounds()
    rig.kill()
    rig.start()
    rig.ask(rig.client(), ["t", entries(10, first=10), {"chunk": "d"}])
    rig.rounds()
    assert rig.numbers() == list(range(20))
    first, second = rig.files().values()
    assert [(end.size, end.exact) for end in first.ends] == [(len(first.content()), True)]
    assert not second.ends
    assert first.events[0].file_id != second.events[0].file_id


def test_after_a_kill_the_end_is_inexact_where_clients_do_not_ask(inputs: Make) -> None:
    rig = inputs()
    rig.ask(rig.client(), ["t", entries(10), {"chunk": "c"}])
    rig.client().sendall(msgpack.packb(["t", entries(10, first=10)]))
    rig.until(lambda: len(rig.records()) == 20)
    rig.rounds()
    rig.kill()
    rig.start()
    rig.rounds()
    assert [end.exact for end in rig.ends()] == [False]


def test_silent_large_and_too_many_logs_are_finished(inputs: Make) -> None:
    rig = inputs(quiet_s=50, files=2, file_bytes=64 << 10)
    client = rig.client()
    for tag in ("a", "b", "c"):  # one more than may be open
        client.sendall(msgpack.packb([tag, entries(10)]))
    rig.until(rig.ends)
    assert [end.source.container for end in rig.ends()] == ["a"]
    for n in range(3):
        client.sendall(msgpack.packb(["c", entries(10, size=5000, first=n * 10)]))
        rig.until(lambda count=n * 10 + 40: len(rig.records()) == count)
        rig.rounds()
    assert [end.source.container for end in rig.ends()] == ["a", "c"]
    rig.step(51)
    rig.rounds()
    assert sorted(end.source.container for end in rig.ends()) == ["a", "b", "c", "c"]
    assert all(end.exact for end in rig.ends())


actions = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 5)),
        st.tuples(st.just("bus"), st.integers(0, 6)),
        st.tuples(st.just("kill"), st.booleans()),
    ),
    max_size=30,
)


class Client:
    """As Fluent Bit: a chunk is sent until its acknowledgement came, over a new connection after a
    break. The id is the chunk's own, for ever."""

    def __init__(self) -> None:
        self.acked: set[int] = set()
        self.sent: set[int] = set()

    def send(self, rig: Input, chunk: int) -> None:
        if chunk in self.acked:
            return
        message = ["t", entries(3, first=chunk * 3), {"chunk": f"chunk {chunk}"}]
        sock = rig.client()
        sock.sendall(msgpack.packb(message))
        rig.rounds(2)
        self.sent.add(chunk)

    def listen(self, rig: Input) -> None:
        for sock in rig._clients:
            sock.setblocking(False)
            with suppress(BlockingIOError, ConnectionError):
                unpacker = msgpack.Unpacker()
                unpacker.feed(sock.recv(65536))
                for found in unpacker:
                    self.acked.add(int(found["ack"].split()[1]))


@settings(max_examples=60, deadline=None)
@given(actions)
def test_nothing_acknowledged_is_lost_over_any_number_of_kills(steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as state:
        rig, client = Input(Path(state)).start(), Client()
        rig.producer.auto = False
        doubled: set[int] = set()
        for what, value in steps:
            if what == "send":
                client.send(rig, value)
            elif what == "bus":
                rig.producer.ack(value)
                rig.rounds(2)
                client.listen(rig)
            else:
                rig.rounds(2)
                client.listen(rig)
                if value:
                    rig.producer.ack()  # it arrives, and nobody hears of it any more
                rig.producer.pending.clear()
                doubled |= client.sent - client.acked
                rig.kill()
                rig.start()
        rig.producer.auto = True
        rig.producer.ack()
        for chunk in client.sent - client.acked:
            client.send(rig, chunk)
        rig.until(lambda: client.listen(rig) or client.acked == client.sent)
        rig.stop()
        found = rig.numbers()
        assert set(found) == {chunk * 3 + n for chunk in client.sent for n in range(3)}
        assert {number // 3 for number in found if found.count(number) > 1} <= doubled
        for file in rig.files().values():
            assert file.ends[-1].exact
            assert max(file.ends[-1].size, len(file.content())) == len(file.content())


def test_pods_of_records_and_of_tags(inputs: Make) -> None:
    rig = inputs()
    kubernetes = {
        "pod_name": "web-1", "namespace_name": "shop", "container_name": "main",
        "pod_id": "0a1b-2c", "host": "node-b", "labels": {"app": "web"},
    }  # fmt: skip
    rig.ask(rig.client(), ["k", [[SECOND, {"n": 1, "kubernetes": kubernetes}]], {"chunk": "1"}])
    tag = f"kube.var.log.containers.web-2_shop_side-{'a' * 64}.log"
    rig.ask(rig.client(), [tag, SECOND, {"n": 2}, {"chunk": "2"}])
    odd = {"pod_name": "../../etc", "namespace_name": "shop"}
    rig.ask(rig.client(), ["k.odd", SECOND, {"n": 3, "kubernetes": odd}, {"chunk": "3"}])
    sources = [file.events[0].source for file in rig.files().values()]
    assert [(s.node, s.namespace, s.pod, s.uid, s.container, s.path) for s in sources] == [
        ("node-b", "shop", "web-1", "0a1b-2c", "main", "forward:k"),
        ("node-a", "shop", "web-2", "", "side", f"forward:{tag}"),
        ("node-a", "", "", "", "k.odd", "forward:k.odd"),
    ]
    assert rig.producer.keys[0] == b"0a1b-2c"
