"""Target: the features of a CLIP model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from mmengine.model import BaseModule
from timm.models.vision_transformer import checkpoint_filter_fn
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from mmssl.checkpoints.content import get_state_dict
from mmssl.checkpoints.files import load_checkpoint_file, load_compiled_file, local_file
from mmssl.models.layers.loading import leave_out_of_checkpoints
from mmssl.registry import TARGETS
from mmssl.utils.errors import UserError

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_OPTION = 'model.target.checkpoint'


@TARGETS.register_module()
class CLIPTarget(BaseModule):
    """Patch features of a CLIP image tower, in the space that images share with text (iTPN, BEiT v2, EVA, MVP).

    The patch tokens after the last norm, without the class token, are multiplied with the visual projection and then,
    if ``standardize``, normalised by a layer norm without parameters. The tower is frozen, always in evaluation mode,
    and excluded from checkpoints: its weights are read from their own file whenever the model is initialised.

    Args:
        model: Name of a CLIP tower in timm; OpenAI's weights need one with ``quickgelu`` in its name.
        checkpoint: File or http(s) address of weights with the names of OpenAI, open_clip or timm: OpenAI's own
            ``ViT-B-16.pt``, a checkpoint, or safetensors. With None and ``pretrained=False`` the weights are random,
            which is useful for tests only.
        pretrained: Whether to use timm's weights, from its cache or the network, instead of ``checkpoint``.
        out_channels: Width P of the shared space.
        img_size: Side of the teacher's images in pixels; its positions are resized bicubically. Teacher and student
            must have the same number of patches. For a student with images of 224 pixels and units of 16 it is 224 for
            a teacher with patches of 16 pixels, 196 for patches of 14.
        mean: Mean of red, green and blue, on the scale 0-255, that the preprocessor has subtracted.
        std: Standard deviation of red, green and blue, on the scale 0-255, by which the preprocessor has divided.
        scaling: ``'corrected'`` gives CLIP images that are normalised as in its training. ``'official'`` follows iTPN's
            released code, which treats pixels in [0, 1] as pixels in [-1, 1], so that CLIP sees them compressed into
            [0.5, 1].
        options: Additional arguments of ``timm.create_model``.
        standardize: Whether the layer norm without parameters follows the projection; EVA has none.

    Raises:
        ValueError: ``scaling`` is unknown, timm has no model of this name, or both ``checkpoint`` and ``pretrained``
            are given.
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
        standardize: bool = True,
    ) -> None:
        super().__init__()
        if scaling not in ('corrected', 'official'):
            raise ValueError(f"scaling must be 'corrected' or 'official', got {scaling!r}")
        if checkpoint is not None and pretrained:
            raise ValueError(f'give either checkpoint or pretrained=True, not both; got checkpoint={checkpoint!r}')
        if not timm.is_model(model):
            towers = timm.list_models('vit*clip_quickgelu*')
            raise ValueError(f'timm {timm.__version__} has no model {model!r}; CLIP towers of OpenAI are {towers}')
        self.checkpoint = checkpoint
        self.pretrained = pretrained
        self.model = model
        self.standardize = standardize
        self.arguments = dict(num_classes=out_channels, img_size=img_size, **(options or {}))
        self.teacher: Any = timm.create_model(model, **self.arguments).eval().requires_grad_(False)
        leave_out_of_checkpoints(self.teacher)
        for name, values in (('mean', mean), ('std', std)):  # compared with those of the preprocessor
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1) / 255, persistent=False)
        # (pixels - CLIP_MEAN) / CLIP_STD for pixels = images * deviation + center, as one product and one sum.
        self._affine: list[tuple[float, float]] = []
        for center, deviation, clip_mean, clip_std in zip(mean, std, CLIP_MEAN, CLIP_STD):
            center, deviation = center / 255, deviation / 255
            if scaling == 'official':
                center, deviation = (center + 1) / 2, deviation / 2
            self._affine.append((deviation / clip_std, (center - clip_mean) / clip_std))

    def init_weights(self) -> None:
        """Reads the weights of the teacher.

        Raises:
            UserError: The file does not exist, or it does not hold a tower of this size.
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
        except Exception as error:  # timm, huggingface_hub and urllib raise many types here
            where: Any = timm.get_pretrained_cfg(self.model)
            raise UserError(
                f'the weights of the teacher {self.model} ({where.hf_hub_id or where.url}) are neither in the cache of '
                f'timm nor can they be fetched; name a file of your own by --cfg-options {_OPTION}=FILE: {error}'
            ) from error
        return pretrained.state_dict()

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Returns the target (N, L, P), patches in row-major order, for normalised images (N, 3, H, W)."""
        return self._project(self.features(images))

    @torch.no_grad()
    def encode(self, images: Tensor) -> dict[str, Tensor]:
        """Returns the features of patches, ``dense`` (N, L, P), and of images, ``pooled`` (N, P), see ``forward``."""
        tokens = self._project(self.teacher.forward_features(self.rescale(images)))
        return dict(pooled=tokens[:, 0], dense=tokens[:, self.teacher.num_prefix_tokens :])

    def features(self, images: Tensor) -> Tensor:
        """Returns the patch tokens (N, L, D) after the last norm."""
        tokens = self.teacher.forward_features(self.rescale(images))
        return tokens[:, self.teacher.num_prefix_tokens :]

    def _project(self, tokens: Tensor) -> Tensor:
        """Maps tokens (N, L, D) after the last norm to the shared space, (N, L, P)."""
        features = linear(tokens, self.teacher.head.weight)
        return layer_norm(features, features.shape[-1:]) if self.standardize else features

    def rescale(self, images: Tensor) -> Tensor:
        """Converts images (N, 3, H, W) from the preprocessor's normalisation to CLIP's."""
        channels = [channel * factor + offset for channel, (factor, offset) in zip(images.unbind(1), self._affine)]
        return torch.stack(channels, dim=1)

    def train(self, mode: bool = True) -> CLIPTarget:
        """Sets the mode; the teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self


def _read(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a file: safetensors, a checkpoint, or OpenAI's TorchScript archive."""
    if path.suffix == '.safetensors':
        from safetensors.torch import load_file

        return load_file(path)
    compiled = load_compiled_file(path)
    if compiled is not None:
        return compiled
    return get_state_dict(load_checkpoint_file(path))
