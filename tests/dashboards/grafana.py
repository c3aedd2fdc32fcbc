"""A server that behaves as Grafana's documented HTTP API does, as far as `push` uses it: tokens,
folders and dashboards by uid, versions (412), conflicting names (409), and faults on demand.

docs/sources/developers/http_api/{dashboard,folder,data_source}.md of grafana/grafana: a dashboard
that is saved gets the next version; one that is sent with another version than the stored one and
without `overwrite` is refused with 412 `version-mismatch`; an existing folder's uid, too.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.dashboards.grafana_alerting import PREFIX, Alerting

TOKEN = "glsa_token"  # noqa: S105


@dataclass
class Grafana:
    """What it holds. `faults` are answered, one after the other, to the next writes."""

    url: str = ""
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)  # dashboard -> folder
    folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    faults: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    numbers: int = 0
    alerting: Alerting = field(default_factory=Alerting)

    def edit(self, uid: str, **changes: Any) -> None:
        """By hand, in the browser: a new version."""
        there = self.dashboards[uid]
        there.update(changes)
        there["version"] += 1

    def answer(
        self, method: str, path: str, body: dict[str, Any], *, unlocked: bool = False
    ) -> tuple[int, Any]:
        if method == "GET":
            if path.startswith(PREFIX):
                return self.alerting.get(path.removeprefix(PREFIX))
            return self._get(path)
        self.writes.append(f"{method} {path}")
        if self.faults:
            return self.faults.pop(0)
        if path.startswith(PREFIX):
            mark = "" if unlocked else "api"
            return self.alerting.put(method, path.removeprefix(PREFIX), body, mark, self.folders)
        match method, path:
            case "POST", "/api/folders":
                if body["uid"] in self.folders:
                    return 412, {"message": "the folder has been changed by someone else"}
                self.folders[body["uid"]] = {**body, "version": 1}
                return 200, self.folders[body["uid"]]
            case "POST", "/api/datasources":
                if any(s["name"] == body["name"] for s in self.sources.values()):
                    return 409, {"message": "data source with the same name already exists"}
                return 200, self._store(body)
            case "PUT", _ if path.startswith("/api/datasources/uid/"):
                return 200, self._store(body)
            case "POST", "/api/dashboards/db":
                return self._save(body)
        return 404, {"message": "Not found"}

    def _get(self, path: str) -> tuple[int, Any]:
        kind, _, uid = path.removeprefix("/api/").rpartition("/")
        held: dict[str, dict[str, dict[str, Any]]] = {
            "folders": self.folders,
            "datasources/uid": self.sources,
            "dashboards/uid": self.dashboards,
        }
        if uid not in held.get(kind, {}):
            return 404, {"message": f"{kind} not found"}
        found = held[kind][uid]
        return 200, {"dashboard": found, "meta": {}} if kind == "dashboards/uid" else found

    def _store(self, body: dict[str, Any]) -> dict[str, Any]:
        secret = body.pop("secureJsonData", None)
        if secret:
            self.secrets[body["uid"]] = secret
        self.sources[body["uid"]] = {**body, "id": 1, "readOnly": False}
        return {"message": "Datasource added"}

    def _save(self, body: dict[str, Any]) -> tuple[int, Any]:
        wanted = dict(body["dashboard"])
        uid = wanted["uid"]
        if body.get("folderUid") not in self.folders:
            return 400, {"message": "folder not found"}
        there = self.dashboards.get(uid)
        if (
            there is not None
            and not body.get("overwrite")
            and wanted["version"] != there["version"]
        ):
            return 412, {"status": "version-mismatch",
                         "message": "The dashboard has been changed by someone else"}  # fmt: skip
        self.numbers += 1
        wanted["version"] = 1 if there is None else there["version"] + 1
        wanted["id"] = self.numbers if there is None else there["id"]
        self.dashboards[uid] = wanted
        self.places[uid] = body["folderUid"]
        return 200, {"status": "success", "uid": uid, "version": wanted["version"]}


@contextmanager
def grafana() -> Iterator[Grafana]:
    held = Grafana()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}") or {}
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status, answer = 401, {"message": "Invalid API key"}
            else:
                unlocked = "X-Disable-Provenance" in self.headers
                status, answer = held.answer(self.command, self.path, body, unlocked=unlocked)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = _do  # noqa: N815

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    held.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield held
    finally:
        server.shutdown()
        server.server_close()
