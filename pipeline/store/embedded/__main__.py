"""The store as a process of its own: `python -m pipeline.store.embedded --data DIR`."""

import argparse
import sys
from pathlib import Path

from pipeline.base.config import read_secret
from pipeline.base.errors import KubeledgerError
from pipeline.base.lifecycle import Stop
from pipeline.store.embedded.directory import Endpoint
from pipeline.store.embedded.server import serve


def main() -> int:
    parser = argparse.ArgumentParser(prog="kubeledger store")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--listen", default="127.0.0.1:9000", metavar="HOST:PORT")
    parser.add_argument("--http", default="off", metavar="HOST:PORT|off")
    parser.add_argument("--user", default="default")
    parser.add_argument("--password-file", type=Path)
    arguments = parser.parse_args()

    def ready(endpoint: Endpoint) -> None:
        sys.stderr.write(f"serving {arguments.data}: {endpoint}\n")

    try:
        secret = arguments.password_file
        password = read_secret(secret, "password") if secret else ""
        with Stop().on_signals() as stop:
            serve(
                arguments.data,
                arguments.listen,
                None if arguments.http == "off" else arguments.http,
                user=arguments.user,
                password=password,
                stop=stop,
                on_ready=ready,
            )
    except KubeledgerError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
