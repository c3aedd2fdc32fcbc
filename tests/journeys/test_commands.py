"""A person's first evening: start it on a directory, look, stop it, look again."""

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.journeys.command import SECOND, count, query, run, serving, up, wait_for
from tests.journeys.reference import read_tree

RECORDED = Path(__file__).resolve().parents[1] / "recordings" / "healthy"


def test_up_on_a_directory_that_somebody_else_keeps_writing(tmp_path: Path) -> None:
    pods, data = tmp_path / "pods", tmp_path / "data"
    container = pods / "ns_app-1_11111111-2222-3333-4444-555555555555" / "main"
    container.mkdir(parents=True)
    live = container / "0.log"
    lines = iter(range(10**6))

    def append(many: int) -> None:
        with live.open("ab") as out:
            for _ in range(many):
                out.write(f"{SECOND}.371688788Z stdout F line {next(lines)}\n".encode())

    append(100)
    with up("--logs", pods, "--data", data):
        wait_for(lambda: serving(data), "the pipeline")
        wait_for(lambda: count(data) == 100, "the first lines")
        append(50)
        rotated = container / "0.log.20261123-053600"
        live.rename(rotated)
        append(10)
        wait_for(lambda: count(data) == 160, "the rotated and the new file")
        with gzip.open(f"{rotated}.gz", "wb") as packed:
            packed.write(rotated.read_bytes())
        rotated.unlink()
        append(5)
        wait_for(lambda: count(data) == 165, "what came after the gzip")
        shutil.rmtree(container.parent)
        wait_for(
            lambda: (
                query(data, "SELECT count() AS n FROM files WHERE event = 'end'")[0]["n"]
                in (2, "2")
            ),
            "both files' ends",
        )
        found = run("logs", "--data", data, "--pod", "app-1", "--grep", "LINE 164")
        assert "line 164" in found
        assert json.loads(run("audit", "--data", data, "--json"))["complete"] == 2
    # After Ctrl-C the same commands open the store themselves.
    assert count(data) == 165
    document = json.loads(run("audit", "--data", data, "--json"))
    assert (document["ok"], document["unexplained"], document["duplicates"]) == (True, 0, 0)
    assert {row["body"] for row in query(data, "SELECT body FROM logs")} == {
        f"line {n}" for n in range(165)
    }


def test_up_again_goes_on_where_it_stopped(tmp_path: Path) -> None:
    tree = shutil.copytree(RECORDED / "container-logs", tmp_path / "pods")
    data = tmp_path / "data"
    expected = sum(read_tree(tree).values())
    for _ in range(2):
        with up("--logs", tree, "--data", data, "--pods", RECORDED / "pods.json"):
            wait_for(lambda: serving(data), "the pipeline")
            wait_for(lambda: count(data) >= expected, "all lines")
    assert count(data) == expected
    assert json.loads(run("audit", "--data", data, "--json"))["ok"] is True
    out = run("logs", "--data", data, "-n", "shop", "--workload", "web", "--limit", "5", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(rows) == 5
    assert {row["workload"] for row in rows} == {"Deployment/web"}


def test_a_killed_up_leaves_nothing_that_holds_the_directory(tmp_path: Path) -> None:
    pods, data = tmp_path / "pods", tmp_path / "data"
    pods.mkdir()
    words = [sys.executable, "-m", "kubeledger", "up", "--logs", str(pods), "--data", str(data)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: serving(data), "the pipeline")
        process.kill()
    wait_for(lambda: not serving(data), "the children's end")
    with up("--logs", pods, "--data", data):
        wait_for(lambda: serving(data), "the pipeline")
        assert count(data) == 0


def test_wrong_words_are_told_apart(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert "no data directory" in run("query", "--data", absent, "SELECT 1", code=2)
    assert "is not GLOB=PROGRAM" in run("up", "--host-file", "messages", code=2)
    assert "No such option" in run("logs", "--nmespace", "x", code=2)
    wrong = tmp_path / "collect.yaml"
    wrong.write_text("rots: [/var/log/pods]\n")
    assert "did you mean `roots`?" in run("check", wrong, code=2)
    assert "did you mean `roots`?" in run("collect", "--config", wrong, code=2)
    wrong.write_text("roots: [/var/log/pods]\n")
    assert "fine (collect)" in run("check", wrong)
    strange = tmp_path / "strange.yaml"
    strange.write_text("a: 1\n")
    assert "which service is this for?" in run("check", strange, code=2)
