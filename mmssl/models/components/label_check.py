"""Labels that are no classes, found at the first batch."""

from __future__ import annotations

from torch import Tensor


class LabelCheck:
    """Looks at the first labels of a run, and only at these: a GPU would have to be waited for at every step.

    Args:
        num_classes: Number of classes C.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.done = False

    def __call__(self, labels: Tensor) -> None:
        """Checks labels (N,) int64 at the first call.

        Raises:
            ValueError: An image has no label, or one that is no class.
        """
        if self.done:
            return
        self.done = True
        low, high = int(labels.min()), int(labels.max())
        if low < 0:
            raise ValueError('an image has no label: train on a dataset with labels, such as ClassFolder or ImageNet1k')
        if high >= self.num_classes:
            raise ValueError(f'label {high} is no class of a head with num_classes={self.num_classes}')
