"""Cost of a step of masked image modelling, compared with a plain loop over timm's blocks and an unmasked step."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from typing import Any

import torch
from mmengine.config import Config
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mmssl.engine.compilation import compile_blocks
from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.backbones.vision_transformer import VisionTransformer
from mmssl.models.layers.patches import patchify
from mmssl.models.maskers.uniform_masker import UniformMasker
from mmssl.models.necks.mae_decoder import MAEDecoder
from mmssl.profiling.machine import device_name, peak_memory, reset_peak_memory, sum_of_losses
from mmssl.profiling.saved_bytes import count_saved_bytes
from mmssl.profiling.timing import Task, Tasks, time_in_turns
from mmssl.registry import ALGORITHMS, BACKBONES
from mmssl.utils.errors import UserError

_RATIOS = {
    'step_over_plain_loop': ('step', 'plain_loop'),
    'compiled_over_plain_loop': ('compiled_step', 'plain_loop'),
    'compiled_over_step': ('compiled_step', 'step'),
    'step_over_unmasked': ('step', 'unmasked_step'),
}


def measure_mim_step(
    cfg: Config,
    batch_size: int | None = None,
    repeats: int = 5,
    dtype: str = 'float32',
    compile_options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Measures forward and backward pass of the config's algorithm and of the steps compared with it, in turns.

    Images are noise. The optimizer is not measured, because its time is the same everywhere and would reduce the
    ratios.

    Args:
        cfg: Config of an algorithm with a ``UniformMasker``; its data is not read.
        batch_size: Number of images of the step; None uses the config's.
        repeats: Number of measurements; all figures are medians.
        dtype: ``'float32'``, or ``'bfloat16'`` for autocast.
        compile_options: Options of ``torch.compile`` for the compiled step; None skips this step.

    Returns:
        ``wall`` and ``processor``: for each clock (see ``time_in_turns``) ``seconds`` per name, and the medians of the
        ratios within a round. ``step``: the algorithm; ``compiled_step``: the same with ``compile='blocks'``;
        ``unmasked_step``: the same with every patch visible; ``plain_loop``: ``PlainLoop``, for MAE on a
        ``VisionTransformer`` only. ``batch_size``, ``dtype``, ``device``.

    Raises:
        UserError: The algorithm has no ``UniformMasker``.
    """
    device, algorithm, images = _prepare(cfg, batch_size)
    masker = getattr(algorithm, 'masker', None)
    if not isinstance(masker, UniformMasker):
        raise UserError(f'{type(algorithm).__name__} of {cfg.filename} has no UniformMasker, so it hides no patches')
    tasks: Tasks = {'step': _task(algorithm, lambda: _loss(algorithm, images), dtype, device)}
    if compile_options is not None:
        compiled = deepcopy(algorithm)
        compile_blocks(compiled, **compile_options)
        tasks['compiled_step'] = _task(compiled, lambda: _loss(compiled, images), dtype, device)
    unmasked = deepcopy(algorithm)
    unmasked.masker.ratio = 0.0
    tasks['unmasked_step'] = _task(unmasked, lambda: _loss(unmasked, images), dtype, device)
    if isinstance(algorithm.backbone, VisionTransformer) and isinstance(algorithm.neck, MAEDecoder):
        loop = PlainLoop(algorithm, images).to(device)
        tasks['plain_loop'] = _task(loop, loop, dtype, device)

    laps = time_in_turns(tasks, repeats, device)
    clocks = {}
    for clock, name in enumerate(('wall', 'processor')):
        rounds = [{task: lap[task][clock] for task in tasks} for lap in laps]
        ratios = {
            ratio: statistics.median(lap[above] / lap[below] for lap in rounds)
            for ratio, (above, below) in _RATIOS.items()
            if above in tasks and below in tasks
        }
        clocks[name] = dict(seconds={task: statistics.median(lap[task] for lap in rounds) for task in tasks}, **ratios)
    return dict(**clocks, batch_size=len(images), dtype=dtype, device=device_name(device))


