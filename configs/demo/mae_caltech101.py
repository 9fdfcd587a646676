"""MAE on photographs in class folders: a small ViT with patches of 16 pixels, which detectors and segmenters take.

    python tools/train.py configs/demo/mae_caltech101.py --cfg-options data_root=/data/caltech101

Its backbone is that of ``faster-rcnn_vit-tiny_*`` and ``upernet_vit-tiny_*`` in ``configs/benchmarks/``. For a folder
without classes: ``train_dataloader.dataset.type=ImageFolder --no-validate``. Cost and result of this length: not
measured here; of 20 epochs at 160 pixels: docs/howto/transfer.md.
"""

_base_ = ['../_base_/datasets/caltech101.py', '../_base_/default_runtime.py']

max_epochs = 200

model = dict(
    type='MAE',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='VisionTransformer', arch='tiny', position='mae', init='mae', output='tokens'),
    masker=dict(type='UniformMasker', ratio=0.75, patch_size=16),
    neck=dict(type='MAEDecoder', in_channels=192, out_channels=768, grid_size=14, embed_dim=192, depth=2, num_heads=3),
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
