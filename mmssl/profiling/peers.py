"""Steps of other toolboxes that are installed beside mmssl, with the network and the sizes of a recipe."""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.config import Config
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from mmssl.models.backbones.vision_transformer import ARCHS
from mmssl.profiling.machine import device_name
from mmssl.profiling.recipe_step import OperatorCount, RecipeStep, read_batch
from mmssl.profiling.timing import Task, time_in_turns
from mmssl.utils.errors import UserError

Step = Callable[[], Any]


def compare_steps(cfg: Config, batch_size: int | None = None, repeats: int = 5) -> dict[str, Any]:
    """Measures the step of a recipe and that of each installed toolbox that has the method, in turns, in float32.

    All of them see the same views on the device; no data is read. The other toolboxes run as their examples do: with
    their own modules and losses, torchvision's or timm's network, their own optimizer, and contiguous memory (lightly)
    or channels last (solo-learn).

    Args:
        cfg: Config of a pre-training with SimCLR, Barlow Twins or MAE.
        batch_size: Number of images; None uses the config's.
        repeats: Number of measurements; all figures are medians.

    Returns:
        ``seconds`` and ``operators`` of ``mmssl`` and each toolbox; ``ratios`` of mmssl's time to that of each toolbox:
        median, least and most of the ratios within a round; on a CPU this is processor time. ``missing``: toolboxes
        that are not installed; ``views``, ``batch_size``, ``device``.

    Raises:
        UserError: No toolbox has the method.
    """
    builders = PEERS.get(cfg.model.type)
    if builders is None:
        raise UserError(f'{cfg.model.type} is compared with no toolbox; there are {", ".join(PEERS)}')
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    cfg.optim_wrapper.update(type='MixedPrecisionOptimWrapper', dtype=None)
    step = RecipeStep(cfg, read_batch(cfg, batch_size), device)
    views = [view.contiguous() for view in step.data['inputs']]
    runs: dict[str, Step] = {'mmssl': step.run}
    missing = []
    for package, build in builders.items():
        if importlib.util.find_spec(package) is None:
            missing.append(package)
        else:
            runs[package] = build(cfg, views)
    laps = time_in_turns({name: Task(None, run) for name, run in runs.items()}, repeats, device)
    clock = 0 if device.type == 'cuda' else 1
    ratios = {name: [lap['mmssl'][clock] / lap[name][clock] for lap in laps] for name in runs if name != 'mmssl'}
    return dict(
        seconds={name: statistics.median(lap[name][clock] for lap in laps) for name in runs},
        operators={name: _count(run) for name, run in runs.items()},
        ratios={name: (statistics.median(found), min(found), max(found)) for name, found in ratios.items()},
        missing=missing,
        views=[view.shape[-1] for view in views],
        batch_size=len(views[0]),
        device=device_name(device),
    )


def _count(run: Step) -> int:
    with OperatorCount() as operators:
        run()
    return operators.number


