"""tools/test.py: what it evaluates, and which checkpoints it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.support.image_files import write_images
from tests.support.tools import load_tool

tool = load_tool('test.py')
train = load_tool('train.py')

Writer = Callable[..., Path]
Fails = Callable[..., str]


@pytest.fixture
def trained(write_config: Writer, tmp_path: Path) -> Path:
    """The checkpoint of a short training."""
    options = ['--no-validate', '--cfg-options', 'max_epochs=1']
    train.main([str(write_config()), '--work-dir', str(tmp_path / 'run'), *options])
    return tmp_path / 'run' / 'epoch_1.pth'


def test_training_checkpoint_and_backbone_file_give_the_same_results(
    trained: Path, write_config: Writer, tmp_path: Path
) -> None:
    options = ['--work-dir', str(tmp_path / 'test'), '--out', str(tmp_path / 'test' / 'results.json')]
    results = tool.main([str(write_config()), str(trained), *options])
    assert json.loads((tmp_path / 'test' / 'results.json').read_text()) == results
    assert results['embedding_std'] > 0
    assert tool.main([str(write_config()), str(trained.with_name('epoch_1_backbone.pth')), *options[:2]]) == results
    wider = write_config(('depth=18', 'depth=18, zero_init_residual=True'))
    assert tool.main([str(wider), str(trained), *options[:2]]) == results


def test_wrong_checkpoints(trained: Path, write_config: Writer, fails: Fails, tmp_path: Path) -> None:
    options = ['--work-dir', tmp_path / 'test']
    assert 'does not exist' in fails(tool.main, write_config(), tmp_path / 'no.pth', *options)

    message = fails(tool.main, write_config(('depth=18', 'depth=34')), trained, *options)
    assert 'backbone: 120/200 tensors' in message

    deeper = tmp_path / 'deeper.pth'
    state = torch.load(trained.with_name('epoch_1_backbone.pth'), weights_only=True)['state_dict']
    torch.save(dict(state_dict=state | {'layer1.2.conv1.weight': torch.zeros(8, 8, 3, 3)}), deeper)
    assert 'deeper backbone' in fails(tool.main, write_config(), deeper, *options)

    moco = "type='MoCo', teacher=dict(momentum=0.99), queue=dict(length=8, dim=16)"
    other_method = write_config(("type='SimCLR'", moco), ("'NTXentLoss'", "'QueueContrastLoss'"))
    message = fails(tool.main, other_method, trained, *options)
    assert 'another model than the MoCo of this config' in message and '_backbone.pth' in message

    truncated = tmp_path / 'truncated.pth'
    truncated.write_bytes(trained.read_bytes()[:5000])
    assert 'truncated' in fails(tool.main, write_config(), truncated, *options)

    (tmp_path / 'text.pth').write_text('hello')
    assert 'text.pth' in fails(tool.main, write_config(), tmp_path / 'text.pth', *options)

    torch.save(dict(state_dict={'head.weight': torch.zeros(2)}), tmp_path / 'head.pth')
    assert 'head.weight' in fails(tool.main, write_config(), tmp_path / 'head.pth', *options)


def test_a_config_without_evaluation(write_config: Writer, fails: Fails) -> None:
    config = write_config(('val_dataloader =', '_unused ='))
    assert 'neither a test_dataloader nor a val_dataloader' in fails(tool.main, config, 'x.pth')


_CLASSIFIER = """
default_scope = 'mmssl'
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small', width=0.125),
    neck=dict(type='Identity'),
    head=dict(type='LinearClsHead', in_channels=64, num_classes=2),
)
max_epochs = 1
_loader = dict(batch_size=4, num_workers=0, collate_fn=dict(type='collate_views'))
train_dataloader = dict(
    **_loader,
    sampler=dict(type='EpochSampler'),
    dataset=dict(type='ClassFolder', data_root='{images}', views=[dict(type='SupervisedView', size=16)]),
)
val_dataloader = dict(
    **_loader,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(type='ClassFolder', data_root='{images}', transform=dict(type='CenterCropView', size=16)),
)
val_cfg = dict(type='AccuracyValLoop')
val_evaluator = dict(type='AccuracyEvaluator')
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
param_scheduler = dict(type='WarmupCosineLR')
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1, save_best='top1'))
"""


def test_a_classifier_is_evaluated_with_its_head(tmp_path: Path, fails: Fails) -> None:
    write_images(tmp_path / 'images', [f'a/{i}.png' for i in range(12)] + [f'b/{i}.png' for i in range(4)])
    config = tmp_path / 'classifier.py'
    config.write_text(_CLASSIFIER.replace('{images}', str(tmp_path / 'images')))
    train.main([str(config), '--work-dir', str(tmp_path / 'run')])
    checkpoint = torch.load(next((tmp_path / 'run').glob('best_top1_epoch_1.pth')), weights_only=False)
    for bias, share in (([1e6, 0.0], 75.0), ([0.0, 1e6], 25.0)):  # every image is of the first class, of the second
        checkpoint['state_dict']['head.fc.bias'] = torch.tensor(bias)
        torch.save(checkpoint, tmp_path / 'biased.pth')
        results = tool.main([str(config), str(tmp_path / 'biased.pth'), '--work-dir', str(tmp_path / 'test')])
        assert results == dict(top1=share, top5=100.0)
    backbone = tmp_path / 'run' / 'epoch_1_backbone.pth'
    assert 'no classifier' in fails(tool.main, config, backbone, '--work-dir', tmp_path / 'test')


def test_dry_run_of_a_classifier_without_data(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    config = tmp_path / 'linear_resnet18_in1k-1p_moco.py'
    config.write_text(_CLASSIFIER.replace('{images}', '/no/such/folder'))
    with pytest.raises(SystemExit) as exit_:
        train.main([str(config), '--dry-run', '--work-dir', str(tmp_path / 'dry')])
    text = capsys.readouterr().out
    assert exit_.value.code == 1 and 'training step' in text and 'per epoch of 12,811 images' in text
