"""SimCLR and BYOL, whose official codes are TensorFlow and JAX: closed forms of the losses, sizes of the recipes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from mmssl.config.load import load_config
from mmssl.models.losses.cosine_regression_loss import CosineRegressionLoss
from mmssl.models.losses.nt_xent_loss import NTXentLoss
from mmssl.registry import MODELS
from tests.parity.golden import CONFIGS

SIMCLR = 'simclr/simclr_resnet50_16xb256-100e_in1k.py'
BYOL = 'byol/byol_resnet50_16xb256-100e_in1k.py'


def wave(function, frequency: float) -> Tensor:
    """(4, 8), entry i of the flat tensor is function(0.1 * frequency * (i + 1))."""
    return function(0.1 * frequency * torch.arange(1, 33, dtype=torch.float64)).reshape(4, 8)


A, B = wave(torch.sin, 1), wave(torch.cos, 1)
C, E = wave(torch.sin, 1.7), wave(torch.cos, 1.7)


def build(recipe: str) -> nn.Module:
    with torch.device('meta'):
        return MODELS.build(load_config(CONFIGS / recipe).model)


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


@pytest.mark.parametrize(('temperature', 'value'), [(0.1, 20.5325996443), (0.5, 6.0036627187), (1.0, 4.6054666917)])
def test_simclr_sums_both_directions(temperature, value):
    assert_close(NTXentLoss(temperature)(A, B).item(), value, rtol=1e-10, atol=0)


def test_simclrs_recipe_has_the_official_sizes():
    model = build(SIMCLR)
    assert count(model.backbone) == 23_508_032
    assert count(model.neck) == 8_659_072  # three layers, as in the code; the paper's two have 4,460,672
    *_, last = model.neck.layers
    assert last.weight is not None
    assert last.bias is None


def test_byol_sums_both_directions():
    loss = CosineRegressionLoss()
    assert_close(loss(A, B).item(), 1.9917423984, rtol=1e-9, atol=0)
    assert_close((loss(A, B) + loss(C, E)).item(), 3.8280907350, rtol=1e-9, atol=0)


def test_byols_recipe_has_the_official_sizes():
    model = build(BYOL)
    parts = (model.backbone, model.neck, model.head.predictor)
    assert [count(part) for part in parts] == [23_508_032, 9_449_472, 2_109_440]
    assert count(model.teacher) == 32_957_504