class PlainLoop(nn.Module):
    """A lower bound for the cost of MAE: linear layers and timm's blocks on existing tokens.

    It runs the encoder's linear layer, blocks, norm and linear layer on as many tokens as the algorithm encodes, then
    the decoder's blocks, norm and linear layer on as many tokens as it decodes, and averages the squared error over
    hidden patches. It does not draw a mask, and does not sort, gather or standardise anything.

    Args:
        algorithm: MAE with a ``VisionTransformer`` and a ``MAEDecoder``, whose sizes are used.
        images: (N, 3, H, W), images of the step.
    """

    def __init__(self, algorithm: BaseAlgorithm, images: Tensor) -> None:
        super().__init__()
        backbone, decoder = algorithm.backbone, algorithm.neck
        self.patches = patchify(images, backbone.patch_size)  # (N, L, P)
        self.mask = algorithm.masker(images)
        self.num_tokens = 1 + algorithm.masker.visible(self.mask).shape[1]
        self.embed = nn.Linear(self.patches.shape[2], backbone.feature_dim)
        self.encoder = _loop(backbone.blocks, decoder.embed.out_features)
        self.decoder = _loop(decoder.blocks, decoder.predict.out_features)

    def forward(self) -> Tensor:
        """Returns the loss, a scalar."""
        # Under autocast tokens are float32 between blocks, because float32 positions are added to them.
        latent = self.encoder(self.embed(self.patches[:, : self.num_tokens]).float()).float()
        length = 1 + self.mask.shape[1]
        tokens = torch.cat([latent] * -(-length // self.num_tokens), dim=1)[:, :length]
        error = (self.decoder(tokens)[:, 1:].float() - self.patches).square().mean(dim=-1)
        return (error * self.mask).sum() / self.mask.sum()


def _loop(like: nn.Sequential, outputs: int) -> nn.Sequential:
    """Builds blocks with the sizes of ``like``, a norm, and a linear layer of width ``outputs``."""
    first: Any = like[0]
    dim, ratio = first.norm1.normalized_shape[0], first.mlp.fc1.out_features / first.mlp.fc1.in_features
    blocks = [Block(dim, first.attn.num_heads, ratio, qkv_bias=True) for _ in like]
    return nn.Sequential(*blocks, nn.LayerNorm(dim), nn.Linear(dim, outputs))


def measure_mim_memory(
    cfg: Config, batch_size: int | None = None, dtype: str = 'float32', reference_arch: str | dict | None = None
) -> dict[str, Any]:
    """Compares the memory of a step with the memory of its backbone on all patches, forward and backward pass.

    On a GPU both are run. On a CPU only shapes are computed, with fake tensors, so batches need no memory.

    Args:
        cfg: Config of masked image modelling; its data is not read.
        batch_size: Number of images; None uses the config's.
        dtype: ``'float32'``, or ``'bfloat16'`` for autocast.
        reference_arch: ``arch`` of the backbone for comparison; None uses the config's.

    Returns:
        ``step`` and ``reference``, each with the bytes of ``weights``, of ``activations`` that are kept for the
        backward pass, ``total`` for weights, gradients and activations, and on a GPU the ``peak``; ``batch_size``,
        ``dtype``, ``device``.
    """
    device, algorithm, images = _prepare(cfg, batch_size)
    step = _memory(algorithm, _loss, images, dtype, device)
    options = {key: value for key, value in cfg.model.backbone.items() if key in ('type', 'arch', 'patch_size')}
    options.update(output='mean', img_size=tuple(images.shape[-2:]))
    if reference_arch is not None:
        options['arch'] = reference_arch
    backbone = BACKBONES.build(options).to(device)
    reference = _memory(backbone, lambda model, images: model(images).float().square().mean(), images, dtype, device)
    return dict(step=step, reference=reference, batch_size=len(images), dtype=dtype, device=device_name(device))


def _prepare(cfg: Config, batch_size: int | None) -> tuple[torch.device, BaseAlgorithm, Tensor]:
    """Returns the device, the config's algorithm without preprocessor, and noise of the size of its view."""
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    algorithm = ALGORITHMS.build(dict(cfg.model, data_preprocessor=None)).to(device).train()
    size = cfg.train_dataloader.dataset.views[0].size
    images = torch.randn(batch_size or cfg.train_dataloader.batch_size, 3, size, size, device=device)
    return device, algorithm, images


def _loss(algorithm: BaseAlgorithm, images: Tensor) -> Tensor:
    return sum_of_losses(algorithm([images], mode='loss'))


def _autocast(dtype: str, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == 'bfloat16')


def _task(model: nn.Module, loss: Callable[[], Tensor], dtype: str, device: torch.device) -> Task:
    def step() -> None:
        with _autocast(dtype, device):
            value = loss()
        value.backward()

    return Task(model.zero_grad, step)


def _memory(
    model: nn.Module, loss: Callable[[Any, Tensor], Tensor], images: Tensor, dtype: str, device: torch.device
) -> dict[str, int]:
    context: Any = nullcontext()
    reset_peak_memory(device)
    if device.type != 'cuda':
        context = FakeTensorMode(allow_non_fake_inputs=True)
        model._apply(context.from_tensor)  # tensors of the same shapes without data
        images = context.from_tensor(images)
    with context:
        with count_saved_bytes(model, images) as saved, _autocast(dtype, device):
            value = loss(model, images)
        value.backward()
        weights = sum(p.numel() * p.element_size() for p in model.parameters())
        gradients = sum(p.grad.numel() * p.grad.element_size() for p in model.parameters() if p.grad is not None)
    figures = dict(weights=weights, activations=saved.total, total=weights + gradients + saved.total)
    if device.type == 'cuda':
        figures['peak'] = peak_memory(device)
    model.zero_grad()
    return figures
