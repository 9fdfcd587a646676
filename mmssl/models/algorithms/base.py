"""The base class of all algorithms."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

from mmengine.model import BaseModel
from torch import Tensor

from mmssl.models.algorithms.views import Views
from mmssl.models.components.encode_views import embed_views
from mmssl.models.layers.pooling import to_vector
from mmssl.registry import BACKBONES, HEADS, NECKS, PREPROCESSORS


class BaseAlgorithm(BaseModel):
    """Base class of algorithms: a backbone, a neck and a head, and hooks for the state of the method.

    A method derives from this class, never from another method. ``loss`` changes only the running statistics of
    normalisation layers. All other state (a teacher, a queue, centres) changes in ``on_step_end``, which the training
    loop calls once after each optimizer step that was carried out.

    A method states the views that its ``loss`` takes as a class attribute: ``views = Views(2)``. If they depend on the
    config, it sets ``self.views`` in its constructor. Calling ``loss`` with other views is an error.

    Args:
        backbone: Config of the backbone, the part that benchmarks use.
        neck: Config of the projector or decoder; for a method without a neck ``dict(type='Identity')``, or
            ``dict(type='GlobalAveragePooling')`` if ``loss`` takes vectors.
        head: Config of the head, or of a loss if the head has no parameters.
        data_preprocessor: Config of the data preprocessor, which moves batches to the device, augments and normalises
            them.
        init_cfg: MMEngine's initialisation config.
        joint_views: Whether views of the same size pass backbone and neck as one batch: ``'auto'``, where no batch
            norm couples images, True or False; None is the method's own rule. Batch norms see all views if True. Only
            methods whose ``loss`` calls ``embed`` take it.

    Raises:
        ValueError: ``joint_views`` has another value, or the method does not take it; the method needs tokens and the
            backbone returns something else; or the neck skips another number of tokens than the backbone puts before
            the patches.
    """

    views: Views | None = None
    """Number, kind and sizes of the views that ``loss`` takes; None, in a plugin, turns the check off."""

    batch_coupled: str | None = None
    """Reason why a step over accumulated micro-batches differs from a step over the whole batch; None if there is none.
    Batch norms are found without it."""

    unsplit: ClassVar[str | None] = None
    """Reason why backbone and neck cannot process a batch in micro-batches; None if they can."""

    feature: ClassVar[str] = 'cls'
    """Pooling of tokens in ``extract_feat``: ``'cls'``, the class token, or ``'mean'``, the mean of the patches."""

    needs_tokens: ClassVar[bool] = False
    """Whether ``loss`` reads tokens, so that a backbone with another ``output`` is an error."""

    needs_vectors: ClassVar[bool] = False
    """Whether ``loss`` takes vectors from the neck, so that a neck that returns maps or tokens is an error."""

    joint_views: bool | str | None = None
    """Rule of ``embed``, see the argument of the same name; None if the method does not call ``embed``."""

    second_order = False
    """Whether the loss contains gradients, so that every layer has to be twice differentiable."""

    def __init__(
        self,
        *,
        backbone: dict,
        neck: dict,
        head: dict,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
        joint_views: bool | str | None = None,
    ) -> None:
        if joint_views is not None and self.joint_views is None:
            raise ValueError(f'{type(self).__name__} takes no joint_views: it encodes its views in its own way')
        if joint_views not in (None, 'auto', True, False):
            raise ValueError(f"joint_views must be 'auto', True or False, got {joint_views!r}")
        if data_preprocessor is not None:  # built here: MMEngine's class searches the default scope only
            data_preprocessor = PREPROCESSORS.build(data_preprocessor)
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = BACKBONES.build(backbone)
        self.neck = NECKS.build(neck)
        self.head = HEADS.build(head)
        self.joint_views = self.joint_views if joint_views is None else joint_views
        self._check_tokens()

    def _check_tokens(self) -> None:
        output = getattr(self.backbone, 'output', 'tokens')
        if self.needs_tokens and output != 'tokens':
            raise ValueError(
                f'{type(self).__name__} reads the tokens of the backbone, and its output is {output!r}: set '
                "model.backbone.output='tokens'"
            )
        skipped, before = (getattr(part, 'num_prefix_tokens', None) for part in (self.neck, self.backbone))
        if None not in (skipped, before) and skipped != before:
            raise ValueError(
                f'the backbone puts {before} tokens before the patches and the neck skips {skipped}: set '
                f'model.neck.num_prefix_tokens={before}'
            )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if 'loss' in vars(cls):
            cls.loss = _with_checked_views(cls.loss)  # type: ignore[method-assign]

    def forward(
        self, inputs: Any, data_samples: dict | None = None, mode: str = 'tensor'
    ) -> dict[str, Tensor] | Tensor:
        """Calls ``loss`` (``mode='loss'``, inputs are views) or ``extract_feat`` (``'tensor'``, ``'predict'``, images).

        Raises:
            ValueError: ``mode`` is unknown.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode in ('tensor', 'predict'):
            return self.extract_feat(inputs)
        raise ValueError(f"mode must be 'loss', 'tensor' or 'predict', got {mode!r}")

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns scalars by name; the plain sum of those whose name begins with ``loss`` is minimised.

        Other scalars are only logged; their names must not contain ``loss``.

        Args:
            views: One float batch (N, 3, H, W) per view, normalised; in multi-crop the global views come first.
            data_samples: Data of the images: ``index`` (N,) int64, the position in the dataset, and ``label`` (N,)
                int64, -1 for an image without label.
        """
        raise NotImplementedError(f'abstract: {type(self).__name__} does not define loss()')

    def embed(self, views: list[Tensor]) -> list[Any]:
        """Returns ``neck(backbone(view))`` for each view (N, 3, H, W), see ``embed_views``."""
        assert self.joint_views is not None, 'a method that calls embed() sets joint_views'
        return embed_views([self.backbone, self.neck], views, self.joint_views)

    @staticmethod
    def shown_views(views: list[Tensor]) -> list[Tensor]:
        """Returns the views as the network gets them, for figures; a method that changes the views overrides this."""
        return views

    def extract_feat(self, images: Tensor) -> Tensor:
        """Returns the features for benchmarks, (N, D): the backbone's last features of images (N, 3, H, W), pooled.

        The class attribute ``feature`` names the pooling of tokens; without a class token it is the mean of the tokens.
        """
        return to_vector(self.backbone(images), getattr(self.backbone, 'num_prefix_tokens', None), self.feature)

    def on_train_start(self) -> None:
        """Runs once before the first step of a run that is not resumed, after weights were initialised or loaded."""

    def on_step_start(self) -> None:
        """Runs when the gradients of a step are complete, before the optimizer uses them; it may remove gradients."""

    def on_step_end(self, progress: float) -> None:
        """Runs after each optimizer step that was carried out.

        Args:
            progress: Optimizer steps done / optimizer steps of the whole run, in (0, 1].
        """


def _with_checked_views(loss: Callable) -> Callable:
    """Wraps ``loss`` of an algorithm so that the views are checked first."""

    @wraps(loss)
    def checked(self: BaseAlgorithm, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        if self.views is not None:
            self.views.check_tensors(views, type(self).__name__)
        return loss(self, views, data_samples)

    return checked
