"""Assembles the sources of the site: ``python docs/assemble.py build/docs``, which `make docs` calls.

The pages of ``docs/`` and the cards of ``configs/`` stand in one folder afterwards, beside a table of all methods and
the pages of the reference. A link between two pages leads to the page on the site; a link to any other file of the
repository leads to a page that shows the file. A link to nothing is an error.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGES = {  # file of the repository -> page of the site, besides docs/*
    'CHANGELOG.md': 'changelog.md',
    'CODE_OF_CONDUCT.md': 'conduct.md',
    'CONTRIBUTING.md': 'contributing.md',
    'SECURITY.md': 'security.md',
    'configs/README.md': 'methods/recipes.md',
    'configs/benchmarks/classification/README.md': 'methods/classification.md',
    'examples/plugin/README.md': 'tutorials/plugin.md',
}
CODE = re.compile(r'(^```.*?^```$|^    [^\n]*$)', re.MULTILINE | re.DOTALL)
LINK = re.compile(r'(!?\[(?:[^\]\[]|\[[^\]]*\])*\]\()([^)\s#]*)((?:#[^)\s]*)?\))')
DEMO = re.compile(r'<!-- demo \S+ -->\n(?:\|.*\n)+?\| pre-trained \| (.+?) \| (.+?) \|')  # the first table
LANGUAGES = {'.py': 'python', '.sh': 'bash', '.yml': 'yaml', '.toml': 'toml'}


def pages() -> dict[str, str]:
    """Returns file of the repository -> page of the site."""
    found = {name: page for name, page in PAGES.items() if (ROOT / name).exists()}
    for file in sorted((ROOT / 'docs').rglob('*')):
        if file.suffix in ('.md', '.ipynb', '.png', '.svg'):
            page = file.relative_to(ROOT / 'docs')
            found[file.relative_to(ROOT).as_posix()] = page.with_suffix(
                {'.ipynb': '.md'}.get(file.suffix, file.suffix)
            ).as_posix()
    found |= {card.relative_to(ROOT).as_posix(): f'methods/{card.parent.name}.md' for card in cards()}
    return found


def cards() -> list[Path]:
    """Returns the cards of all methods."""
    return sorted(ROOT.glob('configs/*/README.md'))


# ---------------------------------------------------------------------------------------------- methods


def table_after(text: str, first_column: str) -> tuple[list[str], list[list[str]]]:
    """Returns header and rows of the first table of a page whose header begins with ``first_column``.

    Raises:
        ValueError: there is no such table.
    """
    match = re.search(rf'^\| {first_column} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)', text, re.MULTILINE)
    if not match:
        raise ValueError(f'no table with a column "{first_column}"')
    header, _, *rows = ([cell.strip() for cell in line.strip().strip('|').split('|')] for line in match[0].splitlines())
    return header, rows


def method_row(card: Path) -> str:
    """Returns the row of the table of methods that belongs to a card."""
    text = card.read_text()
    title = text.splitlines()[0].removeprefix('# ')
    try:
        _, ((family, compared),) = table_after(text, 'family')
        header, recipes = table_after(text, 'recipe')
    except ValueError as error:
        raise ValueError(f'{card.relative_to(ROOT)}: {error}') from None
    names = [re.match(r'\[([^]]+)\]', row[0])[1] for row in recipes]
    backbones = ', '.join(dict.fromkeys(name.split('_')[1] for name in names))
    column = header.index('measured here')
    measured = [f'{name}: {row[column]}' for name, row in zip(names, recipes) if row[column] != 'not measured']
    if demo := DEMO.search(text):
        measured.append(f'photo patches: kNN {demo[1]}, linear {demo[2]}')
    result = '; '.join(measured) or 'not measured'
    return f'| [{title}]({card.parent.name}.md) | {family} | {backbones} | {compared} | {result} |'


def methods_table() -> str:
    """Returns one table with every method, made of the first tables of the cards."""
    head = '| method | family | backbones | compared with the official code | measured here |\n|---|---|---|---|---|\n'
    return head + '\n'.join(method_row(card) for card in cards())


# ---------------------------------------------------------------------------------------------- reference


def modules(package: Path) -> Iterator[str]:
    """Yields the dotted names of the public modules of a package that say what they are."""
    for file in sorted(package.rglob('*.py')):
        parts = file.relative_to(ROOT).with_suffix('').parts
        if not any(part.startswith('_') for part in parts) and ast.get_docstring(ast.parse(file.read_text())):
            yield '.'.join(parts)


def reference() -> dict[str, str]:
    """Returns page -> text: a page for each package, models by what they are."""
    packages = [folder for folder in sorted((ROOT / 'mmssl').iterdir()) if (folder / '__init__.py').exists()]
    models = [package for package in packages if package.name == 'models']
    packages = [package for package in packages if package.name != 'models']
    packages += [folder for model in models for folder in sorted(model.iterdir()) if (folder / '__init__.py').exists()]
    texts = {'reference/mmssl.md': '# mmssl\n\n' + entry('mmssl')}
    for package in packages:
        name = '.'.join(package.relative_to(ROOT).parts)
        intro = ast.get_docstring(ast.parse((package / '__init__.py').read_text())) or ''
        texts[f'reference/{name}.md'] = f'# {name}\n\n{intro}\n\n' + '\n'.join(map(entry, modules(package)))
    return texts


def entry(module: str) -> str:
    """Returns the line that mkdocstrings replaces by the documentation of a module."""
    return f'::: {module}\n'


# ---------------------------------------------------------------------------------------------- pages


def notebook(text: str) -> str:
    """Returns a notebook as a page: its text, its code and what the code printed when it was last run."""
    parts = []
    for cell in json.loads(text)['cells']:
        source = ''.join(cell['source'])
        parts.append(source if cell['cell_type'] == 'markdown' else f'```python\n{source}\n```')
        printed = ''.join(''.join(output.get('text', [])) for output in cell.get('outputs', []))
        if printed:
            parts.append(f'```text\n{printed.rstrip()}\n```')
    return '\n\n'.join(parts) + '\n'


class Site:
    """Writes pages below a folder, and further pages for the files that they link to.

    Args:
        out: Folder of the pages.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.pages = pages()
        self.errors: list[str] = []

    def write(self, page: str, text: str) -> None:
        """Writes one page."""
        file = self.out / page
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def add(self, name: str) -> None:
        """Writes the page of a file of the repository, with links that hold on the site."""
        file, page = ROOT / name, self.pages[name]
        if file.suffix in ('.png', '.svg'):
            (self.out / page).parent.mkdir(parents=True, exist_ok=True)
            (self.out / page).write_bytes(file.read_bytes())
            return
        text = notebook(file.read_text()) if file.suffix == '.ipynb' else file.read_text()
        text = text.replace('<!-- methods -->', methods_table())
        pieces = CODE.split(text)  # prose and code in turns
        pieces[::2] = [LINK.sub(lambda link: self.relink(link, name, page), piece) for piece in pieces[::2]]
        self.write(page, ''.join(pieces))

    def relink(self, link: re.Match, name: str, page: str) -> str:
        """Returns a link of file ``name`` as it must read on ``page``."""
        start, target, end = link.groups()
        if not target or re.match(r'\w+:', target):
            return link[0]
        path = os.path.normpath(os.path.join(os.path.dirname(name), target))
        if self.pages.get(f'{path}/README.md'):
            path = f'{path}/README.md'
        elif path not in self.pages and page == self.pages['docs/methods/index.md'] and target.endswith('.md'):
            return link[0]  # of the table
        if path not in self.pages and not self.show(path):
            self.errors.append(f'{name}: a link to {target}, which does not exist')
            return link[0]
        return start + os.path.relpath(self.pages[path], os.path.dirname(page) or '.') + end

    def show(self, path: str) -> bool:
        """Writes a page that shows a file, or the names of a folder's files; returns whether there is such a thing."""
        file = ROOT / path
        if path.startswith('..') or not file.exists():
            return False
        if file.is_dir():
            text = '\n'.join(f'- `{child.name}`' for child in sorted(file.iterdir()) if child.name != '__pycache__')
        else:
            text = f'````{LANGUAGES.get(file.suffix, "text")}\n{file.read_text().rstrip()}\n````'
        self.pages[path] = f'files/{path}.md'
        self.write(self.pages[path], f'---\nsearch:\n  exclude: true\n---\n# `{path}`\n\n{text}\n')
        return True


def navigation(settings: dict, texts: dict[str, str]) -> list:
    """Returns the navigation of the settings with the cards and the reference filled in."""
    titles = [
        {card.read_text().splitlines()[0].removeprefix('# '): f'methods/{card.parent.name}.md'} for card in cards()
    ]
    for section in settings['nav']:
        for title, children in section.items():
            if title == 'Methods':
                children += titles
            elif title == 'Reference':
                children += [{Path(page).stem: page} for page in texts]
    return settings['nav']


def main(out: Path) -> int:
    """Writes the pages to ``out/pages`` and the settings to ``out/site.yml``; returns the exit code."""
    site = Site(out / 'pages')
    for name in list(site.pages):
        site.add(name)
    texts = reference()
    for page, text in texts.items():
        site.write(page, text)
    settings = yaml.safe_load((ROOT / 'docs' / 'site.yml').read_text())
    settings['nav'] = navigation(settings, texts)
    (out / 'site.yml').write_text(yaml.safe_dump(settings, sort_keys=False))
    print('\n'.join(f'error: {error}' for error in site.errors), file=sys.stderr)
    return bool(site.errors)


if __name__ == '__main__':
    sys.exit(main(Path(sys.argv[1])))
