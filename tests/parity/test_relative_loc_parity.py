"""Relative location against numbers recorded from OpenSelfSup's code and from a restatement of the authors'."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from mmssl.config.load import load_config
from mmssl.models.algorithms.relative_location import RelativeLocation
from mmssl.models.layers.tiles import join_tiles, neighbour_pairs
from mmssl.registry import ALGORITHMS
from tests.parity.golden import CONFIGS, Golden, summary
from tests.support.undrawn import Undrawn

RECIPE = 'relativeloc/relativeloc_resnet50_8xb64-70e_in1k.py'


def test_a_step_of_openselfsup(goldens_dir):
    golden = Golden(goldens_dir, 'relative_loc_r50')
    cfg = load_config(CONFIGS / RECIPE)
    cfg.model.neck.joint[0].dropout = 0.0
    with Undrawn():
        model = ALGORITHMS.build(cfg.model)
    golden.load(model, 'relative_loc')
    seen: dict[str, list[Tensor]] = dict(neck_inputs=[], neck=[], logits=[])
    model.neck.register_forward_pre_hook(lambda module, args: seen['neck_inputs'].append(args))
    model.neck.register_forward_hook(lambda module, args, out: seen['neck'].append(out))
    model.head.fc.register_forward_hook(lambda module, args, out: seen['logits'].append(out))
    views = [join_tiles(golden.inputs()['patches'])]
    loss = model.loss(views)['loss']
    loss.backward()
    state = golden.state(model, 'relative_loc')
    with torch.no_grad():
        model.eval().loss(views)
    neighbours, centres = seen['neck_inputs'][0]
    outputs = {
        'backbone.neighbours': neighbours,
        'backbone.centres': centres,
        'neck': seen['neck'][0],
        'logits': seen['logits'][0],
        'logits_eval': seen['logits'][1],
    }
    gradients = golden.gradients(model, 'relative_loc')
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': {'loss': loss.item()},
            'grads': gradients,
            'after_step': state,
        }
    )


# Names of the authors' network -> ours.
_DOERSCH = {
    r'conv(\d)': lambda match: f'backbone.stages.{int(match[1]) - 1}.0.conv',
    'fc6': 'backbone.fc.fc6',
    'fc7': 'neck.joint.0.fc',
    'fc8': 'neck.joint.1.fc',
    'fc9': 'head.fc',
}


def _ours(name: str) -> str:
    for theirs, ours in _DOERSCH.items():
        name = re.sub(
            rf'^{theirs}\.', lambda match, ours=ours: (ours if isinstance(ours, str) else ours(match)) + '.', name
        )
    return name


def test_a_step_of_the_authors_network(goldens_dir):
    golden = Golden(goldens_dir, 'relative_loc_doersch_restated')
    pairs, labels = neighbour_pairs()
    assert dict(zip(pairs, labels)) == dict(zip(map(tuple, golden.literals['pairs']), golden.literals['labels']))
    with Undrawn():
        model = ALGORITHMS.build(
            dict(
                type='RelativeLocation',
                pairs='all',
                backbone=dict(type='CaffeNet', norm=True, fc=dict(width=4096)),
                neck=dict(
                    type='TileNeck',
                    in_channels=4096,
                    num_tiles=2,
                    joint=[dict(channels=4096, norm='plain'), dict(channels=4096)],
                ),
                head=dict(type='LinearClsHead', in_channels=4096, num_classes=8),
            )
        ).double()
    assert isinstance(model, RelativeLocation)
    missing = model.load_state_dict({_ours(name): tensor for name, tensor in golden.state_dict().items()}, strict=False)
    assert not missing.unexpected_keys and all('.bn' in name for name in missing.missing_keys)
    seen: dict[str, Tensor] = {}
    model.backbone.fc.pool.register_forward_hook(lambda module, args, out: seen.update(pool5=out))
    model.backbone.register_forward_hook(lambda module, args, out: seen.update(fc6=out))
    model.head.fc.register_forward_hook(lambda module, args, out: seen.update(logits=out))
    loss = model.loss([join_tiles(golden.inputs()['patches'][None])])['loss']
    (len(pairs) * loss).backward()  # the authors' loss is the sum
    order = [pairs.index(tuple(pair)) for pair in golden.literals['pairs']]  # theirs has both orders of a pair together
    outputs = dict(pool5=seen['pool5'], fc6=seen['fc6'], logits=seen['logits'][order])
    parameters = dict(model.named_parameters())
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': {'sum': len(pairs) * loss.item(), 'mean': loss.item()},
            'grads': {name: summary(parameters[_ours(name)].grad) for name in golden.record['grads']},
        }
    )
