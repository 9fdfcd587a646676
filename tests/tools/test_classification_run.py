"""From a pre-trained checkpoint to a classifier and its accuracy, with the tools alone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.support.image_files import write_images
from tests.support.tools import load_tool
from tests.support.trained import save_trained

train = load_tool('train.py')
test = load_tool('test.py')
_NUMBERS = itertools.count()

_PROBE = """
model = dict(
    type='ImageClassifier',
    frozen=True,
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small', width=0.125),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=64, num_classes=2, norm='batch'),
)
max_epochs = 8
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
val_cfg = dict(type='AccuracyValLoop')
val_evaluator = dict(type='AccuracyEvaluator')
optim_wrapper = dict(optimizer=dict(type='SGD', lr=1.0, momentum=0.9))
param_scheduler = dict(type='WarmupCosineLR')
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=8))
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A probe of dark against bright images."""
    write_images(tmp_path / 'grey', [f'{"dark" if i < 12 else "light"}/{i:02}.png' for i in range(24)])
    path = tmp_path / f'probe_{next(_NUMBERS)}.py'  # MMEngine names loggers by file and second
    path.write_text(_PROBE.replace('{images}', str(tmp_path / 'grey')))
    return path


def test_probe_of_a_checkpoint(config: Path, write_config: Callable[..., Path], tmp_path: Path) -> None:
    pretrained = save_trained(write_config(), tmp_path / 'pretrained.pth', seed=7).backbone.state_dict()
    train.main([str(config), '--pretrained', str(tmp_path / 'pretrained.pth'), '--work-dir', str(tmp_path / 'run')])
    trained = torch.load(tmp_path / 'run' / 'epoch_8_backbone.pth', weights_only=True)['state_dict']
    assert trained.keys() == pretrained.keys()
    assert all(torch.equal(trained[name], value) for name, value in pretrained.items())
    results = test.main([str(config), str(tmp_path / 'run' / 'epoch_8.pth'), '--work-dir', str(tmp_path / 'test')])
    assert results['top1'] > 85


def test_another_backbone_stops_with_a_list(
    config: Path, write_config: Callable[..., Path], tmp_path: Path, fails: Callable[..., str]
) -> None:
    save_trained(write_config(('depth=18', 'depth=34')), tmp_path / 'deeper.pth')
    message = fails(train.main, config, '--pretrained', tmp_path / 'deeper.pth', '--work-dir', tmp_path / 'run')
    assert 'deeper backbone' in message and 'layer1.2' in message


@pytest.mark.parametrize('place', ['train_dataloader', 'val_dataloader'])
def test_a_dry_run_names_the_folder_that_is_missing(
    place: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        train.main([str(config), '--dry-run', '--cfg-options', f'{place}.dataset.data_root=/no/such/folder'])
    printed = capsys.readouterr().out
    assert exit_.value.code == 1
    assert re.search(rf'PROBLEM: {place}: .*/no/such/folder', printed) and 'training step' in printed


def test_a_dry_run_tells_why_a_dataset_without_views_cannot_be_built(config: Path, fails: Callable[..., str]) -> None:
    repeated = config.with_name(f'repeated_{config.name}')
    repeated.write_text(
        config.read_text()
        + 'train_dataloader = dict(train_dataloader, dataset=dict(\n'
        + "    type='RepeatDataset', times=2, dataset=train_dataloader['dataset']))\n"
    )
    assert 'dataset has views: give it once, beside dataset' in fails(train.main, repeated, '--dry-run')
