from __future__ import annotations

import numpy as np
import pytest

from mmssl.clustering import whitening as module
from mmssl.clustering.whitening import PCAWhitening

FEATURES = (np.random.default_rng(0).normal(size=(200, 9)) * np.arange(1, 10) + 100).astype(np.float32)


def test_components_are_uncorrelated_and_rows_have_unit_length(monkeypatch):
    whitened = PCAWhitening(4, unit_length=False).fit(FEATURES).transform(FEATURES)
    np.testing.assert_allclose(len(FEATURES) * np.cov(whitened.T.astype(float), bias=True), np.eye(4), atol=1e-4)
    expected = PCAWhitening(4).fit(FEATURES).transform(FEATURES)
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, rtol=1e-5)
    monkeypatch.setattr(module, 'chunk_rows', lambda columns: 31)
    np.testing.assert_allclose(PCAWhitening(4).fit(FEATURES).transform(FEATURES), expected, atol=1e-5)


def test_faiss_gives_the_same_up_to_signs():
    faiss = pytest.importorskip('faiss')
    reference = faiss.PCAMatrix(9, 4, -0.5)
    features = FEATURES - FEATURES.mean(0)  # faiss sums in float32
    reference.train(features)
    ours = PCAWhitening(4, unit_length=False).fit(features).transform(features)
    np.testing.assert_allclose(abs(ours), abs(reference.apply(features)), atol=1e-5)


def test_features_that_do_not_vary_enough_say_so():
    with pytest.raises(ValueError, match='200 rows of 9 numbers do not have 10'):
        PCAWhitening(10).fit(FEATURES)
    with pytest.raises(ValueError, match='9 rows of 9 numbers do not have 9'):
        PCAWhitening(9).fit(FEATURES[:9])
    with pytest.raises(ValueError, match='fewer than 4 directions'):
        PCAWhitening(4).fit(np.repeat(FEATURES[:, :2], 3, axis=1))
    for seed in range(3):
        mixed = FEATURES[:, :2].astype(float) @ np.random.default_rng(seed).normal(size=(2, 6))
        with pytest.raises(ValueError, match='fewer than 3 directions'):
            PCAWhitening(3).fit(mixed)  # the third eigenvalue is rounding, and can be positive


def test_features_that_are_not_finite_say_so():
    features = FEATURES.copy()
    features[7, 2] = np.nan
    with pytest.raises(ValueError, match='features of row 7 are not finite'):
        PCAWhitening(4).fit(features)
