"""The figures of an adder step: what they are compared with computes the same, and the tool prints all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from mmssl.profiling.adder_step import KINDS, _step, build
from tests.support.tools import load_tool

adder_step = load_tool('profiling/adder_step.py')


@pytest.mark.parametrize('form', ['cdist', 'broadcast'])
def test_the_straightforward_forms_have_the_same_gradients(form: str) -> None:
    images, gradients = torch.randn(2, 3, 8, 8, dtype=torch.float64), []
    for kind in ('adder', form):
        network = build(kind, 20).double()
        _step(network, images)
        gradients.append({name: param.grad for name, param in network.named_parameters()})
    assert_close(gradients[1], gradients[0], rtol=1e-6, atol=1e-9)


def test_the_tool_prints_and_writes_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'new' / 'figures.json'
    adder_step.main(['--batch-size', '1', '--size', '8', '--repeats', '1', '--no-memory', '--out', str(out)])
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*KINDS, 'adder_over_cdist', 'adder_over_convolution'))
    assert json.loads(out.read_text())['wall']['seconds'].keys() == set(KINDS)
