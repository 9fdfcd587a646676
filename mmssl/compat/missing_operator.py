"""The error for an operator that only the compiled module of mmcv has."""

from __future__ import annotations

from mmssl.utils.errors import UserError


class MissingOperatorError(UserError, NotImplementedError):
    """A model calls an operator that only mmcv's compiled module has.

    Args:
        operator: Name of the operator.
    """

    def __init__(self, operator: str) -> None:
        super().__init__(
            f'the model needs the operator {operator} of mmcv, but this mmcv has no compiled operators; torchvision '
            'replaces only nms, soft-nms, roi_align, roi_pool, the sigmoid focal loss and deformable convolutions. To '
            'get it, install an mmcv whose wheel has mmcv._ext for this Python, torch and CUDA, or compile one: '
            "docs/start/install.md, 'Compiled operators of mmcv'"
        )
