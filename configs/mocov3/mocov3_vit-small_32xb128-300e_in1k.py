"""MoCo v3, ViT-S/16 with 12 heads, 300 epochs.

    tools/dist_train.sh configs/mocov3/mocov3_vit-small_32xb128-300e_in1k.py 32

Cost: 93,600 steps of 4096 image pairs; the official run used 32 V100 of 32 GB. Not measured here.
Expected: 73.2 % linear top-1, 81.4 % fine-tuned (official README). Convolutional stem in place of one block:
    --cfg-options model.backbone.arch.depth=11 model.backbone.patch_embed='conv'
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 300
sync_bn = True

model = dict(
    type='MoCoV3',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dim=384, depth=12, num_heads=12),
        position='sincos',
        init='mocov3',
        patch_embed='frozen',
    ),
    neck=dict(
        type='MLPProjector', in_channels=384, hidden_channels=4096, out_channels=256, num_layers=3, last_norm='plain'
    ),
    head=dict(
        type='LatentPredictHead',
        predictor=dict(type='MLPProjector', in_channels=256, hidden_channels=4096, out_channels=256, last_norm='plain'),
        loss=dict(type='InfoNCELoss', temperature=0.2),
    ),
    teacher=dict(momentum=0.99, schedule='cosine'),
)

_view = dict(type='AugmentedView', size=224, min_scale=0.08, jitter=(0.4, 0.4, 0.2, 0.1), grayscale=0.2)
_views = [dict(_view, blur=1.0), dict(_view, blur=0.1, solarize=0.2)]
train_dataloader = dict(batch_size=128, dataset=dict(views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    optimizer=dict(type='AdamW', lr=2.4e-3, betas=(0.9, 0.999), weight_decay=0.1),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=40)
auto_scale_lr = dict(base_batch_size=4096, rule='linear')
