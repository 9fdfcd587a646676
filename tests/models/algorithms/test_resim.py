"""What is true of ReSim, on small parts in float64."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import avg_pool2d, normalize
from torch.testing import assert_close

from mmssl.models.algorithms.resim import ReSim, neighbourhoods, pool_regions
from mmssl.models.losses.queue_contrast_loss import queue_contrast
from mmssl.models.losses.region_contrast_loss import region_contrast
from tests.support.small_parts import BACKBONE, DIM, build, continues_after_loading, mlp, shared_crops, views


def _resim(**options) -> ReSim:
    algorithm = build(
        'ReSim',
        backbone=dict(BACKBONE, out_indices=(1, 2)),
        neck=dict(
            type='PyramidProjector',
            projector=mlp(32, norm=False, bias=True, last_bias=True),
            pyramid=dict(type='TopDownNeck', in_channels=(16, 32), out_channels=6, levels=(3, 4)),
        ),
        head=dict(type='QueueContrastLoss', temperature=0.2),
        teacher=dict(momentum=0.9, schedule='constant'),
        queue=dict(length=16, dim=DIM),
        windows=[dict(side=5, stride=4), dict(side=8, stride=6)],
        region_loss=dict(type='RegionContrastLoss', temperature=0.2),
        **options,
    )
    algorithm.on_train_start()
    return algorithm


SAMPLES = dict(crops=shared_crops(8))


def test_each_window_must_find_its_region_among_all_positions():
    algorithm, (x1, x2) = _resim(), views(size=16)
    losses = algorithm.loss([x1, x2], SAMPLES)
    query, _, coarse = algorithm.neck(algorithm.backbone(x1))
    key, _, key_coarse = algorithm.teacher(x2)
    assert_close(losses['loss_global'], queue_contrast(query, key, algorithm.queue.features, 0.2))
    bank = avg_pool2d(key_coarse, 3, stride=1)  # (8, 6, 2, 2)
    bank = torch.stack([normalize(bank[n, :, i, j], dim=0) for n in range(8) for i in range(2) for j in range(2)])
    boxes, visible = algorithm.windows[1].map(16, SAMPLES['crops'])
    regions = pool_regions(coarse, algorithm.windows[1].boxes(16).expand(8, -1, -1) / 16)
    expected = region_contrast(regions, pool_regions(key_coarse, boxes / 16), bank, visible, 0.2)
    assert 0 < visible.sum() < visible.numel()
    assert_close(losses['loss_level1'], expected)


def test_no_gradient_reaches_the_keys_and_one_reaches_all_of_the_pyramid():
    algorithm = _resim()
    sum(algorithm.loss(views(size=16), SAMPLES).values()).backward()
    assert all((p.grad is not None) == p.requires_grad for p in algorithm.parameters())


def test_views_without_a_common_region_give_finite_losses():
    apart = SAMPLES['crops'].clone()
    apart[:, 1, 0] = 1000
    losses = _resim().loss(views(size=16), dict(crops=apart))
    assert losses['loss_level0'] == losses['loss_level1'] == 0 and losses['loss_global'].isfinite()


def test_crops_are_needed():
    with pytest.raises(ValueError, match="needs the places of the views: use type='AlignedView'"):
        _resim().loss(views(size=16), dict(index=torch.arange(8)))


def test_a_run_that_is_loaded_continues_with_the_same_bits():
    assert continues_after_loading(lambda: _resim(norm_group_size=4), views(size=16), SAMPLES)


def test_each_level_has_its_windows():
    algorithm = _resim()
    algorithm.windows.pop()
    with pytest.raises(ValueError, match='has 2 levels, and model.windows has 1: give one for each level'):
        algorithm.loss(views(size=16), SAMPLES)


def test_the_bank_is_one_of_full_precision_and_its_maps_are_large_enough():
    maps = torch.randn(2, 5, 4, 3).bfloat16()
    assert torch.equal(neighbourhoods(maps), neighbourhoods(maps.float()))
    with pytest.raises(ValueError, match='has 2 x 2 positions, and ReSim needs 3 x 3: take larger views'):
        neighbourhoods(maps[..., :2, :2])
