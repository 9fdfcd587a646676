"""Maskers: images -> mask (N, L) of hidden patches."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
