"""The node's sampler, wired as the configuration says. Imported by agents that sample only."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from collectors.kubelet.client import KubeletClient
from collectors.node.blackbox.launcher import Launcher
from collectors.node.canary import Canary
from collectors.node.collector import Collector
from collectors.node.fetch import Fetcher
from collectors.node.growth import Growth
from collectors.node.host.facts import open_host
from collectors.node.lanes import Lanes, Worker
from collectors.node.outbox import Outbox
from collectors.node.ports import PATH, Answer, HostFacts, Request
from collectors.node.sampler import PATHS, Sampler
from pipeline.base.clock import Clock
from pipeline.base.telemetry import Telemetry
from pipeline.broker.protocol import Broker
from pipeline.contract import state

if TYPE_CHECKING:
    from collectors.config import CollectConfig

_LAST_ACKS_S = 2.0  # at a stop: samples are not worth more


@contextmanager
def open_node(
    config: "CollectConfig",
    *,
    kubelet: KubeletClient,
    environment: Mapping[str, str],
    broker: Broker,
    telemetry: Telemetry,
    clock: Clock,
) -> Iterator[Growth]:
    """Samples inside the block; yields what the tailer tells of growth."""
    samples, growth = config.samples, Growth()
    host = open_host(samples.host, log_roots=config.roots)
    workers = dict.fromkeys(PATHS, _fetcher(config, kubelet, clock)) | {
        state.HOST: _host(host, clock),
        state.GROWTH: lambda request: Answer(
            request, state.OK, 0, values=growth.read(request.asked)
        ),
        PATH: Canary(samples.canary, node=config.node, environment=environment, clock=clock),
    }
    with ExitStack() as stack:
        producer = broker.producer()
        stack.callback(producer.close, _LAST_ACKS_S)
        blackbox = Launcher(
            samples.blackbox,
            host=samples.host,
            log_roots=config.roots,
            environment=environment,
            telemetry=telemetry,
            clock=clock,
        )
        stack.callback(blackbox.close)
        collector = Collector(
            Sampler(samples, node=config.node),
            lanes=Lanes(workers, clock),
            growth=growth,
            blackbox=blackbox,
            outbox=Outbox(
                producer,
                cluster=config.cluster,
                limit_bytes=samples.queue_bytes,
                telemetry=telemetry,
                clock=clock,
            ),
            telemetry=telemetry,
            clock=clock,
        )
        stack.enter_context(collector)
        yield growth


def _fetcher(config: "CollectConfig", kubelet: KubeletClient, clock: Clock) -> Worker:
    return Fetcher(kubelet, healthz_url=config.samples.healthz_url, clock=clock)


def _host(facts: HostFacts, clock: Clock) -> Worker:
    def read(request: Request) -> Answer:
        began = clock.monotonic()
        values = facts.read(began)
        return Answer(request, state.OK, round((clock.monotonic() - began) * 1000), values=values)

    return read
