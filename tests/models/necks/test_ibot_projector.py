from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.necks.dino_projector import DINOProjector
from mmssl.models.necks.ibot_projector import IBOTProjector


def test_images_and_patches_share_all_but_the_last_layer():
    neck, x = IBOTProjector(5, 7, 11, patch_channels=13, bottleneck_channels=4), torch.randn(3, 5)
    assert neck(x).shape == (3, 11) and neck.patch_logits(neck.embed(x)).shape == (3, 13)
    directions = neck.patch_layer.get_parameter('parametrizations.weight.original1')
    assert_close(neck.patch_logits(neck.embed(x)), torch.cosine_similarity(neck.layers(x)[:, None], directions, dim=-1))
    neck.patch_logits(neck.embed(x)).sum().backward()
    assert neck.layers[0].weight.grad is not None
    assert neck.last_layer.get_parameter('parametrizations.weight.original1').grad is None


def test_a_shared_last_layer_is_that_of_dino():
    neck, x = DINOProjector(5, 7, 11), torch.randn(3, 4, 5)
    assert_close(neck.patch_logits(neck.embed(x))[:, 1], neck(x[:, 1]))
    assert neck.patch_channels == 11
