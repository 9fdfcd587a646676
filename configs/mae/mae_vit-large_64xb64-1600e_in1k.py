"""MAE, ViT-L/16, 1600 epochs.

    tools/dist_train.sh configs/mae/mae_vit-large_64xb64-1600e_in1k.py 64

Cost: 499,200 steps of 4096 images, of which a quarter of the patches is encoded; the official runs used 64 GPUs. Not
measured here.
Expected: 85.9 % fine-tuned, 76.0 % linear top-1 (official README).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 1600

model = dict(
    type='MAE',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='VisionTransformer', arch='large', patch_size=16, position='mae', init='mae', output='tokens'),
    masker=dict(type='UniformMasker', ratio=0.75, patch_size=16),
    neck=dict(
        type='MAEDecoder',
        in_channels=1024,
        out_channels=768,
        grid_size=14,
        embed_dim=512,
        depth=8,
        num_heads=16,
    ),
    target=dict(type='PixelTarget', patch_size=16, standardize=True),
    head=dict(type='MaskedMSELoss'),
)

_views = [dict(type='AugmentedView', size=224, min_scale=0.2, interpolation='bicubic')]
train_dataloader = dict(batch_size=64, dataset=dict(views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    optimizer=dict(type='AdamW', lr=2.4e-3, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0)),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=40)
auto_scale_lr = dict(base_batch_size=4096, rule='linear')
