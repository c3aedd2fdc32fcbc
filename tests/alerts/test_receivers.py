"""Receivers against servers that are really there: what arrives, that it is signed, and what each
answer means."""

import base64
import email
import email.policy
import hashlib
import hmac
from pathlib import Path
from urllib.parse import parse_qs, unquote_plus, urlsplit

import pytest

from alerts.alert import FIRING, RESOLVED, Alert
from alerts.config import AlertConfig
from alerts.notify import Message, Notice
from alerts.receivers.port import Receiver
from alerts.receivers.text import cut
from alerts.wire import open_targets
from pipeline.base.clock import ManualClock
from pipeline.base.errors import Rejected, Unavailable, UsageError
from tests.alerts.rig import T0
from tests.alerts.sinks import http_sink, smtp_sink
from tests.real.authority import self_signed

CLOCK = ManualClock(T0 * 1_000_000)
HIDDEN = "SEC-do-not-show"
FINE = b'{"errcode": 0, "errmsg": "ok", "code": 0, "msg": "success"}'


def alert(status: str = FIRING, **changes: object) -> Alert:
    found = Alert(
        fingerprint="f1", rule="NodeNotReady", severity="warning", entity="node/node-a",
        labels={"cluster": "-", "node": "node-a", "incident": "e1"}, group="e1", since=T0,
        starts_at=T0, version=1, status=status, cause="pleg.runtime-hang", episode="e1",
        summary="Node node-a is not ready <!channel> & more",
        evidence=["containerd pid 20497 is in state T"], affected=["pod/shop/web-0"],
        ends_at=T0 + 60_000 if status == RESOLVED else 0,
    )  # fmt: skip
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def message(*, firing: bool = True, at: int = T0 + 1000) -> Message:
    one = alert() if firing else alert(RESOLVED)
    return Message("t", "e1", [one] if firing else [], [] if firing else [one], True, Notice(), at)


def receiver(monkey_environment: dict[str, str], **settings: object) -> Receiver:
    config = AlertConfig.model_validate(
        {"receivers": [{"name": "r", **settings}], "runbooks": "https://wiki/runbooks"}
    )
    ((_, found),) = open_targets(config, monkey_environment, CLOCK)
    return found


def test_alertmanager() -> None:
    with http_sink() as sink:
        one = receiver(
            {"AM": "Bearer t"}, type="alertmanager", urls=[sink.url], authorization={"env": "AM"}
        )
        one.send(message())
        one.send(message(firing=False))
    first, second = sink.got
    assert first.path == "/api/v2/alerts"
    assert first.headers["Authorization"] == "Bearer t"
    (body,) = first.json
    assert body["labels"]["alertname"] == "NodeNotReady"
    assert body["startsAt"] == "2026-11-23T05:33:20.000Z"
    assert body["endsAt"] == "2026-11-23T05:37:21.000Z", "four repetitions ahead"
    assert body["annotations"]["cause"] == "pleg.runtime-hang"
    assert body["annotations"]["runbook_url"] == "https://wiki/runbooks/NodeNotReady.md"
    assert second.json[0]["endsAt"] == "2026-11-23T05:34:20.000Z"
    assert second.json[0]["labels"] == body["labels"]


def test_each_alertmanager_of_a_cluster_is_a_target() -> None:
    config = AlertConfig.model_validate(
        {"receivers": [{"name": "am", "type": "alertmanager", "urls": ["http://a", "http://b"]}]}
    )
    targets = [target for target, _ in open_targets(config, {}, CLOCK)]
    assert [target.name for target in targets] == ["am-1", "am-2"]
    assert not any(target.grouped for target in targets)
    assert all(target.heartbeat for target in targets)


def test_webhook_is_signed_and_a_repetition_is_known() -> None:
    with http_sink() as sink:
        one = receiver({"S": HIDDEN}, type="webhook", url=sink.url, secret={"env": "S"})
        one.send(message())
        one.send(message(at=T0 + 9000))
        one.send(message(firing=False))
    first, again, over = sink.got
    signed = first.headers["X-Kubeledger-Timestamp"].encode() + b"." + first.body
    digest = hmac.new(HIDDEN.encode(), signed, hashlib.sha256).hexdigest()
    assert first.headers["X-Kubeledger-Signature"] == f"sha256={digest}"
    assert first.headers["Idempotency-Key"] == again.headers["Idempotency-Key"]
    assert first.headers["Idempotency-Key"] != over.headers["Idempotency-Key"]
    assert first.json["status"] == "firing"
    assert first.json["alerts"][0]["cause"] == "pleg.runtime-hang"
    assert over.json["status"] == "resolved"
    assert HIDDEN.encode() not in first.body


def test_dingtalk_signs_the_address() -> None:
    with http_sink(FINE) as sink:
        environment = {"U": f"{sink.url}/robot/send?access_token=tok", "S": HIDDEN}
        receiver(environment, type="dingtalk", url={"env": "U"}, secret={"env": "S"}).send(
            message()
        )
    (request,) = sink.got
    query = parse_qs(urlsplit(request.path).query, keep_blank_values=True)
    text = f"{query['timestamp'][0]}\n{HIDDEN}".encode()
    want = base64.b64encode(hmac.new(HIDDEN.encode(), text, hashlib.sha256).digest()).decode()
    assert unquote_plus(request.path.rpartition("sign=")[2]) == want
    assert query["timestamp"] == [str(T0)]
    assert request.json["msgtype"] == "markdown"
    assert "containerd pid 20497" in request.json["markdown"]["text"]


