"""UPerNet with a ResNet-50 on ADE20K, 160,000 iterations.

    tools/dist_train.sh configs/benchmarks/mmsegmentation/upernet_r50_160k_ade20k.py 4 --pretrained CHECKPOINT

Source: mmseg's UPerNet R50 160k: crops of 512, batch 16, SGD at 0.01 with polynomial decay; with the 7x7 stem of
pre-trained networks in place of mmseg's three convolutions.
Published: mIoU 42.05 for supervised weights with that other stem (mmseg's model index, which is installed with it).
"""

_base_ = [
    'mmseg::_base_/models/upernet_r50.py',
    'mmseg::_base_/datasets/ade20k.py',
    'mmseg::_base_/schedules/schedule_160k.py',
    'mmseg::_base_/default_runtime.py',
]
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(_delete_=True, type='mmssl.ResNet', depth=50, out_indices=(0, 1, 2, 3)),
    decode_head=dict(num_classes=150),
    auxiliary_head=dict(num_classes=150),
)
sync_bn = 'torch'
auto_scale_lr = dict(base_batch_size=16)
default_hooks = dict(checkpoint=dict(max_keep_ckpts=1))
