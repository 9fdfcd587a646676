"""Detectors and segmenters on transformers: learning rates of their layers, and what pre-training gives them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from mmssl.config.load import load_config
from mmssl.converters.transfer import transfer_weights
from mmssl.registry import MODELS
from mmssl.utils.errors import UserError
from tests.support.tools import ROOT

pytestmark = pytest.mark.skipif(
    any(find_spec(package) is None for package in ('mmcv', 'mmdet', 'mmseg')), reason='needs mmdet and mmseg'
)

BENCHMARKS = ROOT / 'configs' / 'benchmarks'
RESNETS, CONVVIT = ('r50', 'r18'), 'mask-rcnn_convvit-base_25e_coco'  # without a decay from layer to layer
CONFIGS = sorted(
    path
    for path in BENCHMARKS.glob('mm*/*.py')
    if path.stem != CONVVIT and not any(name in path.stem for name in RESNETS)
)
ITPN = [path for path in CONFIGS if '_itpn-base' in path.stem or '_itpn-large' in path.stem]
BLOCKS = {
    'vit-base': 12,
    'vit-large': 24,
    'beit-base': 12,
    'cae-base': 12,
    'cae-large': 24,
    'convvit-base': 11,
    'hivit-base': 28,
    'itpn-base': 30,
    'itpn-large': 44,
}
SMALL = dict(embed_dim=32, depths=(1, 1, 2), num_heads=2)


def parametrize(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize('path', paths, ids=[path.stem for path in paths])


@pytest.fixture(autouse=True)
def _scope() -> Any:
    yield
    init_default_scope('mmssl')


class Parts(nn.Module):
    """The backbone and the neck of a config, small ones of iTPN where asked for, and no heads."""

    def __init__(self, cfg: Config, small: bool = False) -> None:
        super().__init__()
        backbone, neck = dict(cfg.model.backbone), cfg.model.neck
        neck = dict(neck.get('pyramid', neck))
        if small:
            backbone['arch'] = SMALL
            backbone.pop('early_block', None)
            neck.update(in_channels=(8, 16, 32), out_channels=16)
        self.backbone = MODELS.build(dict(backbone, type=backbone['type'].removeprefix('mmssl.')))
        self.neck = MODELS.build(dict(neck, type=neck['type'].removeprefix('mmssl.')))


def learning_rates(cfg: Config) -> tuple[dict[str, float], dict[str, float]]:
    """Factor of the lr, and weight decay, of every parameter of a config's model by its name."""
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    names = {id(parameter): name for name, parameter in model.named_parameters() if parameter.requires_grad}
    groups = [(names[id(p)], group) for group in wrapper.optimizer.param_groups for p in group['params']]
    assert len(groups) == len(names) == len({name for name, _ in groups})
    lr = cfg.optim_wrapper.optimizer.lr
    return {name: g['lr'] / lr for name, g in groups}, {name: g['weight_decay'] for name, g in groups}


@parametrize(CONFIGS)
def test_learning_rates_fall_from_the_head_to_the_embedding(path: Path) -> None:
    cfg = load_config(path)
    factors, decays = learning_rates(cfg)
    rate = cfg.optim_wrapper.paramwise_cfg.layer_decay
    number = BLOCKS.get(path.stem.split('_')[1].removesuffix('-pixel').removesuffix('-clip'), 12)
    blocks = [value for name, value in factors.items() if name.startswith('backbone.blocks.')]
    assert max(blocks) == pytest.approx(rate) and min(blocks) == pytest.approx(rate**number)
    (embedding,) = factors.keys() & {'backbone.patch_embed.proj.weight', 'backbone.embeds.0.proj.weight'}
    assert factors[embedding] == pytest.approx(rate ** (number + 1))
    (positions,) = factors.keys() & {
        'backbone.pos_embed',
        'backbone.absolute_pos_embed',
        'backbone.cls_token' if any(name in path.stem for name in ('_beit-', '_cae-')) else '',
    }
    assert factors[positions] == pytest.approx(rate ** (number + 1)) and decays[positions] == 0
    assert all(value == 1 for name, value in factors.items() if not name.startswith('backbone.'))
    assert all(decays[name] == 0 for name in decays if name.endswith('.bias'))
    assert decays['backbone.blocks.0.mlp.fc1.weight'] == cfg.optim_wrapper.optimizer.weight_decay > 0


