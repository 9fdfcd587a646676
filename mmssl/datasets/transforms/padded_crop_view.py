"""The training view of small images: a random shift and a random flip."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mmssl.datasets.transforms.augmented_view import DrawnView
from mmssl.datasets.transforms.geometry import check_size
from mmssl.datasets.transforms.photometric_program import CODES, NUM_STEPS
from mmssl.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PaddedCropView:
    """Pads the image with black pixels, crops a square at a random position and flips it at random, without resizing.

    This is the usual view of supervised training on CIFAR (He et al., 2016, arXiv:1512.03385, section 4.2, with a
    padding of 4). A ``SameView`` cannot follow it, because the crop can reach beyond the image.

    Args:
        size: Side of the view in pixels.
        padding: Width of the black border in pixels.
        flip: Probability of a horizontal flip.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(self, size: int, *, padding: int = 4, flip: float = 0.5) -> None:
        if padding < 0 or not 0 <= flip <= 1:
            raise ValueError(
                f'PaddedCropView needs padding >= 0 and a probability of flipping in [0, 1], got {padding} and {flip}'
            )
        self.size = check_size(size)
        self.padding = padding
        self.flip = flip

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draws one view.

        Args:
            image: uint8 (H, W, 3).
            rng: Generator of all random draws.

        Returns:
            The view, uint8 (3, size, size), and a photometric program without operations, float32 (steps, 2).
        """
        drawn = self.draw(image.shape[:2], rng)
        return self.render(image, drawn), drawn.program

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator, previous: object = None) -> DrawnView:
        """Draws the position of the crop and the flip.

        Args:
            shape: Height and width of the image in pixels.
            rng: Generator of all random draws.
            previous: Draw of the previous view in ``views``; not used here.

        Returns:
            The draw; its box is in pixels of the image, with a negative top or left on the border.

        Raises:
            ValueError: The image is too small for the view.
        """
        room = [side + 2 * self.padding - self.size for side in shape]
        if min(room) < 0:
            raise ValueError(
                f'an image of {shape[0]} x {shape[1]} pixels with a border of {self.padding} holds no view of '
                f'{self.size}: set padding to at least {self.padding - min(room) // 2}'
            )
        top, left = (int(draw * (free + 1)) - self.padding for draw, free in zip(rng.random(2), room))
        program = torch.tensor([(CODES['none'], 0.0)] * NUM_STEPS, dtype=torch.float32)
        return DrawnView((top, left, self.size, self.size), bool(rng.random() < self.flip), program)

    def render(self, image: np.ndarray, drawn: DrawnView) -> Tensor:
        """Returns the view of ``image``, uint8 (H, W, 3), for the draw: uint8 (3, size, size)."""
        top, left = (offset + self.padding for offset in drawn.box[:2])
        padded = np.pad(image, ((self.padding, self.padding), (self.padding, self.padding), (0, 0)))
        view = torch.from_numpy(padded[top : top + self.size, left : left + self.size]).permute(2, 0, 1)
        return view.flip(2) if drawn.flipped else view
