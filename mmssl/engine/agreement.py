"""Checks before the first iteration that data and model, and the parts of the model, fit each other."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence, Sized
from typing import Any, cast

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmssl.datasets.sources import image_sources
from mmssl.distributed.collectives import world_size
from mmssl.engine.sizes import check_sizes
from mmssl.evaluation.result_names import result_names
from mmssl.models.algorithms.views import Views
from mmssl.models.components.label_check import learns_from_labels
from mmssl.utils.errors import UserError, did_you_mean


def check_training(algorithm: nn.Module, loader: DataLoader) -> list[str]:
    """Checks that an algorithm fits its training data and that its parts fit each other.

    Args:
        algorithm: Model without the wrapper of distributed training.
        loader: Dataloader of the training set.

    Returns:
        One sentence for each check that was not possible.

    Raises:
        UserError: Two of them do not fit.
        ValueError: A part cannot process the batches, such as a queue whose length is not a multiple of the batch.
    """
    check_views(algorithm, loader.dataset)
    check_bands(algorithm, loader.dataset)
    check_batch(algorithm, loader)
    for problem in wrong_batches(algorithm, loader.batch_size):
        raise ValueError(problem)
    rest = 0 if loader.drop_last or not loader.batch_size else len(cast(Sized, loader.sampler)) % loader.batch_size
    for problem in wrong_batches(algorithm, rest or None):
        raise ValueError(f'the last batch of an epoch: {problem}; or set train_dataloader.drop_last=True')
    check_banks(algorithm, loader.dataset)
    check_classes(algorithm, loader.dataset)
    check_temperatures(algorithm)
    check_units(algorithm)
    return check_sizes(algorithm, loader.dataset)


def check_views(algorithm: nn.Module, dataset: Any) -> None:
    """Checks that the training set draws the views that an algorithm takes.

    Args:
        algorithm: Algorithm; one without an attribute ``views`` of type ``Views``, such as a detector, is not checked.
        dataset: Training set; the parts of a concatenation are checked one by one.

    Raises:
        UserError: Number, kind or sizes of the views differ from ``algorithm.views``.
    """
    contract = getattr(algorithm, 'views', None)
    if not isinstance(contract, Views):
        return
    for place, part in image_sources(dataset, 'train_dataloader.dataset'):
        if getattr(part, 'views', None):
            contract.check_transforms(part.views, type(algorithm).__name__, f'{place}.views')


def check_bands(algorithm: nn.Module, dataset: Any, where: str = 'train_dataloader.dataset') -> None:
    """Checks number and range of the bands of images, and that views of bands have no operations on colours.

    Args:
        algorithm: Algorithm; one whose preprocessor does not tell its number of bands is not checked.
        dataset: Dataset; the parts of a concatenation are checked one by one.
        where: Key of the dataset in the config, for messages.

    Raises:
        UserError: Images and preprocessor have different numbers of bands, bands have another range than that with
            which ``statistics`` were measured, or an operation needs red, green and blue.
    """
    preprocessor: Any = getattr(algorithm, 'data_preprocessor', None)
    expected = getattr(preprocessor, 'num_bands', None)
    if expected is None:
        return
    for place, part in image_sources(dataset, where):
        own = getattr(part, 'num_bands', None)
        if (own or 3) != expected:
            raise UserError(
                f'{place} has {own or 3} bands and model.data_preprocessor.mean {expected}: set {place}.bands, '
                'model.backbone.in_channels, and mean and std of model.data_preprocessor to the same number of bands'
            )
        measured = getattr(preprocessor, 'measured_range', None)
        ranges = [] if measured is None else list(_value_ranges(part))
        wrong = [used for used in ranges if not _same_range(used if own else (0, 255), measured or ())]
        if wrong:
            raise UserError(
                f'{place} has value_range={wrong[0]}, and model.data_preprocessor.statistics were measured with '
                f"another one: set {place}.value_range='{preprocessor.statistics}'"
                f'{"" if own else f" and {place}.bands={expected}"}'
            )
        for view in getattr(part, 'views', []) if own is not None else []:
            needed: list[str] = getattr(view, 'color_operations', list)()
            if needed:
                raise UserError(
                    f'{place}.views use {" and ".join(needed)}, which need red, green and blue: bands have none. Set '
                    'jitter=(brightness, contrast, 0, 0) and grayscale=0'
                )


def _value_ranges(dataset: Any) -> Iterator[Any]:
    """Yields the ``value_range`` of a dataset, or of each dataset that it concatenates."""
    if hasattr(dataset, 'sources'):
        for source in dataset.sources:
            yield from _value_ranges(source)
    else:
        inner = getattr(dataset, 'dataset', dataset)
        yield from [getattr(inner, 'value_range', None)] if inner is dataset else _value_ranges(inner)


def _same_range(own: Any, measured: Sequence[Sequence[float]]) -> bool:
    """Returns whether bands are read with the range (C, 2) with which they were measured; None reads all of a type."""
    ranges = [own] if own is not None else [(0, 255), (0, 65535)]
    return any(np.allclose(np.broadcast_to(each, np.shape(measured)), measured, rtol=1e-6) for each in ranges)


def check_classes(algorithm: nn.Module, dataset: Any) -> None:
    """Checks that a classifier has an output for every class of the training set, without reading images.

    Args:
        algorithm: Algorithm; only one that learns from labels, see ``learns_from_labels``, is checked.
        dataset: Training set.

    Raises:
        UserError: The images have no labels, there are more classes than outputs, or the ``num_classes`` of
            ``model.mix`` or of the head of ``model.teacher`` differs from that of the head.
    """
    if not learns_from_labels(algorithm) or not hasattr(dataset, 'label'):
        return
    check: Any = algorithm.check_labels
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
        print_log(f'the head has {check.num_classes} classes, but the training set has only {number}', logger='current')
    teacher = getattr(algorithm, 'teacher', None)
    for place, part in (('mix', getattr(algorithm, 'mix', None)), ('teacher.head', getattr(teacher, 'head', None))):
        own = getattr(part, 'num_classes', check.num_classes)
        if own != check.num_classes:
            raise UserError(
                f'model.{place}.num_classes={own} and model.head.num_classes={check.num_classes} must be the same '
                'number'
            )


def check_temperatures(algorithm: nn.Module) -> None:
    """Checks that temperatures are positive: 0 makes a loss NaN, and a negative one makes it push positives apart.

    Raises:
        UserError: The ``temperature`` of a part is not positive.
    """
    for name, part in algorithm.named_modules():
        temperature = getattr(part, 'temperature', None)
        if isinstance(temperature, (int, float)) and not temperature > 0:
            raise UserError(f'model.{name}.temperature must be above 0, got {temperature}')


def check_units(algorithm: nn.Module) -> None:
    """Checks that the parts that turn normalised images back into pixels know how they were normalised.

    Args:
        algorithm: Algorithm; its parts with ``mean`` and ``std`` (3, 1, 1), on the scale 0-1, are checked.

    Raises:
        UserError: A part has another ``mean`` or ``std`` than the preprocessor.
    """
    preprocessor: Any = getattr(algorithm, 'data_preprocessor', None)
    for name, part in algorithm.named_modules():
        for key in ('mean', 'std'):
            theirs, own = (getattr(module, key, None) for module in (preprocessor, part))
            if not isinstance(theirs, Tensor) or not isinstance(own, Tensor) or own.ndim != 3:
                continue
            if own.shape != theirs.shape or not torch.allclose(own, theirs.to(own), rtol=0, atol=1e-4):
                values = [[round(255 * value, 3) for value in x.flatten().tolist()] for x in (own, theirs)]
                raise UserError(
                    f'model.{name}.{key}={values[0]} must be the {key} of model.data_preprocessor, {values[1]}'
                )


def check_watched_results(hooks: Sequence[Hook], loop: Any) -> None:
    """Checks that the validation returns the results that hooks watch, such as ``save_best`` of a checkpoint hook.

    Args:
        hooks: Hooks of the run.
        loop: Validation loop.

    Raises:
        UserError: A hook watches a result that the validation does not return.
    """
    names = result_names(getattr(loop, 'evaluator', None))
    for hook in hooks:
        for key in ('save_best', 'monitor'):
            wanted = getattr(hook, key, None)
            wanted = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
            for name in wanted:
                if names is not None and name not in names and name != 'auto':
                    raise UserError(
                        f'{type(hook).__name__}: {key}={name!r} is not a result of the validation, which returns '
                        f'{", ".join(names)}{did_you_mean(name, names)}'
                    )


def check_batch(algorithm: nn.Module, loader: DataLoader) -> None:
    """Checks that no batch is a single image if a loss or a norm compares the images of a batch.

    Args:
        algorithm: Algorithm; its ``batch_coupled`` names the loss or norm that compares images.
        loader: Dataloader of the training set.

    Raises:
        UserError: Every batch, or the last batch of an epoch, is a single image.
    """
    coupled = getattr(algorithm, 'batch_coupled', None)
    training = [module for module in algorithm.modules() if module.training]
    norms = any(isinstance(module, (nn.BatchNorm1d, nn.SyncBatchNorm)) for module in training)
    # Each process of such a norm sees its own images alone.
    apart = world_size() == 1 or any(isinstance(module, nn.BatchNorm1d) for module in training)
    compares = 'batch norm' if norms and coupled in (None, 'batch norm') else coupled
    size, sampler = loader.batch_size, cast(Sized, loader.sampler)
    if compares is None or compares == 'batch norm' and not norms or size is None:
        return
    name = type(algorithm).__name__
    if size * world_size() < 2 or size < 2 and norms:
        raise UserError(
            f'{name} compares the images of a batch ({compares}), so it cannot learn from a single image: set '
            f'train_dataloader.batch_size, which is {size}, to 2 or more'
        )
    if not loader.drop_last and len(sampler) % size == 1 and apart:
        images = f'{len(sampler)} images' if world_size() == 1 else f'{len(sampler)} images per process'
        raise UserError(
            f'{name} compares the images of a batch ({compares}), and the last batch of an epoch of {images} is a '
            'single one: set train_dataloader.drop_last=True'
        )


def wrong_batches(algorithm: nn.Module, batch_size: int | None) -> Iterator[str]:
    """Yields one sentence for each part that cannot process batches of this size.

    Args:
        algorithm: Algorithm. Its parts with a ``queue_length`` are queues, whose length must be a multiple of the
            global batch size. A part with other conditions has a method ``wrong_batch(images)``, which returns a
            sentence or None for a number of images per process.
        batch_size: Images per process and step; None (the batch sampler decides) is not checked.
    """
    if batch_size is None:
        return
    batch = batch_size * world_size()
    for name, part in algorithm.named_modules():
        if problem := getattr(part, 'wrong_batch', lambda images: None)(batch_size):
            yield f'model.{name}: {problem}; set train_dataloader.batch_size'
        length = getattr(part, 'queue_length', None)
        if isinstance(length, int) and length % batch:
            yield (
                f'model.{name}: queue length {length} is not a multiple of the global batch size {batch}; '
                f'{length // batch * batch or batch} is one'
            )


def check_banks(algorithm: nn.Module, dataset: Any) -> None:
    """Checks that a bank has a row for every image of the training set, and warns of rows without an image.

    Args:
        algorithm: Algorithm, whose parts with a ``bank_length`` are banks.
        dataset: Training set.

    Raises:
        UserError: A bank has fewer rows than there are images.
    """
    for name, part in algorithm.named_modules():
        rows, images = getattr(part, 'bank_length', None), len(dataset)
        if not isinstance(rows, int) or rows == images:
            continue
        remedy = f'set model.{name}.length={images}'
        if rows < images:
            raise UserError(f'model.{name} has {rows} rows, and train_dataloader.dataset {images} images: {remedy}')
        print_log(
            f'model.{name} has {rows} rows, and train_dataloader.dataset only {images} images: the other rows stay '
            f'random and are drawn as negatives; {remedy}',
            logger='current',
            level=logging.WARNING,
        )
