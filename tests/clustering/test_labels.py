from __future__ import annotations

import numpy as np
import pytest

from mmssl.clustering.labels import KMeansLabeller


def test_whitening_that_cannot_work_is_refused_before_features_are_extracted():
    for whiten in (0, -1):
        with pytest.raises(ValueError, match=f'must be positive, got 1 and {whiten}'):
            KMeansLabeller(2, whiten=whiten)
    labeller = KMeansLabeller(2, whiten=9, backend='torch')
    labeller.check(10)
    labeller.label(np.random.default_rng(0).normal(size=(10, 12)).astype(np.float32), seed=0)
    with pytest.raises(ValueError, match='9 images do not have 9 principal components: lower whiten'):
        labeller.check(9)
    with pytest.raises(ValueError, match='1 images cannot make 2 clusters'):
        labeller.check(1)


def test_a_seed_is_refused_before_features_are_extracted():
    with pytest.raises(ValueError, match='follow the seed of the run'):
        KMeansLabeller(2, seed=1, backend='torch')
