"""The base class of every algorithm."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

from mmengine.model import BaseModel
from torch import Tensor

from mmssl.models.algorithms.views import Views
from mmssl.models.layers.pooling import to_vector
from mmssl.registry import BACKBONES, HEADS, NECKS, PREPROCESSORS


class BaseAlgorithm(BaseModel):
    """Backbone, neck and head, and the one extension point for state that moves: ``on_step_end``.

    A method derives from this class, never from another method. ``loss`` changes nothing but the running statistics
    of normalisation layers: whatever else moves between steps (a teacher, a queue, centres) moves in ``on_step_end``,
    which the training loop calls once after each optimizer step that really happened.

    A method states the views that its ``loss`` takes as a class attribute: ``views = Views(2)``. A method whose config
    decides sets ``self.views`` in its constructor. Calling ``loss`` with other views is an error.

    Args:
        backbone: Config of the part that is kept downstream.
        neck: Config of the projector or decoder; ``dict(type='Identity')`` where a method has none.
        head: Config of the head, or of a loss where the head has no parameters.
        data_preprocessor: Config of the preprocessor; it moves, augments and normalises batches.
        init_cfg: MMEngine's initialisation config.
    """

    views: Views | None = None
    """Number, kind and sizes of the views that ``loss`` takes; None, in a class of a plugin, leaves them unchecked."""

    batch_coupled: str | None = None
    """Why a step over accumulated micro-batches is not the step over the whole batch; None where it is."""

    feature: ClassVar[str] = 'cls'
    """What ``extract_feat`` takes of tokens: ``'cls'``, the class token, or ``'mean'``, the mean of the patches."""

    second_order = False
    """Whether the loss holds gradients, so that every layer has to be differentiable twice."""

    def __init__(
        self,
        *,
        backbone: dict,
        neck: dict,
        head: dict,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if data_preprocessor is not None:  # built here, as MMEngine's class would search the default scope only
            data_preprocessor = PREPROCESSORS.build(data_preprocessor)
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = BACKBONES.build(backbone)
        self.neck = NECKS.build(neck)
        self.head = HEADS.build(head)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if 'loss' in vars(cls):
            cls.loss = _with_checked_views(cls.loss)  # type: ignore[method-assign]

    def forward(
        self, inputs: Any, data_samples: dict | None = None, mode: str = 'tensor'
    ) -> dict[str, Tensor] | Tensor:
        """Dispatches to ``loss`` (``mode='loss'``, views) or ``extract_feat`` (``'tensor'`` and ``'predict'``, images).

        Raises:
            ValueError: ``mode`` is none of these.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode in ('tensor', 'predict'):
            return self.extract_feat(inputs)
        raise ValueError(f"mode must be 'loss', 'tensor' or 'predict', got {mode!r}")

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the terms to minimise: every key begins with ``loss`` and their plain sum is the objective.

        Diagnostics to be logged beside them are scalars under keys without ``loss`` in them.

        Args:
            views: One float batch (N, 3, H, W) per view, normalised; with multi-crop, global views first.
            data_samples: What the dataset knows of the images: ``index`` (N,) int64 and ``label`` (N,) int64, -1
                where there is none.
        """
        raise NotImplementedError(f'abstract: {type(self).__name__} does not define loss()')

    @staticmethod
    def shown_views(views: list[Tensor]) -> list[Tensor]:
        """Returns the views as the network gets them, for figures: a method that changes them itself overrides this."""
        return views

    def extract_feat(self, images: Tensor) -> Tensor:
        """Returns what is evaluated downstream: the pooled last features (N, D) of images (N, 3, H, W).

        For a transformer that returns tokens, this is what the class attribute ``feature`` names; without a class
        token, it is the mean of the tokens.
        """
        return to_vector(self.backbone(images), getattr(self.backbone, 'num_prefix_tokens', None), self.feature)

    def on_train_start(self) -> None:
        """Called once before the first step of a run that is not resumed, after weights were initialised or loaded."""

    def on_step_start(self) -> None:
        """Called when the gradients of a step are complete, before the optimizer uses them; it may drop some."""

    def on_step_end(self, progress: float) -> None:
        """Called after each optimizer step that happened.

        Args:
            progress: Optimizer steps done / optimizer steps of the whole run, in (0, 1].
        """


def _with_checked_views(loss: Callable) -> Callable:
    """Returns ``loss`` of an algorithm preceded by the comparison of its views with the contract."""

    @wraps(loss)
    def checked(self: BaseAlgorithm, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        if self.views is not None:
            self.views.check_tensors(views, type(self).__name__)
        return loss(self, views, data_samples)

    return checked
