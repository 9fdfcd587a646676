"""The features of a CLIP model as what is to be predicted."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from mmengine.model import BaseModule
from timm.models.vision_transformer import checkpoint_filter_fn
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

from mmssl.checkpoints.content import get_state_dict
from mmssl.checkpoints.files import load_checkpoint_file, local_file
from mmssl.models.layers.loading import leave_out_of_checkpoints
from mmssl.registry import TARGETS
from mmssl.utils.errors import UserError

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_OPTION = 'model.target.checkpoint'


@TARGETS.register_module()
class CLIPTarget(BaseModule):
    """Patch features of a CLIP image tower in the space that it shares with text, each standardised (iTPN, BEiT v2).

    Tokens behind the last norm, the class token left out, times the visual projection, then a norm without parameters.
    The tower does not train, is in evaluation mode always, and is left out of checkpoints: its weights come from their
    own file whenever the model is initialised.

    Args:
        model: One of timm's CLIP towers; OpenAI's weights want those called ``quickgelu``.
        checkpoint: File, or http(s) address, of weights by the names of OpenAI, of open_clip or of timm: OpenAI's own
            ``ViT-B-16.pt``, a checkpoint, or safetensors. With None and without ``pretrained`` weights are random, and
            of no use but for trying things out.
        pretrained: Take timm's weights, from its cache or the network, instead.
        out_channels: Width P of the shared space.
        img_size: Side of the images that the teacher gets, in pixels; positions are resized to it, bicubic. The number
            of patches must be the student's: 224 for patches of 16 pixels, 196 for patches of 14, with a student that
            gets 224 and has units of 16.
        mean: Of red, green and blue, on the scale 0-255, that the preprocessor has subtracted.
        std: By which it has divided.
        scaling: ``'corrected'`` gives CLIP what it was trained with. ``'official'`` does as iTPN's released code, which
            takes pixels in [0, 1] for such in [-1, 1], so that CLIP sees them squeezed into [0.5, 1].
        options: Further arguments of ``timm.create_model``.

    Raises:
        ValueError: ``scaling`` is none of these, timm has no tower of this name, or a file is given as well as
            ``pretrained``.
    """

    def __init__(
        self,
        model: str = 'vit_base_patch16_clip_quickgelu_224',
        checkpoint: str | None = None,
        pretrained: bool = False,
        out_channels: int = 512,
        img_size: int = 224,
        mean: Sequence[float] = (127.5, 127.5, 127.5),
        std: Sequence[float] = (127.5, 127.5, 127.5),
        scaling: str = 'corrected',
        options: dict | None = None,
    ) -> None:
        super().__init__()
        if scaling not in ('corrected', 'official'):
            raise ValueError(f"scaling must be 'corrected' or 'official', got {scaling!r}")
        if checkpoint is not None and pretrained:
            raise ValueError(f'give either checkpoint or pretrained=True, and not both; got {checkpoint!r}')
        if not timm.is_model(model):
            towers = timm.list_models('vit*clip_quickgelu*')
            raise ValueError(f'timm {timm.__version__} has no model {model!r}; CLIP towers of OpenAI are {towers}')
        self.checkpoint = checkpoint
        self.pretrained = pretrained
        self.model = model
        self.arguments = dict(num_classes=out_channels, img_size=img_size, **(options or {}))
        self.teacher: Any = timm.create_model(model, **self.arguments).eval().requires_grad_(False)
        leave_out_of_checkpoints(self.teacher)
        # (pixels - CLIP_MEAN) / CLIP_STD of pixels = images * deviation + center, as one product and one sum.
        self._affine: list[tuple[float, float]] = []
        for center, deviation, clip_mean, clip_std in zip(mean, std, CLIP_MEAN, CLIP_STD):
            center, deviation = center / 255, deviation / 255
            if scaling == 'official':
                center, deviation = (center + 1) / 2, deviation / 2
            self._affine.append((deviation / clip_std, (center - clip_mean) / clip_std))

    def init_weights(self) -> None:
        """Reads the weights of the teacher.

        Raises:
            UserError: There is no such file, or it holds no tower of this size.
        """
        if self.pretrained:
            self.teacher.load_state_dict(self._from_timm())
        elif self.checkpoint is not None:
            self.load_weights(self.checkpoint)

    def load_weights(self, file: str | Path) -> None:
        """Reads the weights of the teacher from ``file``; see ``init_weights``."""
        path = local_file(file)
        if not path.is_file():
            raise UserError(
                f'the weights of the teacher {self.model} are expected in {path}: put them there, name another file by '
                f"--cfg-options {_OPTION}=FILE, or take timm's by {_OPTION}=None model.target.pretrained=True"
            )
        tensors = checkpoint_filter_fn(_read(path), self.teacher, antialias=False)
        own = dict(self.teacher.named_parameters())
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        wrong = [name for name, tensor in own.items() if shapes.get(name) != tuple(tensor.shape)]
        if wrong:
            raise UserError(
                f'{path} does not hold the image tower of {self.model} with a shared space of '
                f'{self.arguments["num_classes"]} dimensions: {len(wrong)} of {len(own)} tensors are missing or of '
                f'another shape, such as {", ".join(wrong[:3])}'
            )
        self.teacher.load_state_dict({name: tensors[name] for name in own})

    def _from_timm(self) -> dict[str, Tensor]:
        try:
            pretrained = timm.create_model(self.model, pretrained=True, **self.arguments)
        except Exception as error:  # of whichever library looks for the file or fetches it
            where: Any = timm.get_pretrained_cfg(self.model)
            raise UserError(
                f'the weights of the teacher {self.model} ({where.hf_hub_id or where.url}) are neither in the cache of '
                f'timm nor can they be fetched; name a file of your own by --cfg-options {_OPTION}=FILE: {error}'
            ) from error
        return pretrained.state_dict()

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Returns (N, L, P), patches in row-major order, of normalised images (N, 3, H, W)."""
        features = linear(self.features(images), self.teacher.head.weight)
        return layer_norm(features, features.shape[-1:])

    def features(self, images: Tensor) -> Tensor:
        """Returns the patch tokens (N, L, D) behind the last norm."""
        tokens = self.teacher.forward_features(self.rescale(images))
        return tokens[:, self.teacher.num_prefix_tokens :]

    def rescale(self, images: Tensor) -> Tensor:
        """Returns images as CLIP wants them instead of as the preprocessor has normalised them, (N, 3, H, W)."""
        channels = [channel * factor + offset for channel, (factor, offset) in zip(images.unbind(1), self._affine)]
        return torch.stack(channels, dim=1)

    def train(self, mode: bool = True) -> CLIPTarget:
        """Sets the mode; the teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self


def _read(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a file: safetensors, a checkpoint, or a compiled model, as which OpenAI publishes CLIP."""
    if path.suffix == '.safetensors':
        from safetensors.torch import load_file

        return load_file(path)
    is_compiled = zipfile.is_zipfile(path) and any(
        name.endswith('/constants.pkl') for name in zipfile.ZipFile(path).namelist()
    )
    if is_compiled:
        compiled: nn.Module = torch.jit.load(path, map_location='cpu')
        return {name: tensor.float() for name, tensor in compiled.state_dict().items()}
    return get_state_dict(load_checkpoint_file(path))
