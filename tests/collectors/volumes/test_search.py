"""Files that several patterns mean, and directories that wildcards mean."""

import errno
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from collectors.volumes import files, search
from collectors.volumes.beneath import directories_in
from tests.collectors.volumes.rig import VolumeRig, pod, refuse, wished

PATH = "volume:/logs/app.log"


@pytest.fixture
def rig(tmp_path: Path) -> Callable[..., VolumeRig]:
    def wishing(*files: str, **settings: int) -> VolumeRig:
        rig = VolumeRig(tmp_path, **settings)
        rig.feed.learn(wished(*files))
        return rig

    return wishing


def test_a_file_that_two_patterns_mean_is_read_once(rig: Callable[..., VolumeRig]) -> None:
    node = rig("/logs/*.log", "/logs/app.log", "/logs/**/a*.log", "/*/app.log")
    written = node.write("app.log", "one\n")
    with node.started():
        node.run(6)
        written += node.write("app.log", "two\n")
        node.run(6)
        (node.volume / "app.log").rename(node.volume / "app.log.1")
        new = node.write("app.log", "new\n")
        node.run(20)
        assert node.read() == {PATH: [written, new]}


def test_a_file_stays_whose_it_is_while_wishes_come_and_go(rig: Callable[..., VolumeRig]) -> None:
    node = rig("/logs/*.log")
    seen = pod(logs="logs")
    node.known.pods = [replace(seen, mounts={"main": {"/mine": "logs"}, "side": {"/logs": "logs"}})]
    one = node.write("app.log", "one\n")
    with node.started():
        node.run(6)
        node.feed.learn(wished("/logs/*.log", "/mine/*.log", generation=2))
        node.run(6)
        one += node.write("app.log", "two\n")
        other = node.write("other.log", "of the first container\n")
        node.run(12)
        assert node.read() == {PATH: [one], "volume:/mine/other.log": [other]}
        node.feed.learn(wished("/mine/o*.log", generation=3))
        node.write("app.log", "no interest\n")
        node.run(30)
        node.write("app.log", "no interest\n")
        node.run(30)
        assert node.read().keys() == {PATH, "volume:/mine/other.log"}
        assert [end.reason for file in node.files().values() for end in file.ends] == ["rotated"]


@pytest.mark.parametrize(
    ("pattern", "read"),
    [
        ("/logs/*/app.log", ["a/app.log", "b/app.log"]),
        ("/logs/?/*.log", ["a/app.log", "a/x.log", "b/app.log"]),
        ("/logs/**/app.log", ["a/app.log", "a/deep/er/app.log", "app.log", "b/app.log"]),
        ("/**/deep/**/*.log", ["a/deep/er/app.log"]),
        ("/*/a/*/er/app.log", ["a/deep/er/app.log"]),
        ("/logs/*/nothing/app.log", []),
    ],
)
def test_wild_directories(rig: Callable[..., VolumeRig], pattern: str, read: list[str]) -> None:
    node = rig(pattern)
    written = {
        name: node.write(name, f"{name}\n")
        for name in ("app.log", "a/app.log", "a/x.log", "a/deep/er/app.log", "b/app.log")
    }
    with node.started():
        node.run(6)
        assert node.read() == {f"volume:/logs/{name}": [written[name]] for name in read}


def test_directories_come_and_go(rig: Callable[..., VolumeRig]) -> None:
    node = rig("/logs/**/app.log")
    with node.started():
        node.run(6)
        assert node.read() == {}
        one = node.write("run-1/app.log", "one\n")
        node.run(12)
        one += node.write("run-1/app.log", "two\n")
        node.run(6)
        (node.volume / "run-1" / "app.log").unlink()
        (node.volume / "run-1").rmdir()
        two = node.write("run-2/app.log", "another\n")
        node.run(30)
        assert node.read() == {"volume:/logs/run-1/app.log": [one],
                               "volume:/logs/run-2/app.log": [two]}  # fmt: skip
        ended = {f.events[0].source.file: [e.reason for e in f.ends] for f in node.files().values()}
        assert ended == {"/logs/run-1/app.log": ["deleted"], "/logs/run-2/app.log": []}
    two += node.write("run-2/app.log", "a second life\n")
    with node.started():
        node.run(12)
        assert node.read()["volume:/logs/run-2/app.log"] == [two]


