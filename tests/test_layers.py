"""The layers of the package: each folder imports only folders that stand below it, inside functions too."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the top to the ground.
LAYERS = [
    '__init__', '__main__', 'apis', 'demo', 'profiling', 'engine', 'visualization', 'evaluation', 'clustering',
    'converters', 'models', 'datasets', 'cli', 'checkpoints', 'config', 'compat', 'distributed', 'utils', 'registry',
    'moved', 'version',
]  # fmt: skip
MODEL_LAYERS = [
    'algorithms', 'heads', 'necks', 'backbones', 'targets', 'maskers', 'tokenizers', 'components', 'preprocessing',
    'layers', 'losses',
]  # fmt: skip
UTILS_LINES = 200
TOOL_LINES = 120


def imports(file: Path, package: str) -> set[str]:
    """Dotted names below ``package`` that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{file}: a relative import'
            names |= {f'{node.module}.{alias.name}' for alias in node.names}
    return {name[len(package) + 1 :] for name in names if name.startswith(f'{package}.')}


def rooms(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob('*.py') if '.mim' not in path.parts)


@pytest.mark.parametrize(
    ('package', 'layers'), [('mmssl', LAYERS), ('mmssl.models', MODEL_LAYERS)], ids=['mmssl', 'mmssl.models']
)
def test_no_import_runs_upward(package: str, layers: list[str]) -> None:
    folder = ROOT / package.replace('.', '/')
    rank = {name: index for index, name in enumerate(layers)}
    upward = []
    for file in rooms(folder):
        own = file.relative_to(folder).with_suffix('').parts[0]
        if package == 'mmssl.models' and own == '__init__':
            continue
        for name in imports(file, package):
            other = name.split('.')[0]
            if other in rank and rank[other] < rank[own]:
                upward.append(f'{file.relative_to(ROOT)} imports {package}.{name}')
    assert not upward
    named = {file.relative_to(folder).with_suffix('').parts[0] for file in rooms(folder)} - {'__init__'}
    assert named <= set(layers), 'give the new folder its place in the list'


def test_no_two_files_import_each_other_in_a_circle() -> None:
    modules = {'.'.join(file.relative_to(ROOT).with_suffix('').parts): file for file in rooms(ROOT / 'mmssl')}
    arrows: dict[str, set[str]] = {}
    for module, file in modules.items():
        found = {f'mmssl.{name}' for name in imports(file, 'mmssl')}
        arrows[module] = {name for name in found | {name.rpartition('.')[0] for name in found} if name in modules}
    left = set(arrows)
    while free := {module for module in left if not arrows[module] & left}:  # those that need nothing that is left
        left -= free
    assert not left, f'in a circle, or above one: {sorted(left)}'


def test_utils_stays_small() -> None:
    assert sum(len(file.read_text().splitlines()) for file in (ROOT / 'mmssl' / 'utils').glob('*.py')) < UTILS_LINES


def test_modules_that_adapt_what_is_loaded_say_so_to_every_loader() -> None:
    hidden = [file for file in rooms(ROOT / 'mmssl' / 'models') if 'load_state_dict_pre_hook' in file.read_text()]
    assert not hidden, 'register the hook by mmssl.checkpoints.adaptation.adapt_on_load'


def test_tools_are_thin() -> None:
    lengths = {file: len(file.read_text().splitlines()) for file in (ROOT / 'tools').rglob('*.py')}
    assert not {str(file.relative_to(ROOT)): lines for file, lines in lengths.items() if lines > TOOL_LINES}
