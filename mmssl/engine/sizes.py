"""Checks before the first iteration that the sizes of the parts of a model and of its images fit each other."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmssl.datasets.sources import image_sources
from mmssl.evaluation.extract import random_state_kept
from mmssl.models.algorithms.views import Views
from mmssl.models.heads.latent_predict_head import LatentPredictHead
from mmssl.models.heads.prototype_head import PrototypeHead
from mmssl.models.heads.two_stream_predict_head import TwoStreamPredictHead
from mmssl.utils.errors import UserError


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
    for problem in (*_wrong_masks(algorithm, sizes[0]), *_wrong_images(algorithm, sizes[0])):
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
        if isinstance(shape, tuple) and shape != (grid, grid):
            yield (
                f'{view} and model.masker.patch_size={patch} give {grid} x {grid} patches, but model.{name}.grid_size '
                f'has {shape[0]} x {shape[1]}: set model.{name}.grid_size={grid}, or change the size of the view'
            )


def _wrong_images(algorithm: Any, size: int) -> Iterator[str]:
    for name, part in algorithm.named_children():
        side = getattr(part, 'image_size', None)
        if isinstance(side, int) and side != size:
            yield f'model.{name}.image_size={side} and train_dataloader.dataset.views.0.size={size} must be equal'


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
                    embeddings = neck(*[features] * getattr(neck, 'num_tiles', 1))
                _check_width(algorithm, name, embeddings)
        with _explained(f'the parts of {type(algorithm).__name__} do not fit images of {views}'):
            if hasattr(algorithm, 'reconstruct'):
                algorithm.reconstruct(images)
            if hasattr(algorithm, 'compared'):
                algorithm.compared([images, rendering])
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
        channels = getattr(algorithm.neck, 'out_channels', width)  # of a patch, or of a pixel of the whole image
        raise UserError(
            f'model.neck predicts {width} values per patch, but model.target has {target.shape[-1]}: set '
            f'model.neck.out_channels={channels * target.shape[-1] // width}'
        )


def _check_width(algorithm: Any, name: str, embeddings: Any) -> None:
    """Checks that memories and the head have the width of the vectors (N, D) of a neck.

    Args:
        algorithm: Algorithm.
        name: Name of the neck.
        embeddings: Output of the neck; the first part of a tuple is checked.

    Raises:
        UserError: A width differs, or the neck returns maps or tokens, and the method needs vectors.
    """
    if isinstance(embeddings, tuple) and embeddings:
        embeddings = embeddings[0]
    if not isinstance(embeddings, Tensor):
        return
    if embeddings.ndim != 2 and getattr(algorithm, 'needs_vectors', False):
        raise UserError(
            f'model.{name} returns the shape {tuple(embeddings.shape)}, and {type(algorithm).__name__} takes vectors '
            f"(N, D): use a projector, or model.{name}=dict(type='GlobalAveragePooling')"
        )
    if embeddings.ndim != 2:
        return
    width = embeddings.shape[1]
    for key in ('queue', 'bank', 'clusters'):
        memory = getattr(algorithm, key, None)
        if key == 'bank' and not hasattr(memory, 'bank_length'):
            continue  # a row of a FeatureBank may hold the vectors of several views
        rows = getattr(memory, 'features', None)
        if isinstance(rows, Tensor) and rows.ndim == 2 and rows.shape[1] != width:
            raise UserError(
                f'model.{name} makes vectors of {width} numbers: set model.{key}.dim={width}, got {rows.shape[1]}'
            )
    if name == 'neck' and hasattr(algorithm, 'head'):
        _check_head(algorithm.head, embeddings)


def _check_head(head: Any, embeddings: Tensor) -> None:
    """Checks that a classifier, prototypes or a predictor take the embeddings (N, D) of the neck.

    The predictors of other heads are not called, because they may take something else.

    Raises:
        UserError: A width differs.
    """
    width = embeddings.shape[1]
    layer = head.prototypes if isinstance(head, PrototypeHead) else getattr(head, 'fc', None)
    if isinstance(layer, nn.Linear) and layer.in_features != width:
        raise UserError(
            f'model.neck makes vectors of {width} numbers: set model.head.in_channels={width}, got {layer.in_features}'
        )
    if not isinstance(head, LatentPredictHead | TwoStreamPredictHead):
        return
    predictor = head.predictor if isinstance(head, LatentPredictHead) else head.c_predictor
    place = 'model.head.predictor'
    with _explained(f'{place} does not take the {width} numbers of model.neck: set {place}.in_channels={width}'):
        predicted = predictor(embeddings)
    if predicted.shape != embeddings.shape:
        raise UserError(
            f'{place} predicts {predicted.shape[1]} numbers, but model.neck makes vectors of {width}: set '
            f'{place}.out_channels={width}'
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
