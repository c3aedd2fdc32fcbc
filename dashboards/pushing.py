"""`kubeledger push grafana`: settings, and what is said on the way."""

from collections.abc import Callable, Mapping
from pathlib import Path

from dashboards.alerting import alert_steps, read_files
from dashboards.push import EDITED, Grafana, PushError, Source, apply, plan
from pipeline.base.tls import client_tls

_SHOWN = 60  # lines of one difference
TOKEN = "GRAFANA_TOKEN"  # noqa: S105 - the name of a variable


def run_push(
    url: str,
    *,
    token_file: Path | None,
    ca_file: Path | None,
    dry_run: bool,
    force: bool,
    clickhouse: str | None,
    database: str,
    user: str,
    password_file: Path | None,
    tls: bool,
    alerts: Path | None,
    environment: Mapping[str, str],
    say: Callable[[str], object],
) -> bool:
    """True when Grafana is as it should be at the end. Raises PushError."""
    token = _secret(token_file) if token_file else environment.get(TOKEN, "").strip()
    if not token:
        raise PushError(f"no token: give --token-file, or set {TOKEN}", usage=True)
    if ca_file is not None and not ca_file.is_file():
        raise PushError(f"{ca_file}: there is no such CA file", usage=True)
    try:
        grafana = Grafana(url, token, tls=client_tls(ca_file))
    except OSError as error:
        raise PushError(f"{ca_file}: no certificates: {error}", usage=True) from error
    source = _source(clickhouse, database, user, password_file, tls=tls)
    files = read_files(alerts) if alerts is not None else None
    steps = plan(grafana, source)
    if files is not None:
        steps += alert_steps(grafana, files, environment, force=force)
    for step in steps:
        say(f"{step.state:<14} {step.what}")
        for line in step.difference[2 : _SHOWN + 2]:
            say(f"    {line}")
        if len(step.difference) > _SHOWN + 2:
            say(f"    … {len(step.difference) - _SHOWN - 2} lines more")
    if dry_run:
        differ = sum(step.writes for step in steps)
        say(f"{differ} would be written" if differ else "nothing to write")
        if any(step.state == EDITED for step in steps) and not force:
            say("without --force what was changed by hand is not written over")
        return not differ
    for step in apply(grafana, steps, force=force):
        say(f"written        {step.what}")
    return True


def _source(
    place: str | None, database: str, user: str, password_file: Path | None, *, tls: bool
) -> Source | None:
    if place is None:
        if password_file is not None:
            raise PushError("--password-file goes with --clickhouse HOST:PORT", usage=True)
        return None
    host, _, port = place.rpartition(":")
    if not host or not port.isdigit():
        raise PushError(f"--clickhouse {place!r} is not HOST:PORT (native protocol)", usage=True)
    password = _secret(password_file) if password_file else ""
    return Source(host.strip("[]"), int(port), database, user, password, secure=tls)


def _secret(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise PushError(f"{path}: cannot read the secret: {reason}", usage=True) from None
