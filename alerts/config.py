"""Configuration of the evaluator (`kubeledger alert`)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from alerts.durations import Duration, span
from alerts.mute import MuteTiming
from pipeline.base.config import Settings
from pipeline.broker.config import BrokerConfig
from pipeline.store.config import StoreConfig


class Secret(Settings):
    """Where a secret is: in a file, or in the environment. Never in the configuration."""

    file: Path | None = Field(None, description="File that holds it.")
    env: str | None = Field(None, description="Name of the environment variable that holds it.")

    @model_validator(mode="after")
    def _one(self) -> "Secret":
        if (self.file is None) == (self.env is None):
            raise ValueError("give `file` or `env`, one of them")
        return self


class ReceiverConfig(Settings):
    """What all receivers have."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$", description="Its name, unique.")
    match: list[str] = Field(
        [], description="Only alerts that match all: severity=~critical|warning, namespace=shop."
    )
    title: str = Field(
        "[{status}] {summary}{more}",
        description="First line; {status} {severity} {rule} {summary} {entity} {cause} {group}"
        " {cluster} {firing} {resolved} {more}.",
    )
    heartbeat: bool = Field(
        False, description="Also gets the rules that always fire, as often as `repeat` says."
    )
    group_wait: Duration = Field(
        span("1s"), description="Alerts of a group that come within this are told together."
    )
    group_interval: Duration = Field(span("30s"), description="A group is told so often at most.")
    repeat: Duration = Field(span("4h"), description="What goes on is told again after so long.")
    send_resolved: bool = Field(True, description="Tell the end, too.")
    mute: list[str] = Field([], description="Names of mute timings in which it is not told.")
    timeout_s: float = Field(10.0, gt=0, le=60, description="Of one attempt.")
    ca_file: Path | None = Field(None, description="CA bundle; system CAs if absent.")


class AlertmanagerConfig(ReceiverConfig):
    """Prometheus Alertmanagers: all of them are told; they do the grouping."""

    type: Literal["alertmanager"] = Field(description="Kind of receiver.")
    urls: list[str] = Field(min_length=1, description="http://HOST:9093, one per member.")
    authorization: Secret | None = Field(None, description="Value of the Authorization header.")
    heartbeat: bool = Field(True, description="Gets the heartbeat.")
    group_wait: Duration = Field(span("0s"), description="Alertmanager waits itself.")
    group_interval: Duration = Field(span("0s"), description="Alertmanager paces itself.")
    repeat: Duration = Field(
        span("1m"), description="What fires is sent again; it is forgotten after four times this."
    )


class SlackConfig(ReceiverConfig):
    """A Slack incoming webhook."""

    type: Literal["slack"] = Field(description="Kind of receiver.")
    url: Secret = Field(description="The webhook's address, which is a secret.")


class DingTalkConfig(ReceiverConfig):
    """A DingTalk robot."""

    type: Literal["dingtalk"] = Field(description="Kind of receiver.")
    url: Secret = Field(description="The robot's address, which is a secret.")
    secret: Secret | None = Field(None, description="For its signature (SEC…).")


class WeComConfig(ReceiverConfig):
    """A WeCom robot."""

    type: Literal["wecom"] = Field(description="Kind of receiver.")
    url: Secret = Field(description="The robot's address, which is a secret.")


class FeishuConfig(ReceiverConfig):
    """A Feishu or Lark bot."""

    type: Literal["feishu"] = Field(description="Kind of receiver.")
    url: Secret = Field(description="The bot's address, which is a secret.")
    secret: Secret | None = Field(None, description="For its signature.")


class PagerDutyConfig(ReceiverConfig):
    """A PagerDuty service."""

    type: Literal["pagerduty"] = Field(description="Kind of receiver.")
    routing_key: Secret = Field(description="Integration key, Events API v2.")
    url: str = Field("https://events.pagerduty.com/v2/enqueue", description="The API.")


