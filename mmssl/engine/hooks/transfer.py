"""Loads pre-trained weights when a training starts."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmssl.converters.transfer import transfer_weights
from mmssl.distributed.unwrap import unwrap
from mmssl.registry import HOOKS
from mmssl.utils.errors import UserError


@HOOKS.register_module()
class TransferHook(Hook):
    """Loads a pre-trained backbone, and the neck that was trained with it, when a run starts (not on resume).

    ``tools/train.py --pretrained`` adds this hook. For the tools of mmdet or mmseg, write
    ``custom_hooks = [dict(type='mmssl.TransferHook', checkpoint='...')]`` in the config.

    Args:
        checkpoint: File that ``transfer_weights`` reads.
        use_teacher: True loads the weights of the teacher instead of the student.
        prefix: Prefix of the backbone's names in a file of an unknown kind.
    """

    priority = 'HIGH'  # before hooks that copy the weights, such as AlgorithmHook with a teacher

    def __init__(self, checkpoint: str, use_teacher: bool = False, prefix: str | None = None) -> None:
        self.checkpoint = checkpoint
        self.use_teacher = use_teacher
        self.prefix = prefix

    def before_train(self, runner: Runner) -> None:
        """Loads the weights.

        Raises:
            UserError: The file does not match the model, or ``load_from`` is given too.
        """
        if runner.iter > 0:
            return
        if runner._has_loaded:
            raise UserError(f'give load_from or pre-trained weights ({self.checkpoint}), not both')
        model = unwrap(runner.model)
        transfer_weights(model, self.checkpoint, self.use_teacher, self.prefix)
