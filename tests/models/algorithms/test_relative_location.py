from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot
from torch.testing import assert_close

from mmssl.datasets.transforms.tile_view import TileView
from mmssl.models.layers.tiles import split_mosaic
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import BACKBONE, build, views

NECK = dict(type='TileNeck', in_channels=64, num_tiles=2, joint=[dict(channels=12, norm='affine', dropout=0.2)])
HEAD = dict(type='LinearClsHead', in_channels=12, num_classes=8)


def test_neighbours_come_first_and_their_place_is_the_class():
    algorithm, (mosaic,) = build('RelativeLocation', neck=NECK, head=HEAD), views(1, images=2, size=24)
    pairs, features = [], []
    algorithm.backbone.register_forward_pre_hook(lambda module, args: pairs.append(args[0]))
    algorithm.neck.register_forward_hook(lambda module, args, out: features.append(out))
    losses = algorithm.loss([mosaic])
    tiles = split_mosaic(mosaic)
    for image in range(2):
        for label, tile in enumerate((0, 1, 2, 3, 5, 6, 7, 8)):
            assert torch.equal(pairs[0][8 * image + label], tiles[image, tile])
            assert torch.equal(pairs[1][8 * image + label], tiles[image, 4])
    logits, labels = algorithm.head.predict(features[0]), torch.arange(8).repeat(2)
    assert_close(losses['loss'], cross_entropy(logits, labels))
    assert_close(losses['location_accuracy'], (logits.argmax(dim=1) == labels).float().mean())


def test_the_loss_of_a_head_that_knows_nothing():
    algorithm = build('RelativeLocation', pairs='all', neck=NECK, head=dict(HEAD, init_std=0))
    assert_close(algorithm.loss(views(1, size=24))['loss'].item(), 2.0794415417, rtol=1e-9, atol=0)


def test_wrong_arguments():
    with pytest.raises(ValueError, match='num_classes must be 8 places, got 4'):
        build('RelativeLocation', neck=NECK, head=dict(HEAD, num_classes=4))
    with pytest.raises(ValueError, match="pairs must be 'centre' or 'all'"):
        build('RelativeLocation', pairs='center', neck=NECK, head=HEAD)
    with pytest.raises(ValueError, match='model.neck.num_tiles must be 2, got 9'):
        build('RelativeLocation', neck=dict(NECK, num_tiles=9), head=HEAD)
    with pytest.raises(TypeError, match='2 tiles, got 1'):
        build('RelativeLocation', neck=NECK, head=HEAD).neck(torch.zeros(1, 64).double())


def test_noise_does_not_tell_where_a_tile_was():
    """On noise a linear classifier of the pixels of both tiles stays at chance, one in eight."""
    view, rng = TileView(size=9, crop=15, drop_channels=0.5), np.random.default_rng(0)
    mosaics = []
    for _ in range(512):
        image = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
        mosaics.append(view.render(image, view.draw((20, 20), rng)))
    tiles = split_mosaic(torch.stack(mosaics)).flatten(2) / 255 - 0.5  # (512, 9, 27)
    pairs = torch.cat([tiles[:, [0, 1, 2, 3, 5, 6, 7, 8]], tiles[:, 4:5].expand(-1, 8, -1)], dim=2).flatten(0, 1)
    labels = torch.arange(8).repeat(512)
    solution = torch.linalg.lstsq(pairs[:2048], one_hot(labels[:2048], 8).float()).solution
    assert 0.09 < (pairs[2048:] @ solution).argmax(dim=1).eq(labels[2048:]).float().mean() < 0.16


def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path):
    model = dict(
        type='RelativeLocation',
        data_preprocessor=dict(type='SelfSupDataPreprocessor'),
        backbone=BACKBONE,
        neck=NECK,
        head=HEAD,
    )
    view = dict(type='TileView', size=24, crop=30, drop_channels=0.5, photometric=dict(grayscale=0.5))
    loader = dict(
        dataset=dict(type='NoiseImages', num_images=26, views=[view]),
        sampler=dict(type='EpochSampler'),
        collate_fn=dict(type='collate_views'),
        batch_size=4,
        drop_last=True,
        num_workers=0,
    )
    assert_resume_is_exact(tmp_path, model=model, train_dataloader=loader)
