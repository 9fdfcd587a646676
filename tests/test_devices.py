"""Every method on a GPU that does not exist: no operation may mix its tensors with tensors of the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from mmengine.registry import init_default_scope
from torch import Tensor

from mmssl.profiling.cluster import group_of
from mmssl.registry import ALGORITHMS
from tests.support.recipes import CONFIGS, loaded
from tests.support.second_device import WrongDeviceError, pretended_gpu
from tests.support.shrink import BATCH_SIZE, shrink
from tests.support.small_parts import step_samples

RECIPES = {path.stem.split('_')[0]: path for path in sorted(CONFIGS.glob('[!_]*/*_cifar10.py'))}
WORDS = torch.arange(4)


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient * torch.ones(4)


@pytest.mark.parametrize(
    'mistake',
    [
        lambda x: x + torch.ones(4),
        lambda x: x + torch.ones(4).to('cuda').cpu(),
        lambda x: torch.cat([x, torch.zeros(4)]),
        lambda x: WORDS[x.long()],
        lambda x: torch.randn(4, generator=torch.Generator(), device=x.device),
        lambda x: x.numpy(),
        lambda x: x.pin_memory(),
        lambda x: x.index_put_((torch.tensor([1, 2]),), torch.zeros(2)),
        lambda x: _Backward.apply(x.requires_grad_()).sum().backward(),
        lambda x: dist.all_reduce(torch.ones(4)),
    ],
)
def test_mistakes_are_found(mistake: Callable[[Tensor], object]) -> None:
    with group_of(2), pretended_gpu(), pytest.raises(WrongDeviceError):
        mistake(torch.ones(4, device='cuda'))


def test_right_programs_pass() -> None:
    with group_of(2), pretended_gpu():
        x = torch.ones(4).cuda().requires_grad_()
        y = (2 * x + x.new_tensor([1, 2, 3, 4]) + torch.tensor(1.0))[torch.tensor([0, 1, 1])]
        y.sum().backward()
        dist.all_reduce(x.grad)
        assert {tensor.device.type for tensor in (x, y, x.grad, torch.zeros_like(y), x.detach()[:2])} == {'cuda'}
        assert {tensor.device.type for tensor in (x.cpu(), torch.zeros(3), x.to('cpu'), WORDS)} == {'cpu'}
        assert x.grad.tolist() == [2, 4, 0, 0] and x.is_cuda and x.detach().cpu().numpy().sum() == 4


@pytest.mark.parametrize('path', RECIPES.values(), ids=RECIPES)
def test_two_steps_mix_no_devices(path: Path) -> None:
    init_default_scope('mmssl')
    cfg = shrink(loaded(path))
    model = ALGORITHMS.build(cfg.model)
    sizes = [view.size for view in cfg.train_dataloader.dataset.views]
    samples = step_samples(model, BATCH_SIZE, sizes[0])
    views = [torch.randint(0, 256, (BATCH_SIZE, 3, size, size), dtype=torch.uint8) for size in sizes]
    with group_of(2), pretended_gpu():
        model.to('cuda').on_train_start()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        for _ in range(2):
            batch = model.data_preprocessor(dict(inputs=views, data_samples=samples), True)
            terms = model.loss(batch['inputs'], batch['data_samples'])
            assert {term.device.type for term in terms.values()} == {'cuda'}
            sum(value for name, value in terms.items() if name.startswith('loss')).backward()
            model.on_step_start()
            optimizer.step()
            optimizer.zero_grad()
            model.on_step_end(0.5)
        features = model.extract_feat(batch['inputs'][0])
        everything = {'features': features, **dict(model.named_parameters()), **dict(model.named_buffers())}
        assert not [name for name, tensor in everything.items() if tensor.device.type != 'cuda']
