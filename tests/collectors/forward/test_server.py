"""Clients over real sockets: acknowledged when the bus has it, bounded whatever they do."""

import gzip
import resource
import select
import socket
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from random import Random

import msgpack
import pytest

from pipeline.base.errors import Rejected, Unavailable
from pipeline.contract.record import Chunk
from tests.collectors.forward.rig import SECOND, Input, entries, packed
from tests.collectors.rig import LateClock

Make = Callable[..., Input]


def test_an_acknowledgement_follows_that_of_the_bus(inputs: Make) -> None:
    rig = inputs()
    rig.producer.auto = False
    client = rig.client()
    client.sendall(msgpack.packb(["t", entries(100), {"chunk": "c1", "size": 100}]))
    rig.until(lambda: rig.producer.pending)
    rig.rounds()
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(1)
    rig.producer.auto = True
    rig.producer.ack()
    assert rig.answer(client) == {"ack": "c1"}
    assert rig.numbers() == list(range(100))


def test_a_message_over_several_logs_is_acknowledged_once(inputs: Make) -> None:
    rig = inputs()
    rig.producer.auto = False
    events = [
        [SECOND, {"n": n, "kubernetes": {"pod_name": f"web-{n % 3}", "namespace_name": "shop"}}]
        for n in range(30)
    ]
    client = rig.client()
    client.sendall(msgpack.packb(["t", events, {"chunk": "c"}]))
    rig.until(lambda: len(rig.producer.pending) == 6)
    rig.producer.ack(4)  # open and chunk of two logs
    rig.rounds()
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(1)
    rig.producer.auto = True
    rig.producer.ack()
    assert rig.answer(client) == {"ack": "c"}
    sources = {file.events[0].source for file in rig.files().values()}
    assert {(s.namespace, s.pod, s.path) for s in sources} == {
        ("shop", f"web-{n}", "forward:t") for n in range(3)
    }


def test_a_chunk_that_comes_again_is_not_stored_again(inputs: Make) -> None:
    rig = inputs()
    message = ["t", packed(entries(10)), {"chunk": "same"}]
    assert rig.ask(rig.client(), message) == {"ack": "same"}
    assert rig.ask(rig.client(), message) == {"ack": "same"}  # another connection
    assert rig.numbers() == list(range(10))
    other = ["t", packed(entries(10, first=10)), {"chunk": "same"}]  # the id alone is not enough
    assert rig.ask(rig.client(), other) == {"ack": "same"}
    assert rig.numbers() == list(range(20))


def test_who_sends_again_before_it_is_done_waits_with_the_first(inputs: Make) -> None:
    rig = inputs()
    rig.producer.auto = False
    message = msgpack.packb(["t", packed(entries(10)), {"chunk": "same"}])
    first, second = rig.client(), rig.client()
    first.sendall(message)
    rig.until(lambda: rig.producer.pending)
    first.close()
    second.sendall(message)
    rig.rounds()
    rig.producer.auto = True
    rig.producer.ack()
    assert rig.answer(second) == {"ack": "same"}
    assert rig.numbers() == list(range(10))


def test_only_so_many_chunks_are_remembered(inputs: Make) -> None:
    rig = inputs(remember_chunks=2)
    client = rig.client()
    for n in range(3):
        rig.ask(client, ["t", entries(1, first=n), {"chunk": f"c{n}"}])
    rig.ask(client, ["t", entries(1, first=2), {"chunk": "c2"}])
    rig.ask(client, ["t", entries(1, first=0), {"chunk": "c0"}])
    assert rig.numbers() == [0, 0, 1, 2]


def test_the_bus_away_and_back(inputs: Make) -> None:
    rig = inputs()
    failures = iter([Unavailable("away")] * 3)
    rig.producer.refuse = lambda event, value: next(failures, None)
    assert rig.ask(rig.client(), ["t", entries(50), {"chunk": "c"}]) == {"ack": "c"}
    assert rig.numbers() == list(range(50))


