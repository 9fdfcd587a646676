"""iTPN on photographs in class folders: a small HiViT with units of 16 pixels, which detectors and segmenters take.

    python tools/train.py configs/demo/itpn_caltech101.py --cfg-options data_root=/data/caltech101

Its backbone and pyramid are those of ``faster-rcnn_itpn-tiny_*`` and ``upernet_itpn-tiny_*`` in
``configs/benchmarks/``. For a folder without classes: ``train_dataloader.dataset.type=ImageFolder --no-validate``.
Cost and result of this length: not measured here; of 20 epochs at 160 pixels: docs/howto/transfer.md.
"""

_base_ = ['../_base_/datasets/caltech101.py', '../_base_/default_runtime.py']

max_epochs = 200

model = dict(
    type='ITPN',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='HiViT', arch=dict(embed_dim=192, depths=(1, 1, 10), num_heads=3), output='units'),
    masker=dict(type='UniformMasker', ratio=0.75, patch_size=16),
    neck=dict(
        type='ITPNDecoder',
        pyramid=dict(type='ITPNPyramid', in_channels=(48, 96, 192), out_channels=96, fpn_depth=2),
        out_channels=768,
        grid_size=14,
        embed_dim=192,
        depth=2,
        num_heads=3,
    ),
    target=dict(type='PixelTarget', patch_size=16, standardize=True),
    head=dict(type='MaskedMSELoss'),
)

_views = [dict(type='AugmentedView', size=224, min_scale=0.2, interpolation='bicubic')]
train_dataloader = dict(dataset=dict(views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(type='AdamW', lr=6e-4, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=20)
auto_scale_lr = dict(base_batch_size=128)
