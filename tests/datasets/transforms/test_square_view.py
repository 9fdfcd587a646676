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


def test_arguments() -> None:
    with pytest.raises(ValueError, match='got 0 and None'):
        SquareView(0)
