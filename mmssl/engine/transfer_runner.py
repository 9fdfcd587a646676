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

from mmssl.engine.runner import PretrainRunner
from mmssl.models.components.pretrained import Pretrained
from mmssl.registry import RUNNERS
from mmssl.utils.errors import UserError


@RUNNERS.register_module()
class TransferRunner(PretrainRunner):
    """Trains configs of mmdet and mmseg with the safe checkpoints and loud loading of pre-training, also on CPUs.

    A run whose loss is not finite stops: a detector may go on for long after a degenerate box made a term NaN.

    Optimizers are built as MMEngine does, because those configs are written for its constructors. A top-level
    ``max_epochs`` sets the length of a run by epochs; with several processes ``sync_bn=True`` synchronises every norm.
    """

    writes_backbone_files = False  # a whole model is what was trained

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Builds the loop, and compares the classes of its data with the heads of the model.

        Raises:
            UserError: A head has another number of classes.
        """
        loop = super().build_train_loop(loop)
        classes = (getattr(loop.dataloader.dataset, 'metainfo', None) or {}).get('classes')
        if classes is not None:
            check_heads(self.algorithm, classes)
        return loop

    def _init_model_weights(self) -> None:
        """Initialises the weights, and loads those that an ``init_cfg`` names with mmssl's rules."""
        with loud_pretrained():
            super()._init_model_weights()

    def build_optim_wrapper(self, optim_wrapper: OptimWrapper | dict) -> OptimWrapper:
        """Builds the optimizer with MMEngine's defaults."""
        return self._checked(partial(Runner.build_optim_wrapper, self), optim_wrapper)

    @classmethod
    def _train_loop_config(cls, train_cfg: dict, max_epochs: int | None) -> dict:
        """The loop that the config names, which is MMEngine's."""
        if 'by_epoch' not in train_cfg:
            train_cfg.setdefault('type', 'mmssl.PretrainTrainLoop')
        return train_cfg if max_epochs is None or 'max_iters' in train_cfg else dict(train_cfg, max_epochs=max_epochs)

    def register_default_hooks(self, hooks: dict[str, Hook | dict | None] | None = None) -> None:
        """Registers MMEngine's default hooks, a progress bar, and hooks that look at the losses and at results."""
        own = dict(
            progress=dict(type='mmssl.ProgressBarHook'),
            runtime_info=dict(type='mmssl.RuntimeInfoHook'),
            no_detections=dict(type='mmssl.NoDetectionsHook'),
        )
        Runner.register_default_hooks(self, own | dict(hooks or {}))


@contextmanager
def loud_pretrained() -> Iterator[None]:
    """Puts mmssl's ``Pretrained`` in the place of MMEngine's, which goes on where nothing of the file fits."""
    original = WEIGHT_INITIALIZERS.module_dict['Pretrained']
    WEIGHT_INITIALIZERS.register_module('Pretrained', force=True, module=Pretrained)
    try:
        yield
    finally:
        WEIGHT_INITIALIZERS.register_module('Pretrained', force=True, module=original)


def check_heads(model: nn.Module, classes: Sequence[str]) -> None:
    """Compares ``num_classes`` of every head with the classes of the data; a proposal head has one of its own.

    Raises:
        UserError: A head has another number.
    """
    for name, part in model.named_modules():
        number, parts = getattr(part, 'num_classes', None), name.split('.')
        is_head = any(p.endswith('head') for p in parts) and not {'rpn_head', 'semantic_head'} & set(parts)
        if is_head and isinstance(number, int) and number != len(classes):
            raise UserError(
                f'{name} of the model has {number} classes and the data has {len(classes)} ({", ".join(classes[:8])}): '
                'the option classes sets both'
            )
