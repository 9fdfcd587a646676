"""NPID and PIRL against numbers recorded from OpenSelfSup's and VISSL's code."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from mmssl.models.losses.memory_contrast_loss import memory_similarities
from mmssl.registry import ALGORITHMS
from tests.parity.golden import Golden, difference, summary


def test_a_step_of_npid(goldens_dir):
    golden = Golden(goldens_dir, 'npid_r18')
    literals, inputs = golden.literals, golden.inputs()
    model = ALGORITHMS.build(
        dict(
            type='NPID',
            backbone=dict(type='ResNet', depth=18),
            neck=dict(
                type='MLPProjector',
                in_channels=512,
                hidden_channels=None,
                out_channels=128,
                num_layers=1,
                last_bias=True,
            ),
            head=dict(type='MemoryContrastLoss', temperature=literals['T']),
            bank=dict(length=40, dim=128, momentum=literals['momentum']),
        )
    )
    kept = ('bank.features', 'position.count', 'position.fraction')
    golden.load(model, 'npid', kept=kept)
    model.bank.features = normalize(inputs['feature_bank'], dim=1)
    index, negatives = torch.tensor(literals['idx']), torch.tensor(literals['negatives'])
    model.bank.draw = lambda *args: negatives
    seen: list[torch.Tensor] = []
    model.neck.register_forward_hook(lambda module, args, out: seen.append(out))
    loss = model.loss([inputs['img']], dict(index=index))['loss']
    loss.backward()
    similarities = memory_similarities(seen[0], model.bank.features, index, negatives)
    model.on_step_end(0.5)
    outputs = dict(feature=seen[0], pos=similarities[:, :1], neg=similarities[:, 1:])
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': {'loss': loss.item()},
            'grads': golden.gradients(model, 'npid'),
            'after_step': {'feature_bank': summary(model.bank.features)},
        }
    )


def _pirl(golden: Golden, kind: str):
    """PIRL with the recorded memory and draws."""
    model = ALGORITHMS.build(
        dict(
            type='PIRL',
            backbone=dict(type='ResNet', depth=18, width=0.125),
            neck=dict(type='Identity'),
            tile_neck=dict(type='TileNeck', in_channels=64, num_tiles=9),
            head=dict(type='MemoryContrastLoss', temperature=golden.literals['T'], kind=kind),
            bank=dict(length=40, dim=16),
        )
    ).double()
    model.bank.features = normalize(golden.inputs()['memory'], dim=1)
    draws = iter(golden.literals['draws'])
    model.bank.draw = lambda *args: torch.tensor(next(draws))[:, 1:]  # the first column is the own row
    return model


@pytest.mark.parametrize('kind', ['nce', 'info_nce'])
def test_the_loss_of_pirl(goldens_dir, kind):
    golden = Golden(goldens_dir, 'pirl_nce')
    model, record = _pirl(golden, kind), golden.record
    inputs = golden.inputs()
    embeddings = {name: (4 * inputs[name]).requires_grad_() for name in ('patches', 'image')}
    index = torch.tensor(golden.literals['y'])
    loss = sum(model.contrast(embeddings['patches'], embeddings['image'], index).values())
    loss.backward()
    name = 'cross_entropy' if kind == 'info_nce' else 'nce'
    assert loss.item() == pytest.approx(record['losses'][name], rel=1e-10)
    for term, value in embeddings.items():
        recorded = record['grads'][term if kind == 'nce' else f'cross_entropy.{term}']
        assert difference(summary(value.grad), recorded, 1e-7) is None
    model.on_step_end(0.5)
    assert difference(summary(model.bank.features), record['after_step']['memory'], 1e-7) is None
    assert model.partition.item() == pytest.approx(record['literals_out']['Z'], rel=1e-10)
