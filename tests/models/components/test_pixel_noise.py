from __future__ import annotations

import pytest
import torch

from mmssl.models.components.pixel_noise import add_pixel_noise
from mmssl.models.components.run_position import RunPosition
from mmssl.models.preprocessing.pixels import from_pixels, to_pixels
from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor

PREPROCESSOR = SelfSupDataPreprocessor()


def noisy(pixels: torch.Tensor, position: RunPosition) -> torch.Tensor:
    images = add_pixel_noise(from_pixels(pixels, PREPROCESSOR), 8.0, torch.arange(len(pixels)), position, PREPROCESSOR)
    return to_pixels(images, PREPROCESSOR)


def test_noise_is_uniform_in_both_directions_and_another_in_each_step():
    position = RunPosition()
    first = noisy(torch.full((50, 3, 8, 8), 128.0), position) - 128
    assert first.min() < -7.9 and first.max() > 7.9 and first.abs().max() <= 8.001
    assert first.mean().item() == pytest.approx(0, abs=0.2)
    assert torch.equal(noisy(torch.full((50, 3, 8, 8), 128.0), position) - 128, first)
    position.advance(0.1)
    assert position.steps == position.count.item() == 1 and position.progress == 0.1
    assert not torch.isclose(noisy(torch.full((50, 3, 8, 8), 128.0), position) - 128, first).all()


def test_pixels_stay_in_their_range():
    ends = torch.tensor([0.0, 255.0]).view(2, 1, 1, 1).expand(-1, 3, 8, 8)
    found = noisy(ends, RunPosition())
    assert found.min().item() == pytest.approx(0, abs=1e-3) and found.max().item() == pytest.approx(255, abs=1e-3)
