"""Promises of the package as a whole: what importing it brings in, where classes live, what it asks pip for."""

from __future__ import annotations

import ast
import importlib
import os
import runpy
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import setuptools
import setuptools.build_meta
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mmssl.demo.peers.run import TOOLBOXES
from mmssl.registry import ROLES
from tests.support.fresh_python import run_python

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'mmssl'
REQUIREMENTS = ROOT / 'requirements'
ROLE_PACKAGES = ['mmssl.models', 'mmssl.datasets', 'mmssl.engine', 'mmssl.evaluation']
EXTRAS = {'mmcv', 'mmdet', 'mmseg', 'lmdb'}


def modules_below(folder: Path) -> set[str]:
    names = ('.'.join(file.relative_to(ROOT).with_suffix('').parts) for file in folder.rglob('*.py'))
    return {name.removesuffix('.__init__') for name in names}


@pytest.fixture(scope='module')
def imported() -> list[set[str]]:
    """The names of all modules after the import of the packages of roles, and after that of all modules of mmssl."""
    of_toolboxes = {module for _, module in TOOLBOXES.values()}  # imported only if the toolbox is installed
    code = 'import sys'
    for names in (ROLE_PACKAGES, sorted(modules_below(PACKAGE) - of_toolboxes)):
        code += f'\nimport {", ".join(names)}\nprint(*sys.modules)'
    run = run_python('-c', code)
    assert run.returncode == 0, run.stderr
    return [set(line.split()) for line in run.stdout.splitlines()]


def test_importing_mmssl_alone_brings_in_nothing_heavy() -> None:
    heavy = EXTRAS | {'torch', 'torchvision', 'mmengine', 'timm', 'sklearn', 'skimage', 'matplotlib', 'cv2'}
    code = 'import mmssl, sys; print(*sys.modules)'
    run = subprocess.run([sys.executable, '-c', code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not heavy & set(run.stdout.split())


def test_role_packages_import_all_their_modules(imported: list[set[str]]) -> None:
    """A new file is registered by existing; ``models.backbones.resnet`` and the like need no list."""
    expected = {name for role in ROLE_PACKAGES for name in modules_below(ROOT / role.replace('.', '/'))}
    assert expected <= imported[0]


def test_no_module_imports_an_extra(imported: list[set[str]]) -> None:
    assert not EXTRAS & imported[1]


@pytest.mark.parametrize('folder', ['mmssl', 'tools', 'configs', 'examples'])
def test_nothing_imports_compiled_operators_of_mmcv(folder: str) -> None:
    for file in (ROOT / folder).rglob('*.py'):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom):
                names += [f'{node.module}.{name}' for name in names]
            assert not any(name.startswith('mmcv.ops') for name in names), file


def test_a_class_lives_in_the_file_of_its_name_and_the_package_of_its_role() -> None:
    packages = {'loss': 'losses', 'preprocessor': 'preprocessing'}
    importlib.import_module('mmssl.models')
    for role, members in ((role.name, role.members) for role in ROLES.values()):
        for name, cls in members.items():
            if cls.__module__.startswith('mmssl.') and name != 'Identity':  # which is a neck and a head
                *_, package, module = cls.__module__.split('.')
                assert package == packages.get(role, f'{role}s'), cls
                assert module.replace('_', '') == cls.__name__.lower() == name.lower(), cls


def read(name: str) -> list[Requirement]:
    lines = (line.split('#')[0].strip() for line in (REQUIREMENTS / f'{name}.txt').read_text().splitlines())
    return [Requirement(line) for line in lines if line]


@pytest.mark.parametrize('name', ['runtime', 'downstream', 'optional', 'tests', 'docs'])
def test_requirements_are_lower_bounds_that_the_constraints_meet(name: str) -> None:
    tested = [pin for pin in read('constraints') if pin.marker is None or pin.marker.evaluate()]
    for requirement in read(name):
        assert {bound.operator for bound in requirement.specifier} == {'>='}, requirement
        pinned = (pin for pin in tested if canonicalize_name(pin.name) == canonicalize_name(requirement.name))
        ((bound,),) = (pin.specifier for pin in pinned)
        assert bound.operator == '==' and requirement.specifier.contains(bound.version), requirement


def setup_arguments(
    monkeypatch: pytest.MonkeyPatch, site_packages: Path, *installed: str, build: str = 'editable'
) -> dict:
    """Returns what setup.py passes to setuptools where the named distributions are installed."""
    monkeypatch.setenv('MMSSL_BUILD', build)
    for name in installed:
        metadata = site_packages / f'{name}-9.0.dist-info' / 'METADATA'
        metadata.parent.mkdir()
        metadata.write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: 9.0\n')
    paths = {'purelib': str(site_packages), 'platlib': str(site_packages)}
    arguments: dict = {}
    monkeypatch.setattr(sysconfig, 'get_paths', lambda: paths)
    monkeypatch.setattr(setuptools, 'setup', arguments.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / 'setup.py'))
    return arguments


def stack_of(arguments: dict) -> set[str]:
    names = {Requirement(line).name for line in arguments['install_requires'] + arguments['extras_require']['all']}
    return {name for name in names if name.startswith(('mm', 'onedl'))} - {'mmssl'}


