"""The part of the metadata that depends on a stack: which distributions provide mmengine, mmcv, mmdet and mmseg.

Everything else stands in pyproject.toml. Two sets of distributions install the same files (docs/start/install.md), and
pip would put one over the other without a word. So

- an editable install requires what is installed in its environment already;
- a wheel requires the maintained stack, wherever it is built. Where an official mmengine is installed, the wheel could
  be meant for this environment (``pip install .``) or for others (``pip wheel``), so the build stops and asks;
- ``MMSSL_STACK=maintained`` or ``official`` decides for both.
"""

from __future__ import annotations

import os
import re
import sysconfig
from importlib.metadata import distributions
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent

# What mmssl asks for -> distributions that install the same files; the first belongs to the official stack.
# One that is installed already is kept: pip would put the files of both into the same folder.
SAME_FILES = {
    'onedl-mmengine': ('mmengine>=0.10.7', 'mmengine-lite>=0.10.7'),
    'onedl-mmcv': ('mmcv-lite>=2.1.0', 'mmcv>=2.1.0'),
    'onedl-mmdetection': ('mmdet>=3.3.0',),
    'onedl-mmsegmentation': ('mmsegmentation>=1.2.2',),
    'opencv-python-headless': (
        'opencv-python>=4.8', 'opencv-contrib-python>=4.8', 'opencv-contrib-python-headless>=4.8',
    ),
}  # fmt: skip


def name_of(requirement: str) -> str:
    """Returns the distribution name that a requirement line starts with, normalised."""
    return re.sub(r'[-_.]+', '-', re.match(r'[\w.-]+', requirement).group()).lower()


def installed_names() -> set[str]:
    """Returns the distributions of the environment installed into, which an isolated build has not on its path."""
    paths = sysconfig.get_paths()
    found = distributions(path=[paths['purelib'], paths['platlib']])
    return {name_of(distribution.metadata['Name'] or '?') for distribution in found}


def choose(requirement: str, installed: set[str], stack: str) -> str:
    """Returns the requirement, or in its place another distribution of the same files.

    Args:
        requirement: One line of a requirements file.
        installed: Names of the installed distributions.
        stack: 'official' where nothing is installed yet; 'maintained' even over another one; '' decides by what is
            installed.
    """
    others = SAME_FILES.get(name_of(requirement), ())
    if not others or stack == 'maintained' or name_of(requirement) in installed:
        return requirement
    present = [other for other in others if name_of(other) in installed]
    official = stack == 'official' or any(name_of(other) in installed for other in SAME_FILES['onedl-mmengine'])
    return next(iter(present), others[0] if official else requirement)


def requirements(name: str) -> list[str]:
    """Returns the requirements of ``requirements/<name>.txt`` for what is built.

    Raises:
        ValueError: ``MMSSL_STACK`` is unknown, or must be set because an official mmengine is installed.
    """
    stack, kind, installed = os.environ.get('MMSSL_STACK', ''), os.environ.get('MMSSL_BUILD', ''), installed_names()
    if stack not in ('', 'maintained', 'official'):
        raise ValueError(f"MMSSL_STACK is {stack!r}; set it to 'maintained' or 'official', or not at all")
    official = [other for other in SAME_FILES['onedl-mmengine'] if name_of(other) in installed]
    if kind == 'wheel' and official and not stack:
        raise ValueError(
            f'{name_of(official[0])} is installed here. To install mmssl on top of it: pip install -e ., or '
            'MMSSL_STACK=official pip install . For a wheel that others install: MMSSL_STACK=maintained'
        )
    if kind != 'editable' and not stack:
        stack = 'maintained'
    lines = (line.split('#')[0].strip() for line in (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines())
    return [choose(line, installed, stack) for line in lines if line]


extras = {name: requirements(name) for name in ('downstream', 'optional', 'tests')}

setup(
    packages=find_packages(include=['mmssl', 'mmssl.*']),
    # .mim holds links to configs/ and tools/: recipes by name, `mmssl` and `mim` work wherever the wheel is installed.
    package_data={'mmssl': ['py.typed', '.mim/*.yml', *(f'.mim/*/**/*.{kind}' for kind in ('py', 'md', 'yml', 'sh'))]},
    install_requires=requirements('runtime'),
    extras_require={**extras, 'all': sorted({line for lines in extras.values() for line in lines})},
)
