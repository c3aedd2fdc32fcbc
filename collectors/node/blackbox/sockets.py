"""Which socket is the runtime's, and does anything listen there."""

import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from pipeline.contract import state

_FLAG = "--container-runtime-endpoint"  # of the kubelet; k/k cmd/kubelet/app/options
_SETTING = re.compile(r"""^\s*["']?containerRuntimeEndpoint["']?:\s*["']?([^\s"',#]+)""", re.M)
_CONNECT_S = 2.0


class Listener(NamedTuple):
    path: str
    outcome: str  # ok, timeout (nobody accepts), refused (a dead socket), forbidden, unreachable
    ms: int
    detail: str = ""


def candidates(
    configured: Sequence[str], *, kubelet: Sequence[str], usual: Sequence[str], root: str
) -> list[str]:
    """Configured ones; without them those that the kubelet was told; without those the usual ones.
    The latter two below `root`, or as they are: a socket may be mounted where it is on the host."""
    if configured:
        return list(configured)
    base = root.rstrip("/")
    told = list(kubelet or usual)
    return list(dict.fromkeys([*(base + path for path in told), *told]))


def try_all(paths: Iterable[str]) -> list[Listener]:
    """Those that exist."""
    return [found for path in paths if (found := _try(path)) is not None]


def of_kubelet(arguments: Sequence[str], read: Callable[[str], str]) -> list[str]:
    """What the kubelet was told on its command line, else in the file that this names. `read`
    gives a file's text."""
    flag = _option(arguments, _FLAG)
    if not flag and (path := _option(arguments, "--config")):
        found = _SETTING.search(read(path))
        flag = found.group(1) if found else ""
    path = flag.removeprefix("unix://")
    return [path] if path.startswith("/") else []


def _option(arguments: Sequence[str], name: str) -> str:
    """`--name=value` or `--name value`."""
    for at, word in enumerate(arguments):
        flag, equals, value = word.partition("=")
        if flag == name:
            return value if equals else "".join(arguments[at + 1 : at + 2])
    return ""


def _try(path: str) -> Listener | None:
    """None: there is no such file."""
    began = time.monotonic()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_CONNECT_S)
        try:
            client.connect(path)
            outcome, detail = state.OK, ""
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (TimeoutError, BlockingIOError) as error:  # the backlog is full
            outcome, detail = state.TIMEOUT, f"nobody accepts connections: {error}"
        except ConnectionRefusedError:
            outcome, detail = state.REFUSED, "the socket's file is there, and nothing listens"
        except PermissionError as error:
            outcome, detail = state.FORBIDDEN, str(error)
        except OSError as error:
            outcome, detail = state.UNREACHABLE, str(error)
    return Listener(path, outcome, round((time.monotonic() - began) * 1000), detail)
