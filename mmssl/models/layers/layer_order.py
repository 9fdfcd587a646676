"""The depth of a backbone's parameters, for layer-wise learning rates and weight decay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import nn

from mmssl.models.layers.loading import LoudLoading


class OrderedLayers(LoudLoading):
    """Mixin of backbones that name their blocks from the input to the output."""

    undecayed: ClassVar[set[str]] = {
        'pos_embed',
        'absolute_pos_embed',
        'cls_token',
        'reg_token',
        'relative_position_bias_table',
    }
    """Last components of the names of tables and tokens that get no weight decay in fine-tuning."""

    def ordered_blocks(self) -> Sequence[nn.Module]:
        """Returns the blocks in the order in which they run; blocks without parameters are not counted."""
        raise NotImplementedError(f'abstract: {type(self).__name__} does not define ordered_blocks()')

    def layers_to_output(self) -> dict[str, int]:
        """Returns the distance of every parameter from the output in blocks: name -> distance.

        With B blocks the distance is B - k in block k = 0 ... B - 1. The order of registration decides for parameters
        outside the blocks: before the first block (embeddings, positions) the distance is B + 1, after the last block
        it is 0, and between two blocks, as in a reduction of resolution, it is the distance of the block before. With a
        layer decay d, a parameter at distance i has ``d ** i`` times the learning rate.

        Raises:
            ValueError: No parameter belongs to a block.
        """
        blocks = [ids for block in self.ordered_blocks() if (ids := [id(p) for p in block.parameters()])]
        if not blocks:
            raise ValueError(f'{type(self).__name__} has no blocks with parameters')
        distance_of = {parameter: len(blocks) - index for index, ids in enumerate(blocks) for parameter in ids}
        to_come, distance = set(distance_of), len(blocks) + 1
        distances = {}
        for name, parameter in self.named_parameters():
            distance = distance_of.get(id(parameter), distance if to_come else 0)
            to_come.discard(id(parameter))
            distances[name] = distance
        return distances

    def no_weight_decay(self) -> set[str]:
        """Returns the names of the position tables and tokens of this backbone that get no weight decay in fine-tuning.

        Biases, norms and other vectors are not listed, because optimizers apply no weight decay to one-dimensional
        parameters.
        """
        return {name for name, _ in self.named_parameters() if name.rpartition('.')[2] in self.undecayed}
