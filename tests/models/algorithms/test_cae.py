"""CAE: what each part sees, and when the teacher moves."""

from __future__ import annotations

import random

import pytest
import torch

from mmssl.models.backbones.cae_vit import CAEViT
from mmssl.registry import ALGORITHMS

ARCH = dict(embed_dim=24, depth=2, num_heads=2)
SIZES = dict(img_size=32, patch_size=8)
PART = dict(in_channels=24, grid_size=4, depth=1, num_heads=2)
CONFIG = dict(
    type='CAE',
    backbone=dict(type='CAEViT', arch=ARCH, **SIZES, output='tokens'),
    masker=dict(type='BlockwiseMasker', num_hidden=8, min_block=2, exact=True, patch_size=8),
    target=dict(type='TokenizerTarget', tokenizer=dict(type='PatchCodebook', num_tokens=10, patch_size=8)),
    neck=dict(type='CAERegressor', embed_dim=24, **PART),
    head=dict(type='CAEHead', num_words=10, **PART),
)
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_every_image_hides_the_same_number():
    random.seed(0)
    masker = ALGORITHMS.build(CONFIG).masker
    assert masker(torch.zeros(200, 3, 32, 32)).sum(dim=1).unique().tolist() == [8]


def test_hidden_pixels_reach_the_teacher_only():
    model = ALGORITHMS.build(CONFIG)
    mask = model.masker(IMAGES)
    keep, hidden = model.masker.visible(mask), model.masker.hidden(mask)
    pixels = mask.view(2, 1, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3)
    changed = torch.where(pixels, torch.randn_like(IMAGES), IMAGES)
    first, second = (model.neck(model.backbone(x, keep=keep), keep, hidden) for x in (IMAGES, changed))
    assert torch.equal(first, second) and first.shape == (2, 8, 24)
    teacher = [model.teacher.backbone(x, keep=hidden) for x in (IMAGES, changed)]
    assert not torch.equal(*teacher)
    seen_changed = torch.where(pixels, IMAGES, IMAGES + 1)
    assert torch.equal(model.teacher.backbone(seen_changed, keep=hidden), teacher[0])


def test_the_teacher_is_the_student_before_the_step():
    model = ALGORITHMS.build(CONFIG)
    model.on_train_start()
    before = model.backbone.norm.weight.detach().clone()
    model.loss([IMAGES])
    model.on_step_start()
    torch.nn.init.constant_(model.backbone.norm.weight, 5.0)
    model.on_step_end(0.5)
    assert torch.equal(model.teacher.backbone.norm.weight, before)


def test_the_losses_are_those_of_the_paper():
    model = ALGORITHMS.build(CONFIG | dict(head=dict(CONFIG['head'], align_weight=0.0)))
    random.seed(0)
    losses = model.loss([IMAGES])
    assert losses['loss_align'] == 0 and 1 < losses['loss'] < 5 and 0 <= losses['accuracy'] <= 1


def test_numbers_of_words_must_agree():
    with pytest.raises(ValueError, match='num_words=9 and the 10 words'):
        ALGORITHMS.build(CONFIG | dict(head=dict(CONFIG['head'], num_words=9)))


def test_positions_are_resized_and_relative_tables_need_every_patch():
    small, large = CAEViT(ARCH, **SIZES), CAEViT(ARCH, img_size=48, patch_size=8, output='maps')
    large.load_state_dict(small.state_dict(), strict=True)
    assert large.pos_embed.shape == (1, 37, 24)
    assert large(torch.randn(1, 3, 40, 48))[0].shape == (1, 24, 5, 6)
    assert CAEViT(ARCH, **SIZES, relative_table='per-block')(IMAGES).shape == (2, 24)
    with pytest.raises(ValueError, match="need relative_table='none'"):
        CAEViT(ARCH, **SIZES, relative_table='per-block')(IMAGES, keep=torch.zeros(2, 3, dtype=torch.int64))


def test_initial_weights():
    xavier, beit = (CAEViT(dict(embed_dim=96, depth=3, num_heads=2), **SIZES, init=kind) for kind in ('xavier', 'beit'))
    assert xavier.blocks[2].attn.proj.weight.abs().max() > 0.1
    assert beit.blocks[0].mlp.fc1.weight.abs().max() <= 0.02
    assert beit.blocks[2].attn.proj.weight.abs().max() <= 0.02 / 6**0.5


def test_a_scale_of_0_means_no_scale_in_every_part():
    part = dict(PART, layer_scale=0.0)
    parts = dict(neck=dict(type='CAERegressor', embed_dim=24, **part), head=dict(type='CAEHead', num_words=10, **part))
    model = ALGORITHMS.build(CONFIG | parts)
    scales = [p for part in (model.neck, model.head) for name, p in part.named_parameters() if 'gamma' in name]
    assert len(scales) == 2 and all((scale == 1).all() and not scale.requires_grad for scale in scales)
