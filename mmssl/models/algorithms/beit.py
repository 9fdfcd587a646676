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

    The backbone sees all patches, the hidden ones replaced by one learned token; ``neck`` gives a value to every word
    for each hidden patch, ``head`` is the loss. Where fewer patches are hidden than the masker's most, visible ones are
    predicted as well and have no part in the loss, so that every shape is static.

    Args:
        **slots: Arguments of ``MaskedAlgorithm``; ``target`` gives each patch a word.

    Raises:
        ValueError: The neck does not give a value to every word of the target.
    """

    views = Views(1, rendering=True)
    feature = 'mean'  # which is what is fine-tuned: no loss reaches the class token
    mask_token_cut = 0.02

    def __init__(self, **slots: Any) -> None:
        super().__init__(**slots)
        if self.neck.out_channels != self.target.num_tokens:
            raise ValueError(
                f'the neck has out_channels={self.neck.out_channels}, the tokenizer {self.target.num_tokens} words: '
                'they must be the same number'
            )

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the mean over the hidden patches, and the share of them whose word is guessed.

        Args:
            views: Images (N, 3, H, W), and perhaps another rendering of them for the tokenizer.
            data_samples: Not used.

        Raises:
            ValueError: The tokenizer gives another number of words than the backbone has patches.
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
