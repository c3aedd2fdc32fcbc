"""One scope of the API, listed and watched: a state machine without I/O (see ports.py).

    list ──complete──► watch ──ended, broken──► watch again from the last version
     ▲                   │
     ├──410, unreadable──┤    403: said once, asked again more and more rarely
     └──denied for long──┘    404: next version, then the same

Invariants: what was passed on is in `Known` at its latest version; the watch always goes on from a
version up to which everything was passed on; a line that did not end does not count. So a stream
may break anywhere, and what is passed on twice is passed on by the same id.
"""

from dataclasses import replace
from random import Random

from collectors.cluster import refusal
from collectors.cluster.backoff import Backoff
from collectors.cluster.known import Known
from collectors.cluster.listing import Listing, identified
from collectors.cluster.ports import (
    Broken,
    Ended,
    Instant,
    List,
    Opened,
    Params,
    Piece,
    Refused,
    Request,
    Watch,
)
from collectors.cluster.resources import EVENTS, LEASES, Scope
from collectors.cluster.said import Said
from collectors.cluster.scribes import NEVER, scribe_for
from collectors.cluster.trim import Object, part
from collectors.cluster.wire import Lines, Unreadable, parse
from pipeline.contract.state import ADDED, DELETED, MODIFIED, UNREADABLE, StateEvent

# Between two looks at what is denied or not served. A server that has just begun answers 403 until
# its RBAC rules are loaded, and 404 until its APIs are: seconds. A rule that nobody grants, or a
# CRD that nobody installs, is missing for ever.
DENIED_FIRST_S, DENIED_MOST_S = 1.5, 300.0
DENIED_LONG_S = 60.0  # a watch that was denied for so long begins with a list
LIST_S = 60.0  # for one page
WATCH_S = (300, 600)  # a watch is asked to end after this, as client-go does
RESUME_S = 1.0  # a watch that lived goes on within this
LIVED_S = 1.0  # a watch that ends sooner, and without a word, is a failure
GIVE_UP = 3  # fruitless watches in a row from one version; then it may be the version: list
PULSE_S = 5.0  # so often it is said that leases are being watched
BUSY = (refusal.TOO_MANY, 503)  # says nothing about the version


