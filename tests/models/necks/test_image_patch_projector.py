from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.necks.image_patch_projector import ImagePatchProjector

HEAD = dict(in_channels=5, hidden_channels=7, out_channels=11, bottleneck_channels=4)


def test_untied_heads_share_nothing():
    neck, x = ImagePatchProjector(HEAD, dict(HEAD, out_channels=13)), torch.randn(3, 5)
    assert neck(x).shape == (3, 11) and neck.patch_channels == 13
    neck.patch_logits(neck.embed_patches(x)).sum().backward()
    assert all(p.grad is None for p in neck.images.parameters())
    assert neck.patches.layers[0].weight.grad is not None


def test_tied_heads_are_one():
    neck, x = ImagePatchProjector(HEAD), torch.randn(3, 5)
    assert_close(neck.patch_logits(neck.embed_patches(x)), neck(x))
    assert neck.patch_channels == 11 and not any('patches' in name for name, _ in neck.named_parameters())
