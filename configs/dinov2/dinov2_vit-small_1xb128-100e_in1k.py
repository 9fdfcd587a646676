"""DINOv2, ViT-S/16 with four registers, 100 epochs of ImageNet-1k on one GPU.

    python tools/train.py configs/dinov2/dinov2_vit-small_1xb128-100e_in1k.py

Cost: 1,000,900 steps of 128 images in 2 + 4 views, on one GPU. Not measured here.
Expected: no published figure for this recipe.
"""

_base_ = 'dinov2_vit-large_32xb64-200e_in1k.py'

max_epochs = 100
model = dict(
    backbone=dict(
        arch=dict(size='small', registers=4), position=dict(resample='antialiased'), drop_path_rate=dict(rate=0.1)
    ),
    neck=dict(images=dict(in_channels=384, out_channels=16384)),
    teacher=dict(momentum=0.996),
)
custom_hooks = [dict(_base_.custom_hooks[0], epochs=1)]
train_dataloader = dict(batch_size=128, dataset=dict(views=_base_.train_dataloader.dataset.views[:6]))
_keys = dict(mask_token=dict(lr_mult=0.9**13), reg_token=dict(decay_mult=1))
optim_wrapper = dict(dtype='bfloat16', optimizer=dict(lr=1.414e-3), paramwise_cfg=dict(custom_keys=_keys))
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(warmup_epochs=10, end_factor=1e-6 / 1.414e-3)
auto_scale_lr = dict(base_batch_size=128)