class ResourceWatch:
    """`lease_every_s`: how often a lease is written; `anew_s`: how often everything is written
    again, so that the log, which forgets, always holds all that exists; `page`: objects of one
    page of a list."""

    def __init__(
        self,
        scope: Scope,
        known: Known,
        *,
        start_s: float,
        random: Random,
        lease_every_s: float = 20.0,
        anew_s: float = 86_400.0,
        page: int = 500,
    ) -> None:
        self.scope = scope
        self.deaf = False
        self._known = known
        self._scribe = scribe_for(scope, known, lease_every_s=lease_every_s)
        self._said = Said(scope)
        self._random = random
        self._backoff = Backoff(random)
        self._doubts = Backoff(random)  # about the version that the watch goes on from
        self._denials = Backoff(random, first_s=DENIED_FIRST_S, most_s=DENIED_MOST_S)
        self._denied_at = 0.0  # when the first of them came
        self._page = page
        self._anew_s = anew_s
        self._anew_at = NEVER
        self._pulse_at = NEVER
        self._at = start_s  # of the next request, monotonic seconds
        self._asked: Request | None = None
        self._asked_at = 0.0
        self._listing: Listing | None = Listing(page)  # None: watch
        self._lines = Lines()
        self._open = self._fruitful = False  # the watch has answered; something came
        self._followed = False  # a watch has gone on from the last list
        self._version = ""  # the watch goes on from here
        self._api = 0  # which of the resource's versions is served

    # -- asking ------------------------------------------------------------------------------

    @property
    def due(self) -> float:
        """When `request` or `tick` has something, if nothing comes before."""
        pulse = self._pulse_at if self._open else NEVER
        return min(self._scribe.due, pulse, self._at if self._asked is None else NEVER)

    def request(self, now: Instant) -> Request | None:
        """None while the answer to the last one is not over, or before it is time."""
        if self._asked is not None or now.mono < self._at:
            return None
        if now.mono >= self._anew_at and self._listing is None:
            self._scribe.settled, self._listing = False, Listing(self._page)
        self._asked, self._asked_at = self._next(), now.mono
        self.deaf = self._open = self._fruitful = False
        self._lines = Lines()
        return self._asked

    def tick(self, now: Instant) -> list[StateEvent]:
        return [*self._scribe.tick(now), *self._pulse(now)]

    def _pulse(self, now: Instant) -> list[StateEvent]:
        """That a lease was not renewed is evidence only as long as somebody watches leases: a
        watcher that died must not look like nodes that did."""
        if not self._open or now.mono < self._pulse_at:
            return []
        self._pulse_at = now.mono + PULSE_S
        next_ms = int(PULSE_S * 1000)
        return [self._said.seeing(self._version, len(self._known), now, next_ms=next_ms)]

    def _next(self) -> Request:
        resource = self.scope.resource
        path = resource.path(resource.versions[self._api], self.scope.namespace)
        name = resource.object_name
        selector: Params = (("fieldSelector", f"metadata.name={name}"),) if name else ()
        if self._listing is not None:
            self._listing.body.clear()
            return List(path, (*selector, *self._listing.params()), LIST_S)
        asked: Params = (
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", self._version),
            ("timeoutSeconds", str(self._random.randint(*WATCH_S))),
        )
        return Watch(path, (*selector, *asked), resource.open_s, resource.quiet_s)

    # -- what comes back ---------------------------------------------------------------------

    def fed(self, piece: Piece, now: Instant) -> list[StateEvent]:
        if self._asked is None:
            return []
        events = [] if self.deaf else self._take(piece, now)
        if isinstance(piece, (Ended, Refused, Broken)):
            self._asked, self._open = None, False
        return events

    def _take(self, piece: Piece, now: Instant) -> list[StateEvent]:
        if isinstance(piece, Refused):
            return self._refused(piece, now)
        if isinstance(piece, Broken):
            return self._broken(piece, now)
        if self._listing is not None:
            return self._listed(self._listing, piece, now)
        return self._watched(piece, now)

    def _listed(
        self, listing: Listing, piece: bytes | Opened | Ended, now: Instant
    ) -> list[StateEvent]:
        if isinstance(piece, bytes):
            listing.body += piece
        if not isinstance(piece, Ended):
            return []
        events: list[StateEvent] = []
        try:
            items = listing.items()
        except Unreadable as error:
            return self._unreadable(error, now)
        for item in items:
            events += self._scribe.seen(item, now, listed=True)
        self._backoff.reset()
        self._at = now.mono
        return events if listing.token else events + self._complete(listing, now)

    def _complete(self, listing: Listing, now: Instant) -> list[StateEvent]:
        events: list[StateEvent] = []
        missing = self._known.missing(listing.uids)
        names = self._known.names(listing.uids) if missing else set()
        for uid in missing:
            for event in self._scribe.missing(uid, listing.version, now):
                meta = event.body["object"]["metadata"]
                if (meta.get("namespace", ""), meta.get("name", "")) in names:
                    event = replace(event, body={**event.body, "replaced": True})
                events.append(event)
        first = not self._scribe.settled and self.scope.resource.name not in EVENTS
        uids = listing.uids if first else None
        events += self._said.listed(listing.version, len(listing.uids), now, uids=uids)
        if first:
            self._anew_at = now.mono + self._anew_s * self._random.uniform(0.9, 1.0)
        self._scribe.settled = True
        self._version, self._listing, self._followed = listing.version, None, False
        return events

    def _watched(self, piece: bytes | Opened | Ended, now: Instant) -> list[StateEvent]:
        if isinstance(piece, Ended):
            self._dropped(now)
            return []
        events: list[StateEvent] = []
        if not self._open:
            self._open = True
            if self.scope.resource.name == LEASES:
                self._pulse_at = now.mono
            events += self._said.resumed(self._version, len(self._known), now)
        if isinstance(piece, Opened):
            return events
        try:
            for line in self._lines.feed(piece):
                events += self._line(line, now)
                if self.deaf:
                    break
        except Unreadable as error:  # what came before it counts
            events += self._unreadable(error, now)
        return events

    def _line(self, line: bytes, now: Instant) -> list[StateEvent]:
        document = parse(line)
        kind, source = document.get("type"), part(document, "object")
        if kind == "ERROR":
            self.deaf = True
            return self._refused(refusal.status_of(source), now)
        events = self._event(kind, source, now)
        self._version = str(part(source, "metadata").get("resourceVersion") or self._version)
        self._fruitful = True
        self._well()
        return events

    def _event(self, kind: object, source: Object, now: Instant) -> list[StateEvent]:
        if kind == "BOOKMARK" or not identified(source):
            return []
        if kind == DELETED:
            return self._scribe.deleted(source, now)
        if kind in (ADDED, MODIFIED):
            return self._scribe.seen(source, now, listed=False)
        raise Unreadable(f"a watch event of type {kind!r:.40}")

    # -- trouble -----------------------------------------------------------------------------

    def _refused(self, refused: Refused, now: Instant) -> list[StateEvent]:
        status = refused.status
        if status == refusal.GONE:
            self._gone(now)
            return []
        verb = "watch" if self._listing is None else "list"
        if status == refusal.NOT_FOUND:
            self._api = (self._api + 1) % len(self.scope.resource.versions)
            if self._api:  # another version may be served
                self._at = now.mono
                return []
        if status in (refusal.NOT_FOUND, refusal.FORBIDDEN):
            self._denied(now)
        else:
            self._again(now, refused.retry_after_s)
            if status != refusal.UNAUTHORIZED and status not in BUSY:
                self._doubt()
        detail = refusal.explain(refused, self.scope, verb)
        return self._said.failed(refusal.outcome_of(refused), detail, now, status=status)

    def _denied(self, now: Instant) -> None:
        """A watch that is denied shortly goes on from its version; denied for long, it begins with
        a list. But not with another after one that no watch has followed: there the right to watch
        alone is missing, and lists would go on for ever."""
        if not self._denials.failures:
            self._denied_at = now.mono
        self._at = now.mono + self._denials.pause()
        long = self._at - self._denied_at > DENIED_LONG_S
        if self._listing is not None or (long and self._followed):
            self._relist(self._at)

    def _gone(self, now: Instant) -> None:
        """The version is older than what the server remembers, or the token of a list is."""
        listing = self._listing
        again = self._doubts.failures > 0
        pause = self._doubts.pause() if again else self._backoff.spread(RESUME_S)
        self._doubts.failures = max(self._doubts.failures, 1)
        self._relist(now.mono + pause)
        if listing is not None and listing.token:
            self._listing = Listing(0)

    def _broken(self, broken: Broken, now: Instant) -> list[StateEvent]:
        if self._listing is None and self._open:
            self._dropped(now)
            return []
        self._again(now)
        return self._said.failed(broken.outcome, broken.detail, now)

    def _dropped(self, now: Instant) -> None:
        """A watch that was open is over: it goes on from where it was."""
        if now.mono - self._asked_at >= LIVED_S:
            self._well()
        if self._fruitful or now.mono - self._asked_at >= LIVED_S:
            self._at = now.mono + self._backoff.spread(RESUME_S)
        else:
            self._again(now)
            self._doubt()

    def _well(self) -> None:
        self._followed = True
        for backoff in (self._backoff, self._doubts, self._denials):
            backoff.reset()

    def _unreadable(self, error: Unreadable, now: Instant) -> list[StateEvent]:
        self.deaf = True
        self._relist(now.mono + self._backoff.pause())
        return self._said.failed(UNREADABLE, str(error), now)

    def _again(self, now: Instant, least_s: float | None = None) -> None:
        """The same again, later."""
        self._at = now.mono + self._backoff.pause(least_s)

    def _doubt(self) -> None:
        """Nothing comes from this version; after a while it is given up."""
        self._doubts.failures += 1
        if self._listing is None and self._doubts.failures >= GIVE_UP:
            self._relist(self._at)

    def _relist(self, at: float) -> None:
        self._listing = Listing(self._page)
        self._at = at
