"""Bad input on the disk, through `kubeledger up`: each a named gap or kept whole, nothing lost."""

import json
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.journeys.command import SECOND, count, query, run, serving, up, wait_for

UID = "0a1b2c3d-0000-4000-8000-{:012d}"
STAMP = SECOND + ".{:09d}Z"

YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S")
JUMPS = (
    "1980-01-01T00:00:00Z",
    f"{YESTERDAY}Z",
    "2061-07-28T00:00:00.5Z",
    f"{YESTERDAY}.000000001Z",
    "9999-12-31T23:59:59.999999999Z",
    "0001-01-01T00:00:00Z",
)


def container(root: Path, number: int, name: str) -> Path:
    folder = root / f"shop_{name}_{UID.format(number)}" / "main"
    folder.mkdir(parents=True)
    return folder


def line(text: str, *, stamp: str = STAMP.format(1)) -> bytes:
    return f"{stamp} stdout F {text}\n".encode()


def lay(root: Path) -> dict[str, Path]:
    """One pod for each kind of trouble."""
    folders = {name: container(root, number, name) for number, name in enumerate(
        ("long", "garbage", "shrinks", "clock", "good"))}  # fmt: skip
    parts = [f"{STAMP.format(n)} stdout {'F' if n == 320 else 'P'} {'x' * 16384}\n"
             for n in range(1, 321)]  # fmt: skip
    (folders["long"] / "0.log").write_text("".join(parts) + line("after").decode())
    noise = random.Random(5).randbytes(300_000).replace(b"\n", b"\r") + b"\n"
    (folders["garbage"] / "0.log").write_bytes(line("before") + noise + line("behind"))
    (folders["shrinks"] / "0.log").write_bytes(b"".join(line(f"old {n}") for n in range(500)))
    (folders["clock"] / "0.log").write_bytes(
        b"".join(line(f"at {stamp}", stamp=stamp) for stamp in JUMPS)
    )
    (folders["good"] / "0.log").write_bytes(line("fine"))
    return folders


def audit(data: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads(run("audit", "--data", data, "--json"))
    return document


def test_up_swallows_what_is_on_the_disk(tmp_path: Path) -> None:
    pods, data = tmp_path / "pods", tmp_path / "data"
    folders = lay(pods)
    host = tmp_path / "messages"
    host.write_bytes(b"short\n" + b"y" * 5_000_000 + b"\nend\n")
    with up("--logs", pods, "--data", data, "--host-file", f"{host}=messages"):
        wait_for(lambda: serving(data), "the store")
        wait_for(lambda: count(data, "pod = 'shrinks'") == 500, "the file before it shrinks")
        (folders["shrinks"] / "0.log").write_bytes(line("new 1") + line("new 2"))
        wait_for(lambda: count(data, "pod = 'shrinks'") == 502, "the file after it shrank")
        wait_for(lambda: count(data, "body = 'end'") == 1, "the host file")
        for name, folder in folders.items():
            wait_for(lambda: stored(data, name) == whole(folder), f"every byte of {name}")  # noqa: B023
        wait_for(lambda: stored(data, "") == host.stat().st_size, "every byte of the host file")
    document = audit(data)
    assert (document["ok"], document["unexplained"], document["duplicates"]) == (True, 0, 0)
    check_rows(data)


def whole(folder: Path) -> int:
    extra = sum(len(line(f"old {n}")) for n in range(500)) if "shrinks" in str(folder) else 0
    return sum(path.stat().st_size for path in folder.iterdir()) + extra


def stored(data: Path, pod: str) -> int:
    return int(query(data, f"SELECT sum(nbytes) AS n FROM logs WHERE pod = '{pod}'")[0]["n"])


def check_rows(data: Path) -> None:
    longest = query(data, "SELECT sum(length(body)) AS n, min(extract(body, '[^x]')) AS other "
                          "FROM logs WHERE pod = 'long' AND body != 'after'")[0]  # fmt: skip
    assert (int(longest["n"]), longest["other"]) == (320 * 16384, "")
    host = query(data, "SELECT sum(length(body)) AS n FROM logs WHERE body LIKE 'yyy%'")[0]
    assert int(host["n"]) == 5_000_000
    assert count(data, "pod = 'garbage' AND body IN ('before', 'behind')") == 2
    clock = query(data, "SELECT body, toString(ts) AS ts, flags FROM logs WHERE pod = 'clock'")
    assert len(clock) == 6
    years = {row["ts"][:4] for row in clock}
    assert years <= {str(y) for y in range(2024, 2040)}, years
    assert sum(int(row["flags"]) in (2, 4) for row in clock) == 4, "moved or kept raw, and flagged"
    assert os.path.getsize(data / "log" / "process-logs.log") < 1 << 20
