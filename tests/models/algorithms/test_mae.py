"""MAE: what it hides stays hidden, and what is evaluated."""

from __future__ import annotations

import torch

from mmssl.registry import ALGORITHMS

CONFIG = dict(
    type='MAE',
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dim=24, depth=1, num_heads=2),
        img_size=32,
        patch_size=8,
        position='mae',
        init='mae',
        output='tokens',
    ),
    masker=dict(type='UniformMasker', ratio=0.75, patch_size=8),
    neck=dict(type='MAEDecoder', in_channels=24, out_channels=192, grid_size=4, embed_dim=16, depth=1, num_heads=2),
    target=dict(type='PixelTarget', patch_size=8),
    head=dict(type='MaskedMSELoss'),
)


def test_predictions_do_not_depend_on_hidden_pixels():
    model, images = ALGORITHMS.build(CONFIG), torch.randn(2, 3, 32, 32)
    torch.manual_seed(1)
    mask, prediction = model.reconstruct(images)
    assert mask.sum(dim=1).tolist() == [12, 12] and prediction.shape == (2, 16, 192)
    changed = images.clone()
    pixels = mask.view(2, 1, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3).expand_as(images)
    changed[pixels] += torch.randn(int(pixels.sum()))
    torch.manual_seed(1)
    _, again = model.reconstruct(changed)
    assert torch.equal(again, prediction)
    visible_changed = torch.where(pixels, images, images + 1)
    torch.manual_seed(1)
    assert not torch.equal(model.reconstruct(visible_changed)[1], prediction)


def test_the_class_token_of_the_whole_image_is_evaluated():
    model, images = ALGORITHMS.build(CONFIG).eval(), torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(model.extract_feat(images), model.backbone(images)[:, 0])


def test_random_initial_loss_is_near_one():
    model = ALGORITHMS.build(CONFIG)
    assert 0.9 < model.loss([torch.randn(8, 3, 32, 32)])['loss'] < 1.6