class WebhookConfig(ReceiverConfig):
    """A webhook of one's own."""

    type: Literal["webhook"] = Field(description="Kind of receiver.")
    url: str = Field(description="http:// or https://.")
    secret: Secret | None = Field(None, description="For its HMAC signature.")
    authorization: Secret | None = Field(None, description="Value of the Authorization header.")


class MailConfig(ReceiverConfig):
    """Mail."""

    type: Literal["email"] = Field(description="Kind of receiver.")
    host: str = Field(description="SMTP server.")
    port: int = Field(587, ge=1, le=65535, description="587 STARTTLS, 465 TLS, 25 plaintext.")
    security: Literal["starttls", "tls", "plaintext"] = Field(
        "starttls", description="`plaintext` is for relays on loopback."
    )
    username: str = Field("", description="SMTP user; none if empty.")
    password: Secret | None = Field(None, description="Its password.")
    sender: str = Field(description="From.")
    to: list[str] = Field(min_length=1, description="Who gets it.")


AnyReceiver = Annotated[
    AlertmanagerConfig | SlackConfig | DingTalkConfig | WeComConfig | FeishuConfig
    | PagerDutyConfig | WebhookConfig | MailConfig,
    Field(discriminator="type"),
]  # fmt: skip


class RetryLimits(Settings):
    """What happens when a receiver does not take a message."""

    first_s: float = Field(1.0, gt=0, description="Wait before the second attempt; doubled then.")
    longest_s: float = Field(60.0, gt=0, description="Longest wait between attempts.")
    give_up: Duration = Field(
        span("1h"), description="After so long the message becomes a dead letter, with the reason."
    )


class AlertConfig(Settings):
    """The evaluator of alert rules."""

    broker: BrokerConfig = Field(default_factory=BrokerConfig, description="The bus.")
    store: StoreConfig | None = Field(
        None, description="The ClickHouse, for rules that query it; without, they are left out."
    )
    health: str = Field("127.0.0.1:9604", description="HOST:PORT of /healthz and /metrics.")
    cluster: str = Field(
        "-", min_length=1, max_length=253, description="Name of the cluster, a label of every alert"
    )
    rules: Path | None = Field(None, description="Folder of rules; the shipped ones if absent.")
    disabled: list[str] = Field([], description="Names of rules that are left out.")
    parameters: dict[str, dict[str, int | float | str]] = Field(
        {}, description="Rule -> parameters that replace those of its file."
    )
    runbooks: str = Field("", description="Where runbook pages are published; a URL, or empty.")
    receivers: list[AnyReceiver] = Field([], description="Who is told.")
    mute_timings: list[MuteTiming] = Field([], description="Hours and days, for `mute`.")
    retry: RetryLimits = Field(default_factory=RetryLimits, description="Failed deliveries.")
    stall_s: float = Field(
        120.0, gt=0, description="Unhealthy when facts wait and none was folded for so long."
    )

    @model_validator(mode="after")
    def _names_differ(self) -> "AlertConfig":
        names = [receiver.name for receiver in self.receivers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two receivers are called {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _mutes_are_known(self) -> "AlertConfig":
        known = [timing.name for timing in self.mute_timings]
        if len(set(known)) < len(known):
            raise ValueError("two mute timings have the same name")
        for one in self.receivers:
            for name in one.mute:
                if name not in known:
                    raise ValueError(f"receiver {one.name}: no mute timing is called {name}")
            if one.mute and one.heartbeat:
                raise ValueError(
                    f"receiver {one.name}: a heartbeat that is muted would look like a death"
                )
            if one.mute and isinstance(one, AlertmanagerConfig):
                raise ValueError(
                    f"receiver {one.name}: Alertmanager takes silence for the end of an alert; "
                    "it has mute timings of its own"
                )
        return self

    def mutes_of(self, one: ReceiverConfig) -> tuple[MuteTiming, ...]:
        return tuple(timing for timing in self.mute_timings if timing.name in one.mute)
