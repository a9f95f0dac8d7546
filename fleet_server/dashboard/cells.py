"""Tables: columns, the Vue templates of their cells, and the empty states that say what to do next.

Templates only place what :mod:`fleet_server.dashboard.views` prepared; Vue escapes every value, so nothing that a
device says can become markup.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Literal

from nicegui import ui

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """One column. ``body`` is the template of its cell's inside; empty: the plain value."""

    name: str
    label: str
    body: str = ""
    sortable: bool = True
    align: Literal["left", "right"] = "left"
    css: str = ""

    def definition(self) -> Row:
        """The column as Quasar's table wants it."""
        given: Row = {"name": self.name, "label": self.label, "field": self.name}
        return {**given, "sortable": self.sortable, "align": self.align, "classes": self.css}


def tag(name: str, *, code: str = "", tone: str = "") -> str:
    """A state: its word in its tone (field ``NAME_tone`` or ``tone``), and the error code in the field ``code``."""
    behind = f'<span class="code" v-if="props.row.{code}">{{{{ props.row.{code} }}}}</span>' if code else ""
    css = f"'tone-' + props.row.{tone or f'{name}_tone'}"
    return f'<span class="tag" :class="{css}">{{{{ props.row.{name} }}}}</span>{behind}'


def moment(name: str) -> str:
    """A relative time with the absolute one as its tooltip (filled in by dashboard.js)."""
    return f'<time :data-at="props.row.{name} || 0"></time>'


def link(name: str, path: str) -> str:
    """A link to ``path`` + the value of the field ``name``."""
    return f"<a :href=\"'{path}' + encodeURIComponent(props.row.{name})\">{{{{ props.row.{name} }}}}</a>"


def mono(name: str) -> str:
    """Something a machine wrote."""
    return f'<span class="mono">{{{{ props.row.{name} }}}}</span>'


def meter(*parts: tuple[str, str], label: str) -> str:
    """A bar of (field with percent, tone) parts; the field ``label`` says the same in words."""
    bars = "".join(f'<i class="fill-{tone}" :style="{{width: props.row.{name} + \'%\'}}"></i>' for name, tone in parts)
    return f'<div class="meter" role="img" :aria-label="props.row.{label}" :title="props.row.{label}">{bars}</div>'


@dataclasses.dataclass(frozen=True, slots=True)
class Empty:
    """What stands in place of a table without rows: what is missing, and the command that brings it."""

    title: str
    text: str
    command: str = ""

    def html(self) -> str:
        """Its markup."""
        command = f"<pre>{escape(self.command)}</pre>" if self.command else ""
        return f"<b>{escape(self.title)}</b>{escape(self.text)}<br>{command}"


class DataTable:
    """A table whose rows are frozen dataclasses; it is sent again only when they changed.

    Args:
        columns: Its columns.
        key: The field that identifies a row, so that rows keep their place in the page when others change.
        empty: What to show while there is no row at all.
        sort_by: The field it is sorted by at first; empty: in the order given.
        descending: Whether that goes downwards.
        page_rows: Rows per page; 0: all.
        test_id: The ``data-testid`` of the table.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        key: str,
        empty: Empty,
        sort_by: str = "",
        descending: bool = False,
        page_rows: int = 0,
        test_id: str,
    ) -> None:
        pagination: Row = {"rowsPerPage": page_rows, "sortBy": sort_by or None, "descending": descending}
        self.table = ui.table(rows=[], columns=[c.definition() for c in columns], row_key=key, pagination=pagination)
        self.table.classes("grid-table").props(
            f'flat dense binary-state-sort data-testid="{test_id}" no-data-label="Nothing matches the filter"'
        )
        self.table.props["rows-per-page-options"] = [25, 50, 100, 0]
        for column in columns:
            if column.body:
                self.table.add_slot(f"body-cell-{column.name}", f'<q-td :props="props">{column.body}</q-td>')
        self._empty = ui.html(empty.html(), sanitize=False).classes("empty").props(f'data-testid="{test_id}-empty"')
        self._shown: list[Row] | None = None
        self._page_rows = page_rows

    def show(self, rows: Sequence[Any], *, total: int | None = None) -> None:
        """Show ``rows``; ``total`` is how many there are before filtering (default: as many)."""
        plain = [dataclasses.asdict(row) for row in rows]
        there = bool(plain if total is None else total)
        self.table.set_visibility(there)
        self._empty.set_visibility(not there)
        if plain != self._shown:
            self._shown = plain
            self.table.rows = plain
            self.table.props["hide-pagination"] = not 0 < self._page_rows < len(plain)


def facts(pairs: Sequence[tuple[str, str]]) -> Callable[[Sequence[str]], None]:
    """A grid of labelled values: (label, id) pairs. The function it returns sets the values' markup, in that order."""
    values: list[ui.html] = []
    with ui.element("dl").classes("facts"):
        for label, name in pairs:
            with ui.element("div").classes("fact"):
                with ui.element("dt"):
                    ui.label(label)
                values.append(ui.html("", sanitize=False, tag="dd").props(f'data-testid="{name}"'))
    return functools.partial(_set_contents, values)


def _set_contents(elements: Sequence[ui.html], contents: Sequence[str]) -> None:
    for element, content in zip(elements, contents, strict=True):
        if element.content != content:
            element.set_content(content)


def tag_html(word: str, tone: str) -> str:
    """A state as markup outside of tables."""
    return f'<span class="tag tone-{tone}">{escape(word)}</span>'


def time_html(at: float | None) -> str:
    """A time as markup outside of tables."""
    return f'<time data-at="{at or 0}"></time>'


def mono_html(text: str) -> str:
    """Something a machine wrote, as markup."""
    return f'<span class="mono">{escape(text)}</span>'
