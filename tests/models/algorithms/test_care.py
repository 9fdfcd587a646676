from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.algorithms.care import CARE
from mmssl.models.components.ema_teacher import cosine_momentum
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import BACKBONE, build, mlp, views

MODEL = dict(
    backbone=dict(BACKBONE, out_indices=(2, 3)),
    neck=dict(
        type='TwoStreamProjector',
        in_channels=64,
        hidden_channels=24,
        out_channels=16,
        attention=dict(
            type='BottleneckAttention', in_channels=32, hidden_channels=16, out_channels=48, num_blocks=2, size=4
        ),
    ),
    head=dict(type='TwoStreamPredictHead', predictor=mlp(), loss=dict(type='CARELoss')),
    teacher=dict(momentum=0.99),
)


def _care(**options) -> CARE:
    return build('CARE', **(MODEL | options))


def _receives_gradient(algorithm: CARE, term: str) -> set[str]:
    """The parts that get a gradient from one term."""
    algorithm.zero_grad()
    algorithm.loss(views(size=16))[term].backward()
    names = (name for name, p in algorithm.named_parameters() if p.grad is not None and p.grad.abs().max() > 0)
    return {'.'.join(name.split('.')[:2]) for name in names}


def test_each_view_predicts_the_teacher_of_the_other():
    algorithm, (x1, x2) = _care(), views(size=16)
    for projector in (algorithm.teacher.neck.c_projector, algorithm.teacher.neck.t_projector):
        torch.nn.init.normal_(projector.layers[0].weight)
    student = [algorithm.neck(algorithm.backbone(x)) for x in (x1, x2)]
    teacher = [algorithm.teacher(x) for x in (x2, x1)]
    directions = [algorithm.head(*pair) for pair in zip(student, teacher)]
    terms = algorithm.loss([x1, x2])
    assert list(terms) == ['loss_c', 'loss_t', 'loss_attention']
    for name, value in terms.items():
        assert_close(value, directions[0][name] + directions[1][name])


def test_which_part_learns_from_which_term():
    algorithm = _care()
    stem = {'backbone.conv1', 'backbone.bn1', 'backbone.layer1', 'backbone.layer2', 'backbone.layer3'}
    c_stream = {'backbone.layer4', 'neck.c_projector', 'head.c_predictor'}
    assert _receives_gradient(algorithm, 'loss_c') == stem | c_stream
    assert _receives_gradient(algorithm, 'loss_attention') == stem | c_stream
    assert _receives_gradient(algorithm, 'loss_t') == stem | {'neck.attention', 'neck.t_projector', 'head.t_predictor'}


def test_the_teacher_averages_both_streams_and_has_no_predictor():
    algorithm = _care()
    algorithm.on_train_start()
    before = {name: p.clone() for name, p in algorithm.teacher.named_parameters()}
    for name, p in before.items():
        assert torch.equal(p, algorithm.get_parameter(name))
    optimizer = torch.optim.SGD([p for p in algorithm.parameters() if p.requires_grad], lr=0.5)
    sum(algorithm.loss(views(size=16)).values()).backward()
    optimizer.step()
    algorithm.on_step_end(0.25)
    m = cosine_momentum(0.25, 0.99)
    for name, p in algorithm.teacher.named_parameters():
        assert name.split('.')[0] in ('backbone', 'neck') and p.grad is None and not p.requires_grad
        assert_close(p, m * before[name] + (1 - m) * algorithm.get_parameter(name))
    moved = 'neck.attention.blocks.0.attention.height'
    assert not torch.equal(before[moved], algorithm.teacher.get_parameter(moved))


def test_the_c_stream_alone_is_evaluated():
    algorithm = _care().eval()
    x = views(size=16)[0]
    assert_close(algorithm.extract_feat(x), algorithm.backbone(x)[-1].mean(dim=(2, 3)))


def test_views_of_another_size():
    for size in (12, 24):  # third-stage maps of 3 and 6, tables of 4
        terms = _care().loss(views(size=size))
        assert all(value.isfinite() for value in terms.values())


def test_attention_on_the_output_of_the_encoder():
    neck = dict(MODEL['neck'], attention=dict(MODEL['neck']['attention'], in_channels=64))
    algorithm = _care(backbone=BACKBONE, neck=neck)
    assert 'backbone.layer4' in _receives_gradient(algorithm, 'loss_t')


def test_resume_is_exact(tmp_path):
    model = dict(MODEL, type='CARE', data_preprocessor=dict(type='SelfSupDataPreprocessor'))
    assert_resume_is_exact(tmp_path, model=model)
