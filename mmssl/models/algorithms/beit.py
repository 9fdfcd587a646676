"""BEiT."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mmssl.models.algorithms.masked import MaskedAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class BEiT(MaskedAlgorithm):
    """BERT Pre-Training of Image Transformers (Bao et al., 2022, arXiv:2106.08254, Fig. 1).

    The backbone sees all patches; a learned token replaces the hidden ones. ``neck`` computes the logits of the words
    for each hidden patch, ``head`` is the loss. If fewer patches are hidden than the largest number, visible patches
    fill up the tensor, so that every shape is static; they are not part of the loss.

    Args:
        **slots: Arguments of ``MaskedAlgorithm``; ``target`` assigns a word to each patch.

    Raises:
        ValueError: The ``out_channels`` of the neck are not the number of words of the target.
    """

    views = Views(1, rendering=True)
    needs_tokens = True
    feature = 'mean'  # fine-tuned features: no loss reaches the class token
    mask_token_cut = 0.02

    def __init__(self, **slots: Any) -> None:
        super().__init__(**slots)
        if self.neck.out_channels != self.target.num_tokens:
            raise ValueError(
                f'the neck has out_channels={self.neck.out_channels}, the tokenizer {self.target.num_tokens} words: '
                'they must be the same number'
            )

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns ``loss``, the mean over hidden patches, and ``accuracy``, the share of correctly predicted words.

        Args:
            views: Images (N, 3, H, W), and optionally another rendering of the images for the tokenizer.
            data_samples: Not used.

        Raises:
            ValueError: The tokenizer's number of words per image is not the number of patches.
        """
        images, rendering = views[0], views[-1]
        mask = self.masker(images)  # (N, L)
        hidden = self.masker.hidden(mask)  # (N, K), K static
        tokens = self.backbone(images, mask=mask, mask_token=self.mask_token)  # (N, 1 + L, D)
        logits = self.neck(tokens, hidden)  # (N, K, C)
        words = self.target(rendering)  # (N, L)
        if words.shape != mask.shape:
            raise ValueError(f'the tokenizer gives {words.shape[1]} words to an image of {mask.shape[1]} patches')
        words, is_hidden = words.gather(1, hidden), mask.gather(1, hidden)  # (N, K)
        is_right = (logits.argmax(dim=-1) == words) & is_hidden
        return dict(loss=self.head(logits, words, is_hidden), accuracy=is_right.sum() / is_hidden.sum().clamp(min=1))
