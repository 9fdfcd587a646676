"""Distillation without and with masks: what is compared with what."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cosine_similarity
from torch.testing import assert_close

from mmssl.registry import ALGORITHMS
from tests.support.small_parts import masked

TEACHER = dict(
    type='VisionTransformer',
    arch=dict(embed_dim=24, depth=2, num_heads=2),
    img_size=32,
    patch_size=8,
    output='tokens',
)
IMAGES, RENDERING = torch.randn(2, 2, 3, 32, 32)


def distillation(**options):
    neck = dict(type='FeatureProjector', in_channels=64, out_channels=24) | options.pop('neck', {})
    return ALGORITHMS.build(
        dict(
            type='Distillation',
            backbone=dict(type='ResNet', depth=18, width=0.125, stem='small'),
            target=dict(type='FeatureTarget', backbone=TEACHER),
            neck=neck,
            head=dict(type='NegativeCosineLoss'),
            **options,
        )
    ).eval()


def test_both_terms_compare_the_student_with_the_teacher_of_the_rendering():
    model = distillation(weights=dict(dense=0.5))
    losses = model.loss([IMAGES, RENDERING])
    maps, tokens = model.backbone(IMAGES)[-1], model.target.teacher(RENDERING)
    pooled = model.neck.layers['pooled'](maps.mean(dim=(2, 3)))
    dense = model.neck.layers['dense'](maps.flatten(2).transpose(1, 2))
    assert_close(losses['loss_pooled'], -cosine_similarity(pooled, tokens[:, 0]).mean())
    assert_close(losses['loss_dense'], -cosine_similarity(dense, tokens[:, 1:], dim=-1).mean() / 2)


def test_one_kind_of_feature_alone():
    model = distillation(neck=dict(kinds=('pooled',)))
    assert model.loss([IMAGES]).keys() == {'loss_pooled'} and list(model.neck.layers) == ['pooled']
    with pytest.raises(ValueError, match='which the neck predicts'):
        distillation(neck=dict(kinds=('pooled',)), weights=dict(dense=1.0))


def test_other_widths_and_grids_are_named():
    with pytest.raises(ValueError, match='set model.neck.out_channels=24'):
        distillation(neck=dict(out_channels=12)).loss([IMAGES])
    coarse = dict(type='FeatureTarget', backbone=TEACHER, grid_size=2)
    with pytest.raises(ValueError, match='model.target.grid_size'):
        distillation(neck=dict(kinds=('dense',))).loss([torch.randn(2, 3, 16, 16), RENDERING])
    model = ALGORITHMS.build(
        dict(
            type='Distillation',
            backbone=dict(type='ResNet', depth=18, width=0.125, stem='small'),
            target=coarse,
            neck=dict(type='FeatureProjector', in_channels=64, out_channels=24),
            head=dict(type='NegativeCosineLoss'),
        )
    )
    assert model.loss([torch.randn(2, 3, 16, 16), RENDERING])['loss_dense'].isfinite()


@pytest.mark.parametrize('hidden_only', [True, False])
def test_masked_distillation_counts_hidden_or_all_patches(hidden_only):
    model = ALGORITHMS.build(
        dict(
            type='MaskedDistillation',
            backbone=TEACHER,
            masker=dict(type='UniformMasker', patch_size=8),
            target=dict(type='FeatureTarget', backbone=TEACHER),
            neck=dict(type='PatchPredictor', in_channels=24, out_channels=24),
            head=dict(type='MaskedCosineLoss', hidden_only=hidden_only),
        )
    ).eval()
    torch.manual_seed(0)
    loss = model.loss([IMAGES, RENDERING])['loss']
    torch.manual_seed(0)
    mask, prediction = model.reconstruct(IMAGES)
    cosines = cosine_similarity(prediction, model.target.teacher(RENDERING)[:, 1:], dim=-1)
    assert mask.sum() == 24
    assert_close(loss, -(cosines[mask] if hidden_only else cosines).mean())


@pytest.mark.parametrize('method', ['MAE', 'MaskFeat'])
def test_features_are_a_target_of_other_masked_methods(method):
    network = dict(type='ResNet', depth=18, width=0.125, stem='small')
    options = dict(type=method, target=dict(type='FeatureTarget', backbone=network, grid_size=4))
    if method == 'MaskFeat':
        options['neck'] = dict(type='PatchPredictor', in_channels=24, out_channels=64)
    model = ALGORITHMS.build(masked(**options))
    if method == 'MAE':
        model.neck.predict = torch.nn.Linear(16, 64)
    loss = model.loss([IMAGES[..., :16, :16]])['loss']
    loss.backward()
    assert loss > 0 and all((p.grad is not None) == p.requires_grad for p in model.parameters())


def test_a_student_with_registers_needs_a_neck_that_skips_them():
    student = dict(TEACHER, arch=dict(TEACHER['arch'], registers=4))
    parts = dict(target=dict(type='FeatureTarget', backbone=TEACHER), head=dict(type='NegativeCosineLoss'))
    neck = dict(type='FeatureProjector', in_channels=24, out_channels=24)
    with pytest.raises(ValueError, match='5 tokens before the patches and the neck skips 1'):
        ALGORITHMS.build(dict(type='Distillation', backbone=student, neck=neck, **parts))
    neck['num_prefix_tokens'] = 5
    model = ALGORITHMS.build(dict(type='Distillation', backbone=student, neck=neck, **parts))
    assert model.loss([IMAGES])['loss_dense'].isfinite()
