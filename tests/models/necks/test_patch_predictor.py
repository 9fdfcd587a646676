"""The linear prediction: which tokens, initial values."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.necks.patch_predictor import PatchPredictor
from mmssl.registry import ALGORITHMS


def test_only_the_patches_asked_for_are_predicted():
    neck, tokens = PatchPredictor(8, 5), torch.randn(2, 1 + 6, 8)
    where = torch.tensor([[0, 5, 2], [1, 3, 4]])
    predicted = neck(tokens, where)
    assert predicted.shape == (2, 3, 5)
    assert_close(predicted[0, 1], neck.layer(tokens[0, 6]))
    assert_close(predicted[1, 0], neck.layer(tokens[1, 2]))


def test_registers_before_the_patches_are_skipped():
    config = dict(
        type='MaskedDistillation',
        backbone=dict(
            type='VisionTransformer',
            arch=dict(embed_dim=8, depth=1, num_heads=2, registers=2),
            img_size=8,
            patch_size=4,
            output='tokens',
        ),
        masker=dict(type='BlockwiseMasker', num_hidden=2, min_block=1, patch_size=4),
        target=dict(type='PixelTarget', patch_size=4),
        neck=dict(type='PatchPredictor', in_channels=8, out_channels=48),
        head=dict(type='MaskedCosineLoss'),
    )
    with pytest.raises(ValueError, match='the neck skips 1: set model.neck.num_prefix_tokens=3'):
        ALGORITHMS.build(config)
    config['neck']['num_prefix_tokens'] = 3
    mask, predicted = ALGORITHMS.build(config).reconstruct(torch.randn(2, 3, 8, 8))
    assert mask.shape == (2, 4) and predicted.shape == (2, 4, 48)


def test_initial_values():
    cut, free = PatchPredictor(64, 512, bound=0.02).layer, PatchPredictor(64, 512).layer
    assert cut.weight.abs().max() <= 0.02 and not cut.bias.any()
    assert 0.0195 < free.weight.std() < 0.0205 and free.weight.abs().max() > 0.04


def test_size_of_maskfeats_head():
    assert sum(p.numel() for p in PatchPredictor(768, 108).parameters()) + 2 * 768 == 84_588  # with its norm
