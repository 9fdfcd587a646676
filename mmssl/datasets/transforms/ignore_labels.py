"""Labels of a segmentation mask that are to be left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmssl.registry import TRANSFORMS


@TRANSFORMS.register_module()
class IgnoreLabels:
    """Gives pixels of certain labels the label that losses and metrics ignore; for pipelines of mmseg.

    Args:
        labels: Labels in the mask, such as that of unlabelled pixels.
        ignore_index: What they become; 255 is what mmseg ignores unless told otherwise.
    """

    def __init__(self, labels: Sequence[int], ignore_index: int = 255) -> None:
        self.labels = list(labels)
        self.ignore_index = ignore_index

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replaces ``results['gt_seg_map']`` (H, W), the mask that ``LoadAnnotations`` read, where there is one."""
        if 'gt_seg_map' not in results:  # inference, for which mmseg takes LoadAnnotations out of the pipeline
            return results
        mask = results['gt_seg_map']
        results['gt_seg_map'] = np.where(np.isin(mask, self.labels), self.ignore_index, mask).astype(mask.dtype)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(labels={self.labels}, ignore_index={self.ignore_index})'
