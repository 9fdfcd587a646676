"""Writes a self-contained HTML page of tables and figures."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; color: #222831; background: #f6f7f9; margin: 0 }
main { max-width: 1040px; margin: 0 auto; padding: 2rem 1.2rem 4rem }
section { background: #fff; border: 1px solid #e3e6ea; border-radius: 10px; padding: 1rem 1.4rem; margin: 1.2rem 0 }
h1 { font-size: 1.7rem; margin: 0 }
h2 { font-size: 1.15rem; margin: 0 0 .4rem }
p { margin: .3rem 0 .8rem }
img { max-width: 100%; height: auto; display: block }
table { border-collapse: collapse; margin: .4rem 0 }
td, th { padding: .35rem .9rem; border-bottom: 1px solid #e3e6ea; text-align: right }
td:first-child, th:first-child { text-align: left }
tr:last-child td { font-weight: 700 }
"""


@dataclass
class Section:
    """One section of a report: a heading, then a paragraph, a table and a picture where they are given.

    Args:
        title: Heading.
        text: One paragraph under the heading.
        figure: Figure to show.
        image: PNG file to show instead of ``figure``.
        table: Rows of cells; the first row is the head, the last row is printed bold.
    """

    title: str
    text: str = ''
    figure: Figure | None = None
    image: Path | None = None
    table: Sequence[Sequence[str]] | None = None

    def html(self) -> str:
        """Returns the section as HTML; the picture is embedded as a base64 PNG."""
        parts = [f'<h2>{escape(self.title)}</h2>']
        if self.text:
            parts.append(f'<p>{escape(self.text)}</p>')
        if self.table:
            head, *body = self.table
            parts.append('<table><tr>' + ''.join(f'<th>{escape(cell)}</th>' for cell in head) + '</tr>')
            parts += ['<tr>' + ''.join(f'<td>{escape(cell)}</td>' for cell in row) + '</tr>' for row in body]
            parts.append('</table>')
        if self.figure or self.image:
            data = base64.b64encode(self._png()).decode()
            parts.append(f'<img alt="{escape(self.title)}" src="data:image/png;base64,{data}">')
        return '<section>' + '\n'.join(parts) + '</section>'

    def _png(self) -> bytes:
        if self.image:
            return self.image.read_bytes()
        buffer = BytesIO()
        assert self.figure is not None, 'a section without an image has a figure'
        self.figure.savefig(buffer, format='png', dpi=110)
        return buffer.getvalue()


def write_report(path: str | Path, title: str, subtitle: str, sections: Sequence[Section]) -> Path:
    """Writes one HTML file that needs no other file; an older report is replaced only when the new one is complete.

    Args:
        path: File to write; its folder is created if it is missing.
        title: Heading of the page.
        subtitle: One line under the heading.
        sections: Sections in the order of the page.

    Returns:
        ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><main>'
        f'<h1>{escape(title)}</h1><p>{escape(subtitle)}</p>{"".join(section.html() for section in sections)}'
        '</main></body></html>'
    )
    draft = path.with_suffix('.tmp')
    draft.write_text(page, encoding='utf-8')
    os.replace(draft, path)
    return path
