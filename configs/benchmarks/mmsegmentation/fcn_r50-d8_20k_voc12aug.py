"""FCN with a ResNet-50 of output stride 8 on Pascal VOC 2012 with extra annotations, 20,000 iterations.

    tools/dist_train.sh configs/benchmarks/mmsegmentation/fcn_r50-d8_20k_voc12aug.py 4 --pretrained CHECKPOINT

Source: mmseg's FCN R50-D8 20k: crops of 512, batch 16, SGD at 0.01 with polynomial decay of power 0.9 to 1e-4. mmseg's
backbone has a stem of three convolutions, into which the pre-trained 7x7 convolution does not fit; the backbone here
has the 7x7 stem.
Published: mIoU 67.08 for supervised weights with that other stem (mmseg's model index, which is installed with it).
"""

_base_ = [
    'mmseg::_base_/models/fcn_r50-d8.py',
    'mmseg::_base_/datasets/pascal_voc12_aug.py',
    'mmseg::_base_/schedules/schedule_20k.py',
    'mmseg::_base_/default_runtime.py',
]
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(_delete_=True, type='mmssl.ResNet', depth=50, output_stride=8, out_indices=(0, 1, 2, 3)),
    decode_head=dict(num_classes=21),
    auxiliary_head=dict(num_classes=21),
)
sync_bn = 'torch'
auto_scale_lr = dict(base_batch_size=16)
default_hooks = dict(checkpoint=dict(max_keep_ckpts=1))
