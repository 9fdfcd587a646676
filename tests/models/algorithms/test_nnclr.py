from __future__ import annotations

import math
from pathlib import Path

import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.models.losses.neighbour_contrast_loss import neighbour_contrast
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import BACKBONE, DIM, build, mlp, predict, views

MODEL = dict(head=predict('NeighbourContrastLoss'), queue=dict(length=16, dim=DIM))


def test_each_view_predicts_the_neighbour_of_the_other_before_the_queue_moves():
    algorithm, (x1, x2) = build('NNCLR', **MODEL), views()
    z1, z2 = (algorithm.neck(algorithm.backbone(x)) for x in (x1, x2))
    queue = algorithm.queue.features.clone()
    near1, near2 = (torch.stack([queue[(queue @ row).argmax()] for row in normalize(z, dim=1)]) for z in (z1, z2))
    p1, p2 = (algorithm.head.predictor(z) for z in (z1, z2))
    expected = (neighbour_contrast(p2, near1, 0.1) + neighbour_contrast(p1, near2, 0.1)) / 2
    assert_close(algorithm.loss([x1, x2])['loss'], expected)
    assert torch.equal(algorithm.queue.features, queue)
    algorithm.on_step_end(0.1)
    assert_close(algorithm.queue.features[:8], normalize(z1.detach(), dim=1))


def test_the_loss_of_equal_predictions():
    assert_close(neighbour_contrast(torch.ones(6, 4), torch.randn(6, 4), 0.1).item(), math.log(6))


def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path):
    model = dict(
        type='NNCLR',
        data_preprocessor=dict(type='SelfSupDataPreprocessor'),
        backbone=BACKBONE,
        neck=mlp(64),
        **MODEL,
    )
    loader = dict(
        dataset=dict(type='NoiseImages', num_images=26, views=[dict(type='AugmentedView', size=16)] * 2),
        sampler=dict(type='EpochSampler'),
        collate_fn=dict(type='collate_views'),
        batch_size=4,
        drop_last=True,
        num_workers=0,
    )
    assert_resume_is_exact(tmp_path, model=model, train_dataloader=loader)
