"""A vocabulary of visual words that changes during training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from mmssl.distributed.collectives import gather_constant, sum_over_processes, world_size
from mmssl.models.layers.visual_words import POOLS, pool_codes, soft_codes, without_border, word_distances
from mmssl.registry import COMPONENTS
from mmssl.utils.arguments import check_choices

_NEIGHBOURHOOD = 3  # positions


@COMPONENTS.register_module()
class WordQueue(nn.Module):
    """Visual words as a queue of features, and soft bags of words (OBoW, Gidaris et al., 2021, arXiv:2012.11552).

    Each image of a step replaces the oldest word with the mean of 3 x 3 positions around a random place of its map
    (section 3.3). A position is softly assigned to the words: ``softmax(-inverse_temperature / m * squared distance)``,
    where m is the moving average of a position's squared distance to the nearest word (Eq. 5). A bag is the assignments
    pooled over positions, divided by its sum.

    The bags of a step use the words before the step and the m after it, as in the official code. Call ``commit`` after
    the optimizer step, which then stores the new words and the new m; if gradients are accumulated, m moves once per
    step. m averages the images of all processes; the official code has one m per process. Distances and bags are
    computed in the dtype of the words, also under autocast, because a distance is a small difference of large numbers.

    Args:
        num_words: Number K of words, a multiple of the global batch size.
        channels: Channels C of the maps.
        inverse_temperature: Factor of the negative distances in the softmax; 15 for ResNet-50 and 10 for ResNet-18 in
            the official recipes, > 0.
        momentum: Weight of the OLD value of m, in [0, 1].
        border: Width of the ignored border of the map, in positions, >= 0.
        pool: Pooling over positions: ``'max'`` or ``'avg'``.

    Raises:
        ValueError: An argument is outside its range.
    """

    words: Tensor
    pointer: Tensor
    min_distance: Tensor

    def __init__(
        self,
        num_words: int,
        channels: int,
        inverse_temperature: float = 15.0,
        momentum: float = 0.99,
        border: int = 1,
        pool: str = 'max',
    ) -> None:
        super().__init__()
        check_choices(pool=(pool, POOLS))
        if not (inverse_temperature > 0 and 0 <= momentum <= 1 and border >= 0):
            raise ValueError(
                'WordQueue needs inverse_temperature > 0, momentum in [0, 1] and border >= 0, got '
                f'{inverse_temperature}, {momentum} and {border}'
            )
        self.inverse_temperature, self.momentum = inverse_temperature, momentum
        self.border, self.pool = border, pool
        self.register_buffer('words', torch.randn(num_words, channels).relu())
        self.register_buffer('pointer', torch.zeros((), dtype=torch.long))
        self.register_buffer('min_distance', torch.tensor(0.5))
        self._staged: list[tuple[Tensor, Tensor]] = []

    @property
    def queue_length(self) -> int:
        """Number of words, which must be a multiple of the global batch size."""
        return len(self.words)

    @torch.no_grad()
    def forward(self, maps: Tensor) -> Tensor:
        """Returns bags (N, K) for maps (N, C, H, W); in training mode it also stages new words and their distance.

        Raises:
            ValueError: The maps have another number of channels than the words, or too few positions.
        """
        if maps.shape[1] != self.words.shape[1]:
            raise ValueError(
                f'maps have {maps.shape[1]} channels: set channels={maps.shape[1]}, got {self.words.shape[1]}'
            )
        with torch.autocast(maps.device.type, enabled=False):
            maps = without_border(maps.to(self.words.dtype), self.border)
            distances, mean = word_distances(maps, self.words), self.min_distance
            if self.training:
                now = sum_over_processes(distances.amin(1).mean()) / world_size()
                mean = self.momentum * mean + (1 - self.momentum) * now
                self._staged.append((self._new_words(maps), now))
            return pool_codes(soft_codes(distances, self.inverse_temperature / mean), self.pool)

    def _new_words(self, maps: Tensor) -> Tensor:
        """Returns one new word for each image of all processes, (M, C)."""
        if min(maps.shape[-2:]) < _NEIGHBOURHOOD:
            raise ValueError(
                f'words are means of {_NEIGHBOURHOOD} x {_NEIGHBOURHOOD} positions, and maps without their border have '
                f'{maps.shape[-2]} x {maps.shape[-1]}: use larger images, or lower border={self.border}'
            )
        means = avg_pool2d(maps, _NEIGHBOURHOOD, stride=1).flatten(2)  # (N, C, L)
        places = self.draw_places(len(means), means.shape[2], means.device)
        new = gather_constant(means.take_along_dim(places[:, None, None], dim=2).squeeze(2))
        if len(self.words) % len(new):
            raise ValueError(f'num_words must be a multiple of the global batch {len(new)}, got {len(self.words)}')
        return new

    def draw_places(self, number: int, length: int, device: torch.device) -> Tensor:
        """Draws one of ``length`` places for each of ``number`` images, (number,) int64."""
        return torch.randint(length, (number,), device=device)

    @torch.no_grad()
    def commit(self) -> None:
        """Overwrites the oldest words with the staged ones, and moves m once by the mean of all staged distances."""
        for new, _ in self._staged:
            positions = (self.pointer + torch.arange(len(new), device=new.device)) % len(self.words)
            self.words.index_copy_(0, positions, new)
            self.pointer.add_(len(new)).remainder_(len(self.words))
        if self._staged:
            now = torch.stack([distance for _, distance in self._staged]).mean()
            self.min_distance.copy_(self.momentum * self.min_distance + (1 - self.momentum) * now)
        self._staged.clear()
