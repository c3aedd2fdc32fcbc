"""The node agent itself: `python -m collectors FD`, as `kubeledger collect` starts it. FD is an
open file with checked settings (service.py). Collects garbage only among what came after the
start: modules stay anyway."""

import gc
import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.base.clock import Clock
    from pipeline.base.lifecycle import Stop
    from pipeline.base.telemetry import ServiceTelemetry


def main(settings: int) -> int:
    gc.disable()
    from pipeline.base.clock import SystemClock
    from pipeline.base.errors import KubeledgerError
    from pipeline.base.handover import unpack
    from pipeline.base.lifecycle import Stop
    from pipeline.base.telemetry import service_telemetry

    os.lseek(settings, 0, os.SEEK_SET)
    with os.fdopen(settings) as file:
        config = unpack(file.read())
    telemetry = service_telemetry("collect", os.environ)
    try:
        with Stop().on_signals() as stop:
            _collect(config, telemetry=telemetry, stop=stop, clock=SystemClock())
    except KubeledgerError as error:
        sys.stderr.write(f"kubeledger: {error}\n")
        return error.exit_code
    return 0


def _collect(config: Any, *, telemetry: "ServiceTelemetry", stop: "Stop", clock: "Clock") -> None:
    """Pod metadata and the node's samples beside the logs, as far as they are wanted."""
    from collectors import agent
    from collectors.kubelet.client import open_kubelet
    from collectors.pods.source import open_pods
    from pipeline.broker.open import open_broker
    from pipeline.broker.trouble import notices

    with ExitStack() as stack:
        broker = open_broker(config.broker, notice=notices(telemetry))
        stack.callback(broker.close)
        kubelet = open_kubelet(config.kubelet, telemetry=telemetry, clock=clock)
        pods = open_pods(
            config.pods,
            kubelet=kubelet,
            broker=broker,
            node=config.node,
            telemetry=telemetry,
            clock=clock,
        )
        node = None
        if kubelet is not None and config.samples.enabled:
            from collectors.node.opening import open_node

            node = open_node(
                config,
                kubelet=kubelet,
                environment=os.environ,
                broker=broker,
                telemetry=telemetry,
                clock=clock,
            )
        gc.freeze()
        gc.enable()
        agent.run(
            config,
            broker=broker,
            pods=stack.enter_context(pods),
            telemetry=telemetry,
            stop=stop,
            clock=clock,
            growths=stack.enter_context(node) if node is not None else None,
        )


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
