"""What is true of DetCo, on small parts in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.algorithms.detco import DetCo
from mmssl.models.layers.tiles import join_tiles, split_mosaic
from mmssl.models.losses.queue_contrast_loss import queue_contrast
from tests.support.small_parts import BACKBONE, DIM, build, continues_after_loading


def _detco(**options) -> DetCo:
    algorithm = build(
        'DetCo',
        backbone=dict(BACKBONE, out_indices=(0, 1)),
        neck=dict(type='GlobalLocalProjector', stage_channels=(8, 16), out_channels=DIM),
        head=dict(type='QueueContrastLoss', temperature=0.2),
        teacher=dict(momentum=0.9, schedule='constant'),
        **dict(queue=dict(length=16, dim=DIM), stage_weights=(0.5, 1.0)) | options,
    )
    algorithm.on_train_start()
    return algorithm


def _views() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(8, 3, s, s, generator=generator, dtype=torch.float64) for s in (8, 8, 12, 12)]


def test_three_terms_of_each_stage_and_which_keys_and_queues_they_use():
    algorithm, views = _detco(), _views()
    terms = algorithm.loss(views)
    for stage, weight in enumerate((0.5, 1.0)):
        (g, l), (g_key, l_key) = (  # noqa: E741
            [encode(x)[:, stage] for encode, x in zip(algorithm.encoders(owner), xs)]
            for owner, xs in ((algorithm, views[::2]), (algorithm.teacher, views[1::2]))
        )
        queue, local = (queues[stage].features for queues in (algorithm.global_queues, algorithm.local_queues))
        assert_close(terms[f'loss_global_{stage}'], weight * queue_contrast(g, g_key, queue, 0.2))
        assert_close(terms[f'loss_local_{stage}'], weight * queue_contrast(l, l_key, local, 0.2))
        assert_close(terms[f'loss_cross_{stage}'], weight * queue_contrast(l, g_key, queue, 0.2))
    assert len(terms) == 6


def test_twelve_terms_without_any_similarity_have_a_closed_form():
    weights = (0.1, 0.4, 0.7, 1.0)
    chance = queue_contrast(torch.eye(2, 8)[:1], torch.eye(2, 8)[1:], torch.zeros(65536, 8), 0.2).item()
    assert chance == pytest.approx(math.log(65537), abs=1e-5)
    assert 3 * sum(weights) * math.log(65537) == pytest.approx(73.1964429742)


def test_patches_form_one_vector_in_their_order():
    algorithm, mosaics = _detco().eval(), _views()[2]
    encode = algorithm.encoders(algorithm)[1]
    embeddings = encode(mosaics)
    assert_close(encode(mosaics[[3, 1]]), embeddings[[3, 1]])  # images do not mix
    tiles = split_mosaic(mosaics)
    assert not torch.allclose(encode(join_tiles(tiles[:, [1, 0, *range(2, 9)]])), embeddings)
    pooled = [algorithm.backbone(tiles[:, i])[1].mean(dim=(2, 3)) for i in range(9)]
    assert_close(algorithm.neck.patches.stages[1](torch.cat(pooled, dim=1)), embeddings[:, 1])


def test_whole_images_and_patches_have_norm_statistics_of_their_own():
    algorithm = _detco()
    algorithm.loss(_views())
    assert algorithm.backbone.bn1.num_batches_tracked == algorithm.teacher.backbone.bn1.num_batches_tracked == 2


def test_a_run_that_is_loaded_continues_with_the_same_bits():
    assert continues_after_loading(lambda: _detco(norm_group_size=4), _views())


@pytest.mark.parametrize('wrong', [dict(stage_weights=(1.0,)), dict(grid=2)])
def test_the_neck_has_the_stages_and_the_patches(wrong):
    with pytest.raises(ValueError, match='model.neck has 2 stages and 9 patches'):
        _detco(**wrong)


def test_queues_have_the_width_of_the_neck():
    with pytest.raises(ValueError, match=f'set model.queue.dim={DIM}, as model.neck has, got 99'):
        _detco(queue=dict(length=16, dim=99))
