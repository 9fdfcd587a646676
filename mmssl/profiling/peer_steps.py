"""Training steps of other toolboxes that are installed beside mmssl, with the network and the sizes of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.config import Config
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from mmssl.models.backbones.vision_transformer import ARCHS

# Trains on views of shape (N, C, size, size), one tensor for each view.
Train = Callable[[Sequence[Tensor]], Any]


def lightly_two_views(cfg: Config, views: Sequence[Tensor]) -> Train:
    """Builds SimCLR, Barlow Twins or VICReg: one forward pass for both views, the head and the loss of lightly."""
    from lightly import loss as losses
    from lightly.models.modules import heads
    from lightly.utils.lars import LARS

    backbone, width = _resnet(cfg)
    neck = cfg.model.neck
    sizes = width, neck.hidden_channels, neck.out_channels
    head, loss = {
        'SimCLR': lambda: (
            heads.SimCLRProjectionHead(*sizes, num_layers=neck.num_layers),
            losses.NTXentLoss(temperature=cfg.model.head.temperature),
        ),
        'BarlowTwins': lambda: (heads.BarlowTwinsProjectionHead(*sizes), losses.BarlowTwinsLoss()),
        'VICReg': lambda: (heads.VICRegProjectionHead(*sizes), losses.VICRegLoss()),
    }[cfg.model.type]()
    model = nn.Sequential(backbone, head).to(views[0].device).train()
    optimizer = LARS(model.parameters(), lr=1e-9, momentum=0.9, weight_decay=1e-6)

    def run(views: Sequence[Tensor]) -> None:
        loss(*model(torch.cat(list(views))).chunk(2)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return run


def lightly_dino(cfg: Config, views: Sequence[Tensor]) -> Train:
    """Builds DINO: timm's ViT, head, loss and average of lightly; the views are encoded one after the other."""
    from lightly.loss import DINOLoss
    from lightly.models.modules.heads import DINOProjectionHead
    from lightly.models.utils import update_momentum

    settings, neck = cfg.model.backbone, cfg.model.neck
    arch = ARCHS[settings.arch] if isinstance(settings.arch, str) else settings.arch

    def build() -> nn.Module:
        vit = VisionTransformer(
            views[0].shape[-1],
            settings.get('patch_size', 16),
            num_classes=0,
            dynamic_img_size=True,
            drop_path_rate=settings.get('drop_path_rate', 0.0),
            **arch,
        )
        head = DINOProjectionHead(vit.embed_dim, neck.get('hidden_channels', 2048), 256, neck.out_channels)
        return nn.Sequential(vit, head).to(views[0].device).train()

    student, teacher = build(), build().requires_grad_(False)
    loss = DINOLoss(neck.out_channels).to(views[0].device)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-9, weight_decay=0.04)

    def run(views: Sequence[Tensor]) -> None:
        with torch.no_grad():
            targets = [teacher(view) for view in views[:2]]
        loss(targets, [student(view) for view in views]).backward()
        nn.utils.clip_grad_norm_(student.parameters(), 3.0)
        optimizer.step()
        optimizer.zero_grad()
        update_momentum(student, teacher, 0.996)

    return run


def lightly_mae(cfg: Config, views: Sequence[Tensor]) -> Train:
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

    def run(views: Sequence[Tensor]) -> None:
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


def solo_two_views(cfg: Config, views: Sequence[Tensor]) -> Train:
    """Builds SimCLR, Barlow Twins or VICReg of solo-learn: its training step, with the online classifier of all."""
    from omegaconf import OmegaConf
    from solo import methods

    neck, is_simclr = cfg.model.neck, cfg.model.type == 'SimCLR'
    sizes = dict(proj_hidden_dim=neck.hidden_channels, proj_output_dim=neck.out_channels)
    dataset = 'cifar10' if cfg.model.backbone.get('stem') == 'small' else 'imagenet'
    settings = dict(
        method=dict(SimCLR='simclr', BarlowTwins='barlow_twins', VICReg='vicreg')[cfg.model.type],
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
    model = getattr(methods, cfg.model.type)(OmegaConf.create(settings))
    device = views[0].device
    model = model.to(device, memory_format=torch.channels_last).train()
    optimizer: Any = model.configure_optimizers()
    labels = torch.zeros(len(views[0]), dtype=torch.long, device=device)
    indices = torch.arange(len(labels), device=device)

    def run(views: Sequence[Tensor]) -> None:
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
PEERS: dict[str, dict[str, Callable[[Config, Sequence[Tensor]], Train]]] = {
    'SimCLR': dict(lightly=lightly_two_views, solo=solo_two_views),
    'BarlowTwins': dict(lightly=lightly_two_views, solo=solo_two_views),
    'VICReg': dict(lightly=lightly_two_views, solo=solo_two_views),
    'DINO': dict(lightly=lightly_dino),
    'MAE': dict(lightly=lightly_mae),
}
