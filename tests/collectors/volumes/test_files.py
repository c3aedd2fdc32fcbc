"""Files in volumes: what is read, as whose, and what is not whoever wishes it."""

import errno
import gzip
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from collectors.volumes import beneath
from pipeline.contract.configs import ConfigVersion
from pipeline.contract.record import PLAIN, FileOpen
from tests.collectors.volumes.rig import POD, VolumeRig, pod, refuse, wished

PATH = "volume:/logs/app.log"


@pytest.fixture
def rig(tmp_path: Path) -> VolumeRig:
    rig = VolumeRig(tmp_path)
    rig.feed.learn(wished("/logs/*.log"))
    return rig


def test_lines_have_the_pods_identity_and_the_path_in_the_container(rig: VolumeRig) -> None:
    written = rig.write("app.log", "2026-11-23T05:00:00Z stdout F not what it looks like\n")
    rig.write("other.txt", "not wished\n")
    with rig.started():
        rig.run(1)
        written += rig.write("app.log", "two\n")
        rig.run(1)
        assert rig.read() == {PATH: [written]}
        opened = rig.only().events[0]
        source = opened.source
        assert (source.namespace, source.pod, source.uid) == ("shop", "web-7", POD)
        assert (source.container, source.file) == ("main", "/logs/app.log")
        assert isinstance(opened, FileOpen)
        assert opened.format == PLAIN


def test_rotation_by_rename_copy_and_deletion(rig: VolumeRig) -> None:
    with rig.started():
        one = rig.write("app.log", "same head\none\n")
        rig.run(6)
        (rig.volume / "app.log").rename(rig.volume / "app.log.1")
        two = rig.write("app.log", "same head\ntwo\n")
        rig.run(20)
        assert rig.read() == {PATH: [one, two]}
        (rig.volume / "app.log.2").write_bytes((rig.volume / "app.log").read_bytes())
        os.truncate(rig.volume / "app.log", 0)
        rig.run(6)
        three = rig.write("app.log", "same head\nthree\n")
        rig.run(20)
        assert rig.read()[PATH][2:] in ([three], [two, three])  # the copy may be read as well
        (rig.volume / "app.log").unlink()
        rig.run(20)
        four = rig.write("app.log", "same head\nfour\n")
        rig.run(20)
        assert rig.read()[PATH][-1] == four
        assert all(not file.gaps for file in rig.files().values())


def test_a_second_life_goes_on_and_nothing_is_missing_before_pods_are_known(
    rig: VolumeRig,
) -> None:
    written = rig.write("app.log", "one\n")
    with rig.started():
        rig.run(2)
    rig.known.listed = 0
    with rig.started():
        rig.run(30)
        rig.known.listed = 1
        written += rig.write("app.log", "two\n")
        rig.run(30)
        assert rig.read() == {PATH: [written]}
        assert not rig.only().gaps
        assert not rig.only().ends


def test_a_pod_that_is_gone_ends_its_files_and_is_forgotten(rig: VolumeRig) -> None:
    written = rig.write("app.log", "one\nno newline")
    with rig.started():
        rig.run(2)
        (rig.volume / "app.log").unlink()
        rig.volume.rmdir()
        rig.run(20)
        file = rig.only()
        assert (file.content(), file.ends[0].reason) == (written, "deleted")
        assert len(list(rig.positions.items())) == 1
        rig.known.pods, rig.known.listed = [], 2
        rig.run(6)
        assert not list(rig.positions.items())


def test_what_is_gone_while_nobody_looked_is_named(rig: VolumeRig) -> None:
    rig.write("app.log", "one\n")
    with rig.started():
        rig.run(2)
        rig.producer.auto = False
        rig.write("app.log", "two\n")
        rig.run(2)
        rig.agent._keep(1e9)
        rig.kill()
    (rig.volume / "app.log").unlink()
    rig.producer.pending.clear()
    rig.producer.auto = True
    with rig.started():
        rig.run(30)
        (gap,) = rig.only().gaps
        assert (gap.start, gap.stop, gap.exact) == (4, 8, False)


