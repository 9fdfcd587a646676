"""DINOv2 at high resolution: the training of ViT-L/14 at 224 px, then two epochs at 518 px, as stages.

    tools/dist_train.sh configs/dinov2/dinov2_vit-large-518_96xb32-2e_in22k.py 96

Cost: the first stage, then 9,242 steps of 3072 images in 2 views of 518 and 8 of 98 px. Not measured here.
Expected: no published figure for this recipe. The second stage alone: --from-stage highres, and
the option highres.load_from with a checkpoint.
"""

_base_ = 'dinov2_vit-large_96xb32-135e_in22k.py'

max_epochs = 2
stages = [
    dict(name='pretrain', recipe='dinov2_vit-large_96xb32-135e_in22k.py', leaves=dict(checkpoint='pretrain.pth')),
    dict(name='highres', takes={'load_from': 'pretrain.checkpoint'}),
]

_targets = dict(start_temperature=0.07)
model = dict(backbone=dict(img_size=518), keep_loaded_teacher=True, targets=_targets, patch_targets=_targets)
custom_hooks = []
_views = _base_.train_dataloader.dataset.views
train_dataloader = dict(dataset=dict(views=[dict(_views[0], size=518), dict(_views[1], size=518), *_views[2:]]))
_plain = dict(resize=592, size=518)
val_dataloader = dict(dataset=dict(transform=_plain))
val_cfg = dict(bank_dataloader=dict(dataset=dict(transform=_plain)))
param_scheduler = _base_.param_scheduler
param_scheduler[0].warmup_epochs = 0.2
param_scheduler[0].end_factor = 0.01  # to 1e-6
param_scheduler[1].end_factor = 1
optim_wrapper = dict(optimizer=dict(lr=1e-4, weight_decay=0.2))
