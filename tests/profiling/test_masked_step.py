"""What a masked step is compared with does the same work, and the claims that need no clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mmssl.config.load import load_config
from mmssl.profiling.masked_step import PlainLoop, measure_mim_memory, measure_mim_step
from mmssl.registry import ALGORITHMS
from mmssl.utils.errors import UserError
from tests.support.shrink import shrink

CONFIGS = Path(__file__).parents[2] / 'configs'
MAE = 'mae/mae_vit-base_64xb64-800e_in1k.py'


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope('mmssl')


def _recipe(name: str, **options: Any) -> Config:
    return load_config(CONFIGS / name, options or None)


def _flops(loss: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        loss().backward()
    return counter.get_total_flops()


def _narrow() -> tuple[Any, Tensor]:
    """MAE with the depths, tokens and proportions of ViT-B at an eighth of the width, and an image."""
    cfg = _recipe(MAE)
    cfg.model.backbone.arch = dict(embed_dim=96, depth=12, num_heads=12)
    cfg.model.neck.update(in_channels=96, embed_dim=64)
    return ALGORITHMS.build(dict(cfg.model, data_preprocessor=None)), torch.randn(1, 3, 224, 224)


def test_the_plain_loop_multiplies_what_the_step_multiplies() -> None:
    algorithm, images = _narrow()
    loop = PlainLoop(algorithm, images)
    step = _flops(lambda: algorithm([images], mode='loss')['loss'])
    assert _flops(loop) == pytest.approx(step, rel=2e-3)
    own = {'cls_token', 'mask_token', 'pos_embed'}
    weights = sum(p.numel() for name, p in algorithm.named_parameters() if name.rpartition('.')[2] not in own)
    assert sum(p.numel() for p in loop.parameters()) == weights


def test_a_masked_step_multiplies_less_than_half() -> None:
    algorithm, images = _narrow()
    masked = _flops(lambda: algorithm([images], mode='loss')['loss'])
    algorithm.masker.ratio = 0.0
    assert masked < 0.45 * _flops(lambda: algorithm([images], mode='loss')['loss'])


def test_every_figure_is_measured() -> None:
    cfg = shrink(_recipe('mae/mae_vit-tiny_1xb512-400e_cifar10.py'))
    figures = measure_mim_step(cfg, 2, repeats=2, compile_options=dict(backend='eager'))
    assert (figures['batch_size'], figures['dtype']) == (2, 'float32')
    for clock in ('wall', 'processor'):
        seconds = figures[clock].pop('seconds')
        assert set(seconds) == {'step', 'compiled_step', 'unmasked_step', 'plain_loop'}
        assert set(figures[clock]) == {
            'step_over_plain_loop', 'compiled_over_plain_loop', 'compiled_over_step', 'step_over_unmasked',
        }  # fmt: skip
        assert all(value > 0 for value in [*seconds.values(), *figures[clock].values()])


def test_methods_without_a_plain_loop() -> None:
    figures = measure_mim_step(shrink(_recipe('hivit/hivitmae_hivit-tiny_1xb512-400e_cifar10.py')), 2, repeats=1)
    assert set(figures['wall']['seconds']) == {'step', 'unmasked_step'}
    with pytest.raises(UserError, match='SimMIM.*has no UniformMasker'):
        measure_mim_step(shrink(_recipe('simmim/simmim_vit-tiny_1xb512-400e_cifar10.py')), 2)


def test_itpn_needs_less_memory_than_unmasked_hivit() -> None:
    cfg = _recipe('itpn/itpn_hivit-base-pixel_64xb64-400e_in1k.py')
    figures = measure_mim_memory(cfg, reference_arch='base')
    step, reference = figures['step'], figures['reference']
    assert figures['batch_size'] == 64 and step['activations'] > 2**30
    assert step['activations'] < 0.7 * reference['activations']
    assert step['total'] < 0.75 * reference['total']
    gradients = step['total'] - step['activations'] - step['weights']
    assert 0.99 * step['weights'] < gradients < step['weights']  # all but fixed positions
