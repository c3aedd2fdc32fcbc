"""`configure`: the level of the driver's own log."""

import logging


def configure(level: str) -> None:
    logging.getLogger("clickhouse_driver").setLevel(level)