def test_what_the_bus_refuses_for_good_is_cut_and_then_named(inputs: Make) -> None:
    rig = inputs()
    rig.producer.refuse = lambda event, value: (
        Rejected("no") if isinstance(event, Chunk) and event.offset < 3000 else None
    )
    client = rig.client()
    assert rig.ask(client, ["t", entries(300), {"chunk": "c"}]) == {"ack": "c"}
    (gap,) = rig.gaps()
    assert (gap.start, gap.reason) == (0, "refused")
    assert gap.stop < 10_000


def test_a_full_bus_stops_reading_and_holds_no_more_than_the_bound(inputs: Make) -> None:
    rig = inputs(under_way_bytes=256 << 10, connection_bytes=128 << 10)
    rig.producer.auto = False
    clients = [rig.client() for _ in range(4)]
    message = msgpack.packb(["t", entries(100, size=400)])
    sent = dict.fromkeys(clients, 0)

    def push(client: socket.socket, count: int) -> None:
        """Go on with so many messages, as far as the network takes them."""
        with suppress(BlockingIOError):
            while sent[client] < count * len(message):
                sent[client] += client.send(message[sent[client] % len(message) :])

    for client in clients:
        client.setblocking(False)
        push(client, 200)
    rig.until(lambda: rig.server._full)
    rig.rounds(50)
    assert 128 << 10 < rig.logs.held < (256 << 10) + 4 * 64 * 1024
    assert rig.server._full
    rig.producer.auto = True
    rig.producer.ack()
    begun = {client: -(-size // len(message)) for client, size in sent.items()}
    taken = ("kubeledger_forward_events_total", ())

    def all_taken() -> bool:
        for client, count in begun.items():
            push(client, count)
        return rig.telemetry.values[taken] == 100 * sum(begun.values()) and not rig.logs.held

    rig.until(all_taken)
    assert len(rig.records()) == rig.telemetry.values[taken]


def test_one_greedy_client_does_not_stop_the_others(inputs: Make) -> None:
    rig = inputs(connection_bytes=64 << 10)
    rig.producer.auto = False
    greedy, other = rig.client(), rig.client()
    greedy.setblocking(False)
    with suppress(BlockingIOError):
        for _ in range(100):
            greedy.send(msgpack.packb(["greedy", entries(100, size=400)]))
    rig.rounds(20)
    other.sendall(msgpack.packb(["other", entries(1), {"chunk": "c"}]))
    rig.rounds()
    rig.producer.auto = True
    rig.producer.ack()
    assert rig.answer(other) == {"ack": "c"}


def test_a_message_of_100_mb_is_refused_before_it_is_taken(inputs: Make) -> None:
    rig = inputs()
    client = rig.client()
    head = b"\x92\xa3big\xc6" + struct.pack(">I", 100 << 20)
    tracemalloc.start()
    try:
        client.setblocking(False)
        client.send(head)
        with suppress(BlockingIOError, ConnectionError):
            for _ in range(1600):
                rig.step()
                client.send(bytes(1 << 16))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20
    rig.until(lambda: rig.said("forward-refused"))
    (said,) = rig.said("forward-refused")
    assert (said["kind"], said["tag"]) == ("too-large", "big")
    assert said["client"].startswith("127.0.0.1:")
    rig.rounds()
    (gap,) = rig.gaps()  # it asks for no acknowledgement: it is lost, and the ledger says so
    assert gap.stop - gap.start == (100 << 20) + len(head)
    assert gap.source.path == "forward:big"


def test_100_mb_of_small_events_in_one_message_are_refused(inputs: Make) -> None:
    rig = inputs(message_bytes=1 << 20)
    client = rig.client()
    client.setblocking(False)
    client.send(b"\x92\xa3big\xdd" + struct.pack(">I", 1 << 24))
    event = msgpack.packb(entries(1)[0]) * 1000
    with suppress(BlockingIOError, ConnectionError):
        for _ in range(200):
            rig.step()
            client.send(event)
    rig.until(lambda: rig.said("forward-refused"))
    assert [said["kind"] for said in rig.said("forward-refused")] == ["too-large"]


def test_few_long_messages_are_read_at_a_time_and_all_in_the_end(inputs: Make) -> None:
    rig = inputs(long_messages=2, message_bytes=1 << 20)
    clients = [rig.client() for _ in range(10)]
    messages = [
        msgpack.packb(["t", packed(entries(1000, size=100, first=i * 1000)), {"chunk": f"c{i}"}])
        for i in range(10)
    ]
    for client, message in zip(clients, messages, strict=True):
        client.sendall(message[:-1])

    def long() -> int:
        return sum(client.framing.held > 64 << 10 for client in rig.server._clients)

    rig.until(lambda: long() == 2)
    rig.rounds(40)
    holding = sorted(client.framing.held for client in rig.server._clients)
    assert long() == 2
    assert max(holding[:8]) <= 32 << 10
    for client, message in zip(clients, messages, strict=True):
        client.sendall(message[-1:])
    for i, client in enumerate(clients):
        assert rig.answer(client) == {"ack": f"c{i}"}
    assert rig.numbers() == list(range(10_000))


def test_who_does_not_finish_a_long_message_must_go(inputs: Make) -> None:
    rig = inputs(long_messages=1, message_s=60)
    slow, other = rig.client(), rig.client()
    slow.sendall(msgpack.packb(["slow", packed(entries(2000))])[:-1])
    rig.until(lambda: any(c.long_since is not None for c in rig.server._clients))
    other.sendall(msgpack.packb(["other", packed(entries(2000)), {"chunk": "c"}]))
    rig.until(lambda: any(c.waits for c in rig.server._clients))
    assert rig.records() == []
    rig.step(61)
    assert rig.answer(other) == {"ack": "c"}
    kinds = [said["kind"] for said in rig.said("forward-refused")]
    assert kinds[0] == "slow"


def test_who_does_not_read_its_answers_is_not_read_and_must_go(inputs: Make) -> None:
    rig = inputs(message_s=60)
    client = rig.client()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    message = msgpack.packb(["t", [], {"chunk": "x" * 250}]) * 100
    client.setblocking(False)
    rest = bytearray()

    def stuck() -> bool:
        rest.extend(b"" if rest else message)
        with suppress(BlockingIOError):
            del rest[: client.send(rest)]  # a part of one is a part of the stream
        return any(c.stuck_since is not None for c in rig.server._clients)

    rig.until(stuck)
    rig.rounds(20)
    (one,) = rig.server._clients
    assert len(one._out) < 256 << 10
    rig.step(61)
    rig.step(1)
    assert not rig.server._clients
    assert [said["kind"] for said in rig.said("forward-refused")] == ["slow"]


def test_answers_arrive_though_the_end_comes_late_and_more_was_sent(inputs: Make) -> None:
    rig = inputs()
    client = rig.client()
    client.sendall(msgpack.packb(["t", entries(1), {"chunk": "c"}]))
    rig.until(rig.numbers)
    rig.rounds()
    client.sendall(msgpack.packb(["t", entries(1)]))
    (served,) = rig.server._clients
    assert select.select([served.sock], [], [], 60)[0]
    rig.server._clock = LateClock()
    assert rig._life is not None
    rig._life.close()
    rig._life = None
    with client:
        answers = b"".join(iter(lambda: client.recv(100), b""))
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0, "reset"
    assert msgpack.unpackb(answers) == {"ack": "c"}


def test_a_silent_client_must_connect_anew(inputs: Make) -> None:
    rig = inputs(idle_s=100)
    client = rig.client()
    rig.until(lambda: rig.server._clients)
    rig.step(101)
    rig.step(1)
    client.settimeout(60)
    assert client.recv(1) == b""


def test_a_connection_that_ends_within_a_message_is_said(inputs: Make) -> None:
    rig = inputs()
    client = rig.client()
    client.sendall(msgpack.packb(["t", entries(10)])[:-1])
    rig.rounds()
    client.close()
    rig.until(lambda: rig.said("forward-refused"))
    (said,) = rig.said("forward-refused")
    assert said["kind"] == "cut"


def test_what_is_wrong_in_one_message_costs_only_that_one(inputs: Make) -> None:
    rig = inputs()
    client = rig.client()
    for message in (["t", entries(5)], ["t", [[SECOND, "no map"]]], ["t", entries(5, first=5)]):
        client.sendall(msgpack.packb(message))
    rig.until(lambda: len(rig.records()) == 10 and rig.gaps())
    (gap,) = rig.gaps()
    assert gap.reason == "refused"
    first, second = sorted(rig.files().values(), key=lambda f: not f.gaps)
    assert first.ends[0].size == gap.stop
    assert not second.ends


def test_who_asks_for_acknowledgements_hears_of_a_refusal_and_loses_nothing(inputs: Make) -> None:
    rig = inputs()
    bad = ["t", b"junk", {"chunk": "c", "compressed": "gzip"}]
    assert rig.ask(rig.client(), bad) == b""
    assert rig.said("forward-refused")[0]["tag"] == "t"
    assert rig.gaps() == []  # the client still has it


def test_a_size_that_does_not_fit_is_said_and_the_events_are_stored(inputs: Make) -> None:
    rig = inputs()
    message = ["t", entries(5), {"size": 7, "chunk": "c"}]
    assert rig.ask(rig.client(), message) == {"ack": "c"}
    assert rig.numbers() == list(range(5))
    assert "5 events came, `size` says 7" in rig.said("forward-odd")[0]["why"]


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", b"\xc1"])
def test_another_protocol_is_refused(inputs: Make, junk: bytes) -> None:
    rig = inputs()
    assert rig.ask(rig.client(), junk) == b""
    assert "begins with 0x" in rig.said("forward-refused")[0]["why"]


def test_the_same_complaint_is_not_said_each_time(inputs: Make) -> None:
    rig = inputs()
    for _ in range(20):
        rig.ask(rig.client(), b"\xc1")
    assert 1 <= len(rig.said("forward-refused")) <= 3
    counted = rig.telemetry.values[("kubeledger_forward_refused_total", ("wrong-type",))]
    assert counted == 20


def test_a_thousand_connections(inputs: Make) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip(f"this system allows {hard} open files, 2,100 are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
    try:
        rig = inputs(connections=1000)
        clients = []
        for _ in range(1000):
            clients.append(rig.client())
            if len(clients) % 50 == 0:
                rig.step()
        rig.until(lambda: len(rig.server._clients) == 1000)
        tracemalloc.start()
        for n, client in enumerate(clients):
            client.sendall(msgpack.packb(["t", entries(1, first=n), {"chunk": f"c{n}"}]))
        rig.until(lambda: len(rig.numbers()) == 1000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        for n, client in enumerate(clients):
            assert rig.answer(client) == {"ack": f"c{n}"}
        assert rig.numbers() == list(range(1000))
        assert peak < 24 << 20
        assert rig.ask(rig.client(), b"\xc0") == b""
        assert rig.said("forward-refused")[0]["kind"] == "full"
        rig.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_random_bytes_from_many_clients_leave_it_standing(inputs: Make) -> None:
    rig, chance = inputs(), Random(1)
    for n in range(50):
        client = rig.client()
        junk = chance.randbytes(200)
        with suppress(ConnectionError):
            client.sendall(bytes([0x93, 0xA1, 0x74]) + junk if n % 2 else junk)
            rig.step()
        client.close()
    rig.rounds(10)
    good = ["t", gzip.compress(packed(entries(3))), {"compressed": "gzip", "chunk": "c"}]
    assert rig.ask(rig.client(), good) == {"ack": "c"}
