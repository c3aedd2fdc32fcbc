"""The door to the API server: every way in which there may be no whole answer has its name."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.cluster.api import ApiFailure, ApiServer, checked, connector
from pipeline.base.clock import SystemClock
from pipeline.base.errors import UsageError
from pipeline.contract import state
from tests.collectors.cluster.fake_api import FakeApi, Fault
from tests.collectors.cluster.fake_store import FakeStore
from tests.collectors.cluster.watcher_rig import PODS


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi(FakeStore()) as running:
        yield running


def server(file: Path) -> ApiServer:
    return ApiServer(connector(file, "", connections=2), SystemClock())


def outcome(
    api: ApiServer,
    params: tuple = (),
    *,
    headers_s: float = 60,
    quiet_s: float = 60,
    whole_s: float | None = None,
) -> str:
    with (
        pytest.raises(ApiFailure) as caught,
        api.open(PODS, params, headers_s=headers_s, quiet_s=quiet_s, whole_s=whole_s) as answer,
    ):
        list(answer.pieces())
    assert str(caught.value)
    return caught.value.outcome


def test_no_headers(api: FakeApi, tmp_path: Path) -> None:
    api.faults[PODS] = Fault(hang=True)
    assert outcome(server(api.kubeconfig(tmp_path)), headers_s=0.3) == state.TIMEOUT


def test_headers_and_then_silence(api: FakeApi, tmp_path: Path) -> None:
    """`quiet_s` is for the body; here it is shorter than the time between two bookmarks."""
    api.bookmark_s = 300
    watch = (("watch", "true"), ("resourceVersion", "95"))
    assert outcome(server(api.kubeconfig(tmp_path)), watch, quiet_s=0.3) == state.TIMEOUT


def test_a_list_that_takes_too_long_although_it_moves(api: FakeApi, tmp_path: Path) -> None:
    for number in range(30):
        api.store.put(PODS, f"web-{number}", "shop", spec={"x": "y" * 300})
    api.faults[PODS] = Fault(pause_s=0.05)
    assert outcome(server(api.kubeconfig(tmp_path)), whole_s=1.0) == state.TIMEOUT


def test_a_stream_that_is_cut(api: FakeApi, tmp_path: Path) -> None:
    api.store.put(PODS, "web", "shop")
    api.faults[PODS] = Fault(cut_after=20)
    watch = (("watch", "true"), ("resourceVersion", "95"))
    assert outcome(server(api.kubeconfig(tmp_path)), watch) == state.UNREACHABLE


def test_nothing_listens(api: FakeApi, tmp_path: Path) -> None:
    file = api.kubeconfig(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        text = file.read_text().replace(api.url, f"http://127.0.0.1:{taken.getsockname()[1]}")
        file.write_text(text)
        assert outcome(server(file)) == state.REFUSED


def test_a_name_that_does_not_exist(api: FakeApi, tmp_path: Path) -> None:
    file = api.kubeconfig(tmp_path)
    file.write_text(file.read_text().replace("127.0.0.1", "no-such-host.invalid"))
    assert outcome(server(file)) in (state.UNREACHABLE, state.TIMEOUT)


def test_a_certificate_of_another(certificates: tuple[Path, Path], tmp_path: Path) -> None:
    with FakeApi(FakeStore(), certificate=certificates) as api:
        assert outcome(server(api.kubeconfig(tmp_path))) == state.CERTIFICATE
        trusted = server(api.kubeconfig(tmp_path, ca=certificates[0]))
        assert trusted.call("GET", PODS, deadline_s=60).status == 200


def test_an_answer_can_be_ended_by_another_thread(api: FakeApi, tmp_path: Path) -> None:
    api.bookmark_s = 300
    params = (("watch", "true"), ("resourceVersion", "95"))
    with server(api.kubeconfig(tmp_path)).open(PODS, params, headers_s=60, quiet_s=60) as answer:
        answer.shut()
        with pytest.raises(ApiFailure):
            list(answer.pieces())


def test_a_file_that_is_none_is_a_mistake_of_its_writer(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    for text in ("", "contexts: []", "current-context: x\n", "not: [yaml"):
        file.write_text(text)
        with pytest.raises(UsageError, match="kubeconfig"):
            checked(connector(file, "", connections=1))
    with pytest.raises(UsageError, match="kubeconfig"):
        checked(connector(tmp_path / "absent", "", connections=1))


def test_a_context_that_does_not_exist(api: FakeApi, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="context"):
        checked(connector(api.kubeconfig(tmp_path), "production", connections=1))
