"""The depth of a backbone's parameters, which layer-wise learning rates and weight decay follow."""

from __future__ import annotations

import re
from typing import ClassVar

from mmssl.models.layers.loading import LoudLoading


class OrderedLayers(LoudLoading):
    """Mixin of backbones whose blocks run in the order in which their parameters are registered."""

    block_pattern: ClassVar[str]
    """Regular expression that matches the name of a block at the beginning of its parameters' names."""

    undecayed: ClassVar[set[str]] = {'pos_embed', 'absolute_pos_embed', 'cls_token', 'relative_position_bias_table'}
    """Last parts of the names of tables and tokens without weight decay in fine-tuning."""

    def layers_to_output(self) -> dict[str, int]:
        """Returns, for the name of every parameter, its distance from the output in blocks.

        With B blocks that is 0 behind the last block, B - k in block k = 0 ... B - 1, and B + 1 before the first one,
        for embeddings and positions. What stands between two blocks, such as a reduction of resolution, has the
        distance of the block before it. Under a layer decay d a parameter at distance i trains at ``d ** i`` times the
        learning rate.

        Raises:
            ValueError: No parameter belongs to a block.
        """
        names = [name for name, _ in self.named_parameters()]
        blocks = [match and match.group() for match in (re.match(self.block_pattern, name) for name in names)]
        numbers = {block: index for index, block in enumerate(dict.fromkeys(filter(None, blocks)))}
        if not numbers:
            raise ValueError(f'{type(self).__name__} has no blocks to number: no name matches {self.block_pattern!r}')
        last = max(index for index, block in enumerate(blocks) if block)
        distances, distance = {}, len(numbers) + 1
        for index, (name, block) in enumerate(zip(names, blocks)):
            if block:
                distance = len(numbers) - numbers[block]
            distances[name] = distance if index <= last else 0
        return distances

    def no_weight_decay(self) -> set[str]:
        """Returns the names of tables and tokens that have no weight decay in fine-tuning.

        Biases, norms and other vectors have none by their number of dimensions.
        """
        return {name for name, _ in self.named_parameters() if name.rpartition('.')[2] in self.undecayed}
