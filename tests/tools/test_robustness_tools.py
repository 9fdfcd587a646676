"""Adversarial training, its evaluation, and the figures, with the tools alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.support.image_files import write_images
from tests.support.tools import load_tool

train, test = load_tool('train.py'), load_tool('test.py')
robustness, figures = load_tool('benchmarks/robustness.py'), load_tool('visualization/vis_robustness.py')

_ATTACK = "dict(type='PGDAttack', num_steps=9)"
_CONFIG = """
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small', width=0.125),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=64, num_classes=2),
    attack=dict(type='PGDAttack', num_steps=2),
)
max_epochs = 4
_loader = dict(batch_size=8, num_workers=0, collate_fn=dict(type='collate_views'))
_images = dict(type='ClassFolder', data_root='{images}')
train_dataloader = dict(
    **_loader, sampler=dict(type='EpochSampler'), dataset=dict(_images, views=[dict(type='AugmentedView', size=16)])
)
val_dataloader = dict(
    **_loader,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(_images, transform=dict(type='CenterCropView', size=16)),
)
val_cfg = dict(type='RobustnessValLoop')
val_evaluator = dict(
    type='RobustnessEvaluator', attacks=dict(fgsm=dict(type='FGSMAttack'), pgd9=dict(type='PGDAttack', num_steps=9))
)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9))
param_scheduler = dict(type='WarmupCosineLR')
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=4))
"""


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A config of dark against bright images, and the checkpoint of its adversarial training."""
    folder = tmp_path_factory.mktemp('robust')
    write_images(folder / 'grey', [f'{"dark" if i < 12 else "light"}/{i:02}.png' for i in range(24)])
    config = folder / 'robust.py'
    config.write_text(_CONFIG.replace('{images}', str(folder / 'grey')))
    train.main([str(config), '--work-dir', str(folder / 'run')])
    return config, folder / 'run' / 'epoch_4.pth'


def test_loop_and_tool_agree(trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, checkpoint = map(str, trained)
    (log,) = trained[1].parent.glob('*/vis_data/scalars.json')
    in_training = json.loads(log.read_text().splitlines()[-1])
    found = test.main([config, checkpoint, '--work-dir', str(tmp_path / 'test')])
    assert found['pgd9_top1'] <= found['clean_top1'] and 'gradient_masked' in found
    assert {name: in_training[name] for name in found} == found
    out = tmp_path / 'robustness.json'
    attacks = ['--attacks', 'fgsm', 'pgd9', '--out', str(out)]
    assert robustness.main([checkpoint, *attacks]) == found
    assert json.loads(out.read_text()).items() >= found.items()
    some = robustness.main([checkpoint, '--attacks', 'margin9', '--num-images', '6', '--norm', 'l2', '--restarts', '2'])
    assert 'margin9_top1' in some and 'clean_top1: ' in capsys.readouterr().out


def test_a_missing_class_folder_shifts_no_label(trained: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(trained[0].parent / 'grey' / 'light', tmp_path / 'images' / 'light')
    options = ['--cfg-options', f'val_dataloader.dataset.data_root={tmp_path / "images"}']
    alone = robustness.main([str(trained[1]), *options, '--attacks', 'fgsm'])['clean_top1']
    found = test.main([*map(str, trained), *options, '--work-dir', str(tmp_path / 'test')])
    assert found['clean_top1'] == alone > 50


@pytest.mark.parametrize('figure', ['gradients', 'examples', 'epsilon'])
def test_figures(trained: tuple[Path, Path], tmp_path: Path, figure: str) -> None:
    out, checkpoint = tmp_path / f'{figure}.png', str(trained[1])
    options = ['--names', 'one', 'two', '--num-images', '3', '--steps', '2', '--epsilons', '0', '8', '--out', str(out)]
    figures.main([figure, checkpoint, checkpoint, *options])
    assert min(Image.open(out).size) > 200


def test_mistakes(trained: tuple[Path, Path], fails: Callable[..., str], tmp_path: Path) -> None:
    checkpoint = trained[1]
    assert "got 'pgd'" in fails(robustness.main, checkpoint, '--attacks', 'pgd')
    assert 'as many different --names' in fails(figures.main, 'gradients', checkpoint, checkpoint)
    assert '--num-images must be at least 1' in fails(robustness.main, checkpoint, '--num-images', '0')
    assert '--steps 0, --num-images 1: each' in fails(figures.main, 'examples', checkpoint, '--steps', '0')
    assert 'pip install git' in fails(robustness.main, checkpoint, '--attacks', 'autoattack')
