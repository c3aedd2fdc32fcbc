"""The door to Grafana: grafana-api is used here and nowhere else.

`push` brings a Grafana to what the code says: the data source, the folder, the dashboards, and what
alerting has (alerting.py). What is there already is left alone; what differs is shown first. A
dashboard carries a tag with the hash of what was pushed last. Where the dashboard that Grafana has
does not match its own tag, somebody has changed it by hand, and it is overwritten only by force.
Each write names the version that was read, so that an edit made meanwhile is refused by Grafana
itself (412) instead of being lost.

Facts of the API: grafana/grafana docs/sources/developers/http_api (dashboard.md, folder.md,
data_source.md).
"""

import difflib
import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from grafana_api.grafana_api import (
    GrafanaAPI,
    GrafanaClientError,
    GrafanaServerError,
    GrafanaUnauthorizedError,
)
from requests.adapters import HTTPAdapter

from dashboards.model import PLUGIN
from dashboards.render import rendered

FOLDER_UID = "kubeledger"
FOLDER_TITLE = "kubeledger"
SOURCE_UID = "clickhouse"
TIMEOUT_S = 30.0
_UNLOCK = "X-Disable-Provenance"
_HASH_TAG = "kubeledger-hash:"
# What Grafana itself writes into a dashboard, or a person's way of looking at it.
_NOT_OURS = ("id", "version", "iteration")

NEW, SAME, CHANGED, EDITED = "new", "same", "changed", "edited by hand"


class PushError(Exception):
    """Grafana cannot be brought there; says why and what to do. `usage`: the call was wrong."""

    def __init__(self, text: str, *, usage: bool = False) -> None:
        super().__init__(text)
        self.usage = usage


@dataclass(frozen=True, slots=True)
class Source:
    """The ClickHouse that Grafana is to ask. `password` is sent to Grafana, and never shown."""

    host: str
    port: int
    database: str
    user: str
    password: str = ""
    protocol: str = "native"
    secure: bool = False

    def document(self) -> dict[str, Any]:
        """As Grafana's API takes it; see the plugin's settings, src/types/config.ts."""
        document: dict[str, Any] = {
            "name": "ClickHouse",
            "uid": SOURCE_UID,
            "type": PLUGIN,
            "access": "proxy",
            "jsonData": {
                "host": self.host,
                "port": self.port,
                "protocol": self.protocol,
                "secure": self.secure,
                "username": self.user,
                "defaultDatabase": self.database,
                "logs": {
                    "defaultDatabase": self.database,
                    "defaultTable": "logs",
                    "timeColumn": "ts",
                    "levelColumn": "level",
                    "messageColumn": "body",
                    "selectContextColumns": True,
                    "contextColumns": ["namespace", "pod", "container"],
                },
            },
        }
        if self.password:
            document["secureJsonData"] = {"password": self.password}
        return document


@dataclass(frozen=True, slots=True)
class Step:
    """One thing of Grafana: what is to become of it, the difference as lines, and the request that
    does it. `unlocked`: people may go on changing it in the browser (of what alerting has)."""

    what: str
    state: str
    difference: tuple[str, ...] = ()
    method: str = "POST"
    path: str = ""
    document: Mapping[str, Any] | None = None
    unlocked: bool = False

    @property
    def writes(self) -> bool:
        return self.state != SAME


class _Verified(HTTPAdapter):
    """TLS by this context alone; requests would make its own, and add its list of CAs."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._tls, **options)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        return super().proxy_manager_for(*args, ssl_context=self._tls, **options)

    def cert_verify(self, conn: Any, *_: object) -> None:
        conn.cert_reqs = "CERT_REQUIRED"


class Grafana:
    """One Grafana, by its URL and a service account's token."""

    def __init__(self, url: str, token: str, *, tls: ssl.SSLContext) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PushError(f"{url!r} is no URL such as https://grafana.example", usage=True)
        if parts.username or parts.password:
            raise PushError("the URL holds credentials; give the token in a file", usage=True)
        self._where = f"{parts.scheme}://{parts.netloc}"
        prefix = parts.path.strip("/")
        self._api = GrafanaAPI(
            auth=token,
            host=parts.hostname,
            port=parts.port,
            url_path_prefix=f"{prefix}/" if prefix else "",
            protocol=parts.scheme,
            timeout=TIMEOUT_S,
        )
        self._api.s.mount("https://", _Verified(tls))

    def get(self, path: str) -> Any:
        """The document; None: there is none (404)."""
        return self._call("GET", path, None, {})

    def write(self, step: Step) -> None:
        """Raises PushError that says what to do."""
        headers = {_UNLOCK: "true"} if step.unlocked else {}
        self._call(step.method, step.path, step.document, headers)

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> Any:
        try:
            return getattr(self._api, method)(path, json=body, headers=dict(headers))
        except GrafanaUnauthorizedError as error:
            raise PushError(
                f"{self._where}: the token is not accepted (401); make a service account with the "
                "role Editor, or Admin for the data source, and give its token"
            ) from error
        except GrafanaClientError as error:
            if error.status_code == 404 and method == "GET":
                return None
            raise PushError(_refusal(self._where, method, path, error)) from error
        except GrafanaServerError as error:
            raise PushError(
                f"{self._where}: {method} {path}: {error.message}; nothing more was written, try "
                "again: what is done is left alone"
            ) from error
        except (requests.RequestException, ValueError) as error:
            raise PushError(f"{self._where}: {method} {path}: {_network(error)}") from error


