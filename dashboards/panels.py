"""Panels by what they show. A builder takes the SQL and the few things that differ; everything that
should look the same everywhere is decided here.

Conventions of the SQL: a time series has `time` first, an optional text column `series`, then
numbers; a table has the columns in the order in which they are read. The page without Grafana
(pipeline/console/page) draws from the same JSON.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dashboards.model import FORMATS, FieldConfig, Grid, Link, Panel, Target

LEVELS = {
    "fatal": "dark-red", "error": "red", "warn": "orange", "info": "blue", "debug": "purple",
    "trace": "text", "none": "gray",
}  # fmt: skip
STATES = {
    "Ready": "green", "schedulable": "green", "healthy": "green", "Available": "green",
    "Active": "green", "Succeeded": "green", "NotReady": "red", "Unknown": "dark-red",
    "hung": "dark-red", "stale": "orange", "Failed": "red", "Unavailable": "red",
    "Terminating": "orange", "Pending": "yellow", "Unschedulable": "orange", "cordoned": "yellow",
    "Initializing": "blue", "Creating": "blue", "new": "gray", "gone": "gray", "removed": "gray",
    "open": "red", "closed": "green", "firing": "red", "pending": "yellow", "resolved": "green",
    "stuck": "red", "done": "green", "certain": "red", "probable": "orange",
    "possible": "yellow", "Warning": "orange", "Bound": "green", "Running": "green",
    "critical": "dark-red", "warning": "orange", "info": "blue",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """How a column of a table looks. `link` may use `${__data.fields["NAME"]}`."""

    unit: str | None = None
    width: int | None = None
    link: str | None = None
    states: bool = False  # values are coloured as STATES says
    hidden: bool = False
    bar: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A panel without its place."""

    type: str
    title: str
    sql: str
    kind: Literal["timeseries", "table", "logs"]
    width: int
    height: int
    description: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[Mapping[str, Any]] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    transformations: Sequence[Mapping[str, Any]] = ()
    links: Sequence[Link] = ()
    interval: str | None = None
    builder: Mapping[str, Any] | None = None

    def placed(self, number: int, x: int, y: int) -> Panel:
        target = Target(
            query_type=self.kind,
            format=FORMATS[self.kind],
            raw_sql=self.sql,
            editor_type="sql" if self.builder is None else "builder",
            builder_options=None if self.builder is None else dict(self.builder),
        )
        return Panel(
            id=number,
            type=self.type,
            title=self.title,
            description=self.description,
            grid_pos=Grid(x=x, y=y, w=self.width, h=self.height),
            targets=[target],
            field_config=FieldConfig(
                defaults=dict(self.defaults), overrides=[dict(o) for o in self.overrides]
            ),
            options=dict(self.options),
            transformations=[dict(t) for t in self.transformations] or None,
            links=list(self.links) or None,
            interval=self.interval,
        )


def _fixed(colours: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for name, colour in colours.items()
    ]


def _mappings(colours: Mapping[str, str]) -> list[dict[str, Any]]:
    options = {
        value: {"color": colour, "index": number}
        for number, (value, colour) in enumerate(colours.items())
    }
    return [{"type": "value", "options": options}]


def timeseries(
    title: str,
    sql: str,
    *,
    unit: str = "short",
    width: int = 12,
    height: int = 8,
    style: Literal["line", "area", "bars", "step"] = "line",
    colours: Mapping[str, str] | None = None,
    description: str | None = None,
    interval: str | None = None,
    limit: float | None = None,
) -> Draft:
    """`area` and `bars` are stacked. `limit` is drawn as a line beyond which it is red."""
    stacked = style in ("area", "bars")
    custom = {
        "drawStyle": "bars" if style == "bars" else "line",
        "lineInterpolation": "stepAfter" if style == "step" else "linear",
        "lineWidth": 1,
        "fillOpacity": {"line": 8, "step": 8, "area": 60, "bars": 80}[style],
        "showPoints": "auto",
        "spanNulls": style == "step",  # steps hold until the next
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if limit is not None else "off"},
    }
    defaults: dict[str, Any] = {
        "unit": unit,
        "min": 0,
        "displayName": "${__field.labels.series}",
        "color": {"mode": "palette-classic"},
        "custom": custom,
    }
    if " AS series" not in sql:
        del defaults["displayName"]
    if limit is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": limit}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    return Draft(
        "timeseries", title, sql, "timeseries", width, height, description,
        defaults=defaults,
        overrides=_fixed(colours or {}),
        options={
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True,
                       "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        interval=interval,
    )  # fmt: skip


