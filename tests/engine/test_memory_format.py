"""Channels-last runs give the numbers of contiguous runs, and their files do not depend on the format."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmssl.config.memory_format import memory_format
from mmssl.engine.memory_format import choose_memory_format, set_memory_format
from mmssl.engine.runner import PretrainRunner
from mmssl.registry import ALGORITHMS, BACKBONES
from mmssl.utils.errors import UserError
from tests.support.tiny_run import build_runner, tiny_config

ADAMW = dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.1))
SAME = dict(rtol=1e-3, atol=2e-4)


def is_channels_last(tensor: Tensor) -> bool:
    return tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()


def train(work_dir: Path, **changes) -> PretrainRunner:
    runner = build_runner(tiny_config(work_dir, 'byol', optim_wrapper=ADAMW, **changes))
    runner.train()
    return runner


def weights(runner: PretrainRunner) -> dict[str, Tensor]:
    return {name: value.float() for name, value in runner.algorithm.state_dict().items()}


def test_a_channels_last_run_is_the_contiguous_run_up_to_rounding(tmp_path: Path) -> None:
    views: list[Tensor] = []
    runs = {}
    for name in ('contiguous', 'auto'):
        run = build_runner(tiny_config(tmp_path / name, 'byol', optim_wrapper=ADAMW, max_epochs=1, memory_format=name))
        backbone = run.algorithm.backbone
        backbone.register_forward_pre_hook(lambda module, inputs: views.append(inputs[0].detach()))
        run.train()
        runs[name] = run
        assert is_channels_last(views[-1]) == is_channels_last(backbone.conv1.weight) == (name == 'auto')
    torch.testing.assert_close(weights(runs['auto']), weights(runs['contiguous']), **SAME)
    state = next(iter(runs['auto'].optim_wrapper.optimizer.state.items()))
    assert is_channels_last(state[0]) and is_channels_last(state[1]['exp_avg'])


def test_files_are_contiguous_and_resume_in_either_format(tmp_path: Path) -> None:
    whole = weights(train(tmp_path, memory_format='channels_last', max_epochs=2))
    for file in ('iter_12.pth', 'iter_8_backbone.pth'):
        saved = torch.load(tmp_path / file, weights_only=False)
        assert all(value.is_contiguous() for value in saved['state_dict'].values())
    state = torch.load(tmp_path / 'iter_8.pth', weights_only=False)['optimizer']['state']
    assert all(values['exp_avg'].is_contiguous() for values in state.values())
    for name, exact in (('channels_last', True), ('contiguous', False)):
        resume = dict(resume=True, load_from=str(tmp_path / 'iter_8.pth'))
        again = weights(train(tmp_path / name, memory_format=name, max_epochs=2, **resume))
        torch.testing.assert_close(again, whole, **(dict(rtol=0, atol=0) if exact else SAME))


@pytest.mark.parametrize(
    ('backbone', 'convolutional'),
    [
        (dict(type='ResNet', depth=18, width=0.125), True),
        (dict(type='NIN'), True),
        (dict(type='AlexNet'), True),
        (dict(type='AdderResNet', depth=20), False),
        (dict(type='VisionTransformer', arch='tiny', img_size=32), False),
        (dict(type='VisionTransformer', arch='tiny', img_size=32, patch_embed='conv'), False),
    ],
    ids=str,
)
def test_auto_is_channels_last_for_convolutions_alone(backbone: dict, convolutional: bool) -> None:
    chosen = choose_memory_format('auto', torch.nn.ModuleDict(dict(backbone=BACKBONES.build(backbone))))
    assert (chosen is torch.channels_last) == convolutional


def test_float64_is_contiguous_unless_asked_for() -> None:
    model = ALGORITHMS.build(tiny_config('')['model']).double()
    assert choose_memory_format(None, model) is torch.contiguous_format
    assert choose_memory_format('channels_last', model) is torch.channels_last
    assert set_memory_format(model, torch.channels_last).data_preprocessor.memory_format is torch.channels_last


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UserError, match="one of 'auto', 'channels_last', 'contiguous', got 'nhwc'"):
        memory_format('nhwc')
