"""Which alerts are held back because an incident already speaks of the same.

An incident's alert covers its entity and all that it affects. Held back is

  a symptom (`symptom: true` in its rule) of which a firing incident covers the entity
  any alert whose entity a wider incident affects: nodes under a zone, pods under a node
  an alert whose rule names a rule that fires (`held_back_by`), wherever that is

An alert never holds back what would hold back itself.
"""

from collections.abc import Iterable

from alerts.alert import Alert


def inhibited(firing: Iterable[Alert]) -> dict[str, str]:
    """Fingerprint of each alert that is held back -> fingerprint of the one that covers it."""
    alerts = list(firing)
    by_entity: dict[str, list[Alert]] = {}
    for alert in alerts:
        if alert.symptom:
            continue
        for entity in (alert.entity, *alert.affected):
            by_entity.setdefault(entity, []).append(alert)
    found: dict[str, str] = {}
    firing_rules = {alert.rule: alert.fingerprint for alert in alerts}
    for alert in alerts:
        for name in alert.held_back_by:
            if name in firing_rules:
                found[alert.fingerprint] = firing_rules[name]
        for other in by_entity.get(alert.entity, ()):
            if other is not alert and _covers(other, alert):
                found[alert.fingerprint] = other.fingerprint
                break
    return found


def _covers(other: Alert, alert: Alert) -> bool:
    if alert.symptom:
        return True
    return (
        other.entity != alert.entity
        and alert.entity in other.affected
        and other.entity not in alert.affected
    )
