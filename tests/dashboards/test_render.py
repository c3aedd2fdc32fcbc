"""What is committed is what the code makes, and what Grafana can read."""

from pathlib import Path

import pytest
import yaml

from dashboards.catalogue import DASHBOARDS
from dashboards.model import Dashboard
from dashboards.render import committed, rendered, write

REBUILD = "run `kubeledger render dashboards --out dashboards` and commit what it writes"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_committed_json_is_what_the_code_makes(name: str) -> None:
    assert (committed() / f"{name}.json").read_text("utf-8") == rendered()[f"{name}.json"], REBUILD


def test_nothing_else_is_committed() -> None:
    assert {entry.name for entry in committed().iterdir()} == set(rendered())


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_fill_the_grid_without_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[name]().panels:
        place = panel.grid_pos
        cells = {
            (x, y)
            for x in range(place.x, place.x + place.w)
            for y in range(place.y, place.y + place.h)
        }
        assert place.x + place.w <= 24
        assert not cells & taken, panel.title
        taken |= cells


@pytest.mark.parametrize("name", DASHBOARDS)
def test_variables_and_fields_that_are_named_exist(name: str) -> None:
    """A link that carries a variable which its dashboard lacks would carry its name instead."""
    dashboard = DASHBOARDS[name]()
    text = rendered()[f"{name}.json"]
    known = {variable.name for variable in dashboard.templating.list_}
    for word in ("cluster", "namespace", "workload", "pod", "container", "level", "search",
                 "node", "episode", "file", "offset"):  # fmt: skip
        for form in (f"${{{word}:sqlstring}}", f", ${word})", f"${{{word}:queryparam}}"):
            assert form not in text or word in known, f"{form} in {name}"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_links_lead_to_dashboards_that_exist_and_take_their_variables(name: str) -> None:
    variables = {key: {v.name for v in make().templating.list_} for key, make in DASHBOARDS.items()}
    for url in _urls(DASHBOARDS[name]()):
        path, _, query = url.partition("?")
        target = path.removeprefix("/d/kubeledger-")
        assert target in DASHBOARDS, url
        assert query.startswith("${__url_time_range}"), f"{url} loses the time"
        given = {part.partition("=")[0] for part in query.split("&") if part.startswith("var-")}
        assert {key.removeprefix("var-") for key in given} <= variables[target], url


def _urls(dashboard: Dashboard) -> list[str]:
    return [
        link["url"]
        for panel in dashboard.panels
        for override in panel.field_config.overrides
        for prop in override["properties"]
        if prop["id"] == "links"
        for link in prop["value"]
    ]


def test_config_maps_are_small_enough_to_apply(tmp_path: Path) -> None:
    """`kubectl apply` keeps the last document in an annotation, and annotations end at 256 KiB
    (k8s.io/apimachinery pkg/api/validation TotalAnnotationSizeLimitB)."""
    write(tmp_path)
    text = (tmp_path / "configmaps.yaml").read_text("utf-8")
    maps = list(yaml.safe_load_all(text))
    assert len(maps) == len(DASHBOARDS)
    for document in maps:
        assert document["kind"] == "ConfigMap"
        assert document["metadata"]["labels"]["grafana_dashboard"] == "1"
        ((file, content),) = document["data"].items()
        assert content == rendered()[file.removeprefix("kubeledger-")]
        assert len(content) < 200_000
