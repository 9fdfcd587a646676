"""CAE."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmssl.models.algorithms.masked import MaskedAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.ema_teacher import EMATeacher
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class CAE(MaskedAlgorithm):
    """Context Autoencoder for Self-Supervised Representation Learning (Chen et al., 2022, arXiv:2202.03026, Fig. 2).

    The backbone sees the visible patches. ``neck`` regresses the latents of the hidden patches, ``head`` decodes them
    to words and aligns them with the latents that the teacher gives to the hidden patches alone. The teacher is updated
    in ``on_step_start``, after the forward pass and before the optimizer's step, as in the official code: with momentum
    0 it is the encoder of the step before. Deviation: with accumulated batches it moves once per step of the optimizer.

    Args:
        momentum: Weight of the OLD value in an update of the teacher; 0 in all official recipes.
        **slots: Arguments of ``MaskedAlgorithm``. The masker must hide the same number of patches in every image;
            ``target`` assigns a word to each patch.

    Raises:
        ValueError: The ``num_words`` of the head is not the number of words of the target, or a part does not have the
            width of the part before it.
    """

    views = Views(1, rendering=True)
    needs_tokens = True

    def __init__(self, *, momentum: float = 0.0, **slots: Any) -> None:
        super().__init__(**slots)
        if self.head.num_words != self.target.num_tokens:
            raise ValueError(
                f'model.head.num_words={self.head.num_words} and the {self.target.num_tokens} words of the tokenizer '
                'must be the same number'
            )
        widths = (self.backbone.embed_dim, self.neck.in_channels, self.neck.out_channels, self.head.in_channels)
        if widths[0] != widths[1] or widths[2] != widths[3]:
            raise ValueError(
                f'model.neck.in_channels={widths[1]} must be the width of the backbone, {widths[0]}, and '
                f'model.head.in_channels={widths[3]} must be model.neck.embed_dim={widths[2]}'
            )
        self.teacher = EMATeacher(momentum=momentum, schedule='constant', backbone=self.backbone)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns ``loss`` of the words, ``loss_align``, and ``accuracy``, the share of correctly predicted words.

        Args:
            views: Images (N, 3, H, W), and optionally another rendering of the images for the tokenizer.
            data_samples: Not used.

        Raises:
            ValueError: The tokenizer's number of words per image is not the number of patches.
        """
        images, rendering = views[0], views[-1]
        mask = self.masker(images)  # (N, L)
        keep, hidden = self.masker.visible(mask), self.masker.hidden(mask)  # (N, K), (N, H)
        latent = self.backbone(images, keep=keep)  # (N, 1 + K, D)
        with torch.no_grad():
            target = self.neck.project(self.teacher.get_submodule('backbone')(images, keep=hidden))  # (N, H, E)
        prediction = self.neck(latent, keep, hidden)  # (N, H, E)
        words = self.target(rendering)  # (N, L)
        if words.shape != mask.shape:
            raise ValueError(f'the tokenizer gives {words.shape[1]} words to an image of {mask.shape[1]} patches')
        return self.head(prediction, target, words.gather(1, hidden), hidden, mask.gather(1, hidden))

    def on_train_start(self) -> None:
        """Copies the student into the teacher."""
        self.teacher.copy_from(backbone=self.backbone)

    def on_step_start(self) -> None:
        """Updates the teacher with the student before the step."""
        self.teacher.update(0.0, backbone=self.backbone)
