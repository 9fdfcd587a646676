"""Code that loads a file."""

from __future__ import annotations

import ast

import pytest

from mmssl.converters.libraries import LIBRARIES


@pytest.mark.parametrize('name', LIBRARIES)
@pytest.mark.parametrize('file', ["it's.pth", 'with a space.safetensors', 'bär.pth'])
def test_code_quotes_the_path_of_a_file(name: str, file: str) -> None:
    model = dict(model_type='resnet', architectures=['ResNetModel']) if name == 'hf' else 'model = 1\n'
    code = ast.parse(LIBRARIES[name].usage(model, file))
    assert file in [node.value for node in ast.walk(code) if isinstance(node, ast.Constant)]
