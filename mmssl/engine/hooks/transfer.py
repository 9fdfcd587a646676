"""Training that starts from pre-trained weights."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmssl.converters.transfer import transfer_weights
from mmssl.distributed.unwrap import unwrap
from mmssl.registry import HOOKS
from mmssl.utils.errors import UserError


@HOOKS.register_module()
class TransferHook(Hook):
    """Loads a pre-trained backbone, and the neck that was trained with it, when a run starts; not on resume.

    ``tools/train.py --pretrained`` adds it. In a config for the tools of mmdet or mmseg it is
    ``custom_hooks = [dict(type='mmssl.TransferHook', checkpoint='...')]``.

    Args:
        checkpoint: Any file that ``transfer_weights`` reads.
        use_teacher: Take the averaged networks.
        prefix: What precedes the backbone's names, in a file of another kind.
    """

    priority = 'HIGH'  # before hooks that copy the weights, such as that of an algorithm's teacher

    def __init__(self, checkpoint: str, use_teacher: bool = False, prefix: str | None = None) -> None:
        self.checkpoint = checkpoint
        self.use_teacher = use_teacher
        self.prefix = prefix

    def before_train(self, runner: Runner) -> None:
        """Loads the weights.

        Raises:
            UserError: The file does not fit, or the run was to start from all weights of another file.
        """
        if runner.iter > 0:
            return
        if runner._has_loaded:
            raise UserError(f'load_from and pre-trained weights ({self.checkpoint}) exclude each other: name one')
        model = unwrap(runner.model)
        transfer_weights(model, self.checkpoint, self.use_teacher, self.prefix)
