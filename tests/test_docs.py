"""What the pages and cards say exists: files, names, tools and their options, and the site that is made of them."""

from __future__ import annotations

import ast
import inspect
import json
import re
import runpy
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

import mmssl
from mmssl.moved import MOVED

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md'), *ROOT.glob('configs/**/README.md')])
PAGES += sorted(ROOT.glob('examples/*/README.md'))
# Files that a reader writes while following a tutorial.
WRITTEN_BY_READERS = re.compile(r'.*[/._](my_|mybyol|mynet|MyNet)')

each_page = pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@each_page
def test_files_exist(page: Path) -> None:
    named = set(
        re.findall(
            r'(?<![\w/.-])((?:tools|configs|mmssl|tests|examples|requirements|docs)/[\w./-]+\.\w+)', page.read_text()
        )
    )
    assert not [name for name in named if not (ROOT / name).exists() and not WRITTEN_BY_READERS.match(name)]


@pytest.mark.parametrize(
    'page', [page for page in PAGES if page.name != 'CHANGELOG.md'], ids=lambda page: str(page.relative_to(ROOT))
)
def test_names_exist(page: Path) -> None:
    """A changelog also names what is gone."""
    named = set(re.findall(r'(?<![\w/.-])mmssl(?:\.\w+)+', page.read_text()))
    assert not [name for name in named if not is_defined(name) and not WRITTEN_BY_READERS.match(name)]


def test_the_changelog_lists_what_has_moved() -> None:
    text = (ROOT / 'CHANGELOG.md').read_text()
    for old, homes in MOVED.items():
        row = f'| `mmssl.{old}` | ' + ', '.join(f'`mmssl.{home}`' for home in homes) + ' |'
        assert row in text


def is_defined(name: str) -> bool:
    """Whether a dotted name is a module, what a module defines, or a scope and the name of a registered class."""
    parts = name.split('.')
    if '.'.join(parts[1:3]) in MOVED or '.'.join(parts[1:4]) in MOVED:
        return False  # an alias for one release
    if len(parts) == 2 and (parts[1] in classes() or parts[1] in ('py', 'toml')):
        return True
    for length in range(len(parts), 0, -1):
        try:
            spec = find_spec('.'.join(parts[:length]))
        except ModuleNotFoundError:
            continue
        if spec is not None:
            return length == len(parts) or hasattr(import_module('.'.join(parts[:length])), parts[length])
    return False


@cache
def classes() -> set[str]:
    """Names of all classes of the package."""
    trees = (ast.parse(file.read_text()) for file in (ROOT / 'mmssl').rglob('*.py'))
    return {node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}


@each_page
def test_options_of_tools_exist(page: Path) -> None:
    shared = ''.join(file.read_text() for file in (ROOT / 'mmssl' / 'cli').glob('*.py'))
    for tool, options in commands(page.read_text()):
        source = (ROOT / tool).read_text() + shared
        if tool.endswith('.sh'):
            source += (ROOT / 'tools' / ('test.py' if 'test' in tool else 'train.py')).read_text()
        assert not [option for option in options if f"'{option}'" not in source], tool


