"""The report: one file that needs no other."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

from mmssl.visualization.report import Section, write_report
from mmssl.visualization.style import new_figure


class Tags(HTMLParser):
    """Collects the attributes that would load something, and the cells of tables."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value for name, value in attrs if name in ('src', 'href')]
        self.in_cell = tag in ('td', 'th')

    def handle_data(self, data: str) -> None:
        if self.in_cell and data.strip():
            self.cells.append(data)


def test_figures_are_inside_and_text_is_escaped(tmp_path: Path) -> None:
    figure = new_figure(1, 1)
    figure.subplots().plot([0, 1])
    sections = [Section('A < B', 'text', figure), Section('Table', table=[['head', '<x>'], ['row', '1.0']])]
    path = write_report(tmp_path / 'new' / 'report.html', 'Title', 'subtitle', sections)
    text = path.read_text()
    tags = Tags()
    tags.feed(text)
    (source,) = tags.sources
    assert base64.b64decode(source.removeprefix('data:image/png;base64,')).startswith(b'\x89PNG')
    assert tags.cells == ['head', '<x>', 'row', '1.0']
    assert 'A &lt; B' in text and not re.search(r'https?://', text)
    assert [file.name for file in path.parent.iterdir()] == ['report.html']
