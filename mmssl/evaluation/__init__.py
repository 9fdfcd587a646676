"""Evaluation of embeddings: weighted kNN, linear probes and embedding statistics."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
