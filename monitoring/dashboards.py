"""The table of panels as Grafana's JSON, by Grafana's own builders; a tool of developers only."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.common import BigValueTextMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring.panels import DASHBOARDS, OF_SCRAPES, Dashboard, Panel

KINDS: dict[str, Any] = {
    "timeseries": timeseries.Panel,
    "stat": stat.Panel,
    "words": lambda: stat.Panel().text_mode(BigValueTextMode.NAME),
    "table": table.Panel,
}
SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
# A table of series has their labels as columns, without those of the scrape.
ONLY_LABELS = model.DataTransformerConfig(
    id_val="organize",
    options={"excludeByName": dict.fromkeys(("Time", "Value", "__name__", *OF_SCRAPES), True)},
)


def dashboards() -> dict[str, str]:
    """Return each dashboard's JSON by the name of its file."""
    return {f"{one.name}.json": _json(one) for one in DASHBOARDS}


def _json(one: Dashboard) -> str:
    board = (
        build.Dashboard(one.title)
        .uid(f"resnet-{one.name}")
        .tags(["resnet-operator"])
        .time("now-3h", "now")
        .refresh("1m")
        .readonly()
        .with_variable(build.DatasourceVariable("datasource").label("Source").type("prometheus"))
    )
    for name, query in one.variables:
        variable = (
            build.QueryVariable(name)
            .datasource(SOURCE)
            .query(query)
            .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        )
        # The fleet is shown whole; one service is one.
        board = board.with_variable(
            variable.include_all(True).multi(True) if one.name == "fleet" else variable
        )
    for panel in one.panels:
        board = board.with_panel(_panel(panel))
    text: str = JSONEncoder(sort_keys=True, indent=1).encode(board.build())
    return text + "\n"


def _panel(panel: Panel) -> Any:
    built = KINDS[panel.kind]().title(panel.title).unit(panel.unit).datasource(SOURCE)
    built = built.span(24 if panel.kind == "table" else 12).height(8)
    for letter, query in zip("ABCDEF", panel.queries, strict=False):
        target = prometheus.Dataquery().ref_id(letter).expr(query.expr).legend_format(query.legend)
        if panel.kind == "table":
            target = target.instant().format(PromQueryFormat.TABLE)
        built = built.with_target(target)
    return built.with_transformation(ONLY_LABELS) if panel.kind == "table" else built
