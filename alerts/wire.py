"""From configuration to receivers: secrets are read here, once, and go nowhere else."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from alerts.config import (
    AlertConfig,
    AlertmanagerConfig,
    AnyReceiver,
    DingTalkConfig,
    FeishuConfig,
    MailConfig,
    PagerDutyConfig,
    ReceiverConfig,
    Secret,
    SlackConfig,
    WebhookConfig,
    WeComConfig,
)
from alerts.load import nearest
from alerts.matchers import parse_matcher
from alerts.notify import Target
from alerts.receivers.alertmanager import Alertmanager
from alerts.receivers.dingtalk import DingTalk
from alerts.receivers.email import Mail
from alerts.receivers.feishu import Feishu
from alerts.receivers.pagerduty import PagerDuty
from alerts.receivers.port import Http, Receiver
from alerts.receivers.slack import Slack
from alerts.receivers.text import PLACES, Texts
from alerts.receivers.webhook import Webhook
from alerts.receivers.wecom import WeCom
from alerts.templates import places
from pipeline.base.clock import Clock
from pipeline.base.config import read_secret
from pipeline.base.errors import UsageError

Environment = Mapping[str, str]


def open_targets(
    config: AlertConfig, environment: Environment, clock: Clock
) -> list[tuple[Target, Receiver]]:
    """One for each receiver, and one for each Alertmanager of a cluster. UsageError names the
    receiver."""
    found: list[tuple[Target, Receiver]] = []

    def now_ms() -> int:
        return clock.wall_ns() // 1_000_000

    for one in config.receivers:
        try:
            texts = _texts(one, config.runbooks)
            if isinstance(one, AlertmanagerConfig):
                found += _alertmanagers(one, environment, texts)
            else:
                target = replace(target_of(one), mutes=config.mutes_of(one))
                found.append((target, _receiver(one, environment, texts, now_ms)))
        except UsageError as error:
            raise UsageError(f"receiver {one.name}: {error}") from None
    return found


def target_of(one: ReceiverConfig, name: str = "", *, grouped: bool = True) -> Target:
    return Target(
        name or one.name,
        tuple(parse_matcher(text) for text in one.match),
        grouped=grouped,
        heartbeat=one.heartbeat,
        group_wait_ms=one.group_wait,
        group_interval_ms=one.group_interval,
        repeat_ms=one.repeat,
        send_resolved=one.send_resolved,
    )


def _alertmanagers(
    one: AlertmanagerConfig, environment: Environment, texts: Texts
) -> list[tuple[Target, Receiver]]:
    authorization = _secret(one.authorization, environment)
    return [
        (
            target_of(one, f"{one.name}-{number}", grouped=False),
            Alertmanager(url, _http(one), texts=texts, hold_ms=4 * one.repeat,
                         authorization=authorization),
        )
        for number, url in enumerate(one.urls, 1)
    ]  # fmt: skip


def _receiver(
    one: AnyReceiver, environment: Environment, texts: Texts, now_ms: Callable[[], int]
) -> Receiver:
    http = _http(one)
    if isinstance(one, SlackConfig):
        return Slack(_secret(one.url, environment), http, texts=texts)
    if isinstance(one, WeComConfig):
        return WeCom(_secret(one.url, environment), http, texts=texts)
    if isinstance(one, DingTalkConfig | FeishuConfig):
        kind = DingTalk if isinstance(one, DingTalkConfig) else Feishu
        secret = _secret(one.secret, environment)
        return kind(_secret(one.url, environment), http, texts=texts, secret=secret, now_ms=now_ms)
    if isinstance(one, PagerDutyConfig):
        return PagerDuty(one.url, _secret(one.routing_key, environment), http, texts=texts)
    if isinstance(one, WebhookConfig):
        return Webhook(
            one.url,
            http,
            texts=texts,
            secret=_secret(one.secret, environment),
            now_ms=now_ms,
            authorization=_secret(one.authorization, environment),
        )
    if isinstance(one, MailConfig):
        return _mail(one, environment, texts)
    raise UsageError(f"{one.type} is no receiver of a group")


def _mail(one: MailConfig, environment: Environment, texts: Texts) -> Mail:
    password = _secret(one.password, environment)
    if password and one.security == "plaintext":
        raise UsageError("a password is not sent over `security: plaintext`")
    return Mail(
        one.host,
        one.port,
        sender=one.sender,
        to=one.to,
        texts=texts,
        security=one.security,
        username=one.username,
        password=lambda: password,
        ca_file=one.ca_file,
        timeout_s=one.timeout_s,
    )


def _http(one: ReceiverConfig) -> Http:
    return Http(timeout_s=one.timeout_s, ca_file=one.ca_file)


def _texts(one: ReceiverConfig, runbooks: str) -> Texts:
    try:
        named = places(one.title)
    except ValueError as error:
        raise UsageError(f"title: {error}") from None
    for name in named:
        if name not in PLACES:
            raise UsageError(f"title: unknown field {{{name}}}; {nearest(name, PLACES)}")
    return Texts(one.title, runbooks)


def _secret(secret: Secret | None, environment: Environment) -> str:
    if secret is None:
        return ""
    if secret.file is not None:
        return read_secret(secret.file, "secret")
    found = environment.get(secret.env or "")
    if not found:
        raise UsageError(f"the environment has no {secret.env}, which holds a secret of it")
    return found.strip()