def test_feishu_signs_the_body() -> None:
    with http_sink(FINE) as sink:
        environment = {"U": sink.url, "S": HIDDEN}
        receiver(environment, type="feishu", url={"env": "U"}, secret={"env": "S"}).send(message())
    (request,) = sink.got
    key = f"{request.json['timestamp']}\n{HIDDEN}".encode()
    want = base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()
    assert request.json["sign"] == want
    assert request.json["timestamp"] == str(T0 // 1000)
    assert request.json["card"]["header"]["template"] == "orange"


def test_wecom_fits_its_limit() -> None:
    with http_sink(FINE) as sink:
        long = alert(evidence=["é" * 9_000] * 3)
        receiver({"U": sink.url}, type="wecom", url={"env": "U"}).send(
            Message("t", "e1", [long] * 30, [], True, Notice(), T0)
        )
    content = sink.got[0].json["markdown"]["content"]
    assert len(content.encode()) <= 4_096


def test_pagerduty_keeps_one_key_for_a_group() -> None:
    with http_sink() as sink:
        one = receiver({"K": "routing"}, type="pagerduty", url=sink.url, routing_key={"env": "K"})
        one.send(message())
        one.send(message(firing=False))
    first, over = (request.json for request in sink.got)
    assert (first["event_action"], over["event_action"]) == ("trigger", "resolve")
    assert first["dedup_key"] == over["dedup_key"]
    assert first["payload"]["severity"] == "warning"
    assert "payload" not in over


def test_slack_is_not_told_to_mention_anybody() -> None:
    with http_sink(b"ok") as sink:
        receiver({"U": sink.url}, type="slack", url={"env": "U"}).send(message())
    document = sink.got[0].json
    assert "<!channel>" not in str(document)
    assert "&lt;!channel&gt; &amp; more" in document["text"]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (500, b"", Unavailable), (429, b"", Unavailable), (408, b"", Unavailable),
        (404, b"no_service", Rejected), (400, b"bad", Rejected), (302, b"", Rejected),
        (200, b'{"errcode": 310000, "errmsg": "sign not match"}', Rejected),
        (200, b'{"errcode": 130101, "errmsg": "send too fast"}', Unavailable),
    ],
)  # fmt: skip
def test_what_an_answer_means(status: int, body: bytes, error: type[Exception]) -> None:
    with http_sink(FINE) as sink:
        sink.answers = [(status, body)]
        one = receiver({"U": f"{sink.url}/hidden"}, type="dingtalk", url={"env": "U"})
        with pytest.raises(error) as raised:
            one.send(message())
    assert "hidden" not in str(raised.value), "the address is a secret"


def test_nobody_listens() -> None:
    one = receiver({"U": "http://127.0.0.1:9/hidden"}, type="slack", url={"env": "U"})
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9 does not answer") as raised:
        one.send(message())
    assert "hidden" not in str(raised.value)


def test_mail_by_starttls(tmp_path: Path) -> None:
    pem, key = self_signed(tmp_path, "mail", "localhost")
    with smtp_sink(pem, key) as sink:
        one = receiver(
            {"P": HIDDEN}, type="email", host="localhost", port=sink.port, sender="k@x", to=["o@x"],
            username="me", password={"env": "P"}, ca_file=str(pem),
        )  # fmt: skip
        one.send(message())
        sink.refuse = ["550 no such user"]
        with pytest.raises(Rejected):
            one.send(message())
    mail = email.message_from_string(sink.mails[0], policy=email.policy.default)
    assert mail["Subject"].startswith("[firing warning] Node node-a is not ready")
    assert "containerd pid 20497" in mail.get_content()
    assert any(said.startswith("tls AUTH") for said in sink.said)
    assert not any(said.startswith("AUTH") for said in sink.said)


def test_mail_to_a_server_that_cannot_be_verified(tmp_path: Path) -> None:
    pem, key = self_signed(tmp_path, "mail", "localhost")
    with smtp_sink(pem, key) as sink:
        one = receiver({}, type="email", host="localhost", port=sink.port, sender="k@x", to=["o@x"])
        with pytest.raises(Unavailable):
            one.send(message())
    assert sink.mails == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"type": "slack", "url": {"env": "GONE"}}, "the environment has no GONE"),
        ({"type": "slack", "url": {"file": "/nowhere/x"}}, "/nowhere/x: cannot read the secret"),
        ({"type": "webhook", "url": "ftp://x"}, "webhook url is no http"),
        ({"type": "webhook", "url": "http://x", "title": "{sevrity}"}, "did you mean `severity`"),
        ({"type": "webhook", "url": "http://x", "match": ["a~b"]}, "is not LABEL=VALUE"),
        ({"type": "email", "host": "h", "sender": "a", "to": ["b"], "security": "plaintext",
          "password": {"env": "P"}}, "a password is not sent over"),
    ],
)  # fmt: skip
def test_a_wrong_receiver_is_named(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match="receiver r: ") as raised:
        receiver({"P": HIDDEN}, **settings)
    assert said in str(raised.value)
    assert HIDDEN not in str(raised.value)


def test_texts_are_cut_at_whole_characters() -> None:
    assert cut("é" * 10, 8) == "éé…"
