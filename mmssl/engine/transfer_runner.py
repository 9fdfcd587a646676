"""The runner of detectors and segmenters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import WEIGHT_INITIALIZERS
from mmengine.runner import BaseLoop, Runner
from torch import nn

from mmssl.engine.optimizers.checks import checked_optim_wrapper
from mmssl.engine.runner import PretrainRunner, without_missing
from mmssl.models.components.pretrained import Pretrained
from mmssl.registry import RUNNERS
from mmssl.utils.errors import UserError


@RUNNERS.register_module()
class TransferRunner(PretrainRunner):
    """Trains configs of mmdet and mmseg with the checkpoints and the strict loading of ``PretrainRunner``.

    It also works on CPUs. A run stops if its loss is not finite, because a detector can otherwise train on for long
    after a degenerate box made a loss NaN.

    Optimizers are built by MMEngine's own constructors, for which these configs are written. A top-level ``max_epochs``
    sets the length of a run that counts epochs. With several processes, ``sync_bn=True`` synchronises every batch norm.
    """

    writes_backbone_files = False  # the checkpoint of the whole model is the result
    default_memory_format = 'contiguous'  # parts of mmdet and mmseg were not tested with another one

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Builds the training loop and checks that the heads have as many classes as the data.

        Raises:
            UserError: A head has another number of classes.
        """
        loop = super().build_train_loop(loop)
        facts = getattr(loop.dataloader.dataset, 'metainfo', None) or {}
        if facts.get('classes') is not None:
            check_heads(self.algorithm, facts['classes'], facts.get('thing_classes', ()))
        return loop

    def _init_model_weights(self) -> None:
        """Initialises the weights; an ``init_cfg`` of type ``Pretrained`` loads with mmssl's checks."""
        with loud_pretrained():
            super()._init_model_weights()

    def build_optim_wrapper(self, optim_wrapper: OptimWrapper | dict) -> OptimWrapper:
        """Builds the optimizer as MMEngine's ``Runner`` does."""
        return checked_optim_wrapper(partial(Runner.build_optim_wrapper, self), optim_wrapper, self.algorithm)

    @classmethod
    def _train_loop_config(cls, train_cfg: dict, max_epochs: int | None) -> dict:
        """Returns the config of the training loop: MMEngine's loop if it has a type or ``by_epoch``, else mmssl's."""
        if 'by_epoch' not in train_cfg:
            train_cfg.setdefault('type', 'mmssl.PretrainTrainLoop')
        return train_cfg if max_epochs is None or 'max_iters' in train_cfg else dict(train_cfg, max_epochs=max_epochs)

    def register_default_hooks(self, hooks: dict[str, Hook | dict | None] | None = None) -> None:
        """Registers MMEngine's default hooks, a progress bar, and hooks that check losses and detections.

        Checkpoints are written by mmssl's ``CheckpointHook``, which deletes an old one after the new one is whole.
        """
        own = dict(
            progress=dict(type='mmssl.ProgressBarHook'),
            runtime_info=dict(type='mmssl.RuntimeInfoHook'),
            no_detections=dict(type='mmssl.NoDetectionsHook'),
            checkpoint=dict(type='mmssl.CheckpointHook', interval=1),
        )
        chosen = own | dict(hooks or {})
        checkpoint = chosen['checkpoint']
        if isinstance(checkpoint, dict) and checkpoint.get('type') == 'CheckpointHook':
            chosen['checkpoint'] = dict(checkpoint, type='mmssl.CheckpointHook')
        Runner.register_default_hooks(self, without_missing(chosen))


@contextmanager
def loud_pretrained() -> Iterator[None]:
    """Replaces MMEngine's ``Pretrained`` by mmssl's, which raises an error if the file does not match the model."""
    original = WEIGHT_INITIALIZERS.module_dict['Pretrained']
    WEIGHT_INITIALIZERS.register_module('Pretrained', force=True, module=Pretrained)
    try:
        yield
    finally:
        WEIGHT_INITIALIZERS.register_module('Pretrained', force=True, module=original)


def check_heads(model: nn.Module, classes: Sequence[str], things: Sequence[str] = ()) -> None:
    """Checks that every head has as many classes as the data.

    Region proposal heads (``rpn_head``) and ``semantic_head`` are not checked, because they have other classes.

    Args:
        model: Model of mmdet or mmseg.
        classes: Class names of the data.
        things: Classes that have instances, in panoptic data; a head may have these alone.

    Raises:
        UserError: The ``num_classes`` of a head is neither the number of classes nor that of things.
    """
    for name, part in model.named_modules():
        number, parts = getattr(part, 'num_classes', None), name.split('.')
        is_head = any(p.endswith('head') for p in parts) and not {'rpn_head', 'semantic_head'} & set(parts)
        if is_head and isinstance(number, int) and number not in (len(classes), len(things) or len(classes)):
            raise UserError(
                f'model.{name} has {number} classes, but the data has {len(classes)} ({", ".join(classes[:8])}): '
                'the option classes sets both'
            )
