"""A check of the labels of the first batch."""

from __future__ import annotations

from torch import Tensor, nn


class LabelCheck:
    """Checks the labels of the first batch only, because a check at every step would synchronise host and GPU.

    Args:
        num_classes: Number of classes C.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.done = False

    def __call__(self, labels: Tensor) -> None:
        """Checks labels (N,) int64 at the first call.

        Raises:
            ValueError: An image has no label, or its label is not less than ``num_classes``.
        """
        if self.done:
            return
        self.done = True
        low, high = int(labels.min()), int(labels.max())
        if low < 0:
            raise ValueError('an image has no label: train on a dataset with labels, such as ClassFolder or ImageNet1k')
        if high >= self.num_classes:
            raise ValueError(f'label {high} needs a head with num_classes > {high}, got num_classes={self.num_classes}')


def learns_from_labels(algorithm: nn.Module) -> bool:
    """Returns whether an algorithm learns from labels: it has a ``LabelCheck`` as ``check_labels``."""
    return isinstance(getattr(algorithm, 'check_labels', None), LabelCheck)
