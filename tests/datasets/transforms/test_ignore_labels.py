"""Labels of a mask that are left out."""

from __future__ import annotations

import numpy as np

from mmssl.datasets.transforms.ignore_labels import IgnoreLabels


def test_labels_become_what_is_ignored() -> None:
    mask = np.array([[0, 11], [10, 12]], dtype=np.uint8)
    results = IgnoreLabels([11, 12])(dict(gt_seg_map=mask))
    assert results['gt_seg_map'].tolist() == [[0, 255], [10, 255]]
    assert results['gt_seg_map'].dtype == np.uint8 and mask[0, 1] == 11
