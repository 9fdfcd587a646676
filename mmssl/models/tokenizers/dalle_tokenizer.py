"""The encoder of DALL-E's discrete variational autoencoder as a tokenizer."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.checkpoints.content import get_state_dict
from mmssl.checkpoints.files import local_file
from mmssl.models.layers.loading import leave_out_of_checkpoints
from mmssl.registry import TOKENIZERS
from mmssl.utils.errors import UserError

WEIGHTS = 'https://cdn.openai.com/dall-e/encoder.pkl'
_EPS = 0.1


def map_pixels(pixels: Tensor) -> Tensor:
    """Maps pixels from [0, 1] to [0.1, 0.9] for the logit-Laplace distribution (arXiv:2102.12092, Appendix A.3)."""
    return (1 - 2 * _EPS) * pixels + _EPS


class _Residual(nn.Module):
    """``shortcut(x) + gain * f(x)``, where f is four times ReLU and convolution; the inner width is a quarter."""

    def __init__(self, inputs: int, outputs: int, gain: float) -> None:
        super().__init__()
        inner = outputs // 4
        self.gain = gain
        self.id_path = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        widths = [(inputs, inner, 3), (inner, inner, 3), (inner, inner, 3), (inner, outputs, 1)]
        for number, (before, after, kernel) in enumerate(widths, 1):
            layers[f'relu_{number}'] = nn.ReLU()
            layers[f'conv_{number}'] = nn.Conv2d(before, after, kernel, padding=kernel // 2)
        self.res_path = nn.Sequential(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.id_path(x) + self.gain * self.res_path(x)


@TOKENIZERS.register_module()
class DALLETokenizer(BaseModule):
    """Encoder of DALL-E's dVAE (Ramesh et al., 2021, arXiv:2102.12092); the most likely word is the word of a patch.

    The weights are read from a file when the model is initialised, and are neither trained nor written to checkpoints.
    On a GPU all convolutions but the last run in float16, as in the official code.

    Args:
        checkpoint: File or http(s) address of OpenAI's ``encoder.pkl``, or of a state dict with its names. None keeps
            random weights, which is useful for tests only.
        num_tokens: Number C of words.
        width: Number of channels of the first group; each later group has twice as many as the one before.
        num_groups: Number of groups of blocks; each but the last halves the map, so that 4 groups give a word per 8 x 8
            pixels.
        num_blocks: Number of blocks of a group.
    """

    def __init__(
        self,
        checkpoint: str | None,
        num_tokens: int = 8192,
        width: int = 256,
        num_groups: int = 4,
        num_blocks: int = 2,
    ) -> None:
        super().__init__()
        self.checkpoint = checkpoint
        self.num_tokens = num_tokens
        gain = 1 / (num_groups * num_blocks) ** 2
        layers: OrderedDict[str, nn.Module] = OrderedDict(input=nn.Conv2d(3, width, 7, padding=3))
        channels = width
        for group in range(num_groups):
            parts: OrderedDict[str, nn.Module] = OrderedDict()
            for block in range(num_blocks):
                parts[f'block_{block + 1}'] = _Residual(channels, width * 2**group, gain)
                channels = width * 2**group
            if group < num_groups - 1:
                parts['pool'] = nn.MaxPool2d(2)
            layers[f'group_{group + 1}'] = nn.Sequential(parts)
        layers['output'] = nn.Sequential(OrderedDict(relu=nn.ReLU(), conv=nn.Conv2d(channels, num_tokens, 1)))
        self.blocks = nn.Sequential(layers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
                nn.init.zeros_(module.get_parameter('bias'))
        self.requires_grad_(False)
        leave_out_of_checkpoints(self)

    def init_weights(self) -> None:
        """Reads the weights.

        Raises:
            UserError: The file does not exist, or it does not hold an encoder of this size.
        """
        if self.checkpoint is not None:
            self.load_weights(self.checkpoint)

    def load_weights(self, file: str | Path) -> None:
        """Reads the weights from ``file`` without executing code from it; see ``init_weights``."""
        path = local_file(file)
        if not path.is_file():
            raise UserError(
                f'the weights of the tokenizer are expected in {path}: download them from {WEIGHTS}, or name the file '
                f'by --cfg-options model.target.tokenizer.checkpoint=FILE'
            )
        try:
            with torch.serialization.safe_globals(_PICKLED):
                content = torch.load(path, map_location='cpu', weights_only=True)
            tensors = content.state_dict() if isinstance(content, nn.Module) else get_state_dict(content)
            rename = {'w': 'weight', 'b': 'bias'}
            named = [(name.rpartition('.'), tensor) for name, tensor in tensors.items()]
            self._load({f'{module}.{rename.get(leaf, leaf)}': tensor for (module, _, leaf), tensor in named})
        except (UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
            raise UserError(f'{path} does not hold the encoder of DALL-E: {error}') from error

    def _load(self, tensors: dict[str, Tensor]) -> None:
        own = dict(self.named_parameters())
        if own.keys() != tensors.keys():
            raise ValueError(f'names differ, such as {sorted(own.keys() ^ tensors.keys())[:3]}')
        with torch.no_grad():
            for name, parameter in own.items():
                if parameter.shape != tensors[name].shape:
                    raise ValueError(f'{name} is {tuple(tensors[name].shape)}, not {tuple(parameter.shape)}')
                parameter.copy_(tensors[name])

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        """Returns the words (N, L) int64, in row-major order, for pixels (N, 3, H, W) in [0, 1]."""
        return self.logits(pixels).argmax(dim=1).flatten(1)

    def logits(self, pixels: Tensor) -> Tensor:
        """Returns logits (N, C, h, w) of the words at each place for pixels (N, 3, H, W) in [0, 1]."""
        device = pixels.device.type
        *trunk, output = self.blocks
        with torch.autocast(device, dtype=torch.float16 if pixels.is_cuda else None, enabled=pixels.is_cuda):
            x = map_pixels(pixels)
            for layer in trunk:
                x = layer(x)
        with torch.autocast(device, enabled=False):
            return output(x.to(pixels.dtype))


class _Pickled(nn.Module):
    """Replaces the classes of OpenAI's package, so that their tensors can be read without the package."""


_PICKLED: list[Any] = [
    *((_Pickled, f'dall_e.{name}') for name in ('encoder.Encoder', 'encoder.EncoderBlock', 'utils.Conv2d')),
    nn.Sequential,
    nn.ReLU,
    nn.MaxPool2d,
    nn.Identity,
]
