"""NPID and PIRL: an image finds its own row of a bank."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.models.algorithms.nnclr import nearest
from mmssl.models.components.cluster_pairs import _cosines
from mmssl.models.components.memory_bank import MemoryBank
from mmssl.models.layers.indexed_noise import indexed_integers
from mmssl.models.layers.tiles import split_mosaic
from mmssl.models.losses.memory_contrast_loss import memory_info_nce, memory_nce, memory_similarities
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import BACKBONE, DIM, build, mlp, views

UNIT = dict(channels=DIM, relu=False)
BANK = dict(bank=dict(length=26, dim=DIM), num_negatives=8, head=dict(type='MemoryContrastLoss'))
METHODS = {
    'NPID': BANK,
    'PIRL': dict(BANK, tile_neck=dict(type='TileNeck', in_channels=64, num_tiles=9, single=[UNIT], joint=[UNIT])),
}


def test_rows_average_features_after_the_step_and_stay_unit_vectors():
    bank = MemoryBank(5, 3, momentum=0.25)
    before, features = bank.features.clone(), torch.randn(2, 3)
    bank.stage(features, torch.tensor([4, 1]))
    assert torch.equal(bank.features, before)
    bank.commit()
    assert_close(bank.features[[0, 2, 3]], before[[0, 2, 3]], rtol=0, atol=0)
    assert_close(bank.features[[4, 1]], normalize(0.25 * before[[4, 1]] + 0.75 * normalize(features), dim=1))
    with pytest.raises(RuntimeError, match='more images than the bank has rows, 5'):
        bank.stage(features, torch.tensor([5, 1]))
    with pytest.raises(ValueError, match=r'momentum must lie in \[0, 1\), got 1'):
        MemoryBank(5, 3, momentum=1)


def test_draws_belong_to_the_image_and_the_step_and_reach_all_rows():
    bank, index = MemoryBank(10, 2), torch.arange(50)
    rows = bank.draw(index, 20, 3)
    assert torch.equal(bank.draw(index[7:9], 20, 3), rows[7:9])
    assert not torch.equal(bank.draw(index, 20, 4), rows)
    assert rows.min() == 0 and rows.max() == 9 and (rows.flatten().bincount() - 100).abs().max() < 50


def test_draws_reach_rows_beyond_the_precision_of_a_random_float():
    drawn = indexed_integers(torch.arange(64), (64,), 0, 2**25)
    assert drawn.min() >= 0 and drawn.max() < 2**25
    assert all(abs((drawn % 4 == rest).double().mean() - 0.25) < 0.03 for rest in range(4))


def test_rows_of_another_dataset_are_left_out_and_all_else_is_loaded():
    other, bank = MemoryBank(9, 4), MemoryBank(5, 4)
    own = bank.features.clone()
    bank.load_state_dict(other.state_dict())
    assert torch.equal(bank.features, own)
    bank.load_state_dict(MemoryBank(5, 4).state_dict())
    assert not torch.equal(bank.features, own)


def test_similarities_are_of_full_precision_within_autocast():
    torch.manual_seed(0)
    queries, bank = torch.randn(4, 16), normalize(torch.randn(32, 16), dim=1)
    own, negatives = torch.arange(4), torch.arange(4, 20).view(4, 4)
    plain = memory_similarities(queries, bank, own, negatives), nearest(queries, bank), _cosines(queries, bank)
    with torch.autocast('cpu', torch.bfloat16):
        mixed = memory_similarities(queries, bank, own, negatives), nearest(queries, bank), _cosines(queries, bank)
    assert all(map(torch.equal, plain, mixed))


def test_similarities_and_losses_of_known_values():
    bank = torch.eye(4)
    similarities = memory_similarities(3 * bank[:2], bank, torch.tensor([0, 1]), torch.tensor([[1, 0], [2, 3]]))
    assert similarities.tolist() == [[1, 0, 1], [1, 0, 0]]
    assert_close(memory_info_nce(torch.zeros(2, 65), 0.07).item(), math.log(65))
    p, noise = math.exp(0.5) / 7, 3 / 20
    expected = -math.log(p / (p + noise)) - 3 * math.log(noise / (p + noise))
    assert_close(memory_nce(torch.full((2, 4), 0.5), 1.0, 20, torch.tensor(7.0)).item(), expected, rtol=1e-5, atol=0)


def test_pirl_shuffles_the_tiles_and_weights_the_terms():
    options = dict(METHODS['PIRL'], share=0.25, head=dict(type='MemoryContrastLoss', kind='nce'))
    algorithm, (image,), (mosaic,) = build('PIRL', **options), views(1), views(1, size=24)
    seen: list[torch.Tensor] = []
    algorithm.backbone.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    losses = algorithm.loss([image, mosaic], dict(index=torch.arange(8)))
    tiles, shuffled = split_mosaic(mosaic).flatten(2), seen[0].unflatten(0, (8, 9)).flatten(2)
    assert not torch.equal(tiles, shuffled)
    assert_close(tiles.sum(dim=2).sort(dim=1).values, shuffled.sum(dim=2).sort(dim=1).values)
    assert losses.keys() == {'loss_tiles', 'loss_image'} and algorithm.partition == 0
    algorithm.on_step_end(0.1)
    fixed = algorithm.partition.clone()
    algorithm.loss([image, mosaic], dict(index=torch.arange(8)))
    algorithm.on_step_end(0.2)
    assert fixed > 0 and torch.equal(algorithm.partition, fixed)
    algorithm.on_train_start()  # of another run, with another temperature
    algorithm.head.temperature = 1.0
    algorithm.loss([image, mosaic], dict(index=torch.arange(8)))
    algorithm.on_step_end(0.1)
    assert 26 / math.e < algorithm.partition < 26 * math.e < fixed


def test_wrong_arguments():
    with pytest.raises(ValueError, match="NPID needs model.head.kind='info_nce', got 'nce'"):
        build('NPID', **dict(BANK, head=dict(type='MemoryContrastLoss', kind='nce')))
    with pytest.raises(ValueError, match="kind must be 'info_nce' or 'nce'"):
        build('NPID', **dict(BANK, head=dict(type='MemoryContrastLoss', kind='softmax')))
    with pytest.raises(ValueError, match=r'share must lie in \[0, 1\], got 2'):
        build('PIRL', **dict(METHODS['PIRL'], share=2))
    with pytest.raises(ValueError, match='model.tile_neck.num_tiles must be 9, got 4'):
        build('PIRL', **dict(METHODS['PIRL'], tile_neck=dict(type='TileNeck', in_channels=64, num_tiles=4)))


@pytest.mark.parametrize('method', METHODS)
def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path, method):
    model = dict(
        type=method,
        data_preprocessor=dict(type='SelfSupDataPreprocessor'),
        backbone=BACKBONE,
        neck=mlp(64),
        **METHODS[method],
    )
    transforms = [dict(type='AugmentedView', size=16), dict(type='TileView', size=24, crop=30, min_scale=0.5)]
    loader = dict(
        dataset=dict(type='NoiseImages', num_images=26, views=transforms[: 1 + (method == 'PIRL')]),
        sampler=dict(type='EpochSampler'),
        collate_fn=dict(type='collate_views'),
        batch_size=4,
        drop_last=True,
        num_workers=0,
    )
    assert_resume_is_exact(tmp_path, model=model, train_dataloader=loader)


@pytest.mark.parametrize('method', ['NPID', 'PIRL'])
def test_a_contrast_needs_negatives(method):
    with pytest.raises(ValueError, match='num_negatives must be at least 1, got 0'):
        build(method, **METHODS[method] | dict(num_negatives=0))
