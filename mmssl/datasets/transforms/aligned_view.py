"""Training views whose places in the image are known to the loss."""

from __future__ import annotations

import numpy as np

from mmssl.datasets.transforms.augmented_view import AugmentedView, DrawnView
from mmssl.registry import TRANSFORMS


@TRANSFORMS.register_module()
class AlignedView(AugmentedView):
    """An ``AugmentedView`` that is flipped if and only if the view before it is, and that tells its crop.

    The flip is drawn once for all views of an image, so left and right agree between them. With such views the items of
    a dataset have ``crops`` in their ``data_samples``, see ``ImageDataset``. The arguments are those of
    ``AugmentedView``; the probability of the flip is that of the first view.
    """

    kind = 'aligned'
    tells_crop = True

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator, previous: DrawnView | None = None) -> DrawnView:
        """Draws the crop and the photometric program, and takes the flip from ``previous``, if there is one.

        Args:
            shape: Height and width of the image in pixels.
            rng: Generator of all random draws.
            previous: Draw of the previous view in ``views``.
        """
        drawn = super().draw(shape, rng)
        return drawn if previous is None else drawn._replace(flipped=previous.flipped)
