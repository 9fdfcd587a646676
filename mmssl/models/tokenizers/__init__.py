"""Tokenizers: pixels -> words (N, L), one per patch."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
