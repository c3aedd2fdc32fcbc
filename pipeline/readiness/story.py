"""Episodes and candidates in plain values: why, what is missing, what speaks against."""

from typing import Any

from pipeline.contract.facts import UNKNOWN
from pipeline.readiness.catalogue import Cause
from pipeline.readiness.diagnosis import Candidate
from pipeline.readiness.episode import Episode


def describe(candidate: Candidate) -> dict[str, Any]:
    """Plain values, in the order in which they are read."""
    return {
        "cause": candidate.cause.id,
        "confidence": candidate.confidence,
        "satisfied": candidate.satisfied,
        "shown": list(candidate.shown),
        "missing": [list(group) for group in candidate.missing],
        "against": list(candidate.against),
    }


def recorded(episode: Episode, cause: Cause) -> dict[str, Any]:
    """An episode as facts and tables have it."""
    roles = _roles(cause)
    word, because = _because(cause, episode)
    return {
        "id": episode.id,
        "version": episode.version,
        "entity": episode.entity,
        "status": episode.status,
        "cause": UNKNOWN if cause.provisional else episode.cause,
        "verdict": episode.cause,
        "because": because,
        "decided_by": word.rpartition("+")[2],
        "confidence": episode.confidence,
        "title": cause.title,
        "severity": cause.severity,
        "opened_at": episode.opened_at,
        "detected_at": episode.detected_at,
        "closed_at": episode.closed_at,
        "evidence": [
            {
                "atom": shown.atom,
                "role": roles.get(shown.atom, "other"),
                "subject": shown.subject,
                "first": shown.first,
                "last": shown.last,
                "count": shown.count,
                "quote": shown.quote,
                "offset": shown.offset,
            }
            for shown in episode.evidence.values()
        ],
        "candidates": episode.candidates,
        "affected": list(episode.affected),
        "merged_into": episode.merged_into,
    }


def _because(cause: Cause, episode: Episode) -> tuple[str, str]:
    """The word and the narrower reason that its evidence shows, also evidence that is over."""
    shown = {evidence.atom for evidence in episode.evidence.values()}
    found = (w for w in cause.because.items() if shown.issuperset(w[0].split("+")))
    return next(found, ("", ""))


def _roles(cause: Cause) -> dict[str, str]:
    """What each atom that the cause names is to it; the strongest role wins."""
    roles: dict[str, str] = {}
    required = [word for group in cause.required for word in group]
    for role, words in (
        ("against", cause.excluding),
        ("supporting", cause.supporting),
        ("required", required),
        ("proof", cause.proof),
    ):
        roles |= {atom: role for word in words for atom in word.split("+")}
    return roles
