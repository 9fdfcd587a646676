"""Mixup and CutMix of the images of a batch and their labels."""

from __future__ import annotations

from timm.data.mixup import Mixup
from torch import Tensor, nn

from mmssl.registry import COMPONENTS


@COMPONENTS.register_module()
class BatchMix(nn.Module):
    """timm's Mixup (arXiv:1710.09412) or CutMix (arXiv:1905.04899) of a batch with the same batch in reverse order.

    For each batch one of the two and one weight w ~ Beta(a, a) are drawn. Mixup is ``w x_i + (1 - w) x_j``; CutMix puts
    a rectangle of x_j into x_i, and w is then the share of x_i that remains. Targets are mixed with the same w. The
    random numbers come from NumPy's generator, which is seeded at every iteration of a run, so a resumed run mixes in
    the same way.

    Args:
        num_classes: Number of classes C.
        mixup: Parameter a of Mixup, 0.8 in the recipes of ViTs; 0 turns Mixup off.
        cutmix: Parameter a of CutMix, 1.0 in the recipes of ViTs; 0 turns CutMix off.
        prob: Probability that a batch is mixed.
        cutmix_prob: Probability of CutMix, if both are on.

    Raises:
        ValueError: Both are off, one is negative, or a probability lies outside [0, 1].
    """

    def __init__(
        self,
        num_classes: int,
        mixup: float = 0.8,
        cutmix: float = 1.0,
        prob: float = 1.0,
        cutmix_prob: float = 0.5,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        if min(mixup, cutmix) < 0 or not mixup + cutmix > 0:
            raise ValueError(f'mixup and cutmix must be >= 0 and one of them > 0, got {mixup} and {cutmix}')
        if not (0 <= prob <= 1 and 0 <= cutmix_prob <= 1):
            raise ValueError(f'probabilities must lie in [0, 1], got {prob} and {cutmix_prob}')
        self._mix = Mixup(
            mixup_alpha=mixup,
            cutmix_alpha=cutmix,
            prob=prob,
            switch_prob=cutmix_prob,
            label_smoothing=0.0,
            num_classes=num_classes,
        )

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mixed images (N, 3, H, W), in a new tensor, and targets (N, C), which are probabilities.

        Args:
            images: (N, 3, H, W), normalised, N even.
            labels: (N,) int64 in [0, C).

        Raises:
            ValueError: N is odd: the image in the middle would be mixed with itself.
        """
        if problem := self.wrong_batch(len(images)):
            raise ValueError(problem)
        return self._mix(images.clone(), labels)

    def wrong_batch(self, images: int) -> str | None:
        """Returns why a batch of so many images per process cannot be mixed; None if it can."""
        return f'mixing needs an even number of images per process, got {images}' if images % 2 else None
