"""SquareView against torchvision's two resizes."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from mmssl.datasets.transforms.square_view import SquareView


@pytest.mark.parametrize('shape', [(375, 500), (501, 333), (300, 300)])
def test_equals_two_resizes_of_torchvision(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    pixels = torch.from_numpy(image).permute(2, 0, 1)
    theirs = v2.Resize((224, 224), antialias=True)(v2.Resize(256, antialias=True)(pixels))
    ours = SquareView(size=224, resize=256)(image)
    assert ours.shape == (3, 224, 224) and (ours.int() - theirs.int()).abs().max() <= 2
    direct = v2.Resize((224, 224), antialias=True)(pixels)
    assert (SquareView(size=224)(image).int() - direct.int()).abs().max() <= 1


def test_a_long_image_costs_no_memory() -> None:
    image = np.full((1, 60_000, 3), 90, np.uint8)  # its shorter side is not resized to 256 first
    assert (SquareView(224, resize=256)(image) == 90).all()


@pytest.mark.parametrize('size', [0, (224, 224), 224.0, '224', True])
def test_arguments(size: object) -> None:
    with pytest.raises(ValueError, match='size must be one whole number of at least 1 pixel, the side of a square'):
        SquareView(size)
