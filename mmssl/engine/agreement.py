"""What the parts of a run must agree about, compared before the first iteration."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmssl.distributed.collectives import world_size
from mmssl.evaluation.extract import random_state_kept
from mmssl.evaluation.result_names import result_names
from mmssl.models.algorithms.views import Views
from mmssl.models.components.label_check import LabelCheck
from mmssl.utils.errors import UserError, did_you_mean


def check_training(algorithm: nn.Module, loader: DataLoader) -> list[str]:
    """Compares an algorithm with its training data, and its parts with each other.

    Args:
        algorithm: The model without the wrapper of distributed training.
        loader: The dataloader of the training set.

    Returns:
        One sentence for each comparison that was not possible.

    Raises:
        UserError: They do not fit.
        ValueError: A queue is no multiple of the batch; another batch may fit it.
    """
    check_views(algorithm, loader.dataset)
    check_batch(algorithm, loader)
    for problem in wrong_queues(algorithm, loader.batch_size):
        raise ValueError(problem)
    check_classes(algorithm, loader.dataset)
    check_temperatures(algorithm)
    return check_sizes(algorithm, loader.dataset)


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


def check_classes(algorithm: nn.Module, dataset: Any) -> None:
    """Compares the classes of the training set with those of a classifier, from names or stored labels alone.

    Args:
        algorithm: One that learns from labels has a ``check_labels``; any other is left unchecked.
        dataset: The training set.

    Raises:
        UserError: Images have no labels, there are more classes than outputs, or what mixes labels has other classes.
    """
    check = getattr(algorithm, 'check_labels', None)
    if not isinstance(check, LabelCheck) or not hasattr(dataset, 'label'):
        return
    if dataset.label(0) < 0:
        raise UserError(
            f'{type(algorithm).__name__} learns from labels, and the images of train_dataloader.dataset '
            f'({dataset.describe()}) have none: use a dataset with labels, such as ClassFolder or ImageNet1k'
        )
    names, labels = dataset.classes, getattr(dataset, 'labels', None)
    number = len(names) if names else int(labels.max()) + 1 if isinstance(labels, Tensor) else 0
    if number > check.num_classes:
        shown = f' ({", ".join(names[:5])}{", ..." if number > 5 else ""})' if names else ''
        raise UserError(
            f'train_dataloader.dataset has {number} classes{shown} and the head {check.num_classes}: set '
            f'model.head.num_classes={number}'
        )
    if names and number < check.num_classes:
        print_log(f'the head has {check.num_classes} classes, and the training set {number} of them', logger='current')
    mixed = getattr(getattr(algorithm, 'mix', None), 'num_classes', check.num_classes)
    if mixed != check.num_classes:
        raise UserError(
            f'model.mix.num_classes={mixed} and model.head.num_classes={check.num_classes} must be the same number'
        )


def check_sizes(algorithm: nn.Module, dataset: Any) -> list[str]:
    """Compares the sizes of view, backbone, masker, decoder and target of an algorithm.

    It compares the sizes that parts state, and then sends an image of zeros through the parts in evaluation mode.

    Args:
        algorithm: The algorithm; one without a contract of views, such as a detector, is not checked.
        dataset: The training set.

    Returns:
        One sentence for each part that could not be called.

    Raises:
        UserError: Two parts do not fit; the message names both, with their keys.
    """
    if not isinstance(getattr(algorithm, 'views', None), Views):
        return []
    transforms: list[Any] = next(
        (part.views for _, part in image_sources(dataset, '') if getattr(part, 'views', None)), []
    )
    sizes = [view.size for view in transforms if isinstance(getattr(view, 'size', None), int)]
    if not sizes or len(sizes) < len(transforms):
        return ['the sizes of the parts are not compared: not every view states its size']
    for problem in _wrong_masks(algorithm, sizes[0]):
        raise UserError(problem)
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    was_training = [(module, module.training) for module in algorithm.modules()]
    try:
        with random_state_kept(), torch.no_grad():
            algorithm.eval()
            _try_out(algorithm, sizes)
    except _CannotCallError as error:
        return [str(error)]
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        for module, mode in was_training:
            module.training = mode
    return []


def _wrong_masks(algorithm: Any, size: int) -> Iterator[str]:
    masker, view = getattr(algorithm, 'masker', None), f'train_dataloader.dataset.views.0.size={size}'
    patch = getattr(masker, 'patch_size', None)
    if not isinstance(patch, int):
        return
    for key in ('patch_size', 'unit_size'):
        side = getattr(masker, key, None)
        if isinstance(side, int) and size % side:
            yield f'{view} is no multiple of model.masker.{key}={side}'
    for name in ('backbone', 'target'):
        other = getattr(getattr(algorithm, name, None), 'patch_size', patch)
        if isinstance(other, int) and other != patch:
            yield f'model.masker.patch_size={patch} and the patches of model.{name}, {other} pixels, must be equal'
    grid = size // patch
    for module in algorithm.neck.modules():
        shape = getattr(module, 'grid_size', None)
        patches = math.prod(shape) if isinstance(shape, tuple) else getattr(module, 'num_patches', None)
        if isinstance(patches, int) and patches != grid**2:
            yield (
                f'{view} and model.masker.patch_size={patch} make {grid} x {grid} = {grid**2} patches, and '
                f'model.neck.grid_size is for {patches}: set model.neck.grid_size={grid}, or another size of the view'
            )


class _CannotCallError(Exception):
    """A part takes other arguments than those of the methods that are known here."""


def _try_out(algorithm: Any, sizes: list[int]) -> None:
    """Sends an image through masker, target, backbone and neck, and compares the results."""
    parameter = next(algorithm.parameters())
    images, rendering = (parameter.new_zeros(1, 3, size, size) for size in (sizes[0], sizes[-1]))
    views = f'train_dataloader.dataset.views.0.size={sizes[0]}'
    predicted = None
    with _explained(f'the parts of {type(algorithm).__name__} do not fit an image of {views}'):
        if hasattr(algorithm, 'masker'):
            mask = algorithm.masker(images)
            if hasattr(algorithm, 'reconstruct'):
                predicted = algorithm.reconstruct(images)[1]
        else:
            features = algorithm.backbone(images)
    if not hasattr(algorithm, 'masker'):
        width = getattr(algorithm.backbone, 'feature_dim', None)
        with _explained(f'model.neck does not take what model.backbone returns (feature_dim={width})'):
            algorithm.neck(features)
        return
    if not callable(getattr(algorithm, 'target', None)):
        return
    with _explained(f'model.target does not take the last view, of {sizes[-1]} pixels'):
        target = algorithm.target(rendering)
    if not isinstance(target, Tensor) or target.ndim < 2 or mask.ndim != 2:
        return
    if target.shape[1] != mask.shape[1]:
        raise UserError(
            f'model.target gives {target.shape[1]} targets to a view of {sizes[-1]} pixels, and the masker hides among '
            f'{mask.shape[1]} patches ({views}): change the size of the last view or the patches of the target'
        )
    if isinstance(predicted, Tensor) and predicted.shape[1] != mask.shape[1]:
        stride = getattr(algorithm.neck, 'stride', None)
        raise UserError(
            f'model.neck{"" if stride is None else f" with stride={stride}"} predicts {predicted.shape[1]} patches, '
            f'and the masker hides among {mask.shape[1]} ({views}): the decoder must return to the size of the image'
        )
    width = predicted.shape[-1] if isinstance(predicted, Tensor) else getattr(algorithm.neck, 'out_channels', None)
    if target.ndim == 3 and width is not None and width != target.shape[-1]:
        raise UserError(
            f'model.neck predicts {width} values per patch and model.target has {target.shape[-1]}: set '
            f'model.neck.out_channels={target.shape[-1]}'
        )


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Puts ``what`` before an error of a part, and tells apart a part that cannot be called with these arguments."""
    try:
        yield
    except (TypeError, NotImplementedError) as error:
        raise _CannotCallError(f'not checked whether {what}: a part is called in another way ({error})') from error
    except (RuntimeError, ValueError, AssertionError) as error:
        raise UserError(f'{what}: {error}') from error


