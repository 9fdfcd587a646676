"""Shrinks recipes so that they build and step within a second, by rules that hold for new recipes too."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from mmengine.config import Config

from mmssl.registry import BACKBONES

IMAGE_SIZE = 32
BATCH_SIZE = 8
_HIDDEN, _EMBEDDING, _QUEUE, _PATCH, _CLUSTERS = 48, 32, 64, 8, 6
_ARCH = dict(embed_dim=48, depth=2, num_heads=4)
_HIVIT = dict(arch=dict(embed_dim=48, depths=(1, 1, 2), num_heads=4), img_size=IMAGE_SIZE, stem_stride=_PATCH // 4)
_CONV_VIT = dict(dims=(12, 24, 48), depths=(1, 1, 2), num_heads=4)
_STAGES = (12, 24, 48)
_NARROW = dict(
    AdderResNet=dict(depth=20, stem='small', width=0.25), AdderVGG=dict(width=0.0625), LeNet5BN=dict(width=1)
)
_SWIN = dict(img_size=IMAGE_SIZE, patch_size=4, window_size=2, embed_dim=16, depths=(2, 2), num_heads=(2, 4))


def shrink(cfg: Config) -> Config:
    """Returns a copy of a recipe with a tiny model, small views and batches of 8 images; the method does not change.

    The backbone becomes a ResNet-10 with an eighth of the width, a ViT with two blocks, a Swin with two stages or a
    narrow network of the same class. MLPs keep their layers, norms and biases, and a neck follows the width of its
    backbone. Queues have 64 entries and decoders one block. Views have 32 pixels (local ones 16), patches have 8 pixels
    (4 in Swin).

    Args:
        cfg: Recipe from ``load_config``.
    """
    cfg = deepcopy(cfg)
    _shrink_backbone(cfg.model.backbone)
    if cfg.model.type == 'IGAM':
        _shrink_igam(cfg.model)
    if cfg.model.type == 'IGPT':
        cfg.model.neck.out_channels = _EMBEDDING
    if 'mask_token' in cfg.model:  # at the third stage of a ResNet, or at the patches of a ViT
        cfg.model.mask_token.channels = 32 if cfg.model.backbone.type == 'ResNet' else _ARCH['embed_dim']
    _shrink_parts(cfg.model)
    if cfg.model.type == 'InterCLR':
        cfg.model.clusters.dim = _EMBEDDING
        cfg.model.pairs.update(num_negatives=4, num_candidates=8)
        cfg.model.head.num_clusters = cfg.custom_hooks[0].labeller.num_clusters = _CLUSTERS
    if cfg.model.type == 'ODC':
        cfg.model.neck.single[-1].channels = cfg.model.clusters.dim = _EMBEDDING
    if cfg.model.neck.type == 'AMDIMProjector':
        cfg.model.neck.update(out_channels=_EMBEDDING)
    if 'bank' in cfg.model:
        cfg.model.bank.update(length=_QUEUE, dim=_EMBEDDING)
        cfg.model.num_negatives = _HIDDEN
    if 'tile_neck' in cfg.model:
        width = BACKBONES.build(cfg.model.backbone).feature_dim
        cfg.model.tile_neck.update(in_channels=width, joint=[dict(channels=_EMBEDDING, relu=False)])
    if cfg.model.neck.type == 'InpaintingGenerator':  # the hole is half of the image
        map_size = 1 if cfg.model.backbone.type == 'ContextEncoderNet' else IMAGE_SIZE // 8
        cfg.model.neck.update(map_size=map_size, bottleneck=_EMBEDDING, widths=(16, 8))
        cfg.model.discriminator.update(size=IMAGE_SIZE // 2, widths=(4, 8))
    if cfg.model.head.type == 'ClusterHead':
        cfg.model.head.update(in_channels=_EMBEDDING, num_clusters=_CLUSTERS)
        cfg.custom_hooks[0].labeller.update(num_clusters=_CLUSTERS)
    if 'windows' in cfg.model:
        _shrink_regions(cfg.model)
    wide = cfg.model.head if cfg.model.neck.type == 'Identity' else cfg.model.neck
    if 'in_channels' in wide:
        wide.in_channels = BACKBONES.build(cfg.model.backbone).feature_dim
    if wide.get('type') == 'ImagePatchProjector':
        for head in (wide.images, wide.get('patches')):
            if head is not None:
                head.in_channels = BACKBONES.build(cfg.model.backbone).feature_dim
    views = cfg.train_dataloader.dataset.views
    largest = max(view.size for view in views)
    for view in views:
        view.size = IMAGE_SIZE if view.size == largest else IMAGE_SIZE // 2
        if view.type in ('TileView', 'ShuffledTileView'):
            view.size = 3 * IMAGE_SIZE // 2
            view.crop = max(view.crop, 2 * IMAGE_SIZE)
    if cfg.model.type == 'IGPT':  # one word per pixel
        views[0].size = cfg.model.backbone.img_size
        if 'masker' in cfg.model:
            cfg.model.masker.patch_size = 1
    cfg.train_dataloader.batch_size = BATCH_SIZE
    return cfg


def _shrink_backbone(backbone: dict) -> None:
    if backbone['type'] == 'ResNet':
        backbone.update(depth=10, stem='small', width=0.125)
        backbone.pop('width_per_group', None)  # an option of bottleneck blocks, and a ResNet-10 has basic blocks
    elif backbone['type'] in _NARROW:
        backbone.update(_NARROW[backbone['type']])
    elif backbone['type'] == 'HiViT':
        backbone.update(_HIVIT)
        if 'early_block' in backbone:
            backbone['early_block'] = 0
    elif backbone['type'] == 'AlexNet':
        backbone.update(channels=(8, 16, 16, 16, 16), stem='small', img_size=IMAGE_SIZE)
        if backbone.get('fc') is not None:
            backbone['fc'].update(width=_HIDDEN, dropout=(0, 0))
    elif backbone['type'] == 'VGG16':
        backbone.update(width=0.0625, img_size=IMAGE_SIZE)
        if backbone.get('fc') is not None:
            backbone['fc'].update(width=_HIDDEN, dropout=(0, 0))
    elif backbone['type'] == 'AMDIMEncoder':
        backbone.update(width=_EMBEDDING // 4, out_channels=_EMBEDDING, num_units=1, img_size=IMAGE_SIZE)
    elif backbone['type'] in ('ColorizationNet', 'ContextEncoderNet'):
        backbone.update(width=0.0625)
    elif backbone['type'] == 'NIN':
        backbone.update(width=0.0625)
    elif backbone['type'] == 'PreActResNet':
        backbone.update(width=0.125)
    elif backbone['type'] == 'WideResNet':
        backbone.update(depth=14 if backbone.get('variant') == 'madry' else 10, width_factor=1)
    elif backbone['type'] == 'PixelTransformer':
        backbone.update(arch=dict(_ARCH), img_size=IMAGE_SIZE // _PATCH, num_colors=_EMBEDDING, feature_block=1)
    elif backbone['type'] == 'ConvViT':  # one patch is four times the stride of the stem
        backbone.update(arch=dict(_CONV_VIT), img_size=IMAGE_SIZE, stem_stride=_PATCH // 4)
    elif backbone['type'] == 'CAPIViT':  # it has no table, so no size of images
        backbone.update(arch=dict(_ARCH), patch_size=_PATCH)
    elif 'arch' in backbone:
        kept = {} if isinstance(backbone['arch'], str) else backbone['arch']
        kept = {key: kept[key] for key in ('registers', 'ffn', 'layer_scale') if key in kept}
        backbone.update(arch=dict(_ARCH, **kept), img_size=IMAGE_SIZE)
        if backbone.get('patch_embed') != 'conv':
            backbone['patch_size'] = _PATCH
    elif backbone['type'] == 'AdaptedInput':
        _shrink_backbone(backbone.network)
    elif backbone.get('name', '').startswith('swin'):
        backbone.update(_SWIN)
    else:
        raise ValueError(f'shrink() has no rule for {backbone["type"]}: add one here')


def _shrink_regions(model: dict) -> None:
    """Fits projector, pyramid and windows to the small backbone and to views of 32 pixels."""
    width = BACKBONES.build(model.backbone).feature_dim
    model.neck.projector.in_channels = width
    model.neck.pyramid.update(in_channels=(width // 4, width // 2, width), out_channels=16)
    for grid, small in zip(model.windows, (dict(side=8, stride=6), dict(side=12, stride=8))):
        grid.update(small)


def _shrink_igam(model: dict) -> None:
    """Shrinks teacher and discriminator, and makes the matching of gradients start with the run."""
    _shrink_backbone(model.teacher.backbone)
    for classifier in (model, model.teacher):
        classifier.head['in_channels'] = BACKBONES.build(classifier.backbone).feature_dim
    model.discriminator.update(num_layers=3, base_channels=4)
    model['matching_start'] = 0.0


def _shrink_parts(part: Any) -> None:
    """Narrows every MLP and queue below ``part``."""
    if isinstance(part, (list, tuple)):
        for item in part:
            _shrink_parts(item)
    if not isinstance(part, dict):
        return
    if 'hidden_channels' in part:
        part['in_channels'] = _EMBEDDING
        part['hidden_channels'] = part['hidden_channels'] and _HIDDEN
        part['out_channels'] = _EMBEDDING
    if 'queue' in part:
        part['queue'].update(length=_QUEUE)
        if 'dim' in part['queue']:
            part['queue']['dim'] = _EMBEDDING
    if 'stage_channels' in part:
        part.update(stage_channels=(8, 16, 32, 64), out_channels=_EMBEDDING)
    if part.get('type') == 'KoLeoLoss':
        part['group_size'] = 2  # so that each of four processes has a whole group
    if 'patch_channels' in part:
        part['patch_channels'] = _EMBEDDING
    if 'num_words' in part:
        part['num_words'] = _EMBEDDING
    if part.get('type') == 'VisualWordsTarget':
        _shrink_backbone(part['backbone'])
    if 'num_prototypes' in part:
        part.update(in_channels=_EMBEDDING, num_prototypes=_EMBEDDING)
    if part.get('target', {}).get('type') == 'FeatureTarget':
        target = part['target']
        _shrink_backbone(target['backbone'])
        target.update(grid_size=IMAGE_SIZE // _PATCH, checkpoint=None)
        part['neck']['out_channels'] = BACKBONES.build(target['backbone']).feature_dim
    if 'masker' in part and 'target' not in part:  # the teacher is the target
        part['masker']['patch_size'] = part['backbone'].get('patch_size', _PATCH)
        if part['masker']['type'] == 'MultiBlockMasker':
            part['masker']['min_context'] = 2
    elif 'masker' in part:
        backbone = part['backbone']
        patch = (
            _PATCH if backbone['type'] == 'GroupedSwin' else backbone.get('patch_size', _PATCH)
        )  # HiViT has no patch_size: its stem determines the patches
        _shrink_masked(part['masker'], part['target'], part['neck'], patch)
    if part.get('type') == 'PixelShuffleDecoder':
        part['stride'] = _PATCH
    elif str(part.get('type')).endswith('Decoder'):
        part.update(out_channels=3 * _PATCH**2, grid_size=IMAGE_SIZE // _PATCH, embed_dim=48, depth=1, num_heads=4)
    if part.get('type') == 'JEPAPredictor':
        part.update(grid_size=IMAGE_SIZE // _PATCH, embed_dim=48, depth=1, num_heads=4)
    if part.get('type') == 'CAPIPredictor':
        part.update(out_channels=_CLUSTERS, depth=1, num_heads=4)
    if part.get('type') == 'OnlineClusterHead':
        part.update(in_channels=48, num_clusters=_CLUSTERS)
    if part.get('type') in ('CAERegressor', 'CAEHead'):
        part.update(in_channels=48, grid_size=IMAGE_SIZE // _PATCH, depth=1, num_heads=4)
    if part.get('type') == 'CAERegressor':
        part.update(embed_dim=48)
    if part.get('type') == 'ITPNPyramid':
        part.update(in_channels=_STAGES, out_channels=16)
    if part.get('type') == 'ITPNFeaturePredictor':
        part.update(embed_dim=48, out_channels=_EMBEDDING, grid_size=IMAGE_SIZE // _PATCH, num_heads=4)
    if part.get('type') == 'CLIPTarget':
        tower = dict(_ARCH, patch_size=_PATCH)
        part.update(checkpoint=None, out_channels=_EMBEDDING, img_size=IMAGE_SIZE, options=tower)
    if 'num_blocks' in part:
        part['num_blocks'] = 2
    if part.get('norm_group_size'):
        part['norm_group_size'] = 2  # so that each of four processes has a whole group
    for item in part.values():
        _shrink_parts(item)


def _shrink_masked(masker: dict, target: dict, neck: dict, patch_size: int) -> None:
    """Fits masker, target and the width of the neck's output to patches of ``patch_size`` pixels."""
    masker['patch_size'] = patch_size
    if 'unit_size' in masker:
        masker['unit_size'] = IMAGE_SIZE // 2
    if 'min_block' in masker:
        masker.update(num_hidden=7, min_block=6)  # so some of the 8 images hide only 6 patches
    if 'tokenizer' in target:
        tokenizer = target['tokenizer']
        if tokenizer['type'] == 'DALLETokenizer':  # one word per 4 x 4 pixels of a view of half the size
            tokenizer.update(checkpoint=None, width=8, num_groups=3)
        else:
            tokenizer['patch_size'] = patch_size
        tokenizer['num_tokens'] = _EMBEDDING
        if 'out_channels' in neck:
            neck['out_channels'] = _EMBEDDING
    elif target['type'] not in ('CLIPTarget', 'FeatureTarget'):
        target['patch_size'] = patch_size
    if target['type'] == 'CLIPTarget' and neck['type'] == 'PatchPredictor':
        neck['out_channels'] = _EMBEDDING
    if 'cell_size' in target:
        target['cell_size'] = patch_size // 2
        neck['out_channels'] = 3 * target['num_bins'] * 2**2
