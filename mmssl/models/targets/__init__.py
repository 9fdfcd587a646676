"""Targets: images -> what is to be predicted."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
