"""Target: the words of a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmssl.registry import TARGETS, TOKENIZERS
from mmssl.utils.errors import UserError


@TARGETS.register_module()
class TokenizerTarget(BaseModule):
    """One of C words per patch, from a frozen tokenizer (Bao et al., 2022, arXiv:2106.08254, section 2.1).

    Args:
        tokenizer: Config of a tokenizer: it maps pixels (N, 3, H, W) in [0, 1] to words (N, L) int64 and has the
            attribute ``num_tokens``. ``DALLETokenizer``, ``PatchCodebook`` or your own class.
        mean: Mean of red, green and blue, on the scale 0-255, that the preprocessor has subtracted.
        std: Standard deviation of red, green and blue, on the scale 0-255, by which the preprocessor has divided.
    """

    def __init__(
        self,
        tokenizer: dict,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
    ) -> None:
        super().__init__()
        self.tokenizer = TOKENIZERS.build(tokenizer).requires_grad_(False)
        self.num_tokens: int = self.tokenizer.num_tokens
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1) / 255, persistent=False)
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1) / 255, persistent=False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Returns the words (N, L) int64 for normalised images (N, 3, H, W), patches in row-major order."""
        with torch.autocast(images.device.type, enabled=False):
            return self.tokenizer(self._pixels(images))

    def fit(self, images: Tensor) -> None:
        """Fits the tokenizer to normalised images (N, 3, H, W).

        Raises:
            UserError: The tokenizer has no method ``fit``.
        """
        if not hasattr(self.tokenizer, 'fit'):
            raise UserError(f'{type(self.tokenizer).__name__} is not fitted to images: leave out FitTokenizerHook')
        self.tokenizer.fit(self._pixels(images))

    def _pixels(self, images: Tensor) -> Tensor:
        """Converts normalised images (N, 3, H, W) to pixels in [0, 1], up to rounding."""
        return images * self.std + self.mean

    def train(self, mode: bool = True) -> TokenizerTarget:
        """Sets the mode; the tokenizer stays in evaluation mode."""
        super().train(mode)
        self.tokenizer.eval()
        return self
