from __future__ import annotations

import ast
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
            assert _lines_of_code(inspect.getsource(inspect.getmodule(algorithm))) <= 100


def _lines_of_code(source: str) -> int:
    """Lines that are neither empty nor part of a docstring."""
    tree = ast.parse(source)
    owners = [node for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))]
    documented = [node.body[0] for node in owners if ast.get_docstring(node)]
    prose = {line for text in documented for line in range(text.lineno, text.end_lineno + 1)}
    return sum(bool(line.strip()) and number not in prose for number, line in enumerate(source.splitlines(), 1))


def test_an_unknown_mode_is_named():
    algorithm = build('SimCLR', head=dict(type='NTXentLoss'))
    with pytest.raises(ValueError, match="'loss', 'tensor' or 'predict', got 'test'"):
        algorithm(views(), mode='test')
