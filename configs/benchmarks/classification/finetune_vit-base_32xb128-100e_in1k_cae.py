"""Fine-tuning of CAE, ViT-B/16, 100 epochs.

    tools/dist_train.sh configs/benchmarks/classification/finetune_vit-base_32xb128-100e_in1k_cae.py 32 \
        --pretrained CHECKPOINT

Protocol: mean of the patch tokens and a norm after it, fixed positions and relative ones of each block; AdamW with
learning rate 8e-3 at batch 4096, decay 0.05, layer decay 0.65, 5 epochs of warm-up, cosine to 1e-6, stochastic depth
0.1, RandAugment, erasing, mixup, CutMix, label smoothing (official code, which turns RandAugment on in `main`; the
default of its option is off).
Published: top-1 83.6 %, 83.8 % and 83.9 % after 300, 800 and 1600 epochs of pre-training (official README).
"""

_base_ = 'finetune_vit-base_32xb32-100e_in1k_mae.py'

model = dict(backbone=dict(type='CAEViT', relative_table='per-block'))
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(optimizer=dict(lr=8e-3))
param_scheduler = dict(peak_in_warmup=True, end_factor=1.25e-4)
auto_scale_lr = dict(base_batch_size=4096)
