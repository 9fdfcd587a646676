"""SwAV against numbers recorded from its official implementation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import log_softmax, normalize

from mmssl.distributed.collectives import rank, world_size
from mmssl.models.layers.sinkhorn import sinkhorn
from tests.parity.golden import Golden, Trace, summary
from tests.support.distributed import run_distributed

RECIPE = 'swav/swav_resnet50_64xb64-800e_in1k.py'


@pytest.mark.parametrize('case', ['swav_r50', 'swav_r50_queue'])
def test_a_step_with_views_of_two_sizes(goldens_dir, case):
    golden = Golden(goldens_dir, case)
    inputs, queue = golden.inputs(), None
    overrides, kept = {}, ()
    if 'queue' in inputs:
        queue = normalize(inputs.pop('queue'), dim=2)
        overrides['model.queue'] = dict(length=queue.shape[1])
        kept = ('queue.features', 'queue.count')
    model = golden.build(RECIPE, 'swav', overrides, kept)
    model.on_train_start()  # empties the queue
    if queue is not None:
        model.queue.features.copy_(queue)
        model.queue.count.fill_(queue.shape[1])  # the last slot is taken
    prototypes = model.head.prototypes.weight.detach().clone()
    trace = Trace(features=model.backbone, projected=model.neck)
    seen: dict[str, Tensor] = {}
    codes = model.codes

    def keep_codes(embeddings: Tensor, scores: Tensor) -> Tensor:
        seen.update(codes=codes(embeddings, scores), global_scores=scores)
        return seen['codes']

    model.codes = keep_codes
    model.head.register_forward_hook(lambda head, args, loss: seen.update(scores=args[0].detach()))
    loss = model.loss(list(inputs.values()))['loss']
    loss.backward()
    assert len(trace['features']) == 2  # forwards of the backbone, of 2 x 96 and 2 x 64 pixels

    scores, codes_of = seen['scores'], seen['codes']
    outputs = {
        'backbone_feat': torch.cat(trace['features']),
        'projection_before_l2': trace['projected'][0],
        'embedding': normalize(trace['projected'][0], dim=1),
        'scores': scores.flatten(0, 1),
        'code_crop0': codes_of[0],
        'code_crop1': codes_of[1],
        'prototypes.weight_normalised': prototypes,
    }
    if queue is not None:
        outputs['sinkhorn_input_code0'] = torch.cat([queue[0] @ prototypes.T, seen['global_scores'][0]])
    losses = {'loss': loss.item()}
    for code in range(2):
        for view in {0, 1, 2, 3} - {code}:
            term = -(codes_of[code] * log_softmax(scores[view] / 0.1, dim=1)).sum(dim=1).mean()
            losses[f'term_code{code}_from_crop{view}'] = term.item()
    if queue is not None:
        model.queue.commit(progress=1.0)
    after = {name: value for name, value in golden.record['after_step'].items() if name != 'queue'}
    golden.record['after_step'], queued = after, golden.record['after_step'].get('queue')
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': losses,
            'grads': golden.gradients(model, 'swav'),
            'after_step': golden.state(model, 'swav'),
        }
    )
    if queued is not None:
        golden.record['after_step'] = {'queue': queued}
        golden.check({'after_step': {'queue': summary(model.queue.features)}}, ['after_step'])


def test_codes_of_one_and_of_two_processes(goldens_dir):
    golden = Golden(goldens_dir, 'swav_sinkhorn')
    (scores,) = golden.inputs().values()
    codes = sinkhorn(scores)
    joined = torch.cat(run_distributed(_codes_of_a_share, 2, scores))
    recorded = golden.record['outputs']
    independent = recorded.pop('NEGATIVE_per_rank_independent')
    found = dict(
        codes=codes,
        codes_2rank_concat=joined,
        codes_10iter=sinkhorn(scores, iterations=10),
        codes_eps003=sinkhorn(scores, epsilon=0.03),
        prototype_mass=codes.sum(dim=0),
        sample_mass=codes.sum(dim=1),
    )
    golden.check({'outputs': {name: summary(value) for name, value in found.items()}}, ['outputs'])
    for name, matrix in golden.record['literals_out'].items():
        if name in found:
            torch.testing.assert_close(found[name], torch.tensor(matrix, dtype=torch.float64), rtol=0, atol=1e-10)
    # What each process would get alone is something else, which toolboxes have shipped.
    alone = torch.cat([sinkhorn(share) for share in scores.chunk(2)])
    assert summary(alone)['probe'] == pytest.approx(independent['probe'], rel=1e-8)
    assert (alone - joined).abs().max() > 0.1


def _codes_of_a_share(scores: Tensor) -> Tensor:
    return sinkhorn(scores.chunk(world_size())[rank()])
