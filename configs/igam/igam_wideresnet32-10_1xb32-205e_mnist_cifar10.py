"""IGAM, MNIST to CIFAR-10, with the loss weights of CIFAR-10 to CIFAR-100, without noise (no settings are released).

    python tools/train.py configs/igam/igam_wideresnet32-10_1xb32-205e_mnist_cifar10.py

Cost: the teacher's 9,360 steps, 4,680 of a linear layer, 320,000 of 32 images for the student. Not measured here.
Expected: no figure that could be verified.
"""

_base_ = 'igam_wideresnet32-10_1xb32-205e_tinyimagenet_cifar10.py'

stages = _base_.stages
stages[0].recipe = 'stages/adversarial_wideresnet16-4_1xb128-20e_mnist.py'
stages[1].recipe = 'stages/logits_wideresnet16-4_1xb128-12e_mnist_cifar10.py'
model = dict(
    teacher=dict(
        backbone=dict(
            steps=[dict(type='FitImages', size=28, way='crop', grey=True), dict(type='PerImageNorm', scale='std')],
            network=dict(depth=16, width_factor=4),
        ),
        head=dict(in_channels=256),
    ),
    discriminator=dict(num_layers=5, base_channels=16),
    adversarial_weight=2.0,
)
