"""Where log files may be: old kubelets, docker's links, plain host files, and what is none."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.contract.record import Chunk
from tests.collectors.rig import UID, Kubelet, Rig

LINE = b"2026-11-23T05:00:00.000000001Z stdout F one\n"


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    (tmp_path / "pods").mkdir()
    return Rig(tmp_path / "pods", tmp_path / "state")


def contents(rig: Rig) -> list[bytes]:
    return [file.content() for file in rig.files().values()]


def old_directory(root: Path, uid: str) -> Path:
    directory = root / uid / "main"
    directory.mkdir(parents=True)
    return directory / "0.log"


def old_flat(root: Path, uid: str) -> Path:
    (root / uid).mkdir(parents=True)
    return root / uid / "main_0.log"


@pytest.mark.parametrize("place", [old_directory, old_flat])
def test_layouts_of_old_kubelets(rig: Rig, place: Callable[[Path, str], Path]) -> None:
    uid = "0a1b2c3d-0000-4000-8000-000000000009"
    with rig.started():
        rig.step()
        line = b"2026-11-23T05:00:00Z stderr F hello\n"
        log = place(rig.root, uid)
        log.write_bytes(line)
        rig.run(0.5)
        file = rig.only()
        assert file.content() == line
        source = file.events[0].source
        assert (source.uid, source.container, source.restart) == (uid, "main", 0)
        log.unlink()
        rig.run(20)
        assert rig.only().ends


def test_docker_links_and_their_rotation(rig: Rig, tmp_path: Path) -> None:
    docker = tmp_path / "docker" / "abc"
    docker.mkdir(parents=True)
    log = docker / "abc-json.log"

    def line(text: str) -> bytes:
        return f'{{"log":"{text}\\n","stream":"stdout","time":"2026-11-23T05:00:00.1Z"}}\n'.encode()

    Path(f"{log}.1.gz").write_bytes(gzip.compress(line("oldest")))
    log.write_bytes(line("one"))
    pod = Kubelet(rig.root)
    pod.live.symlink_to(log)
    with rig.started():
        rig.run(1)
        assert contents(rig) == [line("oldest"), line("one")]
        Path(f"{log}.1.gz").rename(f"{log}.2.gz")
        log.rename(f"{log}.1")
        log.write_bytes(line("two"))
        rig.run(20)
        assert contents(rig) == [line("oldest"), line("one"), line("two")]
        chunks = [e for e, _ in rig.producer.records if isinstance(e, Chunk)]
        assert {c.format for c in chunks} == {"docker-json"}
        assert [len(f.ends) for f in rig.files().values()] == [1, 1, 0]


def test_host_files(rig: Rig, tmp_path: Path) -> None:
    log = tmp_path / "var" / "messages"
    log.parent.mkdir()
    Path(f"{log}-20260101").write_bytes(b"history\n")
    log.write_bytes(b"Jan  1 host kernel: one\n")
    rig.settings["host_files"] = [{"glob": str(log), "container": "messages"}]
    with rig.started():
        rig.run(1)
        assert contents(rig) == [b"Jan  1 host kernel: one\n"]
        event = rig.only().events[0]
        assert (event.source.uid, event.source.container) == ("", "messages")
        assert rig.producer.keys[0] == f"n1:{log}".encode()
    with log.open("ab") as out:
        out.write(b"late\n")
    log.rename(f"{log}-20261123")
    log.write_bytes(b"Jan  2 host kernel: two\n")
    with rig.started():
        rig.run(20)
        assert contents(rig) == [
            b"Jan  1 host kernel: one\nlate\n",
            b"Jan  2 host kernel: two\n",
        ]
        assert [len(f.ends) for f in rig.files().values()] == [1, 0]


@pytest.fixture
def node(rig: Rig, tmp_path: Path) -> Callable[..., Path]:
    """Host files by pattern -> their directory."""

    def reading(**patterns: str) -> Path:
        (tmp_path / "var").mkdir()
        rig.settings["host_files"] = [
            {"glob": str(tmp_path / "var" / pattern), "container": program}
            for program, pattern in patterns.items()
        ]
        return tmp_path / "var"

    return reading


def as_whose(rig: Rig) -> list[tuple[str, str, bytes]]:
    opened = [(file.events[0].source, file.content()) for file in rig.files().values()]
    return sorted((one.container, os.path.basename(one.path), text) for one, text in opened)


def test_a_host_file_that_two_patterns_mean_is_read_once(
    rig: Rig, node: Callable[..., Path]
) -> None:
    var = node(app="app.log", rest="*.log", other="a*")
    for name in ("app.log", "b.log", ".hidden.log"):
        (var / name).write_bytes(name.encode() + b"\n")
    with rig.started():
        rig.run(12)
        assert as_whose(rig) == [("app", "app.log", b"app.log\n"), ("rest", "b.log", b"b.log\n")]


def test_a_link_to_what_is_read_anyway_is_passed_over(
    rig: Rig, node: Callable[..., Path], tmp_path: Path
) -> None:
    var = node(app="*.log")
    (var / "app-7.log").write_bytes(b"one\n")
    (var / "current.log").symlink_to("app-7.log")
    (tmp_path / "elsewhere").write_bytes(b"two\n")
    (var / "link.log").symlink_to(tmp_path / "elsewhere")
    printed = Kubelet(rig.root)
    line = printed.write()
    (var / "web_main.log").symlink_to(printed.live)
    with rig.started():
        rig.run(12)
        assert as_whose(rig) == [("app", "app-7.log", b"one\n"),
                                         ("app", "link.log", b"two\n"),
                                         ("main", "0.log", line)]  # fmt: skip


def test_a_host_file_that_is_renamed_and_not_there_anew_is_the_same(
    rig: Rig, node: Callable[..., Path]
) -> None:
    """Also where the pattern means its older generations as well."""
    var = node(app="app.log*")
    (var / "app.log").write_bytes(b"one\n")
    with rig.started():
        rig.run(6)
        (var / "app.log").rename(var / "app.log.1")
        rig.run(12)
        with (var / "app.log.1").open("ab") as out:
            out.write(b"late\n")
        rig.run(6)
        (var / "app.log").write_bytes(b"two\n")
        rig.run(20)
        assert as_whose(rig) == [("app", "app.log", b"one\nlate\n"),
                                 ("app", "app.log", b"two\n")]  # fmt: skip
        (var / "app.log").unlink()
        (var / "app.log.1").unlink()
        rig.run(20)
        assert rig.agent._files._tree._host_files[str(var)] == {}


def test_a_file_with_two_names_is_one_generation(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    written = pod.write()
    os.link(pod.live, f"{pod.live}.20261123-000001")
    with rig.started():
        rig.run(12)
        assert contents(rig) == [written]


def test_the_next_file_of_the_same_bytes_is_another_one(
    rig: Rig, node: Callable[..., Path]
) -> None:
    """A job deletes its log and writes the same words each time."""
    log = node(job="*.log") / "job.log"
    runs = []
    with rig.started():
        for _ in range(3):
            log.write_bytes(b"begins\nends\n")
            runs.append(("job", "job.log", b"begins\nends\n"))
            rig.run(20)
            assert as_whose(rig) == runs
            log.unlink()
            rig.run(20)


def test_a_file_that_begins_as_a_deleted_one_goes_on_in_a_second_life(
    rig: Rig, node: Callable[..., Path]
) -> None:
    log = node(job="*.log") / "job.log"
    with rig.started():
        log.write_bytes(b"begins\n")
        rig.run(6)
        log.unlink()
        log.write_bytes(b"begins\nof the second\n")
        rig.run(20)
    with rig.started():
        rig.run(20)
        assert as_whose(rig) == [("job", "job.log", b"begins\n"),
                                 ("job", "job.log", b"begins\nof the second\n")]  # fmt: skip


def test_a_root_that_is_not_there_hides_no_loss_of_host_files(
    rig: Rig, node: Callable[..., Path], tmp_path: Path
) -> None:
    log = node(app="*.log") / "app.log"
    rig.settings["roots"] = [tmp_path / "nothing"]
    log.write_bytes(b"one\n")
    with rig.started():
        rig.run(6)
        rig.producer.auto = False
        with log.open("ab") as out:
            out.write(b"two\n")
        rig.run(2)
        rig.agent._keep(1e9)
        rig.kill()
    log.unlink()
    rig.producer.pending.clear()
    rig.producer.auto = True
    with rig.started():
        rig.run(20)
        assert [(gap.start, gap.stop) for gap in rig.only().gaps] == [(4, 8)]


def test_a_directory_of_host_files_that_is_replaced_is_watched(
    rig: Rig, node: Callable[..., Path]
) -> None:
    var = node(app="*.log")
    with rig.started():
        rig.run(6)
        var.rename(f"{var}.old")
        var.mkdir()
        rig.run(6)
        (var / "new.log").write_bytes(b"new\n")
        rig.run(1)
        assert as_whose(rig) == [("app", "new.log", b"new\n")]


def test_links_that_lead_round_in_circles(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    written = pod.write()
    for path in (rig.root / f"shop_x_{UID.format(9)}", pod.pod / "loop", pod.directory / "1.log"):
        path.symlink_to(path.name)
    with rig.started():
        rig.run(6)
        assert contents(rig) == [written]


def test_names_are_any_bytes_and_shown_as_text(rig: Rig, tmp_path: Path) -> None:
    root, var = os.fsencode(rig.root), os.fsencode(tmp_path / "var")
    printed = root + b"/shop_\xe9_" + UID.format(1).encode() + b"/m\xff/0.log"
    written = var + b"/\xfe.log"
    for path in (printed, written):
        os.makedirs(os.path.dirname(path))
        Path(os.fsdecode(path)).write_bytes(LINE)
    rig.settings["host_files"] = [{"glob": str(tmp_path / "var" / "*.log"), "container": "odd"}]
    for _ in range(2):  # two lives
        with rig.started():
            rig.run(20)
    found = {(s.pod, s.container, s.path): one.content()
             for one in rig.files().values() for s in [one.events[0].source]}  # fmt: skip
    assert found == {
        (r"\xe9", r"m\xff", f"{rig.root}/shop_\\xe9_{UID.format(1)}/m\\xff/0.log"): LINE,
        ("", "odd", f"{tmp_path}/var/\\xfe.log"): LINE,
    }


def test_names_that_are_no_logs_are_counted(rig: Rig) -> None:
    pod = Kubelet(rig.root)
    (pod.directory / "core.1").touch()
    (pod.directory / "0.log.20261123-000000.tmp").touch()
    (rig.root / "lost+found").mkdir()
    with rig.started():
        rig.step()
        assert rig.telemetry.values["kubeledger_ignored_files", ()] == 2
        assert not rig.producer.records
