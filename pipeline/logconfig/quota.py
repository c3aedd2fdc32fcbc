"""Quotas of namespaces: which counts, and how much each may store. Pure.

What a namespace leaves of its quota is lent to those that want more than theirs, in proportion to
their quotas (max-min fairness): nobody gets more than it wants, and nobody less than its quota.
"""

from collections.abc import Iterable, Mapping

from pipeline.logconfig.objects import ConfigObject
from pipeline.logconfig.select import selects
from pipeline.logconfig.spec import Quota


def quotas_of(objects: Iterable[ConfigObject], namespaces: Iterable[str]) -> dict[str, Quota]:
    """The smallest for each namespace; those that are named without wildcards are there, too."""
    wished = [spec for one in objects for spec in one.specs if spec.quota is not None]
    named = {n for spec in wished for n in spec.selector.namespaces if not set(n) & set("*?[")}
    found: dict[str, Quota] = {}
    for namespace in sorted({*namespaces, *named}):
        for spec in wished:
            here = selects(spec.selector, namespace=namespace, pod="", container="", labels={})
            known, quota = found.get(namespace), spec.quota
            if here and quota and (not known or quota.bytes_per_second < known.bytes_per_second):
                found[namespace] = quota
    return found


def fair(demand: Mapping[str, float], quotas: Mapping[str, Quota]) -> dict[str, float]:
    """Bytes a second that each namespace may store; `demand` is what it writes."""
    given = {n: min(demand.get(n, 0.0), float(q.bytes_per_second)) for n, q in quotas.items()}
    spare = sum(q.bytes_per_second - given[n] for n, q in quotas.items())
    hungry = {n for n, q in quotas.items() if q.borrow and demand.get(n, 0.0) > given[n]}
    while hungry and spare >= 1:
        total = sum(quotas[n].bytes_per_second for n in hungry)
        portions = {n: spare * quotas[n].bytes_per_second / total for n in hungry}
        for namespace, portion in portions.items():
            more = min(portion, demand[namespace] - given[namespace])
            given[namespace] += more
            spare -= more
        fed = {n for n in hungry if demand[n] - given[n] < 1}
        if not fed:
            break
        hungry -= fed
    return given
