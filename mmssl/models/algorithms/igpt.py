"""iGPT."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.backbones.pixel_transformer import Past
from mmssl.models.targets.color_words import ColorWords
from mmssl.registry import ALGORITHMS, MASKERS


@ALGORITHMS.register_module()
class IGPT(BaseAlgorithm):
    """Generative Pretraining from Pixels (Chen et al., ICML 2020): the colour of the next, or of a hidden, pixel.

    The backbone is a ``PixelTransformer`` and ``neck`` gives the logits of the colours. Without a masker the backbone
    is causal and every pixel is predicted from those before it; with a masker, the hidden pixels are predicted from the
    others (the paper's BERT objective).

    Args:
        masker: Config of a masker with one patch per position of the backbone; None predicts the next pixel.
        **slots: Arguments of ``BaseAlgorithm``.

    Raises:
        ValueError: The backbone is causal and there is a masker, or neither; or the neck has another number of colours.
    """

    views = Views(1)
    feature = 'mean'

    def __init__(self, *, masker: dict | None = None, **slots: Any) -> None:
        super().__init__(**slots)
        if self.backbone.causal != (masker is None):
            raise ValueError('iGPT needs a causal backbone or a masker, and not both: set model.backbone.causal')
        if self.neck.out_channels != self.target.num_tokens:
            raise ValueError(
                f'the neck has out_channels={self.neck.out_channels}, the backbone {self.target.num_tokens} colours: '
                'they must be the same number'
            )
        if masker is not None:
            self.masker = MASKERS.build(masker)

    @property
    def target(self) -> ColorWords:
        """The colours, which belong to the backbone."""
        return self.backbone.colors

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns ``loss``, in nats per predicted pixel, for one view (N, 3, H, W)."""
        (images,) = views
        words = self.backbone.words(images)  # (N, L)
        mask = torch.ones_like(words, dtype=torch.bool) if self.backbone.causal else self.masker(images)
        tokens = self.backbone(images, words, None if self.backbone.causal else mask)
        return dict(loss=self.head(self.neck(tokens), words, mask))

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Completes images (N, 3, H, W): colours are drawn from the predicted distribution.

        A causal backbone completes the lower half from the upper half, pixel by pixel. Otherwise the pixels that the
        masker hides are drawn independently of each other.

        Returns:
            The mask (N, L) bool, True = hidden, and the colours (N, L) int64; visible ones are those of the image.
        """
        words = self.backbone.words(images)
        if not self.backbone.causal:
            mask = self.masker(images)
            drawn = _draw(self.neck(self.backbone.encode(words, mask=mask)))
            return mask, torch.where(mask, drawn, words)
        mask = (torch.arange(words.shape[1], device=words.device) >= words.shape[1] // 2).expand_as(words)
        past: Past = {}
        completed, done = words.masked_fill(mask, 0), 0
        for place in range(words.shape[1] // 2, words.shape[1]):
            tokens = self.backbone.encode(completed[:, : place + 1], past=past, start=done)
            completed[:, place], done = _draw(self.neck(tokens[:, -1])), place + 1
        return mask, completed


def _draw(logits: Tensor) -> Tensor:
    """Draws words (...) int64 from logits (..., C)."""
    return logits.softmax(dim=-1).flatten(0, -2).multinomial(1).view(logits.shape[:-1])
