"""A frozen classifier as teacher."""

from __future__ import annotations

import logging

from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmssl.checkpoints.content import get_state_dict
from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.checkpoints.matching import load_matching
from mmssl.models.layers.loading import leave_out_of_checkpoints, skip_on_load
from mmssl.registry import BACKBONES, COMPONENTS, HEADS, NECKS
from mmssl.utils.errors import UserError

STATISTICS = ('running', 'batch')


@COMPONENTS.register_module()
class FrozenClassifier(BaseModule):
    """``head.predict(neck(backbone(images)))`` with weights from a checkpoint of ``ImageClassifier``.

    Its parameters have no gradient and are excluded from checkpoints, and its running statistics do not change.

    Args:
        backbone: Config of the backbone.
        head: Config of a head with the method ``predict``.
        neck: Config of the neck; None uses ``Identity``.
        checkpoint: Training checkpoint of the classifier, a file, a folder or an address, see ``load_checkpoint_file``;
            None keeps the initial weights, with a warning.
        statistics: Statistics of the batch norms: ``'running'`` keeps them in evaluation mode; ``'batch'`` uses the
            statistics of the batch while the student trains, as in the official code of IGAM.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``statistics`` is neither ``'running'`` nor ``'batch'``.
    """

    def __init__(
        self,
        backbone: dict,
        head: dict,
        neck: dict | None = None,
        checkpoint: str | None = None,
        statistics: str = 'running',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if statistics not in STATISTICS:
            raise ValueError(f'statistics must be one of {STATISTICS}, got {statistics!r}')
        self.backbone = BACKBONES.build(backbone)
        self.neck = NECKS.build(neck or dict(type='Identity'))
        self.head = HEADS.build(head)
        self.checkpoint = checkpoint
        self.statistics = statistics
        self.requires_grad_(False)
        for norm in self._norms():
            norm.track_running_stats = False  # a batch norm in training mode would change them
        leave_out_of_checkpoints(self)
        # The running statistics of another classifier, in files of earlier versions, are skipped.
        skip_on_load(self, 'backbone.', 'neck.', 'head.')
        self.train()

    def init_weights(self) -> None:
        """Reads the weights.

        Raises:
            UserError: The file does not exist, or it holds another classifier.
        """
        super().init_weights()
        if self.checkpoint is None:
            print_log('the teacher has random weights: set model.teacher.checkpoint', 'current', logging.WARNING)
            return
        try:
            offered = get_state_dict(load_checkpoint_file(self.checkpoint))
        except FileNotFoundError as error:
            raise UserError(
                f'the checkpoint of the teacher, {self.checkpoint}, does not exist: set model.teacher.checkpoint'
            ) from error
        for name, part in self.named_children():
            if part.state_dict():
                load_matching(part, offered, self.checkpoint, prefix=name, min_match=1.0, name=f'teacher.{name}')

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits (N, C) for images (N, 3, H, W)."""
        return self.head.predict(self.neck(self.backbone(images)))

    def train(self, mode: bool = True) -> FrozenClassifier:
        """Sets the mode of batch norms if ``statistics='batch'``; everything else stays in evaluation mode."""
        super().train(False)
        if self.statistics == 'batch':
            self.training = mode
            for norm in self._norms():
                norm.train(mode)
        return self

    def _norms(self) -> list[_BatchNorm]:
        return [module for module in self.modules() if isinstance(module, _BatchNorm)]
