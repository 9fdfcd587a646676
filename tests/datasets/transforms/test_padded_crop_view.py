"""PaddedCropView shows every place of the padded image, and nothing else."""

import numpy as np
import pytest
import torch

from mmssl.datasets.transforms.padded_crop_view import PaddedCropView


def test_every_shift_occurs_and_is_a_crop_of_the_padded_image() -> None:
    image = np.random.default_rng(0).integers(1, 256, (6, 8, 3), dtype=np.uint8)
    padded = torch.from_numpy(np.pad(image, ((1, 1), (1, 1), (0, 0)))).permute(2, 0, 1)
    view, rng = PaddedCropView(6, padding=1), np.random.default_rng(1)
    crops = {
        (top, left, flipped): torch.flip(crop, [2]) if flipped else crop
        for top in range(3)
        for left in range(5)
        for flipped in (False, True)
        for crop in [padded[:, top : top + 6, left : left + 6]]
    }
    seen = set()
    for _ in range(600):
        drawn = view.draw(image.shape[:2], rng)
        place = (drawn.box[0] + 1, drawn.box[1] + 1, drawn.flipped)
        assert torch.equal(view.render(image, drawn), crops[place])
        seen.add(place)
    assert seen == crops.keys()
    assert not view(image, rng)[1].any()  # no photometric operation


def test_arguments() -> None:
    with pytest.raises(ValueError, match='got -1'):
        PaddedCropView(32, padding=-1)
    with pytest.raises(ValueError, match='set padding to at least 2'):
        PaddedCropView(32, padding=0).draw((28, 30), np.random.default_rng(0))
