"""CAPI: what reaches a prediction, what the clusters learn from, and images of any size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from mmssl.config.load import load_config
from mmssl.engine.micro_batches import use_micro_batches
from mmssl.models.backbones.capi_vit import CAPIViT
from mmssl.models.heads.online_cluster_head import OnlineClusterHead
from mmssl.registry import ALGORITHMS
from mmssl.visualization.patch_colors import patch_features
from tests.support.interruption import assert_resume_is_exact
from tests.support.recipes import CONFIGS
from tests.support.shrink import shrink
from tests.test_masked_methods import tiny_changes

ARCH = dict(embed_dim=24, depth=2, num_heads=2)
CONFIG = dict(
    type='CAPI',
    backbone=dict(type='CAPIViT', arch=ARCH, patch_size=8, registers=4, output='tokens'),
    masker=dict(type='InverseBlockMasker', predicted=0.3, patch_size=8),
    neck=dict(type='CAPIPredictor', in_channels=24, out_channels=10, embed_dim=16, depth=2, num_heads=2),
    head=dict(type='OnlineClusterHead', in_channels=24, num_clusters=10),
    teacher=dict(momentum=0.9, schedule='truncated'),
)


@torch.no_grad()
def test_hidden_pixels_and_other_predicted_patches_do_not_reach_a_prediction():
    model, images = ALGORITHMS.build(CONFIG), torch.randn(2, 3, 48, 48)
    visible, predicted = model.masker(images)
    hidden = torch.ones(2, 36, dtype=torch.bool).scatter(1, visible, False)
    pixels = hidden.view(2, 1, 6, 6).repeat_interleave(8, 2).repeat_interleave(8, 3)
    places, wanted = model.backbone.places(images, visible), model.backbone.patch_places(images, predicted)
    together, changed = (
        model.neck(model.backbone(x, keep=visible), places, wanted)
        for x in (images, torch.where(pixels, torch.randn_like(images), images))
    )
    assert torch.equal(together, changed)
    alone = model.neck(model.backbone(images, keep=visible), places, wanted[:, :1])
    assert_close(alone, together[:, :1])


def test_each_loss_has_its_own_parameters():
    model, images = ALGORITHMS.build(CONFIG), torch.randn(4, 3, 48, 48)
    losses = model.loss([images])
    for key, expected in dict(loss={'backbone', 'neck'}, loss_clusters={'head'}).items():
        model.zero_grad()
        losses[key].backward()
        found = {name.split('.')[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        assert found == expected
    assert 0 < losses['target_entropy'] < torch.tensor(10.0).log()


def test_each_position_uses_all_clusters():
    head = OnlineClusterHead(8, 4, target_temperature=0.5, iterations=50).double()
    tokens = torch.randn(12, 3, 8, dtype=torch.float64)
    codes, _ = head.assign(tokens)
    assert_close(codes.sum(dim=0), torch.full((3, 4), 12 / 4, dtype=torch.float64), rtol=1e-3, atol=0)
    other = tokens.clone()
    other[:, 1:] = torch.randn(12, 2, 8, dtype=torch.float64)
    assert_close(head.assign(other)[0][:, 0], codes[:, 0])


def test_images_of_any_size_and_shape_and_fewer_blocks():
    whole = CAPIViT(ARCH, patch_size=8, registers=4, output='tokens').eval()
    first = CAPIViT(ARCH, patch_size=8, registers=4, output='maps', out_indices=(0,)).eval()
    first.load_state_dict(whole.state_dict())
    for height, width, grid in ((48, 48, (6, 6)), (32, 56, (4, 7)), (30, 50, (4, 7))):
        images = torch.randn(2, 3, height, width)
        assert whole(images).shape == (2, 4 + grid[0] * grid[1], 24)
        assert first(images)[0].shape == (2, 24, *grid)
        every = torch.arange(grid[0] * grid[1]).expand(2, -1)
        assert_close(whole(images, keep=every), whole(images), rtol=0, atol=1e-5)
    assert_close(patch_features(whole, torch.ones(1, 3, 32, 56))[0, 3, 6], whole(torch.ones(1, 3, 32, 56))[0, -1])
    with pytest.raises(ValueError, match='no whole maps'):
        first(images, keep=every)


def test_registers_stand_on_the_box_around_the_visible_patches():
    model, images = CAPIViT(ARCH, patch_size=8, registers=4), torch.zeros(1, 3, 40, 40)
    places = model.places(images, torch.tensor([[6, 7, 11, 17]]))[0]
    assert_close(places[:4].tolist(), [[0.25, 0.25], [0.75, 0.25], [0.75, 0.5], [0.25, 0.5]])
    assert_close(places[4:].tolist(), [[0.25, 0.25], [0.25, 0.5], [0.5, 0.25], [0.75, 0.5]])


def test_the_teacher_rests_at_first_and_follows_after_the_warm_up():
    model = ALGORITHMS.build(CONFIG)
    model.on_train_start()
    before = model.teacher.backbone.reg_token.clone()
    torch.nn.init.constant_(model.backbone.reg_token, 3.0)
    model.teacher.update(0.0, **model.student())
    assert torch.equal(model.teacher.backbone.reg_token, before)
    model.on_step_end(0.1)
    assert_close(model.teacher.backbone.reg_token, 0.9 * before + 0.1 * 3.0)


def test_a_run_that_was_interrupted_ends_in_the_same_bits(tmp_path: Path):
    recipe = shrink(load_config(CONFIGS / 'capi' / 'capi_vit-tiny_1xb512-200e_cifar10.py'))
    assert_resume_is_exact(tmp_path, **tiny_changes(recipe))


def test_micro_batches_change_no_gradient():
    model, images = ALGORITHMS.build(CONFIG).double(), torch.randn(5, 3, 48, 48, dtype=torch.float64)
    drawn = model.masker(images)
    model.masker.forward = lambda images: drawn
    gradients = []
    for size in (None, 2):
        if size is not None:
            assert use_micro_batches(model, size) == []
        model.zero_grad()
        losses = model.loss([images])
        (losses['loss'] + losses['loss_clusters']).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert_close(*gradients)


@pytest.mark.parametrize(
    ('part', 'options', 'message'),
    [
        ('head', dict(num_clusters=11), r'model.neck.out_channels=10 and model.head.num_clusters=11'),
        ('head', dict(target_temperature=0.0), 'must be above 0, got 0.0'),
        ('backbone', dict(registers=6), 'their number 6 must divide by 4'),
        ('backbone', dict(arch=dict(ARCH, num_heads=4)), 'multiple of 4, got 6'),
        ('masker', dict(predicted=0.0), r'predicted.*\(0, 1\], got 0.0'),
        ('masker', dict(ratio=1.0), r'ratio.*\(0, 1\), got 1.0'),
        ('masker', dict(aspect=(2.0, 0.5)), 'aspect must be'),
        ('head', dict(iterations=0), 'iterations must be at least 1, got 0'),
    ],
)
def test_wrong_settings_are_refused(part, options, message):
    with pytest.raises(ValueError, match=message):
        ALGORITHMS.build(CONFIG | {part: CONFIG[part] | options})


@pytest.mark.parametrize('part', ['neck', 'head'])
def test_parts_of_another_width_than_the_backbone(part):
    with pytest.raises(ValueError, match=f'model.{part}.in_channels=32 must be the width of the tokens .* 24'):
        ALGORITHMS.build(dict(CONFIG, **{part: dict(CONFIG[part], in_channels=32)}))