def check_temperatures(algorithm: nn.Module) -> None:
    """Refuses temperatures with which a loss would be NaN, or would push apart what it should bring together.

    Raises:
        UserError: The ``temperature`` of a part is not positive.
    """
    for name, part in algorithm.named_modules():
        temperature = getattr(part, 'temperature', None)
        if isinstance(temperature, (int, float)) and not temperature > 0:
            raise UserError(f'model.{name}.temperature must be above 0, got {temperature}')


def check_watched_results(hooks: Sequence[Hook], loop: Any) -> None:
    """Compares the results that hooks choose by, ``save_best`` for instance, with those of a validation.

    Args:
        hooks: The hooks of the run.
        loop: The validation loop.

    Raises:
        UserError: A hook looks for a result of another name.
    """
    names = result_names(getattr(loop, 'evaluator', None))
    for hook in hooks:
        for key in ('save_best', 'monitor'):
            wanted = getattr(hook, key, None)
            wanted = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
            for name in wanted:
                if names is not None and name not in names and name != 'auto':
                    raise UserError(
                        f'{type(hook).__name__}: {key}={name!r} is none of the results of the validation, which are '
                        f'{", ".join(names)}{did_you_mean(name, names)}'
                    )


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
    size, sampler = loader.batch_size, cast(Sized, loader.sampler)
    if compares is None or compares == 'batch norm' and not norms or size is None:
        return
    name = type(algorithm).__name__
    if size * world_size() < 2 or size < 2 and norms:
        raise UserError(
            f'{name} compares the images of a batch ({compares}), so a single image teaches nothing: '
            f'train_dataloader.batch_size is {size}, set it to 2 or more'
        )
    if not loader.drop_last and len(sampler) % size == 1 and world_size() == 1:
        raise UserError(
            f'{name} compares the images of a batch ({compares}), and the last batch of an epoch of '
            f'{len(sampler)} images is a single one: set train_dataloader.drop_last=True'
        )


def wrong_queues(algorithm: nn.Module, batch_size: int | None) -> Iterator[str]:
    """Yields what is wrong with the length of every queue that whole batches do not fill, with its place.

    Args:
        algorithm: Its parts with a ``queue_length`` are queues.
        batch_size: Images per process and step; None, where a batch sampler draws them, is left unchecked.
    """
    if batch_size is None:
        return
    batch = batch_size * world_size()
    for name, part in algorithm.named_modules():
        length = getattr(part, 'queue_length', None)
        if isinstance(length, int) and length % batch:
            yield (
                f'model.{name}: queue length {length} is no multiple of the global batch size {batch}; '
                f'{length // batch * batch or batch} is'
            )


def image_sources(dataset: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Every (key in the config, dataset) that reads images itself, such as the parts of a concatenation."""
    if hasattr(dataset, 'datasets'):
        for index, part in enumerate(dataset.datasets):
            yield from image_sources(part, f'{place}.datasets.{index}')
    elif hasattr(dataset, 'dataset'):
        yield from image_sources(dataset.dataset, f'{place}.dataset')
    else:
        yield place, dataset
