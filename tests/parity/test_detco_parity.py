"""A step of DetCo against numbers recorded from an unofficial code; the authors' was never released."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.datasets.transforms.tile_view import cut_tiles
from mmssl.models.layers.tiles import join_tiles
from tests.parity.golden import Golden, summary

RECIPE = 'detco/detco_resnet50_8xb32-200e_in1k.py'
STAGES = ('res2', 'res3', 'res4', 'res5')


@pytest.fixture(scope='module')
def model(goldens_dir):
    golden = Golden(goldens_dir, 'detco_r18_unofficial')
    golden.derived = {}  # queues and pointers are made from their names too
    literals = golden.literals
    changes = {
        'model.backbone.depth': 18,
        'model.neck.stage_channels': (64, 128, 256, 512),
        'model.neck.out_channels': literals['dim'],
        'model.neck.wide': True,
        'model.queue': dict(length=literals['K'], dim=literals['dim']),
    }
    return golden.build(RECIPE, 'detco', changes)


@pytest.fixture
def fresh(model):
    """The model with its recorded state, which a test changes."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    yield model
    model.load_state_dict(before)
    model.zero_grad()


def mosaics(images: Tensor, offsets: list, order: list) -> Tensor:
    """Mosaics of recorded patches: row and column of each in its cell, then the order."""
    places = torch.tensor(offsets).T[..., None].expand(-1, -1, 3)
    return join_tiles(torch.stack([cut_tiles(image, places, 64)[order] for image in images]))


def check(golden: Golden, model, views: list[Tensor]) -> None:
    """Compares a step on these views with the recording."""
    literals = golden.literals
    seen: list[tuple] = []
    hook = model.head.register_forward_hook(lambda head, args, loss: seen.append((*args, loss)))
    embeddings: dict[str, Tensor] = {}
    hooks = [
        projector.register_forward_hook(lambda m, args, out, name=name: embeddings.update({name: out}))
        for name, projector in (
            ('q_global', model.neck.whole), ('q_local', model.neck.patches),
            ('k_global', model.teacher.neck.whole), ('k_local', model.teacher.neck.patches),
        )
    ]  # fmt: skip
    model.teacher.update(0.0, momentum=literals['m'], backbone=model.backbone, neck=model.neck)
    terms = model.loss(views)
    total = sum(terms.values())
    total.backward()
    for handle in (hook, *hooks):
        handle.remove()
    order, start = literals['idx_shuffle'], literals['queue_ptr_before']
    logits, losses = {}, {'total': total.item()}
    for number, (queries, keys, queue, loss) in enumerate(seen):
        kind, stage = ('g2g', 'l2l', 'l2g')[number % 3], STAGES[number // 3]
        queries, keys = (normalize(x.detach(), dim=1) for x in (queries, keys))
        similar = torch.cat([(queries * keys).sum(1, keepdim=True), queries @ queue.T], dim=1) / literals['T']
        logits[f'{kind}_{stage}'], losses[f'{kind}_{stage}'] = similar, loss.item()
    queries, keys = (
        torch.cat([embeddings[f'{name}_global'], embeddings[f'{name}_local']], dim=1).detach() for name in 'qk'
    )
    together = torch.stack([logits[f'{kind}_{stage}'] for kind in ('g2g', 'l2l', 'l2g') for stage in STAGES], dim=1)
    for queue in (*model.global_queues, *model.local_queues):
        queue.commit()
    queues = torch.stack([queue.features.T for queue in (*model.global_queues, *model.local_queues)])
    assert all(queue.pointer == literals['queue_ptr_after'] for queue in model.global_queues)
    outputs = {
        'encoder_q.out': queries,
        'encoder_k.out_shuffled_order': keys[order],
        'k(original order, normalised)': normalize(keys, dim=2),
        'logits': together,
        'logits_pos(column 0)': together[..., 0],
        'queue_after': queues,
        'queue_after_new_columns': queues[..., start : start + len(order)],
        **{f'logits.{name}': value for name, value in logits.items()},
    }
    recorded = golden.record['after_step']
    golden.record['after_step'] = {name: x for name, x in recorded.items() if not name.startswith('queue')}
    state = golden.state(model, 'detco') | {'queue': summary(queues)}
    golden.record['after_step'] = {name: x for name, x in recorded.items() if name != 'queue_ptr'}
    golden.check(
        {
            'outputs': {name: summary(x) for name, x in outputs.items() if name in golden.record['outputs']},
            'losses': losses,
            'grads': golden.gradients(model, 'detco'),
            'after_step': state,
        }
    )


def test_separate_views(goldens_dir, fresh):
    golden = Golden(goldens_dir, 'detco_r18_views_restated')
    inputs = golden.inputs()
    check(golden, fresh, [inputs['global_q'], inputs['global_k'], *(join_tiles(inputs[f'local_{x}']) for x in 'qk')])


def test_patches_of_the_same_crop(goldens_dir, fresh):
    golden = Golden(goldens_dir, 'detco_r18_unofficial')
    images, literals = golden.inputs(), golden.literals
    patches = [mosaics(images[f'im_{x}'], literals['crop_offsets'][x], literals['patch_order'][x]) for x in 'qk']
    check(golden, fresh, [images['im_q'], images['im_k'], *patches])
