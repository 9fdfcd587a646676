"""Target: the nearest of a few colours for each pixel."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mmssl.models.targets.tokenizer_target import TokenizerTarget
from mmssl.registry import TARGETS


@TARGETS.register_module()
class ColorWords(TokenizerTarget):
    """The index of the nearest of C colours for each pixel, as in iGPT.

    The colours are k-means centres of training pixels, which ``FitTokenizerHook`` finds; they are saved in checkpoints,
    and random before they are fitted.

    Args:
        num_colors: Number C of colours.
        mean: Mean of red, green and blue, on the scale 0-255, that the preprocessor has subtracted.
        std: Standard deviation of red, green and blue, on the scale 0-255, by which the preprocessor has divided.
    """

    def __init__(
        self,
        num_colors: int = 512,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
    ) -> None:
        super().__init__(dict(type='PatchCodebook', num_tokens=num_colors, patch_size=1), mean, std)

    def to_pixels(self, prediction: Tensor, images: Tensor) -> Tensor:
        """Draws colours.

        Args:
            prediction: (N, L), indices of colours.
            images: (N, 3, H, W), square images whose colours these are, of L or more pixels.

        Returns:
            (N, L, p * p * 3), one colour for each patch of p pixels, on the scale of normalised images.
        """
        pixels = self.tokenizer.codes[prediction.long()]  # (N, L, 3)
        colors = (pixels - self.mean.flatten()) / self.std.flatten()
        return colors.repeat(1, 1, (images.shape[-1] // round(prediction.shape[1] ** 0.5)) ** 2)
