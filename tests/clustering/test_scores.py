from __future__ import annotations

import numpy as np
import pytest

from mmssl.clustering.scores import agreement, cluster_sizes, collapse, size_scores


def test_purity_and_rand_index_and_images_without_label():
    labels, classes = np.array([0, 0, 0, 1, 1, -1]), np.array([5, 5, 7, 7, -1, 7])
    scores = agreement(labels, classes)
    assert scores['purity'] == pytest.approx(3 / 4)
    assert scores['ari'] == pytest.approx(0.0)
    assert agreement(labels, np.full(6, -1)) == {}


def test_sizes_and_collapse():
    sizes = cluster_sizes(np.array([0, 0, 2, 2, 3, -1]), 5)
    assert sizes.tolist() == [2, 0, 2, 1, 0]
    scores = size_scores(sizes)
    assert scores['empty'] == 2 and scores['largest'] == pytest.approx(0.4) and 2 < scores['effective'] < 3
    assert collapse(sizes) is None
    assert '3 of 5 are empty, the largest holds 90 %' in collapse(np.array([90, 0, 10, 0, 0]))
    assert collapse(np.array([10] * 9 + [0] * 191)) is not None
    assert collapse(np.array([90, 10])) is None  # one of two clusters is always the larger half
