"""MaskFeat: what it hides stays hidden, what is counted, what is evaluated."""

from __future__ import annotations

import random

import torch
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from mmssl.registry import ALGORITHMS

CONFIG = dict(
    type='MaskFeat',
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dim=24, depth=2, num_heads=2),
        img_size=32,
        patch_size=8,
        output='tokens',
    ),
    masker=dict(type='BlockwiseMasker', num_hidden=7, min_block=6, patch_size=8),
    target=dict(type='HOGTarget', patch_size=8, cell_size=4),
    neck=dict(type='PatchPredictor', in_channels=24, out_channels=108),
    head=dict(type='MaskedMSELoss'),
)


def test_loss_is_that_of_the_hidden_patches_by_boolean_indices():
    model, images = ALGORITHMS.build(CONFIG).eval(), torch.randn(4, 3, 32, 32)
    random.seed(2)
    loss = model.loss([images])['loss']
    random.seed(2)
    mask = model.masker(images)
    assert mask.sum(dim=1).unique().numel() > 1
    tokens = model.backbone(images, mask=mask, mask_token=model.mask_token)[:, 1:]
    predictions = model.neck.layer(tokens[mask])
    assert predictions.shape == (mask.sum(), 108)
    assert_close(loss, mse_loss(predictions, model.target(images)[mask]))


def test_the_mean_of_the_patches_is_evaluated():
    model, images = ALGORITHMS.build(CONFIG).eval(), torch.randn(2, 3, 32, 32)
    assert_close(model.extract_feat(images), model.backbone(images)[:, 1:].mean(dim=1))


def test_reconstruction_predicts_every_patch_under_the_mask_of_the_loss():
    model, images = ALGORITHMS.build(CONFIG).eval(), torch.randn(4, 3, 32, 32)
    random.seed(2)
    loss = model.loss([images])['loss']
    random.seed(2)
    mask, prediction = model.reconstruct(images)
    assert prediction.shape == (4, 16, 108)
    assert_close(loss, mse_loss(prediction[mask], model.target(images)[mask]))
