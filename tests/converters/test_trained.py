"""A model from its checkpoint alone: the config in it is read and never run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmssl.config.text import read_config_text
from mmssl.converters.trained import load_backbone, load_trained
from mmssl.registry import BACKBONES, MODELS
from mmssl.utils.errors import UserError
from tests.support.trained import save_trained

CONFIGS = Path(__file__).parents[2] / 'configs'
SMALL = """
default_scope = 'mmssl'
data_root = '/old'
model = dict(
    type='SimCLR',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small', width=0.125),
    neck=dict(type='MLPProjector', in_channels=64, hidden_channels=32, out_channels=16),
    head=dict(type='NTXentLoss', temperature=0.5),
)
val_dataloader = dict(dataset=dict(type='ImageFolder', data_root='/old/val'))
"""
PLUGIN = """
from mmssl.registry import BACKBONES
from torch import nn

@BACKBONES.register_module()
class FlatNet(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, width, 4, 4)
        self.feature_dim = width

    def forward(self, images):
        return (self.layer(images),)

    def train(self, mode=True):  # as in mmdet
        super().train(mode)
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / 'small.py'
    path.write_text(SMALL)
    return path


def test_text_of_a_recipe_is_read_back() -> None:
    cfg = Config.fromfile(CONFIGS / 'demo' / 'simclr_photos.py')
    assert read_config_text(cfg.pretty_text, 'x').to_dict() == cfg.to_dict()


def test_values_of_every_plain_kind() -> None:
    values = dict(a=-1.5e-3, b=None, c=[(1, 2), 'x'], d={'e.f': {'g h': True}, 'h': dict(i=[dict(j=1)])})
    assert read_config_text(Config(values).pretty_text, 'x').to_dict() == values


@pytest.mark.parametrize(
    'text',
    [
        "a = __import__('os').mkdir('{made}')",
        "import os\nos.mkdir('{made}')",
        "a = dict(b=open('{made}', 'w'))",
        'a = torch.optim.SGD',
        'a = 1 +',
        'a = dict(1, 2)',
    ],
)
def test_anything_but_values_is_refused_and_not_run(text: str, tmp_path: Path) -> None:
    made = tmp_path / 'made'
    with pytest.raises(UserError, match='the config in run.pth contains more than plain values .* --config'):
        read_config_text(text.replace('{made}', str(made)), 'run.pth')
    assert not made.exists()


def test_weights_and_config_come_from_the_checkpoint(config: Path, tmp_path: Path) -> None:
    saved = save_trained(config, tmp_path / 'epoch_1.pth', seed=5)
    state = torch.get_rng_state()
    with DefaultScope.overwrite_default_scope('host'):
        cfg, model = load_trained(str(tmp_path / 'epoch_1.pth'), cfg_options={'data_root': '/new'})
        assert DefaultScope.get_current_instance().scope_name == 'host'
    assert cfg.val_dataloader.dataset.data_root == '/new'
    assert not model.training
    assert torch.equal(torch.get_rng_state(), state)
    expected = saved.backbone.state_dict()
    assert all(torch.equal(value.cpu(), expected[name]) for name, value in model.backbone.state_dict().items())


def test_random_init_is_the_network_before_training(config: Path, tmp_path: Path) -> None:
    saved = save_trained(config, tmp_path / 'epoch_1.pth', seed=5)
    first, again, other = (
        load_trained(str(tmp_path / 'epoch_1.pth'), random_init=seed)[1].backbone.conv1.weight for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other) and not torch.equal(first.cpu(), saved.backbone.conv1.weight)


def test_backbone_file_needs_a_config(config: Path, tmp_path: Path) -> None:
    saved = save_trained(config, tmp_path / 'epoch_1.pth')
    path = tmp_path / 'epoch_1_backbone.pth'
    torch.save(dict(state_dict=saved.backbone.state_dict(), meta=dict(algorithm='SimCLR')), path)
    with pytest.raises(UserError, match='epoch_1_backbone.pth has no config.*recipe= or --config'):
        load_trained(str(path))
    _, model = load_trained(str(path), str(config))
    assert torch.equal(model.backbone.conv1.weight.cpu(), saved.backbone.conv1.weight)


