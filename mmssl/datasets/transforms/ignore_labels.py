"""Excludes labels of a segmentation mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmssl.registry import TRANSFORMS


@TRANSFORMS.register_module()
class IgnoreLabels:
    """Replaces labels of a mask by the label that losses and metrics ignore, in a pipeline of mmseg.

    Args:
        labels: Labels to replace, for instance the label of pixels without annotation.
        ignore_index: Label that replaces them; mmseg ignores 255 by default.
    """

    def __init__(self, labels: Sequence[int], ignore_index: int = 255) -> None:
        self.labels = list(labels)
        self.ignore_index = ignore_index

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replaces labels in ``results['gt_seg_map']`` (H, W), the mask that ``LoadAnnotations`` read, if it exists."""
        if 'gt_seg_map' not in results:  # for inference mmseg removes LoadAnnotations from the pipeline
            return results
        mask = results['gt_seg_map']
        results['gt_seg_map'] = np.where(np.isin(mask, self.labels), self.ignore_index, mask).astype(mask.dtype)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(labels={self.labels}, ignore_index={self.ignore_index})'