def test_the_detector_of_convmae_has_one_rate_and_four_global_blocks() -> None:
    cfg = load_config(BENCHMARKS / 'mmdetection' / f'{CONVVIT}.py')
    factors, decays = learning_rates(cfg)
    assert set(factors.values()) == {1.0} and cfg.optim_wrapper.optimizer.lr == 8e-5
    assert set(decays.values()) == {0, 0.1} and decays['backbone.stages.0.0.attn.weight'] == 0.1
    positions = [decay for name, decay in decays.items() if 'pos' in name]
    assert len(positions) == 23 and set(positions) == {0}
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    windows = [block.attn.window_size for block in model.backbone.blocks]
    assert [index for index, size in enumerate(windows) if size == 0] == [0, 4, 8, 10] and set(windows) == {0, 16}
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[1].T_max == 92187 and cfg.param_scheduler[0].end == 461


@parametrize(ITPN)
def test_pre_training_fills_the_backbone_and_the_pyramid(path: Path, tmp_path: Path) -> None:
    kind = path.stem.split('_')[1]
    (recipe, *_) = sorted((ROOT / 'configs' / 'itpn').glob(f'itpn_hi{kind.replace("itpn", "vit")}_*_in1k.py'))
    torch.manual_seed(1)
    pretrained = Parts(load_config(recipe), small=True)
    names = {name.replace('neck.', 'neck.pyramid.'): value for name, value in pretrained.state_dict().items()}
    torch.save(dict(state_dict=names), tmp_path / 'epoch_1.pth')
    model = Parts(load_config(path), small=True)
    transfer_weights(model, tmp_path / 'epoch_1.pth', min_match=1.0)
    found, expected = model.state_dict(), pretrained.state_dict()
    assert {name for name in found if name.startswith('neck.')} == {n for n in expected if n.startswith('neck.')}
    # The grid of a crop of 512 pixels has positions of its own; relative ones come and go.
    same = [name for name in found if name in expected and 'pos' not in name]
    assert len(same) > 80 and all(torch.equal(found[name], expected[name]) for name in same)

    without = {name: value for name, value in names.items() if not name.startswith('neck.')}
    torch.save(dict(state_dict=without), tmp_path / 'backbone.pth')
    with pytest.raises(UserError, match=r'neck: 0/\d+ tensors'):
        transfer_weights(model, tmp_path / 'backbone.pth')


@parametrize([path for path in CONFIGS if 'ade20k' in path.stem])
def test_positions_of_segmenters_have_the_grid_of_a_crop(path: Path) -> None:
    """Most official codes resize the tables once, when they load them; HiViT's and iTPN's train the small ones."""
    cfg = load_config(path)
    assert (cfg.model.backbone.img_size,) * 2 == tuple(cfg.model.test_cfg.crop_size)
    docstring = ' '.join(path.read_text().split('"""')[1].split())
    is_deviation = 'trains the table of 14 x 14 and resizes it in each forward pass' in docstring
    assert is_deviation == (cfg.model.backbone.type == 'mmssl.HiViT')


@parametrize([path for path in CONFIGS if path.stem.endswith('_coco') and ('_hivit' in path.stem or path in ITPN)])
def test_positions_of_detectors_are_resized_as_in_the_official_codes(path: Path) -> None:
    """HiViT's and iTPN's interpolate with a scale for a grid that is 0.1 larger, like DINO's."""
    assert load_config(path).model.backbone.position.resample == 'dino'


def test_schedules_are_those_of_the_official_codes() -> None:
    for path in CONFIGS:
        if not path.stem.endswith('_coco') or '_vit' in path.stem:
            continue
        cfg, epochs = load_config(path), 12 if '_1x_' in path.stem else 36
        warmup, steps = cfg.param_scheduler
        assert cfg.max_epochs == cfg.train_cfg.max_epochs == steps.end == epochs and warmup.end == 500
        assert steps.milestones == {12: [9, 11], 36: [27, 33]}[epochs]
        scales = cfg.train_dataloader.dataset.pipeline[3].transforms[0][0].scales
        assert [short for short, _ in scales] == list(range(480, 801, 32))


@pytest.mark.parametrize(('stem', 'number'), [('vit-base', 110_895_792), ('vit-large', 330_684_656)])
def test_detectors_of_vitdet_have_its_parameters(stem: str, number: int) -> None:
    """111 M and 331 M in the paper's table of models."""
    cfg = load_config(BENCHMARKS / 'mmdetection' / f'mask-rcnn_{stem}_100e_coco.py')
    init_default_scope('mmdet')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert sum(parameter.numel() for parameter in model.parameters()) == number
    windows = [block.attn.window_size for block in model.backbone.blocks]
    assert windows.count(0) == 4 and windows[-1] == 0 and set(windows) == {0, 14}
    assert cfg.train_cfg.max_iters == 184375 and cfg.param_scheduler[1].milestones == [163889, 177546]
    assert not hasattr(model.backbone.norm, 'weight')
