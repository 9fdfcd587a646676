from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.losses.vicreg_loss import vicreg
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import BACKBONE, build, mlp, views

NECK = mlp(64, num_layers=3, bias=True)


def test_embeddings_are_compared_as_they_are_and_their_spread_is_logged():
    algorithm, (x1, x2) = build('VICReg', neck=NECK, head=dict(type='VICRegLoss')), views()
    result = algorithm.loss([x1, x2])
    z1, z2 = (algorithm.neck(algorithm.backbone(x)) for x in (x1, x2))
    assert_close(result['loss'], vicreg(z1, z2, 25, 25, 1))
    assert_close(result['embedding_std'], z1.float().std(dim=0).mean())
    assert not result['embedding_std'].requires_grad


def test_both_views_receive_gradient():
    algorithm, (x1, x2) = build('VICReg', neck=NECK, head=dict(type='VICRegLoss')), views()
    gradients = torch.autograd.grad(algorithm.loss([x1.requires_grad_(), x2.requires_grad_()])['loss'], (x1, x2))
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_resume_is_exact(tmp_path):
    assert_resume_is_exact(
        tmp_path,
        model=dict(
            type='VICReg',
            backbone=BACKBONE,
            neck=NECK,
            head=dict(type='VICRegLoss'),
            data_preprocessor=dict(type='SelfSupDataPreprocessor'),
        ),
        optim_wrapper=dict(optimizer=dict(type='LARS', lr=1.0, weight_decay=1e-4)),
        param_scheduler=dict(type='WarmupCosineLR', warmup_epochs=1, end_factor=0.001),
    )
