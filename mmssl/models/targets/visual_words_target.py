"""Target: bags of visual words."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor

from mmssl.checkpoints.content import get_state_dict
from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.checkpoints.matching import load_matching
from mmssl.models.layers.loading import leave_out_of_checkpoints, skip_on_load
from mmssl.models.layers.visual_words import bag_of_words, without_border, word_distances
from mmssl.registry import BACKBONES, TARGETS
from mmssl.utils.errors import UserError


@TARGETS.register_module()
class VisualWordsTarget(BaseModule):
    """Bags of visual words from a frozen network (Gidaris et al., 2020, arXiv:2002.12247, section 3.1).

    Every position of the network's last map is assigned to the nearest word of a vocabulary; the bag of an image is the
    share of each word. The network is always in evaluation mode and is excluded from checkpoints. The vocabulary is in
    checkpoints, because it defines what the student's outputs mean.

    Args:
        backbone: Config of the frozen network; if it returns several maps, the last one is used.
        checkpoint: Training checkpoint with the weights of the network. None keeps random weights, which is useful for
            tests only.
        vocabulary: ``.npy`` file of words (K, C), which the step ``FitVocabulary`` writes. None keeps random words,
            which is useful for tests only.
        num_words: Number K of words.
        binary: Whether a word that occurs several times counts once, as in the paper's experiments on ImageNet.
        border: Width of the ignored border of the map, in positions. The paper does not mention a border; OBoW ignores
            1.
    """

    def __init__(
        self,
        backbone: dict,
        checkpoint: str | None = None,
        vocabulary: str | None = None,
        num_words: int = 2048,
        binary: bool = False,
        border: int = 0,
    ) -> None:
        super().__init__()
        self.teacher = BACKBONES.build(backbone).requires_grad_(False)
        self.teacher.eval()
        leave_out_of_checkpoints(self, 'teacher.')
        skip_on_load(self, 'teacher.')  # the running statistics of another network, in files of earlier versions
        self.checkpoint, self.vocabulary = checkpoint, vocabulary
        self.binary, self.border = binary, border
        self.register_buffer('words', torch.randn(num_words, self.teacher.feature_dim).relu())

    def init_weights(self) -> None:
        """Reads the network and the vocabulary.

        Raises:
            FileNotFoundError: The checkpoint does not exist.
            UserError: The checkpoint does not fit the network, or the vocabulary does not exist or has another shape.
        """
        missing = [key for key in ('checkpoint', 'vocabulary') if getattr(self, key) is None]
        if missing:
            parts = ' and '.join(f'model.target.{key}' for key in missing)
            print_log(f'the bags of words are random: set {parts}', 'current', logging.WARNING)
        self.load_network()
        self.load_vocabulary()

    def load_network(self) -> None:
        """Reads the network, which checkpoints of the student do not hold.

        Raises:
            FileNotFoundError: The file does not exist.
            UserError: The checkpoint does not fit the network.
        """
        if self.checkpoint is not None:
            offered = get_state_dict(load_checkpoint_file(self.checkpoint))
            load_matching(self.teacher, offered, self.checkpoint, min_match=1.0)

    def load_vocabulary(self) -> None:
        """Reads the vocabulary, if there is a file of it.

        Raises:
            UserError: The file does not exist or holds no array, or its words have another shape.
        """
        if self.vocabulary is not None:
            self.words.copy_(torch.from_numpy(read_vocabulary(self.vocabulary, tuple(self.words.shape))))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Returns bags (N, K), rows sum to 1, for normalised images (N, 3, H, W), which should not be augmented."""
        return bag_of_words(self.word_map(images), len(self.words), self.binary, self.words.dtype)

    @torch.no_grad()
    def word_map(self, images: Tensor) -> Tensor:
        """Returns the index of the word at each position, (N, h, w) int64, for images (N, 3, H, W)."""
        return self.nearest_words(images)[0]

    @torch.no_grad()
    def nearest_words(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns ``word_map`` and the squared distance to the word at each position, (N, h, w) both."""
        maps = without_border(last_map(self.teacher(images)), self.border)
        with torch.autocast(images.device.type, enabled=False):
            distances = word_distances(maps.to(self.words.dtype), self.words)
        words = distances.argmin(dim=1)
        return words, distances.gather(1, words[:, None]).squeeze(1)

    def train(self, mode: bool = True) -> VisualWordsTarget:
        """Sets the mode; the network stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self


def last_map(features: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Returns the last map (N, C, H, W) in the output of a backbone.

    Raises:
        ValueError: The output has no map (N, C, H, W).
    """
    features = features[-1] if isinstance(features, tuple) else features
    if features.ndim != 4:
        raise ValueError(f'visual words need a backbone that returns maps (N, C, H, W), got {tuple(features.shape)}')
    return features


def read_vocabulary(file: str, shape: tuple[int, ...]) -> np.ndarray:
    """Reads words (K, C) from a ``.npy`` file.

    Raises:
        UserError: The file does not exist or holds no array, or the shape of its words is not ``shape``.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise UserError(f'the vocabulary {file} does not exist: the step FitVocabulary writes it')
    try:
        words = np.load(path)
    except (ValueError, EOFError) as error:
        raise UserError(f'{file} is damaged or holds no array: let the step FitVocabulary write it again') from error
    if words.shape != shape:
        raise UserError(
            f'{file} holds {words.shape[0]} words of {words.shape[-1]} channels and the target has {shape[0]} words of '
            f'{shape[1]}: set num_words, or fit a vocabulary to the maps of the same backbone'
        )
    return words
