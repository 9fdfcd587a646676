"""The stages of IGAM: every recipe is whole and hands on what fits, and a small one runs from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.config.load import load_config
from mmssl.engine.stages import check_stages, read_stages
from mmssl.registry import ALGORITHMS
from tests.support import tiny_run  # noqa: F401  # registers images of noise
from tests.support.tools import load_tool
from tests.test_configs import CONFIGS

RECIPES = sorted((CONFIGS / 'igam').glob('*.py'))
train = load_tool('train.py')


@pytest.mark.parametrize('path', RECIPES, ids=[path.stem for path in RECIPES])
def test_stages_fit_one_another(path: Path, tmp_path: Path) -> None:
    stages = read_stages(path)
    check_stages(stages, stages, tmp_path, data=False)
    with torch.device('meta'), DefaultScope.overwrite_default_scope('mmssl'):
        models = {stage.name: ALGORITHMS.build(stage.config.model) for stage in stages}
    student = models['student']
    teacher = models.get('logits', models['teacher'])
    for part in ('backbone', 'head'):  # what the student's teacher reads from the checkpoint of its stage
        shapes = {name: tensor.shape for name, tensor in getattr(teacher, part).state_dict().items()}
        own = [*getattr(student.teacher, part).named_parameters(), *getattr(student.teacher, part).named_buffers()]
        assert shapes == {name: tensor.shape for name, tensor in own}
    assert repr(student.teacher.backbone.steps) == repr(teacher.backbone.steps)
    if 'logits' in models:
        names = {name for name, _ in models['teacher'].backbone.named_parameters()}
        assert names == {name for name, _ in models['logits'].backbone.named_parameters()}


def test_teachers_of_stages_are_recipes() -> None:
    used = {stage['recipe'] for path in RECIPES for stage in load_config(path).stages if 'recipe' in stage}
    assert used == {f'stages/{path.name}' for path in (CONFIGS / 'igam/stages').glob('*.py')}
    for path in (CONFIGS / 'igam/stages').glob('*.py'):
        assert f'train.py configs/igam/stages/{path.name}' in path.read_text()


_TINY = """
max_epochs = 1
default_scope = 'mmssl'
_loader = dict(batch_size=4, num_workers=0, collate_fn=dict(type='collate_views'))
train_dataloader = dict(
    **_loader,
    sampler=dict(type='EpochSampler'),
    drop_last=True,
    dataset=dict(type='LabelledNoise', num_images=16, views=[dict(type='PaddedCropView', size=16, padding=0)]),
)
val_dataloader = dict(
    **_loader,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(type='LabelledNoise', num_images=4, transform=dict(type='CenterCropView', size=16)),
)
val_cfg = dict(type='RobustnessValLoop')
val_evaluator = dict(type='RobustnessEvaluator', attacks=dict(pgd=dict(type='PGDAttack', num_steps=2)))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
param_scheduler = dict(type='WarmupCosineLR')
default_hooks = dict(logger=dict(type='LoggerHook', interval=1))
_backbone = dict(
    type='AdaptedInput',
    steps=[dict(type='PerImageNorm')],
    network=dict(type='ResNet', depth=18, stem='small', width=0.125),
)
_slots = dict(
    backbone=_backbone,
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=64, num_classes=10),
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
)
"""
_STAGES = """
stages = [
    dict(name='teacher', recipe='{teacher}'),
    dict(
        name='logits',
        recipe='{teacher}',
        config=dict(model=dict(frozen=True, attack=None)),
        takes={{'load_from': 'teacher.backbone'}},
        leaves=dict(checkpoint='whole.pth'),
    ),
    dict(name='student', takes={{'model.teacher.checkpoint': 'logits.checkpoint'}}),
]
model = dict(
    type='IGAM',
    teacher=dict(type='FrozenClassifier', checkpoint=None, backbone=_backbone, head=_slots['head']),
    discriminator=dict(type='GradientDiscriminator', image_size=16, num_layers=2, base_channels=4),
    matching_start=0.5,
    **_slots,
)
"""


def test_a_small_run_from_end_to_end(tmp_path: Path) -> None:
    teacher, student = tmp_path / 'tiny_teacher.py', tmp_path / 'tiny_igam.py'
    attack = "model = dict(type='ImageClassifier', attack=dict(type='PGDAttack', num_steps=1), **_slots)\n"
    teacher.write_text(_TINY + attack)
    student.write_text(_TINY + _STAGES.format(teacher=teacher.name))
    train.main([str(student), '--work-dir', str(tmp_path / 'run')])
    weights = {}
    for stage in ('teacher', 'logits', 'student'):
        folder = tmp_path / 'run' / stage
        assert json.loads((folder / 'stage.json').read_text())['finished']
        (log,) = folder.glob('*/vis_data/scalars.json')
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        assert 'pgd_top1' in entries[-1]
        matched = ['loss_difference' in entry for entry in entries[:-1]]
        assert matched == [stage == 'student' and step > 1 for step in range(4)]
        file = folder / ('whole.pth' if stage == 'logits' else 'backbone.pth')
        weights[stage] = load_checkpoint_file(file)['state_dict']
    for name, tensor in weights['teacher'].items():  # the second stage keeps the network and its running statistics
        assert torch.equal(weights['logits'][f'backbone.{name}'], tensor), name
