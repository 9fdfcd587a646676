"""Masked feature modelling: its targets, its loss, its teacher."""

from __future__ import annotations

import torch
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from mmssl.models.backbones.hivit import HiViT
from mmssl.models.components.masked_feature_modelling import MaskedFeatureModelling

MASK = torch.tensor([[True, False, True, True, False, False], [False] * 5 + [True]])


def small(**options):
    torch.manual_seed(0)
    arch = dict(embed_dim=32, depths=(1, 1, 2), num_heads=2)
    backbone = HiViT(arch, (32, 48), output='units', drop_path_rate=0.5)
    return MaskedFeatureModelling(backbone, 24, **options).double().train(), backbone


def test_targets_are_the_teachers_stages_each_position_standardised():
    modelling, _ = small()
    images = torch.randn(2, 3, 32, 48, dtype=torch.float64)
    targets = modelling.targets(images)
    assert [tuple(target.shape) for target in targets] == [(2, 6, 128), (2, 6, 64), (2, 6, 32)]
    stages = modelling.teacher(images)
    position = stages[0][1, 4, 2, 3]
    expected = (position - position.mean()) / (position.var(unbiased=False) + 1e-5).sqrt()
    assert_close(targets[0][1, 4, 8 * 11 : 8 * 12], expected)
    assert_close(targets[2][0, 3].square().mean().item(), 1.0, rtol=1e-3, atol=0)
    assert all(torch.equal(*pair) for pair in zip(targets, modelling.targets(images)))  # no path is dropped


def test_loss_is_the_weighted_sum_of_errors_of_hidden_units():
    modelling, _ = small(weight=0.5)
    images, tokens = torch.randn(2, 3, 32, 48).double(), torch.randn(2, 6, 24).double()
    pairs = zip(modelling.predict, modelling.targets(images))
    expected = sum(mse_loss(predict(tokens)[MASK], target[MASK]) for predict, target in pairs)
    assert_close(modelling(tokens, images, MASK), 0.5 * expected)
    changed = torch.where(MASK.unsqueeze(-1), tokens, tokens + 1)
    assert_close(modelling(changed, images, MASK), modelling(tokens, images, MASK))


def test_the_teacher_takes_no_gradient_and_follows_the_encoder():
    modelling, backbone = small()
    modelling(torch.randn(2, 6, 24).double(), torch.randn(2, 3, 32, 48).double(), MASK).backward()
    trained = {name for name, parameter in modelling.named_parameters() if parameter.grad is not None}
    assert trained == {f'predict.{i}.{kind}' for i in range(3) for kind in ('weight', 'bias')}
    backbone.double()
    before = modelling.teacher.backbone.absolute_pos_embed.clone()
    with torch.no_grad():
        backbone.absolute_pos_embed += 1
    modelling.teacher.update(0.0, backbone=backbone)  # momentum 0.996 at the beginning
    assert_close(modelling.teacher.backbone.absolute_pos_embed, before + 0.004)
