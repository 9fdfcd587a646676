"""Fine-tuning of SimMIM, ViT-B/16, 100 epochs.

    tools/dist_train.sh configs/benchmarks/classification/finetune_vit-base_16xb128-100e_in1k_simmim.py 16 \
        --pretrained CHECKPOINT

Protocol: mean of the patch tokens and a norm after it, relative positions of each block; AdamW with learning rate
1.25e-3 x batch / 512, decay 0.05, layer decay 0.65, a cosine to 1e-6 whose first 20 epochs are replaced by a warm-up
from 1e-6, one step late, gradients clipped at 5, stochastic depth 0.1, RandAugment, erasing, mixup, CutMix, label
smoothing (official code).
Published: top-1 83.8 % after 800 epochs of pre-training (official README).
"""

_base_ = 'finetune_vit-base_32xb32-100e_in1k_mae.py'

model = dict(backbone=dict(type='BEiTViT', relative_table='per-block'))
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(optimizer=dict(lr=5e-3), clip_grad=dict(max_norm=5.0))
param_scheduler = dict(warmup_epochs=20, start_factor=2e-4, end_factor=2e-4, cosine_from_start=True, delay=1)
auto_scale_lr = dict(base_batch_size=2048)
