"""The node agent itself: `python -m collectors FD`, as `kubeledger collect` starts it. FD is an
open file with checked settings (service.py). Collects garbage only among what came after the
start: modules stay anyway."""

import gc
import os
import sys


def main(settings: int) -> int:
    gc.disable()
    from collectors import agent
    from collectors.pods.source import open_pods
    from pipeline.base.clock import SystemClock
    from pipeline.base.errors import KubeledgerError
    from pipeline.base.handover import unpack
    from pipeline.base.lifecycle import Stop
    from pipeline.base.telemetry import service_telemetry
    from pipeline.broker.open import open_broker

    os.lseek(settings, 0, os.SEEK_SET)
    with os.fdopen(settings) as file:
        config = unpack(file.read())
    telemetry, clock = service_telemetry("collect", os.environ), SystemClock()

    def notice(text: str) -> None:
        telemetry.event("bus.notice", "warn", text=text)

    try:
        with Stop().on_signals() as stop:
            broker = open_broker(config.broker, notice=notice)
            pods = open_pods(
                config.pods, broker=broker, node=config.node, telemetry=telemetry, clock=clock
            )
            gc.freeze()
            gc.enable()
            try:
                with pods as known:
                    agent.run(
                        config,
                        broker=broker,
                        pods=known,
                        telemetry=telemetry,
                        stop=stop,
                        clock=clock,
                    )
            finally:
                broker.close()
    except KubeledgerError as error:
        sys.stderr.write(f"kubeledger: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
