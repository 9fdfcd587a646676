"""A package outside mmssl adds a backbone and a loss, and trains with them through the ordinary tool."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from mmssl.registry import BACKBONES, LOSSES, MODELS
from tests.support.fresh_python import run_python

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / 'examples' / 'plugin'


@pytest.fixture(autouse=True)
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes the package importable, and forgets its classes afterwards."""
    monkeypatch.syspath_prepend(PLUGIN)
    yield
    for role, name in ((BACKBONES, 'ConvMixer'), (LOSSES, 'AlignUniformLoss')):
        role.members.pop(name, None)
        MODELS.module_dict.pop(name, None)
    for name in [name for name in sys.modules if name.split('.')[0] == 'mmssl_example']:
        del sys.modules[name]


def run(tool: str, *arguments: str) -> str:
    environment = os.environ | dict(PYTHONPATH=os.pathsep.join([str(PLUGIN), str(ROOT)]))
    finished = run_python(tool, *arguments, env=environment)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout + finished.stderr


def test_the_loss_of_orthogonal_pairs() -> None:
    from mmssl_example import AlignUniformLoss

    views = torch.eye(4, dtype=torch.float64)
    # Partners coincide; all pairs of images are at squared distance 2, so the potential is exp(-4).
    assert AlignUniformLoss(weight=3.0)(views, 5 * views).item() == pytest.approx(3 * -4)
    opposite = AlignUniformLoss(weight=0.0)(views, -views).item()
    assert math.isclose(opposite, 4)


def test_the_backbone_returns_maps_of_its_feature_dim() -> None:
    from mmssl_example import ConvMixer

    backbone = ConvMixer(width=16, depth=2, patch_size=4)
    (features,) = backbone(torch.rand(2, 3, 32, 24))
    assert features.shape == (2, backbone.feature_dim, 8, 6)


def test_a_few_steps_through_the_training_tool(tmp_path: Path) -> None:
    for i in range(24):
        pixels = torch.randint(256, (40, 40, 3), dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(tmp_path / f'{i}.png')
    work_dir = tmp_path / 'work'
    run(
        'tools/train.py', str(PLUGIN / 'align_uniform_conv-mixer.py'), '--work-dir', str(work_dir), '--cfg-options',
        f'train_dataloader.dataset.data_root={tmp_path}', 'train_dataloader.batch_size=8',
        'train_dataloader.num_workers=0', 'model.backbone.width=16', 'model.neck.in_channels=16', 'max_epochs=1',
        'param_scheduler.warmup_epochs=0',
    )  # fmt: skip
    backbone = torch.load(work_dir / 'epoch_1_backbone.pth', weights_only=True)['state_dict']
    steps = backbone['stem.2.num_batches_tracked'].item()
    assert steps >= 3 and backbone['stem.0.weight'].shape == (16, 3, 4, 4)


def test_plugins_are_listed_beside_the_classes_of_mmssl() -> None:
    listed = run('tools/misc/list_components.py', 'backbone', 'loss', '--custom-imports', 'mmssl_example')
    names = [line.split()[:2] for line in listed.splitlines()]
    assert ['ConvMixer', 'mmssl_example.conv_mixer'] in names and ['ResNet', 'mmssl.models.backbones.resnet'] in names
