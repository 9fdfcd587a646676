"""The base class of methods of other toolboxes that train instead of an algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.layers.pooling import to_vector

# Gain and direction of torch's former weight norm -> the same of its present one.
_WEIGHT_NORM = {f'weight_{letter}': f'parametrizations.weight.original{number}' for number, letter in enumerate('gv')}


@dataclass
class Settings:
    """What a method needs to know beside the algorithm that it replaces.

    Args:
        model: Config of the algorithm.
        epochs: Length of the run in epochs.
        steps: Length of the run in optimizer steps.
        classes: Number of classes of the images.
        matched: Whether the known differences to mmssl are removed, see docs/methods/peers.md.
    """

    model: Any
    epochs: int
    steps: int
    classes: int
    matched: bool = False


class VectorBackbone(nn.Module):
    """A backbone whose output is one vector per image.

    Args:
        backbone: Backbone, which stays the owner of its parameters.
    """

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.backbone, self.num_features = backbone, backbone.feature_dim

    def forward(self, images: Tensor) -> Tensor:
        """Returns vectors (N, D) for images (N, 3, H, W)."""
        return to_vector(self.backbone(images))


class PeerAlgorithm(BaseAlgorithm):
    """A method of another toolbox that trains the backbone of a recipe's algorithm.

    The backbone, its initial weights, data, optimizer, schedule and evaluation are those of the recipe. Head, loss,
    teacher and queue are those of the toolbox; their linear layers begin with the weights of the recipe's.

    Args:
        recipe: Algorithm built from the recipe.
        settings: Settings of the run.
    """

    unit: tuple[float, float] = 1.0, 0.0
    """Factor and summand that convert the loss of the toolbox to the scale of mmssl's, for the curves only."""

    def __init__(self, recipe: BaseAlgorithm, settings: Settings) -> None:
        BaseModel.__init__(self, data_preprocessor=recipe.data_preprocessor)  # no slots to build
        self.settings, self.views = settings, recipe.views
        self.backbone, self.neck, self.head = recipe.backbone, nn.Identity(), nn.Identity()
        self.encoder = VectorBackbone(recipe.backbone)

    def terms(self, loss: Tensor, **others: Tensor) -> dict[str, Tensor]:
        """Returns the loss of the method, further losses, and ``curve``, the loss in mmssl's scale."""
        factor, summand = self.unit
        return dict(loss=loss, **others, curve=factor * loss.detach() + summand)


@torch.no_grad()
def copy_linear_layers(source: nn.Module, target: nn.Module) -> None:
    """Copies the weights of the linear layers of ``source`` into those of ``target``, in order, and biases of both.

    Raises:
        ValueError: The layers differ in number or size.
    """
    pairs = [[layer for layer in module.modules() if isinstance(layer, nn.Linear)] for module in (source, target)]
    for own, other in zip(*pairs, strict=True):
        if own.weight.shape != other.weight.shape:
            raise ValueError(f'linear layers differ: {tuple(own.weight.shape)} and {tuple(other.weight.shape)}')
        for name, value in other.named_parameters():
            if name in _WEIGHT_NORM:
                value.copy_(own.get_parameter(_WEIGHT_NORM[name]))
            elif getattr(own, name) is not None:
                value.copy_(getattr(own, name))


def share_transformer(backbone: Any, vit: nn.Module) -> None:
    """Lets a vision transformer of timm's layout use the layers and tokens of mmssl's ``backbone``."""
    vit.get_submodule('patch_embed').proj = backbone.patch_embed.proj
    for name in ('cls_token', 'pos_embed', 'blocks', 'norm'):
        setattr(vit, name, getattr(backbone, name))


def load_decoder(neck: nn.Module, decoder: nn.Module) -> None:
    """Loads the weights of mmssl's ``MAEDecoder`` into a decoder with the names of the official code."""
    names = dict(embed='decoder_embed', pos_embed='decoder_pos_embed', blocks='decoder_blocks', norm='decoder_norm')
    names['predict'] = 'decoder_pred'
    state = {}
    for key, value in neck.state_dict().items():
        first, dot, rest = key.partition('.')
        state[names.get(first, first) + dot + rest] = value
    decoder.load_state_dict(state)