MAINTAINED = {'onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection', 'onedl-mmsegmentation'}
OFFICIAL = {'mmengine', 'mmcv-lite', 'mmdet', 'mmsegmentation'}


@pytest.mark.parametrize(
    ('installed', 'stack', 'expected'),
    [
        ((), None, MAINTAINED),
        ((), 'official', OFFICIAL),
        (('mmengine',), None, OFFICIAL),
        (('mmengine', 'mmcv'), None, OFFICIAL - {'mmcv-lite'} | {'mmcv'}),
        (('mmengine_lite',), None, OFFICIAL - {'mmengine'} | {'mmengine-lite'}),
        (('mmengine',), 'maintained', MAINTAINED),
        (('onedl_mmengine', 'onedl_mmcv'), None, MAINTAINED),
    ],
)
def test_an_installed_official_stack_is_kept(
    installed: tuple[str, ...], stack: str | None, expected: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv('MMSSL_STACK', raising=False)
    if stack:
        monkeypatch.setenv('MMSSL_STACK', stack)
    assert stack_of(setup_arguments(monkeypatch, tmp_path, *installed)) == expected


@pytest.mark.parametrize(
    ('installed', 'expected'),
    [
        ((), 'opencv-python-headless'),
        (('opencv_contrib_python',), 'opencv-contrib-python'),
        (('opencv_python', 'opencv_python_headless'), 'opencv-python-headless'),
        (('mmengine', 'opencv_python'), 'opencv-python'),
    ],
)
def test_another_opencv_is_kept(
    installed: tuple[str, ...], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv('MMSSL_STACK', raising=False)
    lines = setup_arguments(monkeypatch, tmp_path, *installed)['install_requires']
    assert [Requirement(line).name for line in lines if line.startswith('opencv')] == [expected]


@pytest.mark.parametrize('build', ['wheel', 'sdist'])
def test_what_is_built_for_others_does_not_depend_on_this_environment(
    build: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv('MMSSL_STACK', raising=False)
    installed = ['opencv_python', 'mmdet', *(['mmengine'] if build == 'sdist' else [])]
    arguments = setup_arguments(monkeypatch, tmp_path, *installed, build=build)
    assert stack_of(arguments) == MAINTAINED
    assert any(line.startswith('opencv-python-headless') for line in arguments['install_requires'])


def test_a_wheel_beside_an_official_stack_must_say_for_whom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('MMSSL_STACK', raising=False)
    with pytest.raises(ValueError, match='mmengine is installed.*pip install -e .*MMSSL_STACK=maintained'):
        setup_arguments(monkeypatch, tmp_path, 'mmengine', build='wheel')
    for stack, expected in (('maintained', MAINTAINED), ('official', OFFICIAL)):
        monkeypatch.setenv('MMSSL_STACK', stack)
        (tmp_path / stack).mkdir()
        assert stack_of(setup_arguments(monkeypatch, tmp_path / stack, 'mmengine', build='wheel')) == expected


def test_the_backend_says_what_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('MMSSL_BUILD', '')
    backend = runpy.run_path(str(ROOT / 'build_backend.py'))
    for hook in [name for name in backend if 'build_' in name and not name.startswith('_') and name != 'build_meta']:
        monkeypatch.setattr(setuptools.build_meta, hook, lambda *args: os.environ['MMSSL_BUILD'])
        assert backend[hook]('folder') == hook.rpartition('_')[2]


def test_metadata_of_a_wheel(tmp_path: Path) -> None:
    """The whole way through setuptools, from a copy of what it reads."""
    for name in ('pyproject.toml', 'setup.py', 'build_backend.py', 'README.md', 'LICENSE', 'mmssl/version.py'):
        (tmp_path / 'tree' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'tree' / name).write_text((ROOT / name).read_text())
    (tmp_path / 'tree' / 'mmssl' / '__init__.py').touch()
    (tmp_path / 'tree' / 'requirements').symlink_to(ROOT / 'requirements')
    code = f'import build_backend as b; print(b.prepare_metadata_for_build_wheel({str(tmp_path)!r}))'
    environment = os.environ | dict(PYTHONPATH='.', MMSSL_STACK='maintained')
    run = subprocess.run(
        [sys.executable, '-c', code], cwd=tmp_path / 'tree', env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    metadata = (tmp_path / run.stdout.split()[-1] / 'METADATA').read_text()
    version = runpy.run_path(str(ROOT / 'mmssl' / 'version.py'))['__version__']
    for line in ('Name: mmssl', f'Version: {version}', 'License-Expression: Apache-2.0', 'Requires-Python: >=3.10'):
        assert f'\n{line}\n' in metadata
    assert 'Requires-Dist: onedl-mmengine>=' in metadata and 'Provides-Extra: downstream' in metadata


def test_an_unknown_stack_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('MMSSL_STACK', 'oficial')
    with pytest.raises(ValueError, match="'oficial'.*'maintained' or 'official'"):
        setup_arguments(monkeypatch, tmp_path)


def test_every_extra_is_part_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('MMSSL_STACK', raising=False)
    extras = setup_arguments(monkeypatch, tmp_path)['extras_require']
    assert set(extras) == {'downstream', 'optional', 'tests', 'all'}
    assert set(extras['all']) == {line for name, lines in extras.items() if name != 'all' for line in lines}