def _refusal(where: str, method: str, path: str, error: GrafanaClientError) -> str:
    if error.status_code == 403:
        return (
            f"{where}: {method} {path}: not allowed (403): {_message(error)}; the token's service "
            "account needs a role that may write this"
        )
    if error.status_code in (409, 412):
        return (
            f"{where}: {method} {path}: somebody changed it meanwhile ({error.status_code}): "
            f"{_message(error)}; look at the difference again with --dry-run"
        )
    return f"{where}: {method} {path}: refused ({error.status_code}): {_message(error)}"


def _message(error: GrafanaClientError) -> str:
    response = error.response
    return str(response.get("message", response) if isinstance(response, dict) else response)[:300]


def _network(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate cannot be verified; give its CA with --ca-file"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT_S:.0f} s"
    if isinstance(error, requests.ConnectionError):
        return "cannot be reached; is the URL right?"
    return "the answer is not JSON; is this a Grafana?"


def plan(grafana: Grafana, source: Source | None) -> list[Step]:
    """What would be written, in order. Reads only."""
    steps = [] if source is None else [_source_step(grafana, source)]
    steps.append(_folder_step(grafana))
    return [*steps, *_dashboard_steps(grafana)]


def apply(grafana: Grafana, steps: Sequence[Step], *, force: bool = False) -> Iterator[Step]:
    """Write what differs; yields what was written, as it is written. Raises PushError before the
    first write if something was edited by hand, unless forced."""
    edited = [step.what for step in steps if step.state == EDITED]
    if edited and not force:
        raise PushError(
            f"changed by hand since the last push: {', '.join(edited)}; keep the changes under "
            "names of their own, or write over them with --force"
        )
    for step in steps:
        if step.writes:
            grafana.write(step)
            yield step


def _source_step(grafana: Grafana, source: Source) -> Step:
    wanted = source.document()
    found = grafana.get(f"/datasources/uid/{SOURCE_UID}")
    if found is None:
        return Step("data source", NEW, path="/datasources", document=wanted)
    names = {key: wanted[key] for key in ("name", "type", "access")}
    # Settings that somebody added stay; secrets cannot be read, so they cannot be compared.
    shown = {key: found.get(key) for key in names}
    now = {key: (found.get("jsonData") or {}).get(key) for key in wanted["jsonData"]}
    lines = difference({**shown, "jsonData": now}, {**names, "jsonData": wanted["jsonData"]})
    merged = {
        **found,
        **wanted,
        "jsonData": {**(found.get("jsonData") or {}), **wanted["jsonData"]},
    }
    state = CHANGED if lines else SAME
    return Step("data source", state, lines, "PUT", f"/datasources/uid/{SOURCE_UID}", merged)


def _folder_step(grafana: Grafana) -> Step:
    if grafana.get(f"/folders/{FOLDER_UID}") is not None:
        return Step("folder", SAME)
    document = {"uid": FOLDER_UID, "title": FOLDER_TITLE}
    return Step("folder", NEW, path="/folders", document=document)


def _dashboard_steps(grafana: Grafana) -> Iterator[Step]:
    for text in rendered().values():
        wanted = _tagged(json.loads(text))
        uid = wanted["uid"]
        found = grafana.get(f"/dashboards/uid/{quote(uid)}")
        there = (found or {}).get("dashboard") or {}
        lines = () if found is None else difference(_bare(there), _bare(wanted))
        by_hand = _mark(there) != fingerprint(there)
        state = NEW if found is None else SAME if not lines else EDITED if by_hand else CHANGED
        # The version that was read: Grafana refuses with 412 if it is another one by now.
        document = {**wanted, "version": int(there.get("version", 0)), "id": None}
        body = {"dashboard": document, "folderUid": FOLDER_UID, "overwrite": False,
                "message": "kubeledger push grafana"}  # fmt: skip
        yield Step(uid, state, lines, path="/dashboards/db", document=body)


def fingerprint(document: Mapping[str, Any]) -> str:
    """Of what a dashboard shows; the tag itself and Grafana's own numbers do not count."""
    text = json.dumps(_bare(document), sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:16]


def _bare(document: Mapping[str, Any]) -> dict[str, Any]:
    bare = {key: value for key, value in document.items() if key not in _NOT_OURS}
    bare["tags"] = [tag for tag in document.get("tags", []) if not tag.startswith(_HASH_TAG)]
    return bare


def _tagged(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "tags": [*document["tags"], _HASH_TAG + fingerprint(document)]}


def _mark(document: Mapping[str, Any]) -> str:
    """The hash of the last push; empty if it was never pushed, or the tag was taken away."""
    marks = [tag for tag in document.get("tags", []) if tag.startswith(_HASH_TAG)]
    return marks[0].removeprefix(_HASH_TAG) if marks else ""


def difference(there: Any, wanted: Any) -> tuple[str, ...]:
    """Of two documents, as lines; none if they are the same."""
    before, after = (
        json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).splitlines()
        for document in (there, wanted)
    )
    return tuple(difflib.unified_diff(before, after, "in Grafana", "from here", lineterm="", n=2))