def _lightly_two_views(cfg: Config, views: Sequence[Tensor]) -> Step:
    """Builds SimCLR or Barlow Twins: one forward pass for both views, the head and the loss of lightly."""
    from lightly.loss import BarlowTwinsLoss, NTXentLoss
    from lightly.models.modules.heads import BarlowTwinsProjectionHead, SimCLRProjectionHead
    from lightly.utils.lars import LARS

    backbone, width = _resnet(cfg)
    neck = cfg.model.neck
    sizes = width, neck.hidden_channels, neck.out_channels
    is_simclr = cfg.model.type == 'SimCLR'
    head = SimCLRProjectionHead(*sizes, num_layers=neck.num_layers) if is_simclr else BarlowTwinsProjectionHead(*sizes)
    loss = NTXentLoss(temperature=cfg.model.head.temperature) if is_simclr else BarlowTwinsLoss()
    model = nn.Sequential(backbone, head).to(views[0].device).train()
    optimizer = LARS(model.parameters(), lr=1e-9, momentum=0.9, weight_decay=1e-6)

    def run() -> None:
        loss(*model(torch.cat(list(views))).chunk(2)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return run


def _lightly_mae(cfg: Config, views: Sequence[Tensor]) -> Step:
    """Builds MAE with the masked vision transformer, the decoder and the functions of lightly."""
    from lightly.models import utils
    from lightly.models.modules import MAEDecoderTIMM, MaskedVisionTransformerTIMM

    size, patch = views[0].shape[-1], cfg.model.masker.patch_size
    arch, neck = cfg.model.backbone.arch, cfg.model.neck
    arch = ARCHS[arch] if isinstance(arch, str) else arch
    vit = VisionTransformer(size, patch, num_classes=0, **arch)
    backbone, count = MaskedVisionTransformerTIMM(vit=vit), (size // patch) ** 2
    decoder = MAEDecoderTIMM(
        num_patches=count,
        patch_size=patch,
        embed_dim=arch['embed_dim'],
        decoder_embed_dim=neck.get('embed_dim', 512),
        decoder_depth=neck.get('depth', 8),
        decoder_num_heads=neck.get('num_heads', 16),
    )
    model = nn.ModuleList([backbone, decoder]).to(views[0].device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-9, weight_decay=0.05, betas=(0.9, 0.95))

    def run() -> None:
        images = views[0]
        kept, hidden = utils.random_token_mask((len(images), count + 1), mask_ratio=0.75, device=images.device)
        encoded = decoder.embed(backbone.encode(images=images, idx_keep=kept))
        tokens = utils.repeat_token(decoder.mask_token, (len(images), count + 1))
        tokens = utils.set_at_index(tokens, kept, encoded.type_as(tokens))
        predicted = decoder.predict(utils.get_at_index(decoder.decode(tokens), hidden))
        target = utils.get_at_index(utils.patchify(images, patch), hidden - 1)
        nn.functional.mse_loss(predicted, target).backward()
        optimizer.step()
        optimizer.zero_grad()

    return run


def _solo_two_views(cfg: Config, views: Sequence[Tensor]) -> Step:
    """Builds SimCLR or Barlow Twins of solo-learn: its training step, with the online classifier that all have."""
    from omegaconf import OmegaConf
    from solo.methods import BarlowTwins, SimCLR

    neck, is_simclr = cfg.model.neck, cfg.model.type == 'SimCLR'
    sizes = dict(proj_hidden_dim=neck.hidden_channels, proj_output_dim=neck.out_channels)
    dataset = 'cifar10' if cfg.model.backbone.get('stem') == 'small' else 'imagenet'
    settings = dict(
        method='simclr' if is_simclr else 'barlow_twins',
        backbone=dict(name=f'resnet{cfg.model.backbone.depth}'),
        data=dict(dataset=dataset, num_classes=10, num_large_crops=2, num_small_crops=0),
        max_epochs=1,
        optimizer=dict(
            name='lars',
            batch_size=len(views[0]),
            lr=1e-9,
            classifier_lr=1e-9,
            weight_decay=1e-6,
            exclude_bias_n_norm_wd=True,
            kwargs=dict(clip_lr=True, eta=0.02, exclude_bias_n_norm=True),
        ),
        scheduler=dict(name='none'),
        method_kwargs=dict(sizes, temperature=cfg.model.head.temperature) if is_simclr else sizes,
    )
    model = (SimCLR if is_simclr else BarlowTwins)(OmegaConf.create(settings))
    device = views[0].device
    model = model.to(device, memory_format=torch.channels_last).train()
    optimizer: Any = model.configure_optimizers()
    labels = torch.zeros(len(views[0]), dtype=torch.long, device=device)
    indices = torch.arange(len(labels), device=device)

    def run() -> None:
        model.training_step([indices, list(views), labels], 0).backward()
        optimizer.step()
        optimizer.zero_grad()

    return run


def _resnet(cfg: Config) -> tuple[nn.Module, int]:
    """Returns torchvision's ResNet of the recipe's depth and stem, and the number of its features."""
    import torchvision

    backbone = getattr(torchvision.models, f'resnet{cfg.model.backbone.depth}')()
    width = backbone.fc.in_features
    backbone.fc = nn.Identity()
    if cfg.model.backbone.get('stem') == 'small':
        backbone.conv1, backbone.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    return backbone, width


# Method -> package of a toolbox -> function that builds its step.
PEERS: dict[str, dict[str, Callable[[Config, Sequence[Tensor]], Step]]] = {
    'SimCLR': dict(lightly=_lightly_two_views, solo=_solo_two_views),
    'BarlowTwins': dict(lightly=_lightly_two_views, solo=_solo_two_views),
    'MAE': dict(lightly=_lightly_mae),
}
