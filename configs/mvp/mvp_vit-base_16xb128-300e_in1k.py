"""MVP, ViT-B/16 that predicts the features of CLIP ViT-B/16, 300 epochs.

    tools/dist_train.sh configs/mvp/mvp_vit-base_16xb128-300e_in1k.py 16

The weights of the teacher are OpenAI's ``ViT-B-16.pt`` in ``data/clip/``. The authors published no code: everything but
teacher, loss and length is BEiT's.

Cost: 187,500 steps of 2048 images, all patches encoded by student and teacher. Not measured here.
Expected: no figure that was checked; the card names those of the paper.
"""

_base_ = ['../_base_/datasets/in1k.py', '../_base_/default_runtime.py']

max_epochs = 300

_clip = dict(mean=[122.7709383, 116.7460125, 104.09373615], std=[68.5005327, 66.6321579, 70.32316305])

model = dict(
    type='MaskedDistillation',
    data_preprocessor=dict(type='SelfSupDataPreprocessor', **_clip),
    backbone=dict(type='BEiTViT', arch='base', output='tokens', layer_scale=0.1, drop_path_rate=0.1),
    masker=dict(type='BlockwiseMasker', num_hidden=75, min_block=16, patch_size=16),
    target=dict(type='CLIPTarget', checkpoint='data/clip/ViT-B-16.pt', standardize=False, **_clip),
    neck=dict(type='PatchPredictor', in_channels=768, out_channels=512, bound=0.02),
    head=dict(type='MaskedCosineLoss'),
)

_views = [dict(type='AugmentedView', size=224, interpolation='bicubic', jitter=(0.4, 0.4, 0.4, 0.0), jitter_prob=1.0)]
train_dataloader = dict(batch_size=128, dataset=dict(views=_views))

optim_wrapper = dict(
    type='MixedPrecisionOptimWrapper',
    dtype='float16',
    clip_grad=dict(max_norm=3.0),
    optimizer=dict(type='AdamW', lr=1.5e-3, weight_decay=0.05),
    paramwise_cfg=dict(vectors=dict(decay_mult=0), custom_keys=dict(cls_token=dict(decay_mult=0))),
)
param_scheduler = dict(type='WarmupCosineLR', warmup_epochs=10, peak_in_warmup=True, end_factor=1 / 150)
auto_scale_lr = dict(base_batch_size=2048, rule='linear')
