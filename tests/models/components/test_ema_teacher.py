from __future__ import annotations

import pytest
import torch
from timm.layers import DropPath
from torch import nn
from torch.testing import assert_close

from mmssl.models.components.ema_teacher import EMATeacher, cosine_momentum


def _parts() -> dict[str, nn.Module]:
    backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten())
    return dict(backbone=backbone.double(), neck=nn.Linear(16, 2).double())


@pytest.mark.parametrize(
    ('start', 'progress', 'value'),
    [(0.99, 0, 0.99), (0.99, 0.25, 0.9914644661), (0.99, 0.5, 0.995), (0.99, 0.75, 0.9985355339), (0.99, 1, 1.0),
     (0.996, 0, 0.996), (0.996, 0.25, 0.9965857864), (0.996, 0.5, 0.998), (0.996, 1, 1.0)],
)  # fmt: skip
def test_cosine_momentum(start, progress, value):
    assert_close(cosine_momentum(progress, start), value, rtol=0, atol=1e-10)


def test_cosine_momentum_ends_where_it_is_told():
    assert_close(cosine_momentum(1.0, 0.9, end=0.95), 0.95)


def _scalar_teacher(**kwargs) -> tuple[EMATeacher, nn.Module]:
    student = nn.Linear(1, 1, bias=False).double()
    nn.init.zeros_(student.weight)
    teacher = EMATeacher(part=student, **kwargs)
    nn.init.ones_(student.weight)
    return teacher, student


def test_ten_updates_of_the_constant_schedule():
    teacher, student = _scalar_teacher(momentum=0.999, schedule='constant')
    for step in range(10):
        teacher.update((step + 1) / 10, part=student)
    assert_close(teacher.part.weight.item(), 0.0099551198, rtol=0, atol=1e-10)


def test_ten_updates_of_the_cosine_schedule():
    teacher, student = _scalar_teacher(momentum=0.99)
    for step in range(10):
        teacher.update(step / 10, part=student)
    assert_close(teacher.part.weight.item(), 0.0537171099, rtol=0, atol=1e-10)


def test_an_update_of_the_linear_schedule():
    teacher, student = _scalar_teacher(momentum=0.9, end_momentum=1.0, schedule='linear')
    teacher.update(0.2, part=student)  # 0.92; a cosine would be at 0.9095
    assert_close(teacher.part.weight.item(), 0.08, rtol=0, atol=1e-12)


def test_the_warm_up_of_the_truncated_schedule():
    teacher, student = _scalar_teacher(momentum=0.9, schedule='truncated', warmup=0.5, cosine_part=0.5)
    start = teacher.part.weight.item()
    teacher.update(0.25, part=student)  # half of the warm-up: 0.95
    after = 0.95 * start + 0.05 * student.weight.item()
    assert_close(teacher.part.weight.item(), after, rtol=0, atol=1e-12)
    teacher.update(1.0, part=student)  # half of the cosine: again 0.95
    assert_close(teacher.part.weight.item(), 0.95 * after + 0.05 * student.weight.item(), rtol=0, atol=1e-12)
    assert EMATeacher(schedule='truncated').truncation == dict(warmup=0.1, part=0.8)  # CAPI


@pytest.mark.parametrize('momentum', [0.0, 0.3, 0.7, 0.99, 1.0])
def test_one_update_of_all_parameters_and_no_buffer(momentum):
    parts = _parts()
    teacher = EMATeacher(**parts)
    for p in [*parts['backbone'].parameters(), *parts['neck'].parameters()]:
        nn.init.normal_(p)
    before = {name: x.clone() for name, x in teacher.state_dict().items()}
    students = {f'{key}.{name}': x for key, part in parts.items() for name, x in part.state_dict().items()}
    parts['backbone'][1].running_mean.fill_(5.0)
    teacher.update(0.5, momentum=momentum, **parts)
    parameters = dict(teacher.named_parameters())
    for name, x in teacher.state_dict().items():
        expected = before[name]
        if name in parameters:
            expected = momentum * expected + (1 - momentum) * students[name]
        assert_close(x, expected, rtol=1e-14, atol=1e-15)


def test_buffers_follow_the_student_and_no_path_is_dropped_where_that_is_asked_for():
    parts = _parts()
    parts['neck'] = nn.Sequential(parts['neck'], DropPath(0.3))
    own, copying = EMATeacher(**parts), EMATeacher(drop_path=False, copy_buffers=True, **parts)
    assert (own.neck[1].drop_prob, copying.neck[1].drop_prob, parts['neck'][1].drop_prob) == (0.3, 0.0, 0.3)
    parts['backbone'][1].running_mean.fill_(5.0)
    for teacher in (own, copying):
        teacher.update(0.5, momentum=0.5, **parts)
    assert not own.backbone[1].running_mean.any()
    assert_close(copying.backbone[1].running_mean, parts['backbone'][1].running_mean)
    assert_close(copying.neck[0].weight, own.neck[0].weight)


def test_the_order_of_names_does_not_matter():
    parts = _parts()
    teacher = EMATeacher(**parts)
    nn.init.ones_(parts['neck'].weight)
    teacher.update(0.5, momentum=0.0, neck=parts['neck'], backbone=parts['backbone'])
    assert_close(teacher.neck.weight, parts['neck'].weight)


def test_forward_applies_the_parts_without_gradient_and_with_statistics_of_its_own():
    parts = _parts()
    teacher = EMATeacher(**parts)
    images = torch.randn(6, 3, 2, 2, dtype=torch.float64)
    output = teacher(images)
    assert not output.requires_grad
    assert_close(output, parts['neck'](parts['backbone'](images)).detach())
    assert not any(p.requires_grad for p in teacher.parameters())
    teacher(images + 1)
    assert not torch.equal(teacher.backbone[1].running_mean, parts['backbone'][1].running_mean)


def test_copy_from_copies_parameters_and_buffers_into_tensors_of_its_own():
    parts = _parts()
    teacher = EMATeacher(**parts)
    nn.init.ones_(parts['neck'].weight)
    parts['backbone'][1].running_mean.fill_(2.0)
    teacher.copy_from(**parts)
    nn.init.zeros_(parts['neck'].weight)
    assert (teacher.neck.weight == 1).all() and (teacher.backbone[1].running_mean == 2).all()
    assert not any(p.requires_grad for p in teacher.parameters())


def test_wrong_arguments():
    with pytest.raises(ValueError, match="'step'"):
        EMATeacher(schedule='step')
    with pytest.raises(ValueError, match='old value'):
        EMATeacher(momentum=1.5)
    with pytest.raises(ValueError, match='warmup must lie in'):
        EMATeacher(warmup=1.0)
    with pytest.raises(TypeError, match="no argument 'momentun'"):
        EMATeacher(momentun=0.9, **_parts())
