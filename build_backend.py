"""setuptools' build backend, and a word to setup.py about what is built: ``MMSSL_BUILD`` is editable, wheel or sdist.

pip asks a backend for an editable install by hooks of their own, so that is known for certain. A wheel may be for
this environment (``pip install .``) or for others (``pip wheel``, ``python -m build``), which no hook tells.
"""

from __future__ import annotations

import os
from typing import Any

from setuptools import build_meta


def _as(kind: str, hook: str) -> Any:
    def called(*args: Any, **kwargs: Any) -> Any:
        os.environ['MMSSL_BUILD'] = kind
        return getattr(build_meta, hook)(*args, **kwargs)

    return called


get_requires_for_build_editable = _as('editable', 'get_requires_for_build_editable')
prepare_metadata_for_build_editable = _as('editable', 'prepare_metadata_for_build_editable')
build_editable = _as('editable', 'build_editable')
get_requires_for_build_wheel = _as('wheel', 'get_requires_for_build_wheel')
prepare_metadata_for_build_wheel = _as('wheel', 'prepare_metadata_for_build_wheel')
build_wheel = _as('wheel', 'build_wheel')
get_requires_for_build_sdist = _as('sdist', 'get_requires_for_build_sdist')
build_sdist = _as('sdist', 'build_sdist')
