"""Tables by their names in the contract, for the SQL of panels, and the conditions that panels
share. That their columns exist is proven on the engine: every query is run in the tests."""

from pipeline.contract import alert_tables, capacity_tables, scaling_tables, tables

LOGS = tables.LOGS.name
LOGS_1M = tables.ROLLUP_1M
FILES = tables.FILES.name
GAPS = tables.GAPS.name
DEAD_LETTERS = tables.DEAD_LETTERS.name
NODE_SAMPLES = tables.NODE_SAMPLES.name
K8S_EVENTS = tables.K8S_EVENTS.name
OBJECTS = tables.OBJECTS.name
SIGNALS = tables.SIGNALS.name
FACTS = tables.FACTS.name
EPISODES = tables.EPISODES.name
CAPACITY = capacity_tables.CAPACITY_1M.name
HPA_1M = capacity_tables.HPA_1M.name
DRAINS = capacity_tables.DRAINS.name
SCALINGS = scaling_tables.SCALINGS.name
SCALE_TIMELINES = scaling_tables.SCALE_TIMELINES.name
ALERTS = alert_tables.ALERTS.name

# The time range of the dashboard. DateTime64 columns need the macro with milliseconds: the other
# cuts off the second in which the range begins.
IN_RANGE = "$__timeFilter_ms(ts)"
MINUTES = "$__timeFilter(minute)"
STEP = "$__timeInterval_ms(ts)"
SECONDS = "(toUnixTimestamp64Milli($__toTime_ms) - toUnixTimestamp64Milli($__fromTime_ms)) / 1000"

# Alerts that fired within the range; those of rules that always fire are none. Read with FINAL.
ALERTED = (
    "status IN ('firing', 'resolved') AND severity != 'none' AND starts_at <= $__toTime_ms "
    "AND (ends_at IS NULL OR ends_at >= $__fromTime_ms)"
)
# What an alert was at the end of the range.
FIRES = "ends_at IS NULL OR ends_at > $__toTime_ms"
STANDING = f"if({FIRES}, 'firing', 'resolved')"

CLUSTER = "cluster IN (${cluster:sqlstring})"


def chosen(name: str, column: str = "") -> str:
    """A condition on a variable with several values; none when all are chosen."""
    return f"$__conditionalAll({column or name} IN (${{{name}:sqlstring}}), ${name})"


def increase(column: str, of: str) -> str:
    """How much a total grew since the sample before of the same series; after a restart it begins
    at zero again, and what came before is not subtracted."""
    over = f"OVER (PARTITION BY {of} ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"
    return f"greatest(0, {column} - lagInFrame({column}, 1, {column}) {over})"


def latest(resource: str, columns: str, where: str = "1", *, gone: bool = False) -> str:
    """The last version of each object of a resource that exists at the end of the range and was
    seen within it or the week before (a watcher writes every object again once a day). With `gone`
    also those that were deleted within the range."""
    exists = "type != 'DELETED'" + (" OR seen >= $__fromTime_ms" if gone else "")
    return (
        f"SELECT {columns} FROM (SELECT namespace, name, uid, argMax(document, ko) AS document, "
        f"argMax(type, ko) AS type, max(ts) AS seen FROM {OBJECTS} "
        f"WHERE resource = '{resource}' AND {CLUSTER} AND ts <= $__toTime_ms "
        f"AND ts > $__fromTime_ms - INTERVAL 7 DAY AND {where} "
        f"GROUP BY namespace, name, uid) WHERE {exists}"
    )


# The outermost owner that a pod's own document tells: a ReplicaSet of a Deployment is named after
# it and its template's hash. (No `$` here: the data source puts conditions in by JavaScript's
# `replace`, to which some `$` mean something.)
_OWNER = "JSONExtractString(document, 'metadata', 'ownerReferences', 1, '{}')"
WORKLOAD_OF_POD = (
    f"multiIf({_OWNER.format('kind')} = 'ReplicaSet', concat('Deployment/', arrayStringConcat("
    f"arrayPopBack(splitByChar('-', {_OWNER.format('name')})), '-')), "
    f"{_OWNER.format('kind')} != '', concat({_OWNER.format('kind')}, '/', "
    f"{_OWNER.format('name')}), concat('Pod/', name))"
)
