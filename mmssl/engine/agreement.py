"""Checks before the first iteration that data and model, and the parts of the model, fit each other."""

from __future__ import annotations

import logging
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
    """Checks that an algorithm fits its training data and that its parts fit each other.

    Args:
        algorithm: Model without the wrapper of distributed training.
        loader: Dataloader of the training set.

    Returns:
        One sentence for each check that was not possible.

    Raises:
        UserError: Two of them do not fit.
        ValueError: The length of a queue is not a multiple of the global batch size.
    """
    check_views(algorithm, loader.dataset)
    check_bands(algorithm, loader.dataset)
    check_batch(algorithm, loader)
    for problem in wrong_queues(algorithm, loader.batch_size):
        raise ValueError(problem)
    rest = 0 if loader.drop_last or not loader.batch_size else len(cast(Sized, loader.sampler)) % loader.batch_size
    for problem in wrong_queues(algorithm, rest or None):
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


def check_bands(algorithm: nn.Module, dataset: Any) -> None:
    """Checks the number of bands of the images, and that views of bands have no operations on colours.

    Args:
        algorithm: Algorithm; one whose preprocessor does not tell its number of bands is not checked.
        dataset: Training set; the parts of a concatenation are checked one by one.

    Raises:
        UserError: Images and preprocessor have different numbers of bands, or an operation needs red, green and blue.
    """
    expected = getattr(getattr(algorithm, 'data_preprocessor', None), 'num_bands', None)
    if expected is None:
        return
    for place, part in image_sources(dataset, 'train_dataloader.dataset'):
        own = getattr(part, 'num_bands', None)
        if (own or 3) != expected:
            raise UserError(
                f'{place} has {own or 3} bands and model.data_preprocessor.mean {expected}: set {place}.bands, '
                'model.backbone.in_channels, and mean and std of model.data_preprocessor to the same number of bands'
            )
        for view in getattr(part, 'views', []) if own is not None else []:
            needed: list[str] = getattr(view, 'color_operations', list)()
            if needed:
                raise UserError(
                    f'{place}.views use {" and ".join(needed)}, which need red, green and blue: bands have none. Set '
                    'jitter=(brightness, contrast, 0, 0) and grayscale=0'
                )


