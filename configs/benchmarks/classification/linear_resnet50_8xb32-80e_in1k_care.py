"""Linear probe of CARE, ResNet-50, 80 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_resnet50_8xb32-80e_in1k_care.py 8 \
        --pretrained CHECKPOINT

Protocol: a batch norm follows the linear layer; SGD with learning rate 0.2 at batch 256 without decay, cosine by
iteration, crop and flip (official code).
Published: top-1 72.02 %, 73.78 %, 74.68 %, 75.56 % after 100, 200, 400, 800 epochs of pre-training (official README).
Note: the norm of the logits uses the global batch here, and the 32 images of a GPU in the official code. Because of
this norm, the numbers do not compare with those of a plain linear probe. Other backbones of CARE:
    --cfg-options model.backbone.depth=101
    --cfg-options model.backbone.depth=152
    --cfg-options model.backbone.width_per_group=128
"""

_base_ = 'linear_resnet50_8xb128-90e_in1k_mocov3.py'

max_epochs = 80
sync_bn = True
model = dict(head=dict(logit_norm=True))
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(optimizer=dict(lr=0.2))
param_scheduler = dict(_delete_=True, type='WarmupCosineLR')
auto_scale_lr = dict(base_batch_size=256)
