"""`kubeledger push grafana` against a server that follows Grafana's API."""

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import kubeledger
from dashboards.catalogue import DASHBOARDS
from dashboards.push import CHANGED, EDITED, NEW, SAME, fingerprint
from tests.dashboards.grafana import TOKEN, Grafana, grafana

NODES = "kubeledger-nodes"


@pytest.fixture
def server() -> Iterator[Grafana]:
    with grafana() as found:
        yield found


def push(server: Grafana, *words: str, token: str = TOKEN) -> tuple[int, str]:
    command = ["push", "grafana", "--url", server.url, *words]
    done = CliRunner().invoke(kubeledger.cli, command, env={"GRAFANA_TOKEN": token})
    return done.exit_code, done.output


def states(output: str) -> dict[str, str]:
    known = (NEW, SAME, CHANGED, EDITED)
    return {
        line[14:].strip(): line[:14].strip()
        for line in output.splitlines()
        if line[:14].strip() in known
    }


def test_everything_is_created_once(server: Grafana, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    source = ("--clickhouse", "ch.logs:9000", "--user", "reader",
              "--password-file", str(tmp_path / "password"))  # fmt: skip
    code, output = push(server, *source)
    assert (code, set(states(output).values())) == (0, {NEW})
    assert set(server.dashboards) == {f"kubeledger-{name}" for name in DASHBOARDS}
    assert set(server.places.values()) == {"kubeledger"}
    assert server.sources["clickhouse"]["jsonData"]["host"] == "ch.logs"
    assert server.secrets == {"clickhouse": {"password": "s3cret"}}
    assert "s3cret" not in output
    server.writes.clear()
    code, output = push(server, *source)
    assert (code, set(states(output).values()), server.writes) == (0, {SAME}, [])


def test_a_dry_run_shows_and_writes_nothing(server: Grafana) -> None:
    code, output = push(server, "--dry-run")
    assert (code, server.writes) == (1, [])
    assert f"{len(DASHBOARDS) + 1} would be written" in output
    push(server)
    assert push(server, "--dry-run")[0] == 0


def older(server: Grafana) -> None:
    """As an older version of the code left it: its hash is right, its content another."""
    there = server.dashboards[NODES]
    there["title"] = "Nodes"
    there["tags"] = ["kubeledger"]
    there["tags"].append("kubeledger-hash:" + fingerprint(there))


def test_what_the_code_changed_is_written_and_shown(server: Grafana) -> None:
    push(server)
    older(server)
    code, output = push(server)
    assert (code, states(output)[NODES]) == (0, CHANGED)
    assert '- "title": "Nodes",' in output
    assert '+ "title": "Node readiness",' in output
    assert server.dashboards[NODES]["title"] == "Node readiness"
    assert server.writes.count("POST /api/dashboards/db") == len(DASHBOARDS) + 1


def test_what_a_person_changed_is_kept_unless_forced(server: Grafana) -> None:
    push(server)
    server.edit(NODES, title="My nodes")
    before = copy.deepcopy(server.dashboards)
    server.writes.clear()
    code, output = push(server)
    assert (code, server.writes, server.dashboards) == (1, [], before)
    assert states(output)[NODES] == EDITED
    assert "--force" in output
    code, _ = push(server, "--force")
    assert (code, server.dashboards[NODES]["title"]) == (0, "Node readiness")


def test_a_dashboard_that_was_never_pushed_is_a_persons(server: Grafana) -> None:
    push(server)
    server.edit(NODES, title="Mine", tags=["kubeledger"])
    assert states(push(server, "--dry-run")[1])[NODES] == EDITED


def test_an_edit_made_meanwhile_is_not_lost(
    server: Grafana, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading and writing: Grafana itself refuses, by the version."""
    push(server)
    older(server)
    answer = server.answer

    def late(method: str, path: str, body: dict, **how: bool) -> tuple[int, object]:
        if method == "POST":
            server.edit(NODES, title="Just now")
        return answer(method, path, body, **how)

    monkeypatch.setattr(server, "answer", late)
    code, output = push(server)
    assert code == 1
    assert "somebody changed it meanwhile (412)" in output
    assert server.dashboards[NODES]["title"] == "Just now"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ((403, {"message": "no permission"}), "not allowed (403)"),
        ((409, {"message": "same name"}), "somebody changed it meanwhile (409)"),
        ((500, {"message": "database is locked"}), "try again"),
        ((502, {"message": "bad gateway"}), "try again"),
        ((400, {"message": "bad panel"}), "refused (400): bad panel"),
    ],
)
def test_a_refusal_says_what_to_do_and_a_second_try_finishes(
    server: Grafana, fault: tuple[int, dict], words: str
) -> None:
    server.faults = [(200, {}), fault]  # the folder is said to be made, the first dashboard fails
    server.folders["kubeledger"] = {"uid": "kubeledger", "title": "kubeledger"}
    server.faults = [fault]
    code, output = push(server)
    assert (code, words in output) == (1, True), output
    assert "Traceback" not in output
    assert push(server)[0] == 0
    assert len(server.dashboards) == len(DASHBOARDS)


def test_the_token(server: Grafana, tmp_path: Path) -> None:
    code, output = push(server, token="wrong-token")
    assert (code, "not accepted (401)" in output, "wrong-token" in output) == (1, True, False)
    code, output = push(server, token="")
    assert (code, "GRAFANA_TOKEN" in output) == (2, True)
    (tmp_path / "token").write_text(TOKEN + "\n")
    assert push(server, "--token-file", str(tmp_path / "token"), token="wrong")[0] == 0
    code, output = push(server, "--token-file", str(tmp_path / "nothing"))
    assert (code, "cannot read the secret" in output) == (2, True)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://x", "is no URL"),
        ("http://user:pass@x", "holds credentials"),
        ("http://127.0.0.1:9", "cannot be reached"),
    ],
)
def test_the_url(url: str, words: str) -> None:
    done = CliRunner().invoke(
        kubeledger.cli, ["push", "grafana", "--url", url], env={"GRAFANA_TOKEN": TOKEN}
    )
    assert words in done.output
    assert done.exit_code in (1, 2)
    assert "pass@" not in done.output


def test_settings_that_somebody_added_to_the_data_source_stay(server: Grafana) -> None:
    push(server, "--clickhouse", "ch:9000")
    server.sources["clickhouse"]["jsonData"] |= {"dialTimeout": "5", "port": 1}
    code, output = push(server, "--clickhouse", "ch:9000")
    assert (code, states(output)["data source"]) == (0, CHANGED)
    kept = server.sources["clickhouse"]["jsonData"]
    assert (kept["dialTimeout"], kept["port"]) == ("5", 9000)
