"""The recorded cases run with mmssl: each function returns the results in the sections of the recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.functional import normalize

from mmssl.distributed.collectives import rank, world_size
from tests.parity.golden import Golden, Trace, summary

Results = dict[str, dict[str, Any]]


def run_moco(golden: Golden, recipe: str, overrides: dict[str, Any] | None = None) -> Results:
    """One step of this process: its share of the images, the recorded shuffle, the mean gradient of all processes."""
    literals, order = golden.literals, golden.literals['idx_shuffle']
    size = {'model.queue.length': literals['K'], 'model.queue.dim': literals['dim']}
    model = golden.build(recipe, 'moco', size | (overrides or {}))
    model.shuffle.permutation = lambda count, device: torch.tensor(order, device=device)
    trace = Trace(
        feature=model.backbone,
        out=model.neck,
        key_feature=model.teacher.backbone,
        key_out=model.teacher.neck,
    )
    model.head.register_forward_hook(lambda head, args, loss: trace.outputs.update(loss_inputs=args))
    model.teacher.update(0.0, momentum=literals['m'], backbone=model.backbone, neck=model.neck)
    images = [golden.inputs()[name].chunk(world_size())[rank()] for name in ('im_q', 'im_k')]
    loss = model.loss(images)['loss']
    loss.backward()
    for parameter in model.parameters():
        if parameter.grad is not None and world_size() > 1:
            dist.all_reduce(parameter.grad)
            parameter.grad /= world_size()

    queries, keys, negatives = trace['loss_inputs']
    queries, keys = normalize(queries.detach(), dim=1), normalize(keys, dim=1)
    similarities = torch.cat([(queries * keys).sum(dim=1, keepdim=True), queries @ negatives.T], dim=1)
    logits = similarities / model.head.temperature
    model.queue.commit()
    assert model.queue.pointer == literals['queue_ptr_after']
    queue = model.queue.features.T
    start = literals['queue_ptr_before']
    new = queue[:, start : start + len(order)]
    # One process has one group of keys, which is left in its order: shuffling it would change nothing.
    shuffled = slice(None) if world_size() > 1 else order
    outputs = {
        'encoder_q.feature': trace['feature'][0],
        'encoder_q.out': trace['out'][0],
        'encoder_k.feature_shuffled_order': trace['key_feature'][0][shuffled],
        'encoder_k.out_shuffled_order': trace['key_out'][0][shuffled],
        'logits': logits,
        'logits_pos(column 0)': logits[:, 0],
        'logits_row0_first8neg': logits[0, 1:9],
        'k(original order, normalised)': keys,
        'queue_after': queue,
        'queue_after_new_columns': new,
        'queue_after_row0_new_columns': new[0],
        'queue_after_row5': queue[5],
    }
    return {
        'outputs': {name: summary(value) for name, value in outputs.items()},
        'losses': {'total': loss.item()},
        'grads': golden.gradients(model, 'moco'),
        'after_step': golden.state(model, 'moco'),
    }


def run_moco_rank(directory: Path, case: str, recipe: str, overrides: dict[str, Any]) -> Results:
    """What one of several processes makes of a recording for them all: tensors of its own are named after its rank."""
    golden = Golden(directory, case)
    own = f'rank{rank()}.'
    recorded = golden.record['after_step']
    # Within a process its own tensors go by their official names, without the rank.
    golden.record['after_step'] = {name.removeprefix(own) for name in recorded if _is_of(name, own)}
    results = run_moco(golden, recipe, overrides)
    shared = {name: value for name, value in results['outputs'].items() if name.startswith('queue_after')}
    for theirs, ours in {
        'encoder_k.out_shuffled': 'encoder_k.out_shuffled_order',
        'logits': 'logits',
        'logits_pos': 'logits_pos(column 0)',
    }.items():
        shared[own + theirs] = results['outputs'][ours]
    results['outputs'] = {name: value for name, value in shared.items() if name in golden.record['outputs']}
    results['losses'] = {f'rank{rank()}': results['losses']['total']}
    state = results['after_step']
    results['after_step'] = {own + name if own + name in recorded else name: value for name, value in state.items()}
    return results


def run_simsiam(golden: Golden, recipe: str) -> Results:
    """Two views through the encoder and the predictor."""
    model = golden.build(recipe, 'simsiam')
    trace = Trace(feature=model.backbone, z=model.neck, p=model.head.predictor)
    views = golden.inputs()
    loss = model.loss(list(views.values()))['loss']
    loss.backward()
    outputs = {f'encoder.feature({view})': value for view, value in zip(views, trace['feature'], strict=True)}
    for index in range(2):
        outputs |= {f'{name}{index + 1}': trace[name][index] for name in ('z', 'p')}
    return {
        'outputs': {name: summary(value) for name, value in outputs.items()},
        'losses': {'total': loss.item()},
        'grads': golden.gradients(model, 'simsiam'),
        'after_step': golden.state(model, 'simsiam'),
    }


def _is_of(name: str, own: str) -> bool:
    return name.startswith(own) or not name.startswith('rank')
