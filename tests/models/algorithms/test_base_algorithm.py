from __future__ import annotations

import inspect

import pytest

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.registry import ALGORITHMS
from tests.support.small_parts import build, views


def test_no_algorithm_derives_from_another_and_each_fits_a_screen_or_two():
    for algorithm in ALGORITHMS.members.values():
        if algorithm.__module__.startswith('mmssl.'):
            assert all(base.__name__ not in ALGORITHMS.members for base in algorithm.__bases__)
            assert issubclass(algorithm, BaseAlgorithm)
            assert len(inspect.getsource(inspect.getmodule(algorithm)).splitlines()) <= 120


def test_an_unknown_mode_is_named():
    algorithm = build('SimCLR', head=dict(type='NTXentLoss'))
    with pytest.raises(ValueError, match="'loss', 'tensor' or 'predict', got 'test'"):
        algorithm(views(), mode='test')
