"""A step of DenseCL against numbers recorded from the official implementation."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from mmssl.models.layers.correspondence import match_positions
from tests.parity.golden import Golden, summary


@pytest.fixture(scope='module')
def step(goldens_dir):
    golden = Golden(goldens_dir, 'densecl_r50')
    literals = golden.literals
    changes = {'model.queue.length': literals['K'], 'model.dense_weight': literals['loss_lambda']}
    model = golden.build('densecl/densecl_resnet50_8xb32-200e_in1k.py', 'densecl', changes)
    seen = {'necks': []}
    for neck in (model.neck, model.teacher.neck):
        neck.register_forward_hook(lambda module, args, output: seen['necks'].append(output))
    seen['losses'] = []
    model.head.register_forward_hook(lambda module, args, loss: seen['losses'].append(args))
    model.teacher.update(0.0, momentum=literals['m'], backbone=model.backbone, neck=model.neck)
    losses = model.loss([golden.inputs()[name] for name in ('im_q', 'im_k')])
    sum(losses.values()).backward()
    model.queue.commit()
    model.dense_queue.commit()
    return golden, model, seen, losses


def test_every_recorded_number(step):
    golden, model, seen, losses = step
    query, key = seen['necks']
    order = golden.literals['idx_shuffle']
    outputs = {'encoder_q.backbone': query.features}
    for name, embedding, rows in (('q', query, slice(None)), ('k', key, order)):
        suffix = '' if name == 'q' else '_shuffled_order'
        outputs |= {
            f'encoder_{name}.global{suffix}': embedding.vector[rows],
            f'encoder_{name}.dense{suffix}': embedding.dense.flatten(2)[rows],
            f'encoder_{name}.dense_pooled{suffix}': embedding.dense.mean(dim=(2, 3))[rows],
        }
    for prefix, (queries, keys, _) in zip(('', 'dense_'), seen['losses']):
        queries, keys = normalize(queries, dim=1), normalize(keys, dim=1)
        outputs[f'{prefix}pos'] = (queries * keys).sum(dim=1, keepdim=True)
        outputs[f'{prefix}neg'] = queries @ golden.tensor('queue2' if prefix else 'queue')  # before the step
    for name, queue in (('queue', model.queue), ('queue2', model.dense_queue)):
        start = golden.literals[f'{name}_ptr_before']
        outputs[f'{name}_after_new_columns'] = queue.features.T[:, start : start + len(order)]
    total = sum(losses.values()).item()
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': {
                'total': total,
                'single': losses['loss_global'].item(),
                'dense': losses['loss_dense'].item(),
            },
            'grads': golden.gradients(model, 'densecl'),
            'after_step': golden.state(model, 'densecl'),
        }
    )
    assert model.queue.pointer == golden.literals['queue_ptr_after']
    assert model.dense_queue.pointer == golden.literals['queue2_ptr_after']


def test_features_of_the_backbone_decide_which_positions_belong_together(step):
    golden, _, seen, _ = step
    query, key = seen['necks']
    recorded = golden.record['literals_out']
    assert match_positions(query.features, key.features).tolist() == recorded['correspondence']
    wrong = torch.tensor(recorded['NEGATIVE_correspondence_by_dense_features'])
    assert torch.equal(match_positions(query.dense, key.dense), wrong)
    assert not torch.equal(wrong, torch.tensor(recorded['correspondence']))