@pytest.mark.parametrize("kind", ["file", "directory", "fifo", "socket-like", "dangling"])
def test_nothing_leads_out_of_a_volume(rig: VolumeRig, tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "app.log").write_text("root:x:0:0\n")
    if kind == "directory":
        rig.volume.rmdir()
        rig.volume.symlink_to(secret)
    elif kind == "fifo":
        os.mkfifo(rig.volume / "app.log")
    elif kind == "socket-like":
        (rig.volume / "app.log").mkdir()
    else:
        target = "app.log" if kind == "file" else "nothing"
        (rig.volume / "app.log").symlink_to(secret / target)
    with rig.started():
        rig.run(12)
        assert rig.read() == {}
    if kind == "directory":
        assert "links are not followed" in rig.unread()[0]


def test_a_file_swapped_for_a_link_between_look_and_open(
    rig: VolumeRig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("root:x:0:0\n")
    rig.write("app.log", "harmless\n")
    opened = os.open

    def swapping(path: Any, *args: Any, **kwargs: Any) -> int:
        if path == "app.log":
            (rig.volume / "app.log").unlink(missing_ok=True)
            (rig.volume / "app.log").symlink_to(tmp_path / "secret")
        return opened(path, *args, **kwargs)

    monkeypatch.setattr("collectors.volumes.beneath.os.open", swapping)
    with rig.started():
        rig.run(6)
        assert rig.read() == {}


def test_a_pod_has_so_many_files_and_no_more(tmp_path: Path) -> None:
    rig = VolumeRig(tmp_path, max_files=3)
    rig.feed.learn(wished("/logs/*.log", "/logs/*.txt"))
    for number in range(5):
        rig.write(f"{number}.log", "line\n")
        rig.write(f"{number}.txt", "line\n")
    with rig.started():
        rig.run(12)
        assert len(rig.read()) == 3
        assert "max_files" in rig.unread()[0]
        (rig.volume / "0.log").unlink()
        rig.run(20)
        assert len(rig.read()) == 4


@pytest.mark.parametrize(
    ("place", "allowed", "says"),
    [
        ("{}/node", ["{}"], ""),
        ("{}/node", ["{}/other"], "host_paths"),
        ("{}/nodes", ["{}/node"], "host_paths"),
        ("{}/other/../node", ["{}"], "has . or .."),
        ("../../secret", [], "has . or .."),
    ],
)
def test_host_paths_only_where_they_are_allowed(
    tmp_path: Path, place: str, allowed: list[str], says: str
) -> None:
    rig = VolumeRig(tmp_path, host_paths=[text.format(tmp_path) for text in allowed])
    for name in ("node", "nodes", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.log").write_text("line\n")
    rig.known.pods = [pod(data=place.format(tmp_path))]
    rig.feed.learn(wished("/data/x.log"))
    with rig.started():
        rig.run(6)
        assert len(rig.read()) == (not says)
        assert says in (rig.unread() or [""])[0]


def test_wishes_change_while_it_runs(rig: VolumeRig) -> None:
    rig.feed.learn(wished("/logs/*.log", generation=2, selector={"matchLabels": {"app": "db"}}))
    written = rig.write("app.log", "one\n")
    with rig.started():
        rig.run(6)
        assert rig.read() == {}
        rig.feed.learn(wished("/logs/app.log", generation=3))
        rig.run(6)
        assert rig.read() == {PATH: [written]}
        rig.feed.learn(wished("relative", generation=4))
        rig.write("app.log", "a last line\n")
        rig.run(30)
        later = rig.write("app.log", "of no interest\n")
        rig.run(30)
        assert later not in rig.read()[PATH][0]
        assert rig.only().ends
    assert "absolute path" in rig.said("wish-bad")[0]


def test_a_pod_may_name_files_itself(tmp_path: Path) -> None:
    rig = VolumeRig(tmp_path)
    variables = {"main": {"aliyun_logs_biz": "/logs/*.log", "aliyun_logs_out": "stdout",
                          "aliyun_logs_bad": "/logs/../x"}}  # fmt: skip
    rig.known.pods = [replace(pod(logs="logs"), env=variables)]
    written = rig.write("app.log", "one\n")
    rig.write("other.txt", "not wished\n")
    with rig.started():
        rig.run(6)
        assert rig.read() == {PATH: [written]}


@pytest.mark.parametrize(
    ("chosen", "reads"),
    [("{app: web}", True), ("{app: db}", False), ("{app: db, tier: front}", True)],
)
def test_objects_of_another_agent_name_files(tmp_path: Path, chosen: str, reads: bool) -> None:
    rig = VolumeRig(tmp_path)
    thing = yaml.safe_load(f"""
        kind: ClusterAliyunPipelineConfig
        metadata: {{name: new}}
        spec: {{config: {{inputs: [{{Type: input_file, EnableContainerDiscovery: true,
            FilePaths: [/logs/app.log], ContainerFilters: {{IncludeK8sLabel: {chosen}}}}}]}}}}
    """)
    rig.feed.learn(ConfigVersion("c2", 1, 0, object=thing))
    rig.known.pods = [replace(pod(logs="logs"), labels={"app": "web", "tier": "front"})]
    written = rig.write("app.log", "one\n")
    with rig.started():
        rig.run(6)
        assert rig.read() == ({PATH: [written]} if reads else {})


def test_two_containers_that_see_a_volume_are_one(rig: VolumeRig) -> None:
    both = pod(logs="logs")
    rig.known.pods = [
        type(both)(both.uid, both.name, both.namespace, "n1", 0,
                   mounts={"main": {"/logs": "logs"}, "side": {"/logs": "logs"}})
    ]  # fmt: skip
    rig.write("app.log", "one\n")
    with rig.started():
        rig.run(6)
        assert rig.only().events[0].source.container == "main"


@pytest.mark.parametrize("below", ["a\0b", "\ud800", "x" * 300])
def test_a_sub_path_that_is_none_is_told(rig: VolumeRig, below: str) -> None:
    """The API server takes any text there, and the kubelet's list has it."""
    rig.known.pods = [pod(logs=f"logs/{below}")]
    rig.feed.learn(wished("/logs/*.log", "/logs/*/app.log", generation=2))
    with rig.started():
        rig.run(12)
        assert rig.read() == {}
        assert rig.unread()


@pytest.mark.parametrize("code", [errno.EACCES, errno.EMFILE, errno.EIO])
def test_a_directory_that_cannot_be_opened_is_not_gone(
    rig: VolumeRig, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Its files are held, so that what is deleted meanwhile is read; in the next life, too."""
    written = rig.write("app.log", "one\n")
    with rig.started():
        rig.run(6)
        with monkeypatch.context() as patch:
            refuse(patch, code, "logs")
            rig.run(30)
            written += rig.write("app.log", "two\n")
            (rig.volume / "app.log").unlink()
            rig.run(30)
        assert rig.read() == {PATH: [written]}
        assert not rig.only().ends
        rig.run(30)
        assert [end.reason for end in rig.only().ends] == ["deleted"]


def test_what_cannot_be_opened_at_the_start_is_not_missing(
    rig: VolumeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = rig.write("app.log", "one\n")
    with rig.started():
        rig.run(6)
    written += rig.write("app.log", "two\n")
    with rig.started():
        with monkeypatch.context() as patch:
            refuse(patch, errno.EIO, "logs")
            rig.run(30)
        rig.run(12)
        assert rig.read() == {PATH: [written]}
        assert not rig.only().ends


def test_a_file_that_vanishes_while_its_directory_is_listed(
    rig: VolumeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is told to be gone but that file."""
    written = rig.write("app.log", "one\n")
    for name in ("0", "z"):
        rig.write(name, "")
    look = os.scandir

    @contextmanager
    def vanishing(directory: int | str) -> Iterator[Iterator[Any]]:
        with look(directory) as items:
            found = list(items)
        for name in ("0", "z") if isinstance(directory, int) else ():
            (rig.volume / name).unlink(missing_ok=True)
        yield iter(found)

    monkeypatch.setattr("collectors.volumes.beneath.os.scandir", vanishing)
    with rig.started():
        rig.step()
        assert rig.read() == {PATH: [written]}


@pytest.mark.parametrize("renamed", [True, False])
def test_a_directory_of_the_same_name_is_watched(rig: VolumeRig, renamed: bool) -> None:
    rig.feed.learn(wished("/logs/run/app.log", generation=2))
    rig.write("run/app.log", "one\n")
    with rig.started():
        rig.run(6)
        if renamed:
            (rig.volume / "run").rename(rig.volume / "before")
        else:
            shutil.rmtree(rig.volume / "run")
        rig.write("run/app.log", "two\n")
        rig.run(6)
        (rig.volume / "run" / "app.log").rename(rig.volume / "run" / "app.log.1")
        three = rig.write("run/app.log", "three\n")
        rig.run(1)
        assert three in rig.read()["volume:/logs/run/app.log"]


def test_what_became_an_older_generation_counts_no_more(tmp_path: Path) -> None:
    rig = VolumeRig(tmp_path, max_files=1)
    rig.feed.learn(wished("/logs/app*"))
    rig.write("app.log.1", "old\n")
    with rig.started():
        rig.run(6)
        new = rig.write("app.log", "new\n")
        rig.run(20)
        assert rig.read()[PATH][-1] == new


@pytest.mark.parametrize("name", ["app-2026-11-25-1.log.gz", "app.log.1.gz", "x.zip"])
def test_what_is_compressed_is_no_text(rig: VolumeRig, name: str) -> None:
    """Also where nothing says which file it is a generation of."""
    rig.feed.learn(wished("/logs/*", generation=2))
    (rig.volume / name).write_bytes(gzip.compress(b"one\n") + b"\n")
    with rig.started():
        rig.run(6)
        assert rig.read() == {}


def test_the_next_file_of_the_same_bytes_is_another_one(rig: VolumeRig) -> None:
    with rig.started():
        for number in range(1, 4):
            written = rig.write("app.log", "begins\nends\n")
            rig.run(20)
            assert rig.read() == {PATH: [written] * number}
            (rig.volume / "app.log").unlink()
            rig.run(20)


def test_ids_of_truncated_files_go_with_their_pod(rig: VolumeRig) -> None:
    with rig.started():
        for number in range(3):
            rig.write("app.log", f"line {number}\n" * 5)
            rig.run(6)
            os.truncate(rig.volume / "app.log", 0)
            rig.run(6)
        assert len(list(rig.positions.items())) == 3
        rig.known.pods, rig.known.listed = [], 2
        rig.run(30)
        assert not list(rig.positions.items())


def test_a_directory_of_too_many_names_is_told(
    rig: VolumeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beneath, "MOST_NAMES", 5)
    for number in range(5):
        rig.write(f"{number}.log", "line\n")
    with rig.started():
        rig.run(6)
        assert (len(rig.read()), rig.unread()) == (5, [])
        rig.write("6.log", "line\n")
        rig.run(6)
        assert "names in the directory" in rig.unread()[0]


def test_a_file_with_two_names_wakes_both(rig: VolumeRig) -> None:
    """Once quiet, they are left to inotify, which knows inodes and no names."""
    rig.write("a.log", "one\n")
    (rig.volume / "b.log").hardlink_to(rig.volume / "a.log")
    with rig.started():
        rig.run(21.1)  # just after a sweep
        rig.write("a.log", "two\n")
        rig.run(0.8)
        assert list(rig.read().values()) == [[b"one\ntwo\n"]] * 2
