from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn
from torch.testing import assert_close

import mmssl.engine  # noqa: F401
from mmssl.config.load import load_config
from mmssl.models.losses.barlow_twins_loss import barlow_twins
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import BACKBONE, build, mlp, views

NECK = mlp(64, num_layers=3, last_norm='plain')
RECIPE = Path(__file__).parents[3] / 'configs/barlowtwins/barlowtwins_resnet50_16xb128-1000e_in1k.py'


def test_views_are_normalised_apart_by_a_norm_without_parameters():
    algorithm, (x1, x2) = build('BarlowTwins', neck=NECK, head=dict(type='BarlowTwinsLoss')), views()
    loss = algorithm.loss([x1, x2])['loss']
    norm = algorithm.neck.layers[-1]
    assert isinstance(norm, nn.BatchNorm1d) and not list(norm.parameters())
    assert norm.num_batches_tracked == 2
    z1, z2 = (algorithm.neck(algorithm.backbone(x)) for x in (x1, x2))
    assert_close(z1.var(dim=0, correction=0), torch.ones(16).double(), rtol=1e-2, atol=0)
    assert_close(loss, barlow_twins(z1, z2, 0.0051))


def test_the_recipe_makes_the_steps_of_the_official_code_and_its_16_processes():
    """That code sees a sixteenth of the gradient and has decay 1e-6, base rates 0.2 and 0.0048 at batch 2048."""
    cfg = load_config(RECIPE).optim_wrapper
    official = dict(cfg.optimizer, weight_decay=1e-6), dict(vectors=dict(lr_mult=0.0048 / 0.2))
    weights = []
    for optimizer, paramwise, scale in ((cfg.optimizer, cfg.paramwise_cfg, 1), (*official, 1 / 16)):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)).double()
        wrapper = build_optim_wrapper(
            model,
            dict(
                type='OptimWrapper',
                constructor='mmssl.GroupedOptimWrapperConstructor',
                optimizer=dict(optimizer, type='mmssl.LARS'),
                paramwise_cfg=paramwise,
            ),
        )
        for _ in range(3):
            for parameter in model.parameters():
                parameter.grad = scale * 1e-6 * torch.randn_like(parameter)  # of the size of the decay
            wrapper.optimizer.step()
        weights.append(list(model.parameters()))
    assert [group['lr'] for group in wrapper.optimizer.param_groups] == pytest.approx([0.2 * 8, 0.0048 * 8])
    assert_close(weights[0], weights[1], rtol=1e-12, atol=0)


def test_resume_is_exact(tmp_path):
    assert_resume_is_exact(
        tmp_path,
        model=dict(
            type='BarlowTwins',
            backbone=BACKBONE,
            neck=NECK,
            head=dict(type='BarlowTwinsLoss'),
            data_preprocessor=dict(type='SelfSupDataPreprocessor'),
        ),
        optim_wrapper=dict(
            optimizer=dict(type='LARS', lr=1.0, weight_decay=1e-4),
            paramwise_cfg=dict(vectors=dict(lr_mult=0.024)),
        ),
        param_scheduler=dict(type='WarmupCosineLR', warmup_epochs=1, end_factor=0.001),
    )
