from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.losses.nt_xent_loss import nt_xent
from tests.support.small_parts import build, views


def test_both_views_are_one_batch():
    algorithm, (x1, x2) = build('SimCLR', head=dict(type='NTXentLoss', temperature=0.5)), views()
    z = algorithm.neck(algorithm.backbone(torch.cat((x1, x2))))
    assert_close(algorithm.loss([x1, x2])['loss'], nt_xent(z[:8], z[8:], 0.5))
    assert algorithm.backbone.bn1.num_batches_tracked == 2  # one of this test, one of the loss


def test_evaluation_uses_the_backbone_alone():
    algorithm, (images,) = build('SimCLR', head=dict(type='NTXentLoss')).eval(), views(count=1)
    features = algorithm(images, mode='predict')
    assert_close(features, algorithm.backbone(images)[-1].mean(dim=(2, 3)))
    assert features.shape == (8, 64)
