from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from mmssl.models.layers.permutations import greedy_permutations
from mmssl.models.layers.tiles import split_mosaic
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import BACKBONE, build, views

NECK = dict(type='TileNeck', in_channels=64, num_tiles=9, single=[dict(channels=6, norm='affine')])
HEAD = dict(type='LinearClsHead', in_channels=54, num_classes=100)


def test_position_j_holds_the_tile_that_the_permutation_names():
    algorithm, (mosaic,) = build('Jigsaw', neck=NECK, head=HEAD), views(1, images=4, size=24)
    seen, logits = [], []
    algorithm.backbone.register_forward_pre_hook(lambda module, args: seen.append(args[0].unflatten(0, (4, 9))))
    algorithm.head.fc.register_forward_hook(lambda module, args, out: logits.append(out))
    losses = algorithm.loss([mosaic], dict(index=torch.arange(4)))
    tiles, labels = split_mosaic(mosaic), []
    for puzzle, image in zip(seen[0], tiles):
        order = [next(j for j in range(9) if torch.equal(tile, image[j])) for tile in puzzle]
        labels.append(algorithm.permutations.tolist().index(order))
        restored = torch.empty_like(image)
        restored[order] = puzzle
        assert torch.equal(restored, image)
    assert len(set(labels)) > 1
    assert_close(losses['loss'], cross_entropy(logits[0], torch.tensor(labels)))


def test_the_permutation_belongs_to_the_image_and_the_step():
    algorithm, (mosaic,) = build('Jigsaw', neck=NECK, head=HEAD).eval(), views(1, images=6, size=24)
    index = torch.arange(6)
    whole = algorithm.loss([mosaic], dict(index=index))['loss']
    halves = [algorithm.loss([mosaic[rows]], dict(index=index[rows]))['loss'] for rows in (slice(0, 3), slice(3, 6))]
    assert_close(whole, sum(halves) / 2)
    algorithm.on_step_end(0.1)
    assert not torch.isclose(algorithm.loss([mosaic], dict(index=index))['loss'], whole)


def test_all_permutations_are_drawn():
    algorithm, seen = build('Jigsaw', neck=NECK, head=HEAD), []
    algorithm.head.loss.register_forward_pre_hook(lambda module, args: seen.append(args[1]))
    for start in range(0, 1000, 250):
        algorithm.loss(views(1, images=250, size=3), dict(index=torch.arange(start, start + 250)))
    counts = torch.cat(seen).bincount(minlength=100)
    assert counts.min() > 0 and counts.max() < 30


def test_the_loss_of_a_head_that_knows_nothing():
    algorithm = build('Jigsaw', neck=NECK, head=dict(HEAD, init_std=0))
    loss = algorithm.loss(views(1, size=24), dict(index=torch.arange(8)))['loss']
    assert_close(loss.item(), 4.6051701860, rtol=1e-9, atol=0)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r'num_classes=100 must be model.num_permutations=701'):
        build('Jigsaw', num_permutations=701, neck=NECK, head=HEAD)
    with pytest.raises(ValueError, match='model.neck.num_tiles must be 9, got 4'):
        build('Jigsaw', neck=dict(NECK, num_tiles=4), head=HEAD)
    with pytest.raises(ValueError, match="rule must be one of .*, got 'mean'"):
        greedy_permutations(4, 3, 'mean')
    with pytest.raises(ValueError, match='4 positions have 24 permutations, so 25'):
        greedy_permutations(4, 25)


def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path):
    model = dict(
        type='Jigsaw',
        data_preprocessor=dict(type='SelfSupDataPreprocessor'),
        backbone=BACKBONE,
        neck=NECK,
        head=HEAD,
    )
    loader = dict(
        dataset=dict(type='NoiseImages', num_images=26, views=[dict(type='TileView', size=24, crop=30)]),
        sampler=dict(type='EpochSampler'),
        collate_fn=dict(type='collate_views'),
        batch_size=4,
        drop_last=True,
        num_workers=0,
    )
    assert_resume_is_exact(tmp_path, model=model, train_dataloader=loader)
