"""Grafana's dashboard JSON, as much of it as is used here.

Names and meanings are those of Grafana's schema 41 and of the ClickHouse data source 4.x; a
misspelt key is an error here. Why not the generated SDK: see DECISIONS.md.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

SCHEMA = 41
PLUGIN = "grafana-clickhouse-datasource"
PLUGIN_VERSION = "4.20.0"

FORMATS = {"timeseries": 0, "table": 1, "logs": 2}  # Format of the data source's query model


class Json(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True
    )

    def document(self) -> dict[str, Any]:
        """As Grafana reads it; what is not set is left out."""
        return self.model_dump(by_alias=True, exclude_none=True, mode="json")


class DataSource(Json):
    type: str = PLUGIN
    uid: str = "${datasource}"


class Target(Json):
    """One query. `rawSql` holds the data source's macros and Grafana's variables."""

    ref_id: str = "A"
    datasource: DataSource = DataSource()
    editor_type: Literal["sql", "builder"] = "sql"
    query_type: Literal["timeseries", "table", "logs"]
    format: int
    raw_sql: str
    plugin_version: str = PLUGIN_VERSION
    builder_options: dict[str, Any] | None = None  # what the logs panel's volume is built from


class Grid(Json):
    x: int
    y: int
    w: int
    h: int


class Link(Json):
    """A link of a panel, of a cell, or of the dashboard. `keepTime` and `includeVars` are
    Grafana's words for carrying time and variables."""

    title: str
    url: str | None = None
    type: Literal["link", "dashboards"] | None = None
    tags: list[str] | None = None
    as_dropdown: bool | None = None
    keep_time: bool | None = None
    include_vars: bool | None = None
    target_blank: bool | None = None
    icon: str | None = None
    tooltip: str | None = None


class FieldConfig(Json):
    defaults: dict[str, Any] = Field(default_factory=dict)
    overrides: list[dict[str, Any]] = Field(default_factory=list)


class Panel(Json):
    id: int
    type: str
    title: str
    description: str | None = None
    grid_pos: Grid
    datasource: DataSource = DataSource()
    targets: list[Target] = Field(default_factory=list)
    field_config: FieldConfig = FieldConfig()
    options: dict[str, Any] = Field(default_factory=dict)
    transformations: list[dict[str, Any]] | None = None
    links: list[Link] | None = None
    interval: str | None = None  # the shortest that time is grouped by
    max_data_points: int | None = None


class Option(Json):
    selected: bool = True
    text: str | list[str]
    value: str | list[str]


class Variable(Json):
    name: str
    label: str
    type: Literal["query", "textbox", "custom", "datasource"]
    hide: int = 0  # 0 shown, 2 not
    query: str | dict[str, Any] | None = None
    datasource: DataSource | None = None
    definition: str | None = None
    refresh: int | None = None  # 2: when the time range changes
    multi: bool | None = None
    include_all: bool | None = None
    current: Option | None = None
    options: list[Option] | None = None
    sort: int | None = None


class Annotation(Json):
    name: str
    enable: bool = True
    icon_color: str
    datasource: DataSource = DataSource()
    target: Target


class Named(Json):
    """`templating` and `annotations` are lists in an object."""

    list_: Annotated[list[Variable] | list[Annotation], Field(alias="list")]


class Range(Json):
    from_: str = Field("now-1h", alias="from")
    to: str = "now"


class Dashboard(Json):
    uid: str
    title: str
    description: str
    tags: list[str]
    schema_version: int = SCHEMA
    editable: bool = True
    graph_tooltip: int = 1  # the crosshair is shared
    timezone: str = "browser"
    refresh: str = "30s"
    time: Range = Range()
    templating: Named
    annotations: Named
    links: list[Link]
    panels: list[Panel]
