"""Configs with imported classes and ``read_base()`` are configs like any other."""

from __future__ import annotations

from pathlib import Path

from mmssl.config.check import check_config
from mmssl.config.load import load_config
from mmssl.config.text import read_config_text
from tests.support.image_files import write_images
from tests.support.tiny_run import build_runner

_BASE = """
from mmssl.models.algorithms.simclr import SimCLR
from mmssl.models.backbones.resnet import ResNet

model = dict(
    type=SimCLR,
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type=ResNet, depth=18, stem='small', width=0.125),
    neck=dict(type='MLPProjector', in_channels=64, hidden_channels=32, out_channels=16),
    head=dict(type='NTXentLoss', temperature=0.5),
)
"""
_RECIPE = """
from mmengine.config import read_base
from torch.optim import SGD

from mmssl.datasets import ImageFolder
from mmssl.datasets.transforms import AugmentedView

with read_base():
    from .base import *

model.update(head=dict(type='NTXentLoss', temperature=0.2))
max_epochs = 1
train_dataloader = dict(
    batch_size=4, num_workers=0, drop_last=True, collate_fn=dict(type='collate_views'),
    sampler=dict(type='EpochSampler'),
    dataset=dict(type=ImageFolder, data_root='{images}', views=[dict(type=AugmentedView, size=16)] * 2),
)
optim_wrapper = dict(optimizer=dict(type=SGD, lr=0.01))
param_scheduler = dict(type='WarmupCosineLR')
"""


def test_a_config_of_pure_python_trains_and_can_be_read_back(tmp_path: Path) -> None:
    write_images(tmp_path / 'images', [f'{n}.png' for n in range(4)])
    (tmp_path / 'base.py').write_text(_BASE)
    (tmp_path / 'recipe.py').write_text(_RECIPE.replace('{images}', str(tmp_path / 'images')))
    cfg = load_config(tmp_path / 'recipe.py', {'optim_wrapper.optimizer.lr': 0.02})
    assert cfg.model.type == 'SimCLR' and cfg.model.head.temperature == 0.2 and 'read_base' not in cfg
    check_config(cfg)
    cfg.work_dir = str(tmp_path / 'work')
    runner = build_runner(cfg)
    runner.train()
    assert runner.iter == 1 and type(runner.algorithm).__name__ == 'SimCLR'
    assert runner.optim_wrapper.optimizer.defaults['lr'] == 0.02
    assert read_config_text(cfg.pretty_text, 'checkpoint').model.backbone.type == 'ResNet'


def test_in_another_scope_classes_of_mmssl_keep_its_name_and_text_stays(tmp_path: Path) -> None:
    (tmp_path / 'c.py').write_text(
        'from mmssl.models.backbones.resnet import ResNet\n'
        "default_scope = 'mmdet'\n"
        "work_dir = 'mmssl.results/run1'\n"
        "custom_imports = dict(imports=['mmssl.models'])\n"
        "optim_wrapper = dict(constructor='mmssl.SomeConstructor')\n"
        'model = dict(backbone=dict(type=ResNet))\n'
    )
    cfg = load_config(tmp_path / 'c.py')
    assert cfg.model.backbone.type == 'mmssl.ResNet' and cfg.work_dir == 'mmssl.results/run1'
    assert cfg.custom_imports.imports == ['mmssl.models'] and cfg.optim_wrapper.constructor == 'mmssl.SomeConstructor'
