from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.optim import SGD

from mmssl.datasets.collate_views import collate_views
from mmssl.engine.optimizers.mixed_precision import MixedPrecisionOptimWrapper
from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor
from tests.support.tiny_run import NoiseImages, build_runner, tiny_config


def _step(wrapper: MixedPrecisionOptimWrapper, model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with wrapper.optim_context(model):
        out = model(images)
    wrapper.update_params(out.float().square().mean())
    return out


@pytest.mark.parametrize(('dtype', 'expected'), [('bfloat16', torch.bfloat16), (None, torch.float32)])
def test_computes_in_the_type_and_keeps_float32_weights(dtype: str | None, expected: torch.dtype) -> None:
    model = nn.Linear(4, 2)
    wrapper = MixedPrecisionOptimWrapper(dtype=dtype, optimizer=SGD(model.parameters(), lr=0.1))
    before = model.weight.detach().clone()
    assert _step(wrapper, model, torch.randn(3, 4)).dtype == expected
    assert model.weight.dtype == torch.float32 and not torch.equal(model.weight, before)


def test_views_are_augmented_in_full_precision() -> None:
    dataset = NoiseImages(num_images=4, views=[dict(type='AugmentedView', size=16, blur=1.0)])
    batch = collate_views([dataset[index] for index in range(4)])
    preprocess = SelfSupDataPreprocessor()
    wrapper = MixedPrecisionOptimWrapper(optimizer=SGD(nn.Linear(1, 1).parameters(), lr=0.1))
    with wrapper.optim_context(nn.Linear(1, 1)):
        (actual,) = preprocess(batch, True)['inputs']
    (expected,) = preprocess(batch, True)['inputs']
    assert torch.equal(actual, expected)


def test_float16_on_cpu_is_refused_with_what_works() -> None:
    with pytest.raises(ValueError, match="needs a GPU.*use dtype='bfloat16'"):
        MixedPrecisionOptimWrapper(dtype='float16', optimizer=SGD(nn.Linear(1, 1).parameters(), lr=0.1))
    with pytest.raises(ValueError, match="got 'half'"):
        MixedPrecisionOptimWrapper(dtype='half', optimizer=SGD(nn.Linear(1, 1).parameters(), lr=0.1))


def test_accumulated_batches_equal_one_batch() -> None:
    images = torch.randn(6, 4)
    results = []
    for counts, batches in ((1, [images]), (3, images.chunk(3))):
        torch.manual_seed(0)
        model = nn.Linear(4, 2)
        optimizer = SGD(model.parameters(), lr=0.1)
        wrapper = MixedPrecisionOptimWrapper(dtype=None, optimizer=optimizer, accumulative_counts=counts)
        for batch in batches:
            _step(wrapper, model, batch)
        results.append(model.weight.detach())
    torch.testing.assert_close(*results)


def test_clipping_bounds_the_step_and_keeps_the_norm_as_a_tensor() -> None:
    model = nn.Linear(4, 2)
    before = torch.cat([p.detach().flatten() for p in model.parameters()])
    wrapper = MixedPrecisionOptimWrapper(
        dtype=None, optimizer=SGD(model.parameters(), lr=1.0), clip_grad=dict(max_norm=0.01)
    )
    _step(wrapper, model, 10 * torch.randn(3, 4))
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    torch.testing.assert_close((after - before).norm(), torch.tensor(0.01), rtol=1e-3, atol=0)
    assert isinstance(wrapper.grad_norm, torch.Tensor) and wrapper.grad_norm > 0.01


class Overflow(Hook):
    """Scales losses on the CPU, makes a gradient of iteration 2 infinite, and records what each iteration moved."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.moved: list[list[bool]] = []

    def before_train(self, runner: Runner) -> None:
        self.parts = runner.model.backbone, runner.model.teacher
        runner.optim_wrapper.loss_scaler = torch.amp.GradScaler('cpu', init_scale=1024.0)
        runner.model.backbone.conv1.weight.register_hook(lambda grad: grad * self.factor)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.factor = float('inf') if batch_idx == 1 else 1.0
        self.before = self._weights()

    def after_train_iter(self, *args: Any, **kwargs: Any) -> None:
        self.moved.append([not torch.equal(*pair) for pair in zip(self.before, self._weights())])

    def _weights(self) -> list[torch.Tensor]:
        return [torch.cat([parameter.detach().flatten() for parameter in part.parameters()]) for part in self.parts]


@pytest.mark.parametrize('optimizer', ['AdamW', 'SGD'])
def test_a_step_that_loss_scaling_skips_does_not_move_the_teacher(tmp_path: Path, optimizer: str) -> None:
    optim_wrapper = dict(
        type='MixedPrecisionOptimWrapper', dtype=None, optimizer=dict(type=optimizer, lr=1e-3, fused=True)
    )
    runner = build_runner(
        tiny_config(tmp_path, 'byol', optim_wrapper=optim_wrapper, max_epochs=1, param_scheduler=None)
    )
    hook = Overflow()
    runner.register_hook(hook)
    runner.train()
    assert runner.optim_wrapper.param_groups[0]['fused']
    assert hook.moved[:3] == [[True, True], [False, False], [True, True]]


@pytest.mark.gpu
def test_float16_overflow_leaves_the_step_out() -> None:
    model = nn.Linear(4, 2).cuda()
    optimizer = SGD(model.parameters(), lr=0.1)
    wrapper = MixedPrecisionOptimWrapper(dtype='float16', optimizer=optimizer)
    steps = []
    optimizer.register_step_post_hook(lambda *args: steps.append(1))
    scale = wrapper.loss_scaler.get_scale()
    before = model.weight.detach().clone()
    _step(wrapper, model, torch.full((3, 4), float('inf'), device='cuda'))
    assert not steps and torch.equal(model.weight, before) and wrapper.loss_scaler.get_scale() < scale
    _step(wrapper, model, torch.randn(3, 4, device='cuda') / 100)
    assert len(steps) == 1
    again = MixedPrecisionOptimWrapper(dtype='float16', optimizer=SGD(model.parameters(), lr=0.1))
    again.load_state_dict(wrapper.state_dict())
    assert again.loss_scaler.get_scale() == wrapper.loss_scaler.get_scale()
