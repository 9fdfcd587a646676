"""I-JEPA: what the context encoder sees, what is predicted, and where its tables are loaded."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import layer_norm, smooth_l1_loss
from torch.testing import assert_close

from mmssl.models.backbones.patch_vit import PatchViT
from mmssl.models.backbones.vision_transformer import VisionTransformer
from mmssl.models.backbones.windowed_vit import WindowedViT
from mmssl.registry import ALGORITHMS

ARCH = dict(embed_dim=24, depth=1, num_heads=2)
SIZES = dict(img_size=48, patch_size=8)
CONFIG = dict(
    type='IJEPA',
    backbone=dict(type='PatchViT', arch=ARCH, **SIZES, position='mae', output='tokens'),
    masker=dict(type='MultiBlockMasker', min_context=4, patch_size=8),
    neck=dict(type='JEPAPredictor', in_channels=24, grid_size=6, embed_dim=16, depth=1, num_heads=2),
    head=dict(type='SmoothL1Loss'),
    teacher=dict(momentum=0.9, schedule='linear'),
)


def test_the_prediction_of_every_target_is_compared_with_the_standardised_teacher():
    model, images = ALGORITHMS.build(CONFIG).double(), torch.randn(2, 3, 48, 48, dtype=torch.float64)
    blocks = model.masker(images)
    model.masker.forward = lambda images, step: blocks
    context, targets = blocks
    features = layer_norm(model.teacher(images), (24,))
    loss = 0
    for image in range(2):
        for block in targets[image]:  # alone, as if the image had no other block
            latent = model.backbone(images[image : image + 1], keep=context[image : image + 1])
            prediction = model.neck(latent, context[image : image + 1], block[None, None])[0, 0]
            loss += smooth_l1_loss(prediction, features[image, block]) / (2 * len(targets[image]))
    assert_close(model.loss([images])['loss'], loss)


def test_hidden_pixels_do_not_reach_the_prediction():
    model, images = ALGORITHMS.build(CONFIG), torch.randn(1, 3, 48, 48)
    context, targets = model.masker(images)
    hidden = torch.ones(1, 36, dtype=torch.bool).scatter(1, context, False)
    pixels = hidden.view(1, 1, 6, 6).repeat_interleave(8, 2).repeat_interleave(8, 3)
    changed = torch.where(pixels, torch.randn_like(images), images)
    first, second = (model.neck(model.backbone(x, keep=context), context, targets) for x in (images, changed))
    assert torch.equal(first, second)


def test_the_momentum_rises_linearly_and_steps_are_counted():
    model = ALGORITHMS.build(CONFIG)
    model.on_train_start()
    before = model.teacher.backbone.norm.weight.clone()
    torch.nn.init.constant_(model.backbone.norm.weight, 3.0)
    model.on_step_end(0.5)
    assert_close(model.teacher.backbone.norm.weight, 0.95 * before + 0.05 * 3.0)
    assert model.position.steps == 1


@pytest.mark.parametrize('kind', [VisionTransformer, WindowedViT])
def test_positions_move_between_transformers_with_and_without_class_token(kind):
    patches = PatchViT(ARCH, **SIZES)
    other = kind(ARCH, **SIZES)
    other.load_state_dict(patches.state_dict(), strict=kind is WindowedViT)
    assert torch.equal(other.pos_embed[:, 1:], patches.pos_embed) and not other.pos_embed[:, :1].any()
    small = PatchViT(ARCH, img_size=32, patch_size=8)
    small.load_state_dict(kind(ARCH, **SIZES).state_dict(), strict=True)
    assert small.pos_embed.shape == (1, 16, 24)


def test_the_predictor_has_the_width_of_the_backbone():
    with pytest.raises(ValueError, match='model.neck.in_channels=16 must be the width .* 24'):
        ALGORITHMS.build(CONFIG | dict(neck=dict(CONFIG['neck'], in_channels=16)))


def test_a_teacher_of_a_checkpoint_is_kept():
    trained, model = ALGORITHMS.build(CONFIG), ALGORITHMS.build(CONFIG | dict(keep_loaded_teacher=True))
    torch.nn.init.normal_(trained.teacher.backbone.norm.weight)
    model.load_state_dict(trained.state_dict())
    for algorithm in (model, trained):
        algorithm.on_train_start()
    assert not torch.equal(model.teacher.backbone.norm.weight, model.backbone.norm.weight)
    assert torch.equal(trained.teacher.backbone.norm.weight, trained.backbone.norm.weight)


def test_a_class_token_cannot_be_asked_for():
    with pytest.raises(ValueError, match='no class token'):
        PatchViT(ARCH, output='cls')
