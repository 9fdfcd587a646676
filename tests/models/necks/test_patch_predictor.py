"""The linear prediction: which tokens, initial values."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.necks.patch_predictor import PatchPredictor


def test_only_the_patches_asked_for_are_predicted():
    neck, tokens = PatchPredictor(8, 5), torch.randn(2, 1 + 6, 8)
    where = torch.tensor([[0, 5, 2], [1, 3, 4]])
    predicted = neck(tokens, where)
    assert predicted.shape == (2, 3, 5)
    assert_close(predicted[0, 1], neck.layer(tokens[0, 6]))
    assert_close(predicted[1, 0], neck.layer(tokens[1, 2]))


def test_initial_values():
    cut, free = PatchPredictor(64, 512, bound=0.02).layer, PatchPredictor(64, 512).layer
    assert cut.weight.abs().max() <= 0.02 and not cut.bias.any()
    assert 0.0195 < free.weight.std() < 0.0205 and free.weight.abs().max() > 0.04


def test_size_of_maskfeats_head():
    assert sum(p.numel() for p in PatchPredictor(768, 108).parameters()) + 2 * 768 == 84_588  # with its norm
