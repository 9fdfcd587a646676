"""A robust wide ResNet-32-10 for Tiny-ImageNet by adversarial training with PGD-7: a teacher of IGAM.

    python tools/train.py configs/igam/stages/adversarial_wideresnet32-10_1xb16-51e_tinyimagenet.py

Cost: 312,375 steps of 16 images of 64 px, each with seven attacks. Not measured here.

The official script takes 320,000 steps on all 100,000 training images; here 2,000 of them are held out for accuracy.
"""

_base_ = 'adversarial_wideresnet32-10_1xb128-205e_cifar10.py'

max_epochs = 51
_norm = dict(type='PerImageNorm', scale='l2')
model = dict(backbone=dict(steps=[_norm]), head=dict(num_classes=200), attack=dict(num_steps=7))
_data = dict(type='ClassFolder', data_root='data/tiny-imagenet-200/train', val_every=50)
_view = dict(type='PaddedCropView', size=64, padding=2)
train_dataloader = dict(batch_size=16, dataset=dict(**_data, views=[_view]))
val_dataloader = dict(dataset=dict(**_data, split='val', transform=dict(size=64)))
auto_scale_lr = dict(base_batch_size=16)
