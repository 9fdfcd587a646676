"""The mask token inside a backbone: where it is added, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.backbones.resnet import ResNet
from mmssl.models.components.inner_mask_token import InnerMaskToken

MASK = torch.tensor([[True, False, False, True]])  # 2 x 2 patches


def test_hidden_positions_of_a_map_are_scaled_and_get_the_token():
    token, x = InnerMaskToken('layer3', 3, gamma=0.5), torch.randn(1, 3, 4, 4)
    y = token(x, MASK, (2, 2))
    assert_close(y[..., :2, 2:], x[..., :2, 2:])
    assert_close(y[..., 2:, 2:], x[..., 2:, 2:] / 2 + token.token.view(3, 1, 1))


def test_hidden_tokens_keep_their_features_without_gamma():
    token, x = InnerMaskToken('patch_embed', 3), torch.randn(1, 4, 3)
    y = token(x, MASK, (2, 2))
    assert_close(y - x, token.token * MASK.unsqueeze(-1))


def test_the_backbone_is_changed_only_while_the_context_is_active():
    backbone, images = ResNet(18, width=0.125, stem='small').eval(), torch.randn(1, 3, 16, 16)
    token, plain = InnerMaskToken('layer3', 32), backbone(images)[-1]
    with token.added(backbone, MASK, (2, 2)):
        assert (backbone(images)[-1] - plain).abs().max() > 1e-4
    assert torch.equal(backbone(images)[-1], plain)


def test_what_does_not_fit_is_named():
    backbone = ResNet(18, width=0.125, stem='small')
    with (
        pytest.raises(ValueError, match="ResNet has no layer 'layer5'"),
        InnerMaskToken('layer5', 3).added(backbone, MASK, (2, 2)),
    ):
        pass
    with pytest.raises(ValueError, match='model.mask_token.channels=4'):
        InnerMaskToken('layer3', 3)(torch.randn(1, 4, 4, 4), MASK, (2, 2))
    with pytest.raises(ValueError, match='set model.masker.patch_size'):
        InnerMaskToken('layer3', 3)(torch.randn(1, 3, 3, 3), MASK, (2, 2))
    with pytest.raises(ValueError, match='has 5 tokens, and the mask 4 patches: name a layer without class token'):
        InnerMaskToken('blocks.0', 3)(torch.randn(len(MASK), 5, 3), MASK, (2, 2))
