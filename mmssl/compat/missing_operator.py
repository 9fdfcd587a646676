"""The error of an operator that only the compiled module of mmcv has."""

from __future__ import annotations

from mmssl.utils.errors import UserError


class MissingOperatorError(UserError, NotImplementedError):
    """A model calls an operator that only mmcv's compiled module has.

    Args:
        operator: Its name.
    """

    def __init__(self, operator: str) -> None:
        super().__init__(
            f'the operator {operator} of mmcv is needed, and this mmcv has no compiled operators; torchvision stands '
            'in for nms, soft-nms, roi_align, roi_pool, the sigmoid focal loss and deformable convolutions. To get it, '
            'install an mmcv whose wheel has mmcv._ext for this Python, torch and CUDA, or compile one: '
            "docs/start/install.md, 'Compiled operators of mmcv'"
        )
