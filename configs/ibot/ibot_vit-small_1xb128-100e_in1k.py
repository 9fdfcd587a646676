"""iBOT, ViT-S/16, 100 epochs on one GPU.

    python tools/train.py configs/ibot/ibot_vit-small_1xb128-100e_in1k.py

Cost: 1,000,900 steps of 128 images in 2 + 4 views, on one GPU. Not measured here.
Expected: no published figure for this recipe. A GPU of 24 GB takes less per step:
    --cfg-options checkpoint_blocks=True
"""

_base_ = 'ibot_vit-small_16xb64-800e_in1k.py'

max_epochs = 100
_warmup = dict(warmup=30 / max_epochs)
model = dict(targets=_warmup, patch_targets=_warmup)
train_dataloader = dict(batch_size=128, dataset=dict(views=_base_.train_dataloader.dataset.views[:6]))
optim_wrapper = dict(dtype='bfloat16', optimizer=dict(lr=2.5e-4))
param_scheduler = _base_.param_scheduler
param_scheduler[0].end_factor = 4e-3
auto_scale_lr = dict(base_batch_size=128)
