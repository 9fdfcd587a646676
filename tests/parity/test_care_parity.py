"""CARE: closed forms of its losses and attention, sizes and learning rates of the recipe."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.config.load import load_config
from mmssl.models.losses.care_loss import care
from mmssl.models.necks.bottleneck_attention import MapAttention
from mmssl.registry import MODELS, PARAM_SCHEDULERS
from tests.parity.golden import CONFIGS
from tests.support.spec_tensors import wave

RECIPE = 'care/care_resnet50_8xb128-100e_in1k.py'


def test_losses_of_both_directions():
    q1, q2, a1, a2, k1, k2, t1, t2 = (normalize(wave('sin', 1 + 0.1 * i)) for i in range(8))
    first, second = care(q1, k1, a1, t1), care(q2, k2, a2, t2)
    c, t, attention = (first[name] + second[name] for name in ('loss_c', 'loss_t', 'loss_attention'))
    for value, expected in (
        (c, 1.6807819067),
        (t, 1.3166229841),
        (attention, 100 * (0.1130870410 + 0.0602948941)),
        (c + t + attention, 20.3355983994),
    ):
        assert_close(value.item(), expected, rtol=1e-9, atol=0)


def test_attention_between_positions():
    flat = torch.arange(48 * 16, dtype=torch.float64)
    attention = MapAttention(16, num_heads=2, size=3).double()
    attention.qkv.weight.data = (0.1 * torch.sin(0.01 * flat)).view(48, 16, 1, 1)
    attention.height.data = torch.sin(0.3 * flat[:24]).view(3, 8)
    attention.width.data = torch.cos(0.3 * flat[:24]).view(3, 8)
    out = attention(torch.sin(0.05 * flat[:144]).view(1, 16, 3, 3))
    for value, expected in (
        (out.sum(), -1.7852953365),
        (out[0, 0, 0, 0], -0.0844141812),
        (out[0, 15, 2, 2], 0.0701501008),
    ):
        assert_close(value.item(), expected, rtol=0, atol=1e-10)


def test_the_recipe_has_the_official_sizes():
    with torch.device('meta'):
        model = MODELS.build(load_config(CONFIGS / RECIPE).model)
    assert count(model.backbone) == 23_508_032
    assert count(model.neck.attention) == 32_813_568
    assert [count(block) for block in model.neck.attention.blocks] == [21_247_488] + 4 * [2_891_520]
    assert count(model.neck.c_projector) == count(model.neck.t_projector) == 9_449_728
    assert count(model.head.c_predictor) == count(model.head.t_predictor) == 2_109_696
    assert count(model.teacher) == 75_221_056


def test_the_recipe_has_the_official_learning_rates():
    cfg, iterations = load_config(CONFIGS / RECIPE), 1251  # of an epoch
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=cfg.optim_wrapper.optimizer.lr)
    length = dict(max_epochs=cfg.max_epochs, end=cfg.max_epochs * iterations)
    schedule = PARAM_SCHEDULERS.build(dict(cfg.param_scheduler, **length), default_args=dict(optimizer=optimizer))
    expected = {0: 1e-6, 1: 1e-6 + 0.199999 / 12510, 1251: 0.0200009, 12510: 0.2, 68805: 0.1, 125100: 0.0}
    for step, value in expected.items():
        assert_close(0.2 * schedule.factor(step), value, rtol=1e-9, atol=1e-12)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
