"""tools/train.py --pretrained: what a run begins with, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mmssl.models.backbones.resnet import ResNet
from mmssl.models.backbones.vision_transformer import VisionTransformer
from tests.support.tools import load_tool

train = load_tool('train.py')

Writer = Callable[..., Path]
Fails = Callable[..., str]
STANDS_STILL = ('lr=0.01', 'lr=1e-60')  # 0 in float32


@pytest.fixture
def pretrained(tmp_path: Path) -> Path:
    """A training checkpoint: the student's weights are 2, the teacher's 3."""
    network = ResNet(depth=18, stem='small', width=0.125)
    state = {
        owner + name: torch.full_like(tensor, value)
        for owner, value in (('backbone.', 2), ('teacher.backbone.', 3))
        for name, tensor in network.state_dict().items()
    }
    torch.save(dict(state_dict=state), tmp_path / 'pretrained.pth')
    return tmp_path / 'pretrained.pth'


def weights(run: Path, epoch: int = 1) -> Tensor:
    return torch.load(run / f'epoch_{epoch}.pth', weights_only=False)['state_dict']['backbone.conv1.weight']


def test_the_run_begins_with_the_weights_and_a_resumed_one_goes_on(
    write_config: Writer, pretrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, options = tmp_path / 'run', ['--no-validate', '--pretrained', str(pretrained)]
    config = [str(write_config(STANDS_STILL)), '--work-dir', str(run), *options]
    train.main([*config, '--use-teacher', '--cfg-options', 'max_epochs=1'])
    assert (weights(run) == 3).all()
    assert f'backbone: 120/120 tensors from {pretrained}' in ''.join(log.read_text() for log in run.glob('*/*.log'))
    train.main([*config, '--resume'])
    assert (weights(run, 2) == 3).all()  # not the student's


def test_too_little_stops_before_the_first_iteration(
    write_config: Writer, fails: Fails, pretrained: Path, tmp_path: Path
) -> None:
    run = tmp_path / 'run'
    message = fails(train.main, write_config(('depth=18', 'depth=34')), '--work-dir', run, '--pretrained', pretrained)
    assert 'backbone: 120/200 tensors' in message and 'missing: layer1.2.conv1.weight' in message
    assert not list(run.glob('*.pth'))


def test_options_that_make_no_sense(write_config: Writer, fails: Fails, pretrained: Path, tmp_path: Path) -> None:
    assert "checkpoint 'none.pth' does not exist" in fails(train.main, write_config(), '--pretrained', 'none.pth')
    assert 'give it with --pretrained' in fails(train.main, write_config(), '--use-teacher')
    options = ['--work-dir', tmp_path / 'run', '--pretrained', pretrained, '--cfg-options', f'load_from={pretrained}']
    assert 'give load_from or pre-trained weights' in fails(train.main, write_config(), *options)


@pytest.fixture(scope='module')
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two class folders of 16 images."""
    folder = tmp_path_factory.mktemp('labelled')
    for index in range(16):
        path = folder / 'ab'[index % 2]
        path.mkdir(exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 256, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path / f'{index}.png')
    return folder


_VIT = (
    "backbone=dict(type='ResNet', depth=18, stem='small', width=0.125)",
    "backbone=dict(type='VisionTransformer', arch=dict(embed_dim=64, depth=2, num_heads=2), img_size=16, patch_size=8)",
)
_KNN = ("metrics=[dict(type='EmbeddingStatistics')]", "metrics=[dict(type='WeightedKNN', k=2)]")


@pytest.mark.parametrize('low_rank', [0, 2])
def test_a_pretraining_goes_on_gently(write_config: Writer, labelled: Path, tmp_path: Path, low_rank: int) -> None:
    start, run = (
        VisionTransformer(dict(embed_dim=64, depth=2, num_heads=2), img_size=16, patch_size=8),
        tmp_path / 'run',
    )
    torch.save({f'teacher.{name}': tensor for name, tensor in start.state_dict().items()}, tmp_path / 'dino.pth')
    options = ['--images', str(labelled), '--pretrained', str(tmp_path / 'dino.pth'), '--use-teacher']
    config = [str(write_config(_VIT, _KNN)), '--work-dir', str(run), *options]
    settings = [f'continued.low_rank={low_rank}', 'optim_wrapper.optimizer.lr=1.0', 'train_dataloader.num_workers=0']
    train.main([*config, '--cfg-options', *settings])
    log = ''.join(file.read_text() for file in run.glob('*/*.log'))
    assert 'before the first step: knn_top1' in log and log.count('at the start') + log.count('of the start') == 2
    name = 'blocks.1.attn.qkv.weight'
    first, second = (torch.load(run / f'epoch_{epoch}_backbone.pth')['state_dict'] for epoch in (1, 2))
    assert first.keys() == second.keys() == start.state_dict().keys()
    assert torch.equal(first[name], start.state_dict()[name])  # the head warmed up
    assert not torch.equal(second[name], first[name])
    frozen = torch.equal(second['patch_embed.proj.weight'], first['patch_embed.proj.weight'])
    assert frozen == bool(low_rank)
    whole = torch.load(run / 'epoch_2.pth', weights_only=False)['state_dict']
    assert any('low_rank_up' in key for key in whole) == bool(low_rank)
    (run / 'epoch_2.pth').unlink()
    train.main([*config, '--resume', '--cfg-options', *settings])
    again = torch.load(run / 'epoch_2.pth', weights_only=False)['state_dict']
    assert all(torch.equal(again[key], whole[key]) for key in whole)


def test_settings_without_weights_are_refused(write_config: Writer, fails: Fails) -> None:
    message = fails(train.main, write_config(), '--cfg-options', 'continued.low_rank=2')
    assert 'give them with --pretrained' in message
