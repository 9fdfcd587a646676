from __future__ import annotations

import pytest
import torch

from mmssl.models.layers.rotations import four_rotations


def test_pixels_change_places_and_keep_their_values():
    images = torch.rand(2, 3, 5, 5)
    rotated, labels = four_rotations(images)
    assert labels.tolist() == [0, 1, 2, 3, 0, 1, 2, 3] and rotated.shape == (8, 3, 5, 5)
    again, _ = four_rotations(rotated[5:6])  # an image turned by 90 degrees, turned by 270 more
    assert torch.equal(again[3], images[1])
    assert torch.equal(rotated[2], images[0].flip(-2).flip(-1))
    for image, copies in zip(images, rotated.chunk(2)):
        for copy in copies:
            assert torch.equal(copy.flatten(1).sort()[0], image.flatten(1).sort()[0])


def test_an_image_that_is_not_square():
    with pytest.raises(ValueError, match=r'square .* got \(4, 6\) pixels'):
        four_rotations(torch.zeros(1, 3, 4, 6))
