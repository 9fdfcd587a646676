"""The largest tensor that a loss holds on its way forward and back, to the byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmssl.models.components.centered_softmax import CenteredSoftmax
from mmssl.models.losses.barlow_twins_loss import BarlowTwinsLoss
from mmssl.models.losses.vicreg_loss import VICRegLoss
from mmssl.models.losses.view_cross_entropy_loss import ViewCrossEntropyLoss

FLOAT = 4  # bytes


class LargestTensor(TorchDispatchMode):
    """Records the largest storage that any operation returns, in float32 numbers."""

    numbers = 0

    def __torch_dispatch__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        outputs = func(*args, **(kwargs or {}))
        for output in tree_leaves(outputs):
            if isinstance(output, Tensor):
                self.numbers = max(self.numbers, output.untyped_storage().nbytes() // FLOAT)
        return outputs


def largest(loss: Callable[..., Tensor], *inputs: Tensor) -> int:
    """Numbers in the largest tensor of the loss and its backward pass."""
    with LargestTensor() as record:
        loss(*inputs).backward()
    return record.numbers


def embeddings(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).requires_grad_()


def test_record_sees_what_is_made_on_the_way_and_in_the_backward_pass() -> None:
    assert largest(lambda x: (x[:, None] - x).square().sum(), embeddings(3, 5)) == 3 * 3 * 5
    assert largest(lambda x: x[0].sum(), embeddings(3, 5)) == 3 * 5


def test_barlow_twins_holds_no_more_than_the_cross_correlation() -> None:
    assert largest(BarlowTwinsLoss(), embeddings(6, 16), embeddings(6, 16)) == 16 * 16


def test_vicreg_holds_no_more_than_a_covariance() -> None:
    assert largest(VICRegLoss(), embeddings(6, 16), embeddings(6, 16)) == 16 * 16


def test_dino_holds_no_more_than_the_logits_of_all_views() -> None:
    num_views, num_images, num_prototypes = 10, 3, 32
    targets = CenteredSoftmax(num_prototypes)
    teacher = embeddings(2 * num_images, num_prototypes).detach()

    def step(logits: Tensor) -> Tensor:
        targets.stage(teacher)
        loss = ViewCrossEntropyLoss()(logits, targets(teacher).unflatten(0, (2, -1)))
        targets.update(0.5)
        return loss

    assert largest(step, embeddings(num_views, num_images, num_prototypes)) == num_views * num_images * num_prototypes
