"""EVA, ViT-g/14 that predicts the features of CLIP ViT-L/14, 150 epochs.

    tools/dist_train.sh configs/eva/eva_vit-giant_128xb32-150e_in1k.py 128

The weights of the teacher are OpenAI's ``ViT-L-14.pt`` in ``data/clip/``. The official run has 30 million images of
several datasets; this recipe reads ImageNet-1k unless ``train_dataloader.dataset.data_root`` names other folders.

Cost: 46,800 steps of 4096 images, all patches encoded by student and teacher. Not measured here.
Expected: no published figure for ImageNet-1k alone.
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 150

_clip = dict(mean=[122.7709383, 116.7460125, 104.09373615], std=[68.5005327, 66.6321579, 70.32316305])

model = dict(
    type='MaskedDistillation',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', **_clip),
    backbone=dict(type='VisionTransformer', arch='giant', patch_size=14, output='tokens', drop_path_rate=0.1),
    masker=dict(type='BlockwiseMasker', num_hidden=105, min_block=16, patch_size=14),
    target=dict(
        type='CLIPTarget',
        model='vit_large_patch14_clip_quickgelu_224',
        checkpoint='data/clip/ViT-L-14.pt',
        out_channels=768,
        standardize=False,
        **_clip,
    ),
    neck=dict(type='PatchPredictor', in_channels=1408, out_channels=768),
    head=dict(type='MaskedCosineLoss'),
)

_views = [dict(type='AugmentedView', size=224, min_scale=0.2, interpolation='bicubic')]
train_dataloader = dict(batch_size=32, dataset=dict(views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    clip_grad=dict(max_norm=3.0),
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.05),
    paramwise_cfg=dict(
        vectors=dict(decay_mult=0), custom_keys=dict(cls_token=dict(decay_mult=0), pos_embed=dict(decay_mult=0))
    ),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=2, peak_in_warmup=True, end_factor=0.01)  # to 1e-5
auto_scale_lr = dict(base_batch_size=4096, rule='linear')
