"""A dashboard from its parts: places for panels, the variables, annotations and links that all
dashboards share."""

from collections.abc import Sequence

from dashboards.model import (
    FORMATS,
    PLUGIN,
    Annotation,
    Dashboard,
    DataSource,
    Link,
    Named,
    Option,
    Panel,
    Target,
    Variable,
)
from dashboards.names import CLUSTER, EPISODES, FACTS, K8S_EVENTS, NODE_SAMPLES, SCALINGS
from dashboards.panels import Draft

COLUMNS = 24
TAG = "kubeledger"
UID = "kubeledger-"

Row = Sequence[Draft]

DATASOURCE = Variable(
    name="datasource",
    label="Data source",
    type="datasource",
    query=PLUGIN,
    current=Option(text="ClickHouse", value="clickhouse"),  # as deploy/ names it
)

_ALL = Option(text="All", value="$__all")


def query_variable(
    name: str, sql: str, *, label: str = "", several: bool = True, hide: bool = False
) -> Variable:
    """Values from the store, read again when the time range changes. `several`: any number of
    them, at first all."""
    query = Target(
        ref_id=f"{name}-values", query_type="table", format=FORMATS["table"], raw_sql=sql
    )
    return Variable(
        name=name,
        label=label or name.capitalize(),
        type="query",
        hide=2 if hide else 0,
        datasource=DataSource(),
        query=query.document(),
        definition=sql,
        refresh=2,
        multi=several,
        include_all=several,
        current=_ALL if several else None,
    )


def text_variable(name: str, label: str, *, hide: bool = False) -> Variable:
    empty = Option(text="", value="")
    return Variable(
        name=name, label=label, type="textbox", query="", current=empty, options=[empty],
        hide=2 if hide else 0,
    )  # fmt: skip


# Kubelets that are sampled, and clusters that only a watcher sees: facts are few, and kept long.
CLUSTERS = query_variable(
    "cluster",
    f"SELECT cluster FROM {NODE_SAMPLES} WHERE part = 'healthz' AND $__timeFilter_ms(ts) "
    "GROUP BY cluster UNION DISTINCT "
    f"SELECT cluster FROM {FACTS} WHERE ts <= $__toTime_ms "
    "AND ts > $__fromTime_ms - INTERVAL 30 DAY GROUP BY cluster ORDER BY cluster",
    several=False,
)


def _annotation(name: str, colour: str, sql: str, *, enable: bool = True) -> Annotation:
    target = Target(ref_id="Anno", query_type="table", format=FORMATS["table"], raw_sql=sql)
    return Annotation(name=name, icon_color=colour, target=target, enable=enable)


ANNOTATIONS = (
    _annotation(
        "Incidents",
        "red",
        "SELECT opened_at AS time, ifNull(closed_at, $__toTime_ms) AS timeEnd, "
        "concat(entity, ': ', title) AS title, concat(cause, ' (', confidence, ') ', summary) "
        f"AS text, status AS tags FROM {EPISODES} FINAL WHERE {CLUSTER} AND status != 'merged' "
        "AND opened_at <= $__toTime_ms AND (closed_at IS NULL OR closed_at >= $__fromTime_ms) "
        "ORDER BY length(affected) DESC LIMIT 20",
    ),
    _annotation(
        "Scalings",
        "blue",
        "SELECT decided_at AS time, concat(workload, ' ', toString(from_replicas), ' → ', "
        "toString(to_replicas)) AS title, concat('by ', by, ', ', status) AS text, by AS tags "
        f"FROM {SCALINGS} FINAL WHERE {CLUSTER} AND decided_at >= $__fromTime_ms "
        "AND decided_at <= $__toTime_ms ORDER BY time LIMIT 200",
        enable=False,
    ),
    _annotation(
        "Rollouts",
        "purple",
        "SELECT min(ts) AS time, concat(namespace, '/', name) AS title, any(message) AS text, "
        f"'rollout' AS tags FROM {K8S_EVENTS} WHERE {CLUSTER} AND $__timeFilter_ms(ts) "
        "AND kind = 'Deployment' AND reason = 'ScalingReplicaSet' AND match(message, 'from 0 to') "
        "GROUP BY namespace, name, extract(message, 'replica set (\\\\S+)') ORDER BY time "
        "LIMIT 200",
        enable=False,
    ),
)  # fmt: skip


def assemble(
    name: str,
    title: str,
    description: str,
    *,
    variables: Sequence[Variable],
    rows: Sequence[Row],
    with_clusters: bool = True,
) -> Dashboard:
    """`rows` from top to bottom, the drafts of each from left to right. Annotations need a
    cluster, so dashboards without that variable have none."""
    panels: list[Panel] = []
    y = 0
    for row in rows:
        x = 0
        for draft in row:
            panels.append(draft.placed(len(panels) + 1, x, y))
            x += draft.width
        if x > COLUMNS:
            raise ValueError(f"{title}: a row is {x} wide, the grid {COLUMNS}")
        y += max(draft.height for draft in row)
    return Dashboard(
        uid=UID + name,
        title=title,
        description=description,
        tags=[TAG],
        templating=Named(
            list_=[DATASOURCE, *([CLUSTERS] if with_clusters else []), *variables]
        ),
        annotations=Named(list_=list(ANNOTATIONS) if with_clusters else []),
        links=[
            Link(
                title="kubeledger", type="dashboards", tags=[TAG], as_dropdown=True,
                keep_time=True, include_vars=True, icon="external link", tooltip="",
                target_blank=False,
            )
        ],
        panels=panels,
    )  # fmt: skip


def to(name: str, *carried: str, **variables: str) -> str:
    """The address of another dashboard: the same time range, the variables `carried` as they are
    chosen here, and these. Values may be `cell("NAME")` or `$__all`."""
    taken = "".join(f"&${{{key}:queryparam}}" for key in carried)
    given = "".join(f"&var-{key}={value}" for key, value in variables.items())
    return f"/d/{UID}{name}?${{__url_time_range}}{taken}{given}"


def cell(name: str) -> str:
    """The value of a column in the row of a link."""
    return f'${{__data.fields["{name}"]}}'