def check_classes(algorithm: nn.Module, dataset: Any) -> None:
    """Checks that a classifier has an output for every class of the training set, without reading images.

    Args:
        algorithm: Algorithm; only one that learns from labels, with a ``LabelCheck`` as ``check_labels``, is checked.
        dataset: Training set.

    Raises:
        UserError: The images have no labels, there are more classes than outputs, or the ``num_classes`` of
            ``model.mix`` differs from that of the head.
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
        print_log(f'the head has {check.num_classes} classes, but the training set has only {number}', logger='current')
    mixed = getattr(getattr(algorithm, 'mix', None), 'num_classes', check.num_classes)
    if mixed != check.num_classes:
        raise UserError(
            f'model.mix.num_classes={mixed} and model.head.num_classes={check.num_classes} must be the same number'
        )


def check_sizes(algorithm: nn.Module, dataset: Any) -> list[str]:
    """Checks that the sizes of view, backbone, masker, decoder and target fit each other.

    It first compares the sizes that the parts have as attributes. Then it runs one image of zeros through the parts in
    evaluation mode, which finds all other mismatches.

    Args:
        algorithm: Algorithm; one without an attribute ``views`` of type ``Views``, such as a detector, is not checked.
        dataset: Training set.

    Returns:
        One sentence for each part that could not be called.

    Raises:
        UserError: Two parts do not fit; the message names both with their keys in the config.
    """
    if not isinstance(getattr(algorithm, 'views', None), Views):
        return []
    transforms: list[Any] = next(
        (part.views for _, part in image_sources(dataset, '') if getattr(part, 'views', None)), []
    )
    sizes = [view.size for view in transforms if isinstance(getattr(view, 'size', None), int)]
    if not sizes or len(sizes) < len(transforms):
        return ['the sizes of the parts are not compared, because not every view has an attribute size']
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
            yield f'{view} is not a multiple of model.masker.{key}={side}'
    for name in ('backbone', 'target'):
        other = getattr(getattr(algorithm, name, None), 'patch_size', patch)
        if isinstance(other, int) and other != patch:
            yield f'model.masker.patch_size={patch} and the patches of model.{name}, {other} pixels, must be equal'
    grid = size // patch
    parts = [(name, module) for name in ('neck', 'head') for module in getattr(algorithm, name).modules()]
    for name, module in parts:
        shape = getattr(module, 'grid_size', None)
        patches = math.prod(shape) if isinstance(shape, tuple) else getattr(module, 'num_patches', None)
        if isinstance(patches, int) and patches != grid**2:
            yield (
                f'{view} and model.masker.patch_size={patch} give {grid} x {grid} = {grid**2} patches, but '
                f'model.{name}.grid_size gives {patches}: set model.{name}.grid_size={grid}, or change the size of the '
                'view'
            )


class _CannotCallError(Exception):
    """A part takes other arguments than those with which ``_try_out`` calls it."""


def _try_out(algorithm: Any, sizes: list[int]) -> None:
    """Runs an image of zeros through masker, target, backbone and neck and compares the shapes of their outputs."""
    parameter = next(algorithm.parameters())
    bands = getattr(algorithm.data_preprocessor, 'num_bands', 3)
    images, rendering = (parameter.new_zeros(1, bands, size, size) for size in (sizes[0], sizes[-1]))
    views = f'train_dataloader.dataset.views.0.size={sizes[0]}'
    predicted = None
    with _explained(f'the parts of {type(algorithm).__name__} do not fit images of {views}'):
        if hasattr(algorithm, 'masker'):
            mask = algorithm.masker(images)
            if hasattr(algorithm, 'reconstruct'):
                predicted = algorithm.reconstruct(images)[1]
        else:
            features = algorithm.backbone(images)
    if not hasattr(algorithm, 'masker'):
        width = getattr(algorithm.backbone, 'feature_dim', None)
        for name in ('neck', 'tile_neck'):
            neck = getattr(algorithm, name, None)
            if neck is not None:
                with _explained(f'model.{name} does not take the output of model.backbone (feature_dim={width})'):
                    _check_width(algorithm, name, neck(*[features] * getattr(neck, 'num_tiles', 1)))
        if hasattr(algorithm, 'reconstruct'):
            with _explained(f'the parts of {type(algorithm).__name__} do not fit images of {views}'):
                algorithm.reconstruct(images)
        return
    if hasattr(algorithm.neck, 'embed_patches'):
        width = algorithm.backbone.feature_dim
        with _explained(f'model.neck does not take the tokens of model.backbone (feature_dim={width})'):
            token = parameter.new_zeros(1, width)
            algorithm.neck(token), algorithm.neck.embed_patches(token)
    if not callable(getattr(algorithm, 'target', None)):
        return
    with _explained(f'model.target does not take the last view of {sizes[-1]} pixels'):
        target = algorithm.target(rendering)
    if not isinstance(target, Tensor) or target.ndim < 2 or mask.ndim != 2:
        return
    if target.shape[1] != mask.shape[1]:
        raise UserError(
            f'model.target returns {target.shape[1]} targets for a view of {sizes[-1]} pixels, but the masker has '
            f'{mask.shape[1]} patches ({views}): change the size of the last view or the patch size of the target'
        )
    if isinstance(predicted, Tensor) and predicted.shape[1] != mask.shape[1]:
        stride = getattr(algorithm.neck, 'stride', None)
        raise UserError(
            f'model.neck{"" if stride is None else f" with stride={stride}"} predicts {predicted.shape[1]} patches, '
            f'but the masker has {mask.shape[1]} ({views}): the decoder must predict every patch of the image'
        )
    width = predicted.shape[-1] if isinstance(predicted, Tensor) else getattr(algorithm.neck, 'out_channels', None)
    if target.ndim == 3 and width is not None and width != target.shape[-1]:
        raise UserError(
            f'model.neck predicts {width} values per patch, but model.target has {target.shape[-1]}: set '
            f'model.neck.out_channels={target.shape[-1]}'
        )


def _check_width(algorithm: Any, name: str, embeddings: Any) -> None:
    """Checks that memories and a classifier have the width of the vectors (N, D) of a neck; maps are not checked."""
    if not isinstance(embeddings, Tensor) or embeddings.ndim != 2:
        return
    width = embeddings.shape[1]
    for key in ('queue', 'bank', 'clusters'):
        memory = getattr(algorithm, key, None)
        if key == 'bank' and not hasattr(memory, 'bank_length'):
            continue  # a row of a FeatureBank may hold the vectors of several views
        rows = getattr(memory, 'features', None)
        if isinstance(rows, Tensor) and rows.ndim == 2 and rows.shape[1] != width:
            raise ValueError(f'it makes vectors of {width} numbers: set model.{key}.dim={width}, got {rows.shape[1]}')
    classifier = getattr(getattr(algorithm, 'head', None), 'fc', None)
    if name == 'neck' and isinstance(classifier, nn.Linear) and classifier.in_features != width:
        raise ValueError(
            f'it makes vectors of {width} numbers: set model.head.in_channels={width}, got {classifier.in_features}'
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
    norms = any(isinstance(m, (nn.BatchNorm1d, nn.SyncBatchNorm)) and m.training for m in algorithm.modules())
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
    if not loader.drop_last and len(sampler) % size == 1 and world_size() == 1:
        raise UserError(
            f'{name} compares the images of a batch ({compares}), and the last batch of an epoch of '
            f'{len(sampler)} images is a single one: set train_dataloader.drop_last=True'
        )


def wrong_queues(algorithm: nn.Module, batch_size: int | None) -> Iterator[str]:
    """Yields one sentence for each queue whose length is not a multiple of the global batch size.

    Args:
        algorithm: Algorithm, whose parts with a ``queue_length`` are queues.
        batch_size: Images per process and step; None (the batch sampler decides) is not checked.
    """
    if batch_size is None:
        return
    batch = batch_size * world_size()
    for name, part in algorithm.named_modules():
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


def image_sources(dataset: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yields (key in the config, dataset) of every dataset that reads images itself, such as parts of a concatenation.

    Args:
        dataset: Dataset, which may wrap others as ``dataset`` or ``datasets``.
        place: Key of ``dataset`` in the config.
    """
    if hasattr(dataset, 'datasets'):
        for index, part in enumerate(dataset.datasets):
            yield from image_sources(part, f'{place}.datasets.{index}')
    elif hasattr(dataset, 'dataset'):
        yield from image_sources(dataset.dataset, f'{place}.dataset')
    else:
        yield place, dataset
