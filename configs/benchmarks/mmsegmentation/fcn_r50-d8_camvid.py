"""FCN with a ResNet-50 of output stride 8 on CamVid.

    python tools/train.py configs/benchmarks/mmsegmentation/fcn_r50-d8_camvid.py --pretrained CHECKPOINT

Source: mmseg's FCN R50-D8 (loss weights, learning rate); a cosine replaces the polynomial decay, because the run is
shorter.
Published: none for this protocol. Use it to compare checkpoints at equal budget, over several seeds.
"""

_base_ = [
    'mmseg::_base_/models/fcn_r50-d8.py',
    'mmseg::_base_/default_runtime.py',
    '../../_base_/datasets/camvid.py',
    '../../_base_/segmentation_epochs_runtime.py',
]
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(352, 352)),
    backbone=dict(_delete_=True, type='mmssl.ResNet', depth=50, output_stride=8, out_indices=(0, 1, 2, 3)),
    decode_head=dict(num_classes=11),
    auxiliary_head=dict(num_classes=11),
)
sync_bn = 'torch'

max_epochs = 50
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=50, val_interval=5)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(type='mmssl.WarmupCosineLR', warmup_epochs=1)
auto_scale_lr = dict(base_batch_size=4)
log_processor = dict(by_epoch=True)
