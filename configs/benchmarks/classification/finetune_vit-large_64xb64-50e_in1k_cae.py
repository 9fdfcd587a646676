"""Fine-tuning of CAE, ViT-L/16, 50 epochs.

    tools/dist_train.sh configs/benchmarks/classification/finetune_vit-large_64xb64-50e_in1k_cae.py 64 \
        --pretrained CHECKPOINT

Protocol: that of ViT-B with learning rate 2e-3 at batch 4096, layer decay 0.75 and stochastic depth 0.2 (official
code, which accumulates two batches on 32 GPUs).
Published: top-1 86.2 % after 1600 epochs of pre-training (official README).
"""

_base_ = 'finetune_vit-base_32xb32-100e_in1k_mae.py'

max_epochs = 50
_backbone = dict(type='CAEViT', arch='large', relative_table='per-block', layer_scale=1e-5, init='beit')
model = dict(backbone=dict(**_backbone, drop_path_rate=0.2), head=dict(in_channels=1024))
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.75))
param_scheduler = dict(peak_in_warmup=True)
auto_scale_lr = dict(base_batch_size=4096)
