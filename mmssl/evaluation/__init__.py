"""Evaluation of embeddings and classifiers: kNN, linear probes, SVMs, statistics, robustness and suites."""

from mmssl.utils.imports import import_submodules

import_submodules(__name__, __path__)