def stat(
    title: str,
    sql: str,
    *,
    unit: str = "short",
    width: int = 4,
    steps: Sequence[tuple[float | None, str]] = ((None, "text"),),
    description: str | None = None,
    decimals: int | None = None,
) -> Draft:
    """One number. `steps` are colours from a value on, the first from the lowest."""
    defaults: dict[str, Any] = {
        "unit": unit,
        "color": {"mode": "thresholds"},
        "thresholds": {
            "mode": "absolute",
            "steps": [{"value": value, "color": colour} for value, colour in steps],
        },
    }
    if decimals is not None:
        defaults["decimals"] = decimals
    return Draft(
        "stat", title, sql, "table", width, 3, description,
        defaults=defaults,
        options={
            "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
            "colorMode": "value", "graphMode": "none", "textMode": "auto", "justifyMode": "auto",
            "orientation": "auto", "wideLayout": True,
        },
    )  # fmt: skip


def table(
    title: str,
    sql: str,
    columns: Mapping[str, Column] | None = None,
    *,
    width: int = 24,
    height: int = 9,
    description: str | None = None,
) -> Draft:
    """Rows as they come; columns that are not named look plain."""
    return Draft(
        "table", title, sql, "table", width, height, description,
        defaults={"custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": True,
                             "filterable": True}},
        overrides=[_looks(name, column) for name, column in (columns or {}).items()],
        options={"showHeader": True, "cellHeight": "sm"},
    )  # fmt: skip


def _looks(name: str, column: Column) -> dict[str, Any]:
    properties: list[dict[str, Any]] = []
    if column.unit is not None:
        properties.append({"id": "unit", "value": column.unit})
    if column.width is not None:
        properties.append({"id": "custom.width", "value": column.width})
    if column.states:
        properties += [
            {"id": "mappings", "value": _mappings(STATES)},
            {"id": "custom.cellOptions", "value": {"type": "color-text"}},
        ]
    if column.bar:
        cell = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
        properties += [{"id": "custom.cellOptions", "value": cell}, {"id": "min", "value": 0}]
    if column.link is not None:
        links = [{"title": f"Open {name}", "url": column.link}]
        properties.append({"id": "links", "value": links})
    if column.hidden:
        properties.append({"id": "custom.hidden", "value": True})
    return {"matcher": {"id": "byName", "options": name}, "properties": properties}


def state_timeline(
    title: str, sql: str, *, width: int = 24, height: int = 8, description: str | None = None
) -> Draft:
    """SQL: `time`, `series` (whose state), `state`. A state lasts until the next of its series."""
    return Draft(
        "state-timeline", title, sql, "table", width, height, description,
        defaults={
            "displayName": "${__field.labels.series}",
            "mappings": _mappings(STATES),
            "color": {"mode": "fixed", "fixedColor": "gray"},
            "custom": {"fillOpacity": 80, "lineWidth": 0},
        },
        options={
            "mergeValues": True, "showValue": "auto", "alignValue": "left", "rowHeight": 0.85,
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
            "tooltip": {"mode": "single", "sort": "none"},
        },
        transformations=[
            {"id": "partitionByValues",
             "options": {"fields": ["series"], "keepFields": False, "naming": {"asLabels": True}}}
        ],
    )  # fmt: skip


def segments(
    title: str,
    sql: str,
    colours: Mapping[str, str],
    *,
    unit: str = "ms",
    width: int = 24,
    height: int = 9,
    description: str | None = None,
) -> Draft:
    """Horizontal bars of stacked segments, one bar a row; the first column names it."""
    return Draft(
        "barchart", title, sql, "table", width, height, description,
        defaults={
            "unit": unit, "color": {"mode": "palette-classic"},
            "custom": {"fillOpacity": 85, "lineWidth": 0, "axisPlacement": "auto"},
        },
        overrides=_fixed(colours),
        options={
            "orientation": "horizontal", "stacking": "normal", "showValue": "never",
            "barWidth": 0.8, "groupWidth": 0.8, "xTickLabelRotation": 0,
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "none"},
        },
    )  # fmt: skip


def log_lines(
    title: str, sql: str, builder: Mapping[str, Any], *, height: int = 16, width: int = 24
) -> Draft:
    """Lines, newest first, in the columns that the logs panel knows: timestamp, body, level."""
    return Draft(
        "logs", title, sql, "logs", width, height,
        options={
            "showTime": True, "wrapLogMessage": False, "prettifyLogMessage": False,
            "enableLogDetails": True, "dedupStrategy": "none", "sortOrder": "Descending",
            "showLabels": False, "showCommonLabels": False,
        },
        builder=builder,
    )  # fmt: skip