def test_a_plugin_of_the_config_that_is_not_here(config: Path, tmp_path: Path) -> None:
    saved = save_trained(config, tmp_path / 'epoch_1.pth')
    plugin = "custom_imports = dict(imports=['not_there'], allow_failed_imports=False)\n"
    torch.save(dict(state_dict=saved.state_dict(), meta=dict(cfg=plugin + SMALL)), tmp_path / 'plugin.pth')
    with pytest.raises(UserError, match=r"plugin.pth imports \['not_there'\], .*No module named 'not_there'.*install"):
        load_trained(str(tmp_path / 'plugin.pth'))
    torch.save(dict(state_dict=saved.state_dict(), meta='text'), tmp_path / 'odd.pth')
    with pytest.raises(UserError, match='odd.pth has no config'):
        load_trained(str(tmp_path / 'odd.pth'))


def test_prefix_chooses_the_teacher(config: Path, tmp_path: Path) -> None:
    saved = save_trained(config, tmp_path / 'epoch_1.pth')
    state = saved.state_dict()
    state.update({f'teacher.{name}': value + 1 for name, value in state.items() if name.startswith('backbone.')})
    torch.save(dict(state_dict=state, meta=dict(cfg=SMALL)), tmp_path / 'both.pth')
    _, model = load_trained(str(tmp_path / 'both.pth'), prefix='teacher.backbone')
    assert torch.equal(model.backbone.conv1.weight.cpu(), saved.backbone.conv1.weight + 1)


def test_missing_file_and_other_backbone(config: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'no.pth' does not exist"):
        load_trained('no.pth')
    save_trained(config, tmp_path / 'epoch_1.pth')
    with pytest.raises(UserError, match='backbone: 120/200 tensors'):
        load_trained(str(tmp_path / 'epoch_1.pth'), cfg_options={'model.backbone.depth': 34})


def test_an_address_is_downloaded(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_trained(config, tmp_path / 'epoch_1.pth')
    content = torch.load(tmp_path / 'epoch_1.pth')
    read = []
    monkeypatch.setattr(torch.hub, 'load_state_dict_from_url', lambda url, *args, **kwargs: read.append(url) or content)
    load_trained('https://host/a.pth')
    load_backbone('https://host/a.pth')
    assert read == ['https://host/a.pth'] * 2


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module on Python's path with a backbone that takes no ``init_cfg``; its class is forgotten afterwards."""
    (tmp_path / 'own_flat_net.py').write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    yield 'own_flat_net'
    BACKBONES.members.pop('FlatNet', None)
    MODELS.module_dict.pop('FlatNet', None)
    sys.modules.pop('own_flat_net', None)


def test_a_backbone_of_a_plugin_without_init_cfg(plugin: str, tmp_path: Path) -> None:
    net = import_module(plugin).FlatNet(width=8)
    for extra in ({}, dict(init_cfg=dict(type='Pretrained', checkpoint='gone.pth'))):
        meta = dict(backbone=dict(type='FlatNet', width=8) | extra)
        torch.save(dict(state_dict=net.state_dict(), meta=meta), tmp_path / 'backbone.pth')
        loaded = load_backbone(tmp_path / 'backbone.pth')
        assert all(torch.equal(value, net.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_the_plugin_of_a_training_checkpoint_is_imported(plugin: str, tmp_path: Path) -> None:
    weight = torch.randn(8, 3, 4, 4)
    state = {'backbone.layer.weight': weight, 'backbone.layer.bias': torch.zeros(8)}
    text = f"custom_imports = dict(imports=['{plugin}'])\nmodel = dict(backbone=dict(type='FlatNet', width=8))\n"
    torch.save(dict(state_dict=state, meta=dict(cfg=text)), tmp_path / 'epoch_1.pth')
    backbone = dict(type='FlatNet', width=8)
    torch.save(dict(state_dict=state, meta=dict(backbone=backbone)), tmp_path / 'epoch_1_backbone.pth')
    with pytest.raises(UserError, match='a FlatNet, and no class of this name is registered: import .* epoch_N.pth'):
        load_backbone(tmp_path / 'epoch_1_backbone.pth')
    assert torch.equal(load_backbone(tmp_path / 'epoch_1.pth').layer.weight, weight)
    assert torch.equal(load_backbone(tmp_path / 'epoch_1_backbone.pth').layer.weight, weight)
