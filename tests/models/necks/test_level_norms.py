from __future__ import annotations

import pytest
import torch

from mmssl.models.necks.level_norms import LevelNorms


def test_each_level_is_normalised_over_its_own_channels():
    maps = [torch.randn(2, width, 4, 6) * 5 + 3 for width in (8, 16)]
    for level, found in zip(maps, LevelNorms((8, 16))(maps)):
        mean, variance = level.mean(dim=1, keepdim=True), level.var(dim=1, unbiased=False, keepdim=True)
        torch.testing.assert_close(found, (level - mean) / (variance + 1e-6).sqrt())


def test_another_number_of_levels_is_an_error():
    with pytest.raises(ValueError, match='got 1 maps: give in_channels as many widths, not 2'):
        LevelNorms((8, 16))([torch.randn(1, 8, 2, 2)])
