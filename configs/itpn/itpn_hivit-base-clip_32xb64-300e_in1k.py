"""iTPN-B, features of CLIP ViT-B/16 as target, 300 epochs.

    tools/dist_train.sh configs/itpn/itpn_hivit-base-clip_32xb64-300e_in1k.py 32

The teacher's weights are OpenAI's ``ViT-B-16.pt`` in ``data/clip/``, or those of timm:

    --cfg-options model.target.checkpoint=None model.target.pretrained=True

Cost: 187,500 steps of 2048 images, all units encoded by the student and by the teacher; the official command has 64
GPUs. Not measured here.
Expected: 85.9 % fine-tuned top-1 (official table).
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 300

model = dict(
    type='ITPNCLIP',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3),
    backbone=dict(
        type='HiViT',
        arch='itpn-base',
        output='units',
        early_block=18,
        position=dict(kind='learned', bias='table'),
        layer_scale=0.1,
        drop_path_rate=0.1,
    ),
    masker=dict(type='BlockwiseMasker', num_hidden=75, min_block=16, patch_size=16),
    neck=dict(
        type='ITPNFeaturePredictor',
        pyramid=dict(type='ITPNPyramid', in_channels=(128, 256, 512), out_channels=256, fpn_depth=1),
        embed_dim=512,
        out_channels=512,
        num_heads=8,
        drop_path_rates=(0.1 * 24 / 29, 0.1 * 25 / 29),
    ),
    target=dict(type='CLIPTarget', model='vit_base_patch16_clip_quickgelu_224', checkpoint='data/clip/ViT-B-16.pt'),
    head=dict(type='SmoothL1Loss'),
)

_student = dict(type='AugmentedView', size=224, interpolation='bicubic', jitter=(0.4, 0.4, 0.4, 0.0), jitter_prob=1.0)
train_dataloader = dict(
    batch_size=64, dataset=dict(views=[_student, dict(type='SameView', size=224, interpolation='lanczos')])
)

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    optimizer=dict(type='AdamW', lr=1.5e-3, betas=(0.9, 0.98), weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0), custom_keys=dict(absolute_pos_embed=dict(decay_mult=0))),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=5, peak_in_warmup=True, end_factor=1 / 150)  # to 1e-5
auto_scale_lr = dict(base_batch_size=2048, rule='linear')
