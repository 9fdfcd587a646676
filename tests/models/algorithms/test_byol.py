from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.components.ema_teacher import cosine_momentum
from mmssl.models.losses.cosine_regression_loss import cosine_regression
from tests.support.small_parts import build, predict, views


def _byol():
    return build('BYOL', head=predict('CosineRegressionLoss'), teacher=dict(momentum=0.99))


def test_each_view_predicts_the_teacher_of_the_other():
    algorithm, (x1, x2) = _byol(), views()
    torch.nn.init.normal_(algorithm.teacher.neck.layers[0].weight)
    p1, p2 = (algorithm.head.predictor(algorithm.neck(algorithm.backbone(x))) for x in (x1, x2))
    t1, t2 = (algorithm.teacher(x) for x in (x1, x2))
    expected = cosine_regression(p1, t2) + cosine_regression(p2, t1)
    assert_close(algorithm.loss([x1, x2])['loss'], expected)


def test_the_teacher_averages_after_the_step_and_has_no_predictor():
    algorithm = _byol()
    algorithm.on_train_start()
    before = {name: p.clone() for name, p in algorithm.teacher.named_parameters()}
    optimizer = torch.optim.SGD([p for p in algorithm.parameters() if p.requires_grad], lr=0.5)
    algorithm.loss(views())['loss'].backward()
    optimizer.step()
    algorithm.on_step_end(0.25)
    m = cosine_momentum(0.25, 0.99)
    for name, p in algorithm.teacher.named_parameters():
        assert name.split('.')[0] in ('backbone', 'neck') and p.grad is None
        assert_close(p, m * before[name] + (1 - m) * algorithm.get_parameter(name))
    assert not torch.equal(before['neck.layers.0.weight'], algorithm.neck.layers[0].weight)
    assert set(algorithm.head.state_dict()).isdisjoint(algorithm.teacher.state_dict())


def test_norm_statistics_of_the_teacher_are_its_own():
    algorithm = _byol()
    algorithm.on_train_start()
    torch.nn.init.normal_(algorithm.backbone.conv1.weight)
    algorithm.loss(views())
    algorithm.on_step_end(0.5)
    assert not torch.equal(algorithm.teacher.backbone.bn1.running_mean, algorithm.backbone.bn1.running_mean)
    assert algorithm.teacher.backbone.bn1.num_batches_tracked == 2