def test_no_link_is_entered(rig: Callable[..., VolumeRig], tmp_path: Path) -> None:
    node = rig("/logs/**/app.log")
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "app.log").write_text("root:x:0:0\n")
    (node.volume / "inner").symlink_to(secret)
    (node.volume / "again").symlink_to(node.volume)
    with node.started():
        node.run(12)
        assert node.read() == {}


def test_a_directory_swapped_for_a_link_between_look_and_entering(
    rig: Callable[..., VolumeRig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = rig("/logs/*/app.log")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "app.log").write_text("root:x:0:0\n")
    (node.volume / "inner").mkdir()
    look = os.scandir

    def swapping(directory: int) -> object:
        found = look(directory)
        inner = node.volume / "inner"
        if inner.is_dir() and not inner.is_symlink():
            inner.rmdir()
            inner.symlink_to(tmp_path / "secret")
        return found

    monkeypatch.setattr("collectors.volumes.beneath.os.scandir", swapping)
    with node.started():
        node.run(6)
        assert node.read() == {}


def test_another_volume_below_is_its_own(rig: Callable[..., VolumeRig]) -> None:
    """Where the container sees another volume, what the first one has there is hidden."""
    node = rig("/logs/**/app.log")
    seen = pod(logs="logs")
    node.known.pods = [replace(seen, mounts={"main": {"/logs": "logs", "/logs/b": "other"}})]
    one = node.write("a/app.log", "seen\n")
    node.write("b/app.log", "hidden\n")
    other = node.volume.parent / "other" / "app.log"
    other.parent.mkdir()
    other.write_bytes(b"of the other\n")
    with node.started():
        node.run(6)
        assert node.read() == {"volume:/logs/a/app.log": [one],
                               "volume:/logs/b/app.log": [other.read_bytes()]}  # fmt: skip


def test_it_is_bounded_and_what_is_left_is_told(
    rig: Callable[..., VolumeRig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_DIRECTORIES", 4)
    node = rig("/logs/**/app.log")
    written = {name: node.write(f"{name}/app.log", "line\n") for name in "abcdef"}
    with node.started():
        node.run(12)
        assert node.read() == {f"volume:/logs/{name}/app.log": [written[name]] for name in "abcd"}
        assert node.unread() == ["more than 4 directories below"]


def test_many_directories_are_looked_at_less_often(
    rig: Callable[..., VolumeRig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in them is heard from inotify meanwhile; a new wish waits for nothing."""
    monkeypatch.setattr("collectors.volumes.files._A_SWEEP", 2)
    node = rig("/logs/*/app.log")
    for name in "abcdefgh":
        node.write(f"{name}/app.log", "line\n")
    looks: list[str] = []
    listed = search.directories_in

    def counting(root: str, parts: tuple[str, ...]) -> list[str]:
        looks.append(root)
        return listed(root, parts)

    monkeypatch.setattr(search, "directories_in", counting)
    with node.started():
        node.run(2 * 10 * node.config.reading.sweep_s)
        assert 2 <= len(looks) <= 6
        node.write("i/app.log", "a new one\n")
        node.feed.learn(wished("/logs/*/?pp.log", generation=2))
        node.run(2 * node.config.reading.sweep_s)
        assert "volume:/logs/i/app.log" in node.read()


def test_all_paths_of_a_pod_are_bounded_together(
    rig: Callable[..., VolumeRig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod may name hundreds of paths in its variables, and one thread looks for them all."""
    monkeypatch.setattr(search, "MOST_OF_A_POD", 40)
    looked = Counter[str]()

    def counting(root: str, parts: tuple[str, ...]) -> list[str]:
        looked["/".join(parts)] += 1
        return directories_in(root, parts)

    monkeypatch.setattr(search, "directories_in", counting)
    node = rig("/logs/**/app.log")
    variables = {f"aliyun_logs_{number:02}": f"/logs/**/{number}*.log" for number in range(50)}
    node.known.pods = [replace(pod(logs="logs"), env={"main": variables})]
    written = {name: node.write(f"{name}/app.log", "line\n") for name in "abc"}
    with node.started():
        node.step()
        assert set(looked.values()) == {1}
        node.run(6)
        assert node.read() == {f"volume:/logs/{name}/app.log": [written[name]] for name in "abc"}
        assert node.unread() == ["more than 40 directories for all paths of the pod"]


def test_files_of_a_pod_that_are_looked_at_are_bounded(
    rig: Callable[..., VolumeRig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_FILES", 5)
    node = rig("/logs/*/app.log")
    for name in "abcd":
        for other in range(3):
            node.write(f"{name}/{other}", "")
    written = {name: node.write(f"{name}/app.log", "line\n") for name in "abcd"}
    with node.started():
        node.run(12)
        assert node.read() == {f"volume:/logs/{name}/app.log": [written[name]] for name in "ab"}
        assert node.unread() == ["more than 5 files before this one"] * 2


def test_it_is_ten_deep(rig: Callable[..., VolumeRig]) -> None:
    node = rig("/logs/**/app.log")
    written = node.write("d/" * 10 + "app.log", "deep\n")
    node.write("d/" * 11 + "app.log", "too deep\n")
    with node.started():
        node.run(6)
        assert list(node.read().values()) == [[written]]


def test_what_cannot_be_entered_is_told(
    rig: Callable[..., VolumeRig], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = rig("/logs/*/app.log")
    written = node.write("a/app.log", "line\n")
    node.write("b/app.log", "line\n")
    opened = os.open

    def refusing(path: str, *args: object, **kwargs: object) -> int:
        if path == "b":
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("collectors.volumes.beneath.os.open", refusing)
    with node.started():
        node.run(6)
        assert node.read() == {"volume:/logs/a/app.log": [written]}
        assert "Permission denied" in node.unread()[0]


@pytest.mark.parametrize("pattern", ["/logs/*/app.log", "/logs/**/app.log"])
@pytest.mark.parametrize("code", [errno.EACCES, errno.EMFILE, errno.EIO])
@pytest.mark.parametrize("name", ["logs", "a"])
def test_what_was_found_stays_while_nobody_can_look(
    rig: Callable[..., VolumeRig], monkeypatch: pytest.MonkeyPatch, pattern: str, code: int,
    name: str,
) -> None:  # fmt: skip
    node = rig(pattern)
    written = node.write("a/app.log", "one\n")
    with node.started():
        node.run(6)
        with monkeypatch.context() as patch:
            refuse(patch, code, name)
            node.run(30)
            written += node.write("a/app.log", "two\n")
            node.run(6)
        node.run(12)
        assert node.read() == {"volume:/logs/a/app.log": [written]}
        assert not node.only().ends


def test_names_are_any_bytes_and_shown_as_text(rig: Callable[..., VolumeRig]) -> None:
    node = rig("/logs/**/*.log")
    written = {
        text: node.write(os.fsdecode(name), "one\n")
        for name, text in {
            b"\xff/a.log": r"\xff/a.log", b"\xd6\xd0.log": r"\xd6\xd0.log",
            "中.log".encode(): "中.log", b"new\nline.log": "new\nline.log",
        }.items()
    }  # fmt: skip
    for _ in range(2):  # two lives
        with node.started():
            node.run(6)
            assert node.read() == {f"volume:/logs/{name}": [text] for name, text in written.items()}
