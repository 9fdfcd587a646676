from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import log_softmax, normalize
from torch.testing import assert_close

from mmssl.distributed.collectives import rank, world_size
from mmssl.models.algorithms.swav import SwAV
from mmssl.models.layers.sinkhorn import sinkhorn
from tests.support.distributed import run_distributed
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import BACKBONE, DIM, build, mlp, views

HEAD = dict(type='PrototypeHead', in_channels=DIM, num_prototypes=6)
QUEUE = dict(length=16)


def swav(**changes) -> SwAV:
    torch.manual_seed(0)
    algorithm = build('SwAV', **(dict(head=HEAD) | changes))
    algorithm.on_train_start()
    return algorithm


def multi_crop() -> list[Tensor]:
    return [*views(2), *views(2, size=6)]


def test_every_view_predicts_the_codes_of_the_two_global_ones():
    algorithm, batch = swav(), multi_crop()
    features = [algorithm.backbone(torch.cat(batch[:2])), algorithm.backbone(torch.cat(batch[2:]))]
    vectors = torch.cat([maps[-1].mean(dim=(2, 3)) for maps in features])
    scores = (normalize(algorithm.neck(vectors), dim=1) @ algorithm.head.prototypes.weight.T).unflatten(0, (4, 8))
    terms = []
    for code in range(2):
        q = sinkhorn(scores[code])
        terms += [-(q * log_softmax(scores[view] / 0.1, dim=1)).sum(dim=1).mean() for view in range(4) if view != code]
    assert_close(algorithm.loss(batch)['loss'], sum(terms) / 6)


def test_prototypes_keep_unit_length_and_train():
    algorithm = swav()
    optimizer = torch.optim.SGD(algorithm.parameters(), lr=1.0)
    before = algorithm.head.prototypes.weight.detach().clone()
    algorithm.loss(multi_crop())['loss'].backward()
    optimizer.step()
    algorithm.on_step_end(0.5)
    after = algorithm.head.prototypes.weight.detach()
    assert_close(after.norm(dim=1), torch.ones(6, dtype=torch.float64))
    assert not torch.equal(after, before)


def test_a_full_queue_takes_part_in_the_assignment_of_all_processes():
    batch, queue = views(2), normalize(torch.randn(2, 16, DIM, dtype=torch.float64), dim=2)
    (alone,) = run_distributed(_loss_of_a_share, 1, batch, queue)
    for processes in (2, 4):
        assert_close(sum(run_distributed(_loss_of_a_share, processes, batch, queue)) / processes, alone)
    without = swav().loss(batch)['loss']
    assert abs(alone - without) > 1e-3


def _loss_of_a_share(batch: list[Tensor], queue: Tensor) -> Tensor:
    algorithm = swav(queue=QUEUE).eval()
    algorithm.queue.features.copy_(queue)
    algorithm.queue.count.fill_(16)
    return algorithm.loss([view.chunk(world_size())[rank()] for view in batch])['loss'].detach()


def test_identical_images_have_uniform_codes():
    algorithm = swav().eval()
    algorithm.head.prototypes.weight.data[:] = algorithm.head.prototypes.weight.data[:1]
    image = torch.randn(1, 3, 8, 8, dtype=torch.float64).expand(8, -1, -1, -1)
    assert_close(algorithm.loss([image, image])['loss'].item(), torch.tensor(6.0, dtype=torch.float64).log().item())


def test_mistakes_are_named():
    with pytest.raises(ValueError, match='epsilon > 0 and iterations >= 1, got 0 and 3'):
        swav(epsilon=0)
    with pytest.raises(ValueError, match=r'in_channels=16 .* width 24: model.head.in_channels must be'):
        swav(neck=mlp(64, out_channels=24)).loss(views(2))


def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path):
    model = dict(
        type='SwAV',
        data_preprocessor=dict(type='SelfSupDataPreprocessor'),
        backbone=BACKBONE,
        neck=mlp(64, bias=True, last_bias=True),
        head=HEAD,
        queue=dict(length=8, start=1 / 6),
    )
    hooks = [dict(type='FreezeHook', name='head.prototypes', epochs=1)]
    optimizer = dict(optimizer=dict(type='LARS', lr=0.5, weight_decay=1e-4, ratio='larc', excluded=False))
    assert_resume_is_exact(tmp_path, model=model, custom_hooks=hooks, optim_wrapper=optimizer)
