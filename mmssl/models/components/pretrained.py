"""Initial weights from a checkpoint; a file that does not fit is an error."""

from __future__ import annotations

from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from mmssl.checkpoints.content import below, get_state_dict
from mmssl.checkpoints.files import downloading, load_checkpoint_file
from mmssl.checkpoints.matching import load_matching, prefix_of
from mmssl.models.layers.input_channels import adapt_channels
from mmssl.registry import WEIGHT_INITIALIZERS


@WEIGHT_INITIALIZERS.register_module()
class Pretrained:
    """``init_cfg=dict(type='Pretrained', checkpoint=...)``, which loads with ``load_matching``.

    MMEngine's class of this name loads the tensors that fit and reports no error if none fits. This class finds the
    prefix of the names in the file, and raises an error if the file has fewer than 99 % of the module's tensors. A
    first layer for RGB images is adapted to other channels, see ``adapt_channels``. It replaces MMEngine's class in the
    scope ``mmssl``, and for mmssl's backbones in the models of other libraries.

    Args:
        checkpoint: File, http(s) address, or an address of MMEngine such as ``'torchvision://resnet50'``.
        prefix: Prefix of the module's names in the file, such as ``'backbone'``; None finds it.
        map_location: Device on which the file is read.
    """

    def __init__(self, checkpoint: str, prefix: str | None = None, map_location: str = 'cpu') -> None:
        self.checkpoint = checkpoint
        self.prefix = prefix
        self.map_location = map_location

    def __call__(self, module: nn.Module) -> None:
        """Loads the weights.

        Raises:
            FileNotFoundError: The file does not exist.
            UserError: The file is damaged, cannot be downloaded, or holds another network.
        """
        if '://' in self.checkpoint and not self.checkpoint.startswith(('http://', 'https://')):
            with downloading(self.checkpoint):
                content = CheckpointLoader.load_checkpoint(self.checkpoint, self.map_location)
        else:
            content = load_checkpoint_file(self.checkpoint, self.map_location)
        offered = get_state_dict(content)
        prefix = prefix_of(module, offered) if self.prefix is None else self.prefix
        offered, change = adapt_channels(module, below(offered, prefix))
        if change:
            print_log(change, logger='current')
        load_matching(module, offered, self.checkpoint, '', min_match=0.99, name=type(module).__name__)
