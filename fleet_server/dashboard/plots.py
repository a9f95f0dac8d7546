"""Plots of telemetry (ECharts, served from the installed NiceGUI package)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nicegui import ui

from fleet_server.dashboard.views import Series

_COLOURS = ("#4c86d9", "#d9861b", "#0b8f69")
_TYPES = ("solid", "dashed", "dotted")
_INK = "#85919e"
_MILLISECONDS = 1000


class Plot:
    """Lines over time; told apart by colour and by dash, with a legend.

    Args:
        title: What is plotted.
        unit: The unit of the values.
        lines: (name of a reading, label) of each line.
        test_id: The ``data-testid`` of the plot.
    """

    def __init__(self, title: str, unit: str, lines: Sequence[tuple[str, str]], *, test_id: str) -> None:
        self.names = tuple(name for name, _ in lines)
        options = _options(title, unit, [label for _, label in lines])
        self._chart = ui.echart(options, renderer="svg").classes("chart").props(f'data-testid="{test_id}"')
        self._shown: tuple[Series, ...] = ()

    def show(self, series: tuple[Series, ...]) -> None:
        """Plot the series of :attr:`names`, in that order."""
        if series == self._shown:
            return
        self._shown = series
        for line, readings in zip(self._chart.options["series"], series, strict=True):
            line["data"] = [[at * _MILLISECONDS, value] for at, value in readings.points]
            line["showSymbol"] = len(readings.points) < 2  # a single reading is no line yet
        self._chart.update()


def _options(title: str, unit: str, labels: Sequence[str]) -> dict[str, Any]:
    faint = {"lineStyle": {"color": _INK, "opacity": 0.2}}
    axis = {"axisLabel": {"color": _INK}, "axisLine": {"lineStyle": {"color": _INK}}, "splitLine": faint}
    return {
        "animation": False,
        "title": {
            "left": 0,
            "top": 0,
            "text": f"{title} ({unit})",
            "textStyle": {"color": _INK, "fontSize": 12, "fontWeight": 500},
        },
        "legend": {"right": 0, "top": 0, "textStyle": {"color": _INK}, "itemWidth": 26},
        "grid": {"left": 8, "right": 12, "top": 34, "bottom": 4, "containLabel": True},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "time", **axis, "splitLine": {"show": False}},
        "yAxis": {"type": "value", "min": 0, **axis},
        "series": [
            {
                "type": "line",
                "name": label,
                "data": [],
                "color": _COLOURS[index % len(_COLOURS)],
                "lineStyle": {"type": _TYPES[index % len(_TYPES)], "width": 1.6},
            }
            for index, label in enumerate(labels)
        ],
    }
