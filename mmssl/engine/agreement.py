"""What the parts of a run must agree about, compared before the first iteration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from mmssl.models.algorithms.views import Views
from mmssl.utils.dist import world_size
from mmssl.utils.errors import UserError


def check_views(algorithm: nn.Module, dataset: Any) -> None:
    """Compares the views that an algorithm takes with those that a training set draws.

    Args:
        algorithm: One without a contract, such as a detector, is left unchecked.
        dataset: The training set; several that are concatenated are compared one by one.

    Raises:
        UserError: Number, kind or sizes of the views differ from the contract.
    """
    contract = getattr(algorithm, 'views', None)
    if not isinstance(contract, Views):
        return
    for place, part in image_sources(dataset, 'train_dataloader.dataset'):
        if getattr(part, 'views', None):
            contract.check_transforms(part.views, type(algorithm).__name__, f'{place}.views')


def check_batch(algorithm: nn.Module, loader: DataLoader) -> None:
    """Refuses batches of one image where a loss or norm compares the images of a batch.

    Args:
        algorithm: Its ``batch_coupled`` says what it compares.
        loader: That of the training set.

    Raises:
        UserError: Every batch, or the last one of an epoch, is a single image.
    """
    coupled = getattr(algorithm, 'batch_coupled', None)
    norms = any(isinstance(m, (nn.BatchNorm1d, nn.SyncBatchNorm)) and m.training for m in algorithm.modules())
    compares = 'batch norm' if norms and coupled in (None, 'batch norm') else coupled
    size = loader.batch_size
    if compares is None or compares == 'batch norm' and not norms or size is None:
        return
    name = type(algorithm).__name__
    if size * world_size() < 2 or size < 2 and norms:
        raise UserError(
            f'{name} compares the images of a batch ({compares}), so a single image teaches nothing: '
            f'train_dataloader.batch_size is {size}, set it to 2 or more'
        )
    if not loader.drop_last and len(loader.sampler) % size == 1 and world_size() == 1:
        raise UserError(
            f'{name} compares the images of a batch ({compares}), and the last batch of an epoch of '
            f'{len(loader.sampler)} images is a single one: set train_dataloader.drop_last=True'
        )


def image_sources(dataset: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Every (key in the config, dataset) that is not made of others, such as the parts of a concatenation."""
    if hasattr(dataset, 'datasets'):
        for index, part in enumerate(dataset.datasets):
            yield from image_sources(part, f'{place}.datasets.{index}')
    elif hasattr(dataset, 'dataset'):
        yield from image_sources(dataset.dataset, f'{place}.dataset')
    else:
        yield place, dataset
