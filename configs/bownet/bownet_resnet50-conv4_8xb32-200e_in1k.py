"""BoWNet, ResNet-50, 200 epochs, words of block 3 ("conv4") of a RotNet; K = 8192 words, each counted once.

    tools/dist_train.sh configs/bownet/bownet_resnet50-conv4_8xb32-200e_in1k.py 8

Cost: RotNet's 700,630 steps of 128 images in four rotations, a vocabulary of 501,760 x 1024, 1,000,800 steps of 256
images, on 8 GPUs. Not measured here.
Expected: no verified figure.
"""

_base_ = 'bownet_resnet50_8xb32-200e_in1k.py'

_frozen = dict(type='ResNet', depth=50, out_indices=(2,))
stages = _base_.stages
stages[1].step.update(sampled_images=2560, backbone=_frozen)
model = dict(target=dict(backbone=_frozen))
