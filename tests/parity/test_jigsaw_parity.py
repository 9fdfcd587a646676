"""Jigsaw against numbers recorded from VISSL's code, from the published permutations and from a restatement."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from mmssl.datasets.transforms.tile_view import cut_tiles
from mmssl.models.algorithms import jigsaw
from mmssl.models.layers.permutations import greedy_permutations, jigsaw_permutations
from mmssl.models.layers.tiles import join_tiles
from mmssl.registry import ALGORITHMS
from tests.parity.golden import Golden, difference, summary
from tests.support.undrawn import Undrawn


@pytest.fixture
def recorded_labels(goldens_dir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes images draw the recorded permutations; both recordings have the same."""
    labels = torch.tensor(Golden(goldens_dir, 'jigsaw_r50').literals['labels'])
    monkeypatch.setattr(jigsaw, 'indexed_uniform', lambda index, shape, seed: (labels[:, None] + 0.5) / 100)


def _outputs(**modules: nn.Module) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, module in modules.items():
        module.register_forward_hook(lambda module, args, out, name=name: found.update({name: out}))
    return found


def test_a_step_of_vissl(goldens_dir, recorded_labels):
    golden = Golden(goldens_dir, 'jigsaw_r50')
    model = golden.build(
        'jigsaw/jigsaw_resnet50_8xb32-105e_in1k.py', 'jigsaw', kept=('position.count', 'position.fraction')
    )
    assert model.permutations[golden.literals['labels']].tolist() == golden.literals['permutations']
    outputs = _outputs(feature=model.backbone, head0=model.neck.single, logits=model.head.fc)
    loss = model.loss([join_tiles(golden.inputs()['patches'])], dict(index=torch.arange(2)))['loss']
    loss.backward()
    outputs['feature'] = outputs['feature'][-1].mean(dim=(2, 3))
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': {'loss': loss.item()},
            'grads': golden.gradients(model, 'jigsaw'),
            'after_step': golden.state(model, 'jigsaw'),
        }
    )


def test_a_step_of_the_authors_network(goldens_dir, recorded_labels):
    golden = Golden(goldens_dir, 'jigsaw_cfn_restated')
    with Undrawn():
        model = ALGORITHMS.build(
            dict(
                type='Jigsaw',
                backbone=dict(type='CaffeNet', groups=2, stride=2, padding=0, img_size=64, fc=dict(width=1024)),
                neck=dict(type='TileNeck', in_channels=1024, num_tiles=9, joint=[dict(channels=4096)]),
                head=dict(type='LinearClsHead', in_channels=4096, num_classes=100),
            )
        ).double()
    ours = {'fc6': 'backbone.fc.fc6', 'fc7': 'neck.joint.0.fc', 'fc8': 'head.fc'}
    ours |= {f'conv{index + 1}': f'backbone.stages.{index}.0.conv' for index in range(5)}
    names = {name: re.sub(r'^\w+', lambda match: ours[match[0]], name) for name in golden.record['grads']}
    missing = model.load_state_dict({names[name]: x for name, x in golden.state_dict().items()}, strict=False)
    assert not missing.unexpected_keys and {name.split('.')[0] for name in missing.missing_keys} == {'position'}
    outputs = _outputs(pool5=model.backbone.fc.pool, fc6=model.backbone, logits=model.head.fc)
    model.permutations[:] = torch.arange(9)  # the recorded tiles are in the order of the puzzle
    loss = model.loss([join_tiles(golden.inputs()['patches'])], dict(index=torch.arange(2)))['loss']
    loss.backward()
    parameters = dict(model.named_parameters())
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': {'loss': loss.item()},
            'grads': {name: summary(parameters[names[name]].grad) for name in golden.record['grads']},
        }
    )


def test_the_cut_of_vissl(goldens_dir):
    golden = Golden(goldens_dir, 'jigsaw_patches')
    right, down = torch.tensor(golden.literals['jitter'])  # (3, 3) each: cell in column i, row j
    offsets = torch.stack([down.T.flatten(), right.T.flatten()])[..., None].expand(-1, -1, 3)
    tiles = cut_tiles(golden.inputs()['im'], offsets, 64).unflatten(0, (3, 3)).transpose(0, 1).flatten(0, 1)
    found = {'patches': tiles} | {f'patch{index}': tiles[index] for index in (1, 3, 8)}
    for name, recorded in golden.record['outputs'].items():
        assert difference(summary(found[name]), recorded, 1e-8) is None


def _distances(permutations: np.ndarray) -> list[int]:
    return [int((one != other).sum()) for one, other in combinations(permutations, 2)]


def test_the_published_permutations(goldens_dir):
    record = Golden(goldens_dir, 'jigsaw_permutations').record
    literals = record['literals_out']
    for number in (100, 701):
        permutations = jigsaw_permutations(number)
        assert difference(summary(permutations), record['outputs'][f'p{number}'], 1e-12) is None
        stats, distances = literals[f'stats_{number}'], _distances(permutations)
        assert len({tuple(row) for row in permutations}) == stats['unique'] == number
        assert min(distances) == stats['min_hamming'] and list(range(9)) not in permutations.tolist()
        assert_close(float(np.mean(distances)), stats['mean_hamming'], rtol=1e-9, atol=0)
    assert jigsaw_permutations(100).tolist() == literals['p100']
    assert jigsaw_permutations(701)[:20].tolist() == literals['p701_first20']


@pytest.mark.parametrize('rule', ['max_avg', 'max_min'])
def test_the_greedy_choice(goldens_dir, rule):
    recorded = Golden(goldens_dir, 'jigsaw_permutations').record['literals_out'][f'greedy_{rule}_5_12']
    assert greedy_permutations(5, 12, rule, first=0).tolist() == recorded
