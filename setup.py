"""Packaging of mmssl: the requirements files, and which distributions provide mmengine, mmcv, mmdet and mmseg."""

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
    """Returns the requirements of ``requirements/<name>.txt`` for the stack of the environment."""
    stack = os.environ.get('MMSSL_STACK', '')
    if stack not in ('', 'maintained', 'official'):
        raise ValueError(f"MMSSL_STACK is {stack!r}; set it to 'maintained' or 'official', or not at all")
    lines = (line.split('#')[0].strip() for line in (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines())
    installed = installed_names()
    return [choose(line, installed, stack) for line in lines if line]


def version() -> str:
    """Returns the version without importing the package, whose dependencies are not there yet."""
    return re.search(r"__version__ = '(.+)'", (ROOT / 'mmssl' / 'version.py').read_text()).group(1)


extras = {name: requirements(name) for name in ('downstream', 'optional', 'tests')}

setup(
    name='mmssl',
    version=version(),
    description='Pre-train image backbones without labels and carry them into detection and segmentation',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    python_requires='>=3.10',
    packages=find_packages(include=['mmssl', 'mmssl.*']),
    install_requires=requirements('runtime'),
    extras_require={**extras, 'all': sorted({line for lines in extras.values() for line in lines})},
)