@each_page
def test_default_hooks_are_in_the_runtime(page: Path) -> None:
    """An option can only change a hook that the config has."""
    runtime = runpy.run_path(str(ROOT / 'configs' / '_base_' / 'default_runtime.py'))
    assert set(re.findall(r'default_hooks\.(\w+)\.', page.read_text())) <= runtime['default_hooks'].keys()


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yields (tool, options) of every command of a page."""
    joined = re.sub(r'\\\n\s*', ' ', text)
    for tool, rest in re.findall(r'(?<![\w/])(tools/[\w/]+\.(?:py|sh))([^\n`#|]*)', joined):
        yield tool, re.findall(r'(?<!\S)--[a-z][\w-]*', rest)


def test_the_pages_of_the_site_and_their_links(tmp_path: Path) -> None:
    """`make docs` also resolves anchors and docstrings; this needs no further packages."""
    site = runpy.run_path(str(ROOT / 'docs' / 'assemble.py'))
    assert site['main'](tmp_path) == 0
    settings = yaml.safe_load((tmp_path / 'site.yml').read_text())
    listed = set(leaves(settings['nav']))
    written = {file.relative_to(tmp_path / 'pages').as_posix() for file in (tmp_path / 'pages').rglob('*.md')}
    assert listed <= written
    assert {page for page in written if not page.startswith('files/')} == listed
    methods = (tmp_path / 'pages' / 'methods' / 'index.md').read_text()
    assert methods.count('\n| [') == len(list(ROOT.glob('configs/*/README.md')))


def leaves(navigation: object) -> Iterator[str]:
    """Yields the pages of a navigation."""
    if isinstance(navigation, str):
        yield navigation
    for child in (
        navigation.values() if isinstance(navigation, dict) else navigation if isinstance(navigation, list) else ()
    ):
        yield from leaves(child)


def test_no_table_of_docs_is_broken() -> None:
    """A row with another number of cells than its header is drawn wrong."""
    for page in PAGES:
        for table in re.findall(r'(?:^\|.*\|\n)+', page.read_text(), re.MULTILINE):
            rows = [re.sub(r'`[^`]*`|\\\|', '', row).count('|') for row in table.splitlines()]
            assert len(set(rows)) == 1, f'{page}: {table.splitlines()[rows.index(max(rows, key=rows.count))]}'


@each_page
def test_operators_are_provided_before_mmdet_or_mmseg_is_imported(page: Path) -> None:
    for block in re.findall(r'```python\n(.*?)```', page.read_text(), re.DOTALL):
        first = re.search(r'^(?:from|import) (?:mmdet|mmseg)\b', block, re.MULTILINE)
        assert first is None or '\nprepare_downstream()\n' in block[: first.start()]


def test_documented_arguments_are_arguments() -> None:
    """`make docs` makes the reference from docstrings and signatures, and ends with an error where they differ."""
    wrong = []
    for file in sorted((ROOT / 'mmssl').rglob('*.py')):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                inits = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == '__init__']
                if inits:
                    known = arguments(inits[0])
                elif any(isinstance(base, ast.Name) and base.id == 'NamedTuple' for base in node.bases):
                    known = set()  # the reference knows the fields of dataclasses alone
                else:
                    continue  # its arguments are those of its base, or fields
            elif isinstance(node, ast.FunctionDef):
                known = arguments(node)
            else:
                continue
            section = re.search(r'^Args:\n((?:    .*\n?|\n)+)', ast.get_docstring(node) or '', re.MULTILINE)
            documented = set(re.findall(r'^    \*{0,2}(\w+):', section[1], re.MULTILINE)) if section else set()
            wrong += [f'{file.relative_to(ROOT)}: {node.name}: {name}' for name in documented - known]
    assert not wrong


def arguments(function: ast.FunctionDef) -> set[str]:
    """Names of all arguments."""
    args = function.args
    parts = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
    return {part.arg for part in parts if part is not None}


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict = {}
    for cell in json.loads((ROOT / 'docs' / 'tutorials' / 'notebook.ipynb').read_text())['cells']:
        if cell['cell_type'] == 'code':
            exec(compile(''.join(cell['source']), 'notebook', 'exec'), namespace)
    assert namespace['features'].shape == (96, 128) and namespace['accuracy'] > 0.5
    assert 'nearest neighbours are from the same photograph' in capsys.readouterr().out


def test_the_python_of_the_readme_calls_what_exists() -> None:
    (block,) = re.findall(r'```python\n(import mmssl\n.*?)```', (ROOT / 'README.md').read_text(), re.DOTALL)
    called = set()
    for call in [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]:
        if isinstance(call.func, ast.Attribute):
            function = getattr(mmssl, call.func.attr)
            keywords = {keyword.arg: None for keyword in call.keywords}
            inspect.signature(function).bind(*call.args, **keywords)  # TypeError for arguments it does not have
            called.add(call.func.attr)
    assert {'list_recipes', 'train', 'FeatureExtractor', 'get_backbone'} <= called <= set(mmssl.__all__)
