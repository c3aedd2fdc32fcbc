"""`whatif` and `drain` as a person runs them."""

import json
import shutil
from pathlib import Path

import pytest

import kubeledger
from pipeline.base.errors import UsageError
from tests.journeys.command import SECOND, count, run, serving, up, wait_for
from tests.journeys.recordings import folder

LINE = SECOND.encode() + b".371688788Z stdout F line %d\n"


def command(*words: object) -> None:
    kubeledger.cli([*map(str, words)], standalone_mode=False)


def test_what_if_of_a_recording(capsys: pytest.CaptureFixture[str]) -> None:
    recording = folder() / "hpa-behavior"
    policy = ("--policy-up", "Pods:4:15")
    command("whatif", "hpa", "el-d/limited", *policy, "--recording", recording, "--json")
    document = json.loads(capsys.readouterr().out)
    assert document["reproduced"] == {"rescales": 8, "of": 8, "within_s": 0.0}
    assert document["settings"]["behavior"]["up"]["policies"] == ["Pods:4:15"]
    assert document["whatif"]["under_provisioned_s"] < document["recorded"]["under_provisioned_s"]


def test_bad_input_is_said(tmp_path: Path) -> None:
    recording = folder() / "hpa-scale-up"
    for words, message in (
        (("whatif", "hpa", "el-a/no", "--recording", recording), "HPA el-a/no: it is not in what"),
        (("whatif", "hpa", "web", "--recording", recording), "'web' is not NAMESPACE/NAME"),
        (("whatif", "hpa", "a/b", "--recording", recording, "--data", tmp_path), "give one"),
        (("whatif", "hpa", "a/b", "--recording", tmp_path), "index.json is missing"),
        (("drain", "n1", "--data", tmp_path), "is no data directory of `kubeledger up`"),
    ):
        with pytest.raises(UsageError, match=message):
            command(*words)


@pytest.mark.slow
def test_a_node_may_go_when_its_files_are_stored(tmp_path: Path) -> None:
    pods, data = tmp_path / "pods", tmp_path / "data"
    container = pods / "ns_app-1_11111111-2222-3333-4444-555555555555" / "main"
    container.mkdir(parents=True)
    (container / "0.log").write_bytes(b"".join(LINE % n for n in range(50)))
    words = ("drain", "n1", "--data", data, "--settle", 0, "--json")
    with up("--logs", pods, "--data", data, "--node", "n1"):
        wait_for(lambda: serving(data), "the pipeline")
        wait_for(lambda: count(data) == 50, "the lines")
        (missing,) = json.loads(run(*words, code=1))["missing"]
        assert (missing["pod"], missing["reason"]) == ("app-1", "its end was not recorded")
        shutil.rmtree(container.parent)
        ended = "file_id IN (SELECT file_id FROM files WHERE event = 'end')"
        wait_for(lambda: count(data, ended) == 50, "the file's end")
    document = json.loads(run(*words))
    assert (document["certified"], document["files"], document["drain"]) == (True, 1, None)
    assert document["stored_bytes"] == sum(len(LINE % n) for n in range(50))
