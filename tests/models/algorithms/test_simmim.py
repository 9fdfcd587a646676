"""SimMIM: what it hides stays hidden, for a ViT and for Swin."""

from __future__ import annotations

import pytest
import torch

from mmssl.registry import ALGORITHMS
from mmssl.visualization.reconstruction import reconstruct_images

VIT = dict(type='BEiTViT', arch=dict(embed_dim=24, depth=2, num_heads=2), img_size=32, patch_size=8, output='maps')
SWIN = dict(
    type='TimmBackbone',
    name='swin_tiny_patch4_window7_224',
    pool=False,
    img_size=32,
    window_size=2,
    embed_dim=12,
    depths=(2, 2),
    num_heads=(2, 2),
)


def build(backbone: dict, patch: int, **options):
    return ALGORITHMS.build(
        dict(
            type='SimMIM',
            backbone=backbone,
            masker=dict(type='SimMIMMasker', unit_size=8, patch_size=patch),
            target=dict(type='PixelTarget', patch_size=patch, standardize=False),
            neck=dict(type='PixelShuffleDecoder', in_channels=24, stride=8),
            head=dict(type='MaskedL1Loss'),
            **options,
        )
    )


@pytest.mark.parametrize(('backbone', 'patch'), [(VIT, 8), (SWIN, 4)])
def test_predictions_do_not_depend_on_hidden_pixels(backbone, patch):
    model, images = build(backbone, patch).eval(), torch.randn(2, 3, 32, 32)
    assert model.mask_token.shape == (1, 1, 24 if patch == 8 else 12) and 0 < model.mask_token.abs().max() <= 0.02
    torch.manual_seed(1)
    mask, prediction = model.reconstruct(images)
    assert prediction.shape == (2, (32 // patch) ** 2, 3 * patch**2)
    pixels = mask.view(2, 1, 32 // patch, -1).repeat_interleave(patch, 2).repeat_interleave(patch, 3)
    assert pixels.sum() == 2 * 10 * 64  # of 16 units of 8 x 8 pixels
    changed = torch.where(pixels, images + torch.randn_like(images), images)
    torch.manual_seed(1)
    _, again = model.reconstruct(changed)
    torch.testing.assert_close(again, prediction)
    torch.manual_seed(1)
    _, other = model.reconstruct(torch.where(pixels, images, images + 1))
    assert (other - prediction).abs().max() > 1e-3


def test_the_mean_of_the_map_is_evaluated():
    model, images = build(SWIN, 4).eval(), torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(model.extract_feat(images), model.backbone(images)[-1].mean(dim=(2, 3)))


@pytest.mark.parametrize(('backbone', 'patch'), [(VIT, 8), (SWIN, 4)])
def test_reconstructions_can_be_shown(backbone, patch):
    model = build(backbone, patch, data_preprocessor=dict(type='SelfSupDataPreprocessor'))
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    shown = reconstruct_images(model, images)
    assert shown.hidden.sum() == 2 * 10 * 64 and shown.pictures[''].shape == images.shape
    assert (shown.target.int() - images.int()).abs().max() <= 1
