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
