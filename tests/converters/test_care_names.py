from __future__ import annotations

import pytest
import torch

from mmssl.converters.convert import convert, rename

BLOCK = 'neck.attention.blocks'


@pytest.mark.parametrize(
    ('official', 'ours'),
    [
        ('module.student_encoder.layer4.2.bn3.weight', 'backbone.layer4.2.bn3.weight'),
        ('module.teacher_encoder.conv1.weight', 'teacher.backbone.conv1.weight'),
        ('student_encoder.fc1.3.bias', 'neck.c_projector.layers.3.bias'),
        ('student_encoder.fc2.0.weight', 'neck.t_projector.layers.0.weight'),
        ('teacher_encoder.fc2.1.running_mean', 'teacher.neck.t_projector.layers.1.running_mean'),
        ('student_encoder.fc1.4.weight', 'head.c_predictor.layers.0.weight'),
        ('student_encoder.fc1.5.running_var', 'head.c_predictor.layers.1.running_var'),
        ('student_encoder.fc2.7.bias', 'head.t_predictor.layers.3.bias'),
        ('student_encoder.trans.net.0.shortcut.1.weight', f'{BLOCK}.0.shortcut.1.weight'),
        ('student_encoder.trans.net.4.net.0.weight', f'{BLOCK}.4.conv_in.weight'),
        ('student_encoder.trans.net.4.net.3.to_qkv.weight', f'{BLOCK}.4.attention.qkv.weight'),
        ('teacher_encoder.trans.net.0.net.3.pos_emb.width', f'teacher.{BLOCK}.0.attention.width'),
        ('student_encoder.bot.net.1.net.8.running_var', f'{BLOCK}.1.norm_out.running_var'),
    ],
)
def test_names(official, ours):
    assert rename(official, 'care') == ours


def test_a_teacher_has_no_predictor_and_a_block_no_other_layer():
    for name in ('teacher_encoder.fc1.4.weight', 'student_encoder.trans.net.0.net.2.weight'):
        with pytest.raises(KeyError):
            rename(name, 'care')


def test_the_students_residual_network_alone_is_kept_downstream():
    names = ('student_encoder.conv1.weight', 'student_encoder.fc1.0.bias', 'teacher_encoder.conv1.weight')
    checkpoint = dict(start_epoch=100, model={f'module.{name}': torch.full((1,), i) for i, name in enumerate(names)})
    assert convert(checkpoint, 'care', part='backbone') == {'conv1.weight': torch.tensor([0])}
