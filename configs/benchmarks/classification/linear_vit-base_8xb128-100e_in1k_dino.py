"""Linear probe of DINO, ViT-B/16, 100 epochs.

    tools/dist_train.sh configs/benchmarks/classification/linear_vit-base_8xb128-100e_in1k_dino.py 8 \
        --pretrained CHECKPOINT

Protocol: class token and mean of the patch tokens, after the final norm, of the teacher; SGD with learning rate 0.001
x batch / 256 without decay, cosine by epoch, batch 1024, crop and flip (official code).
Published: top-1 78.2 % of the released checkpoint (official README).
Note: add --use-teacher to the command: the averaged network is what DINO evaluates. Its ViT-S, which has the class
tokens of four blocks side by side, is not here.
"""

_base_ = 'linear_resnet50_8xb128-90e_in1k_mocov3.py'

max_epochs = 100
model = dict(
    backbone=dict(
        _delete_=True, type='VisionTransformer', arch='base', output='tokens', position=dict(resample='dino')
    ),
    neck=dict(type='TokenPool', parts=('cls', 'mean')),
    head=dict(in_channels=1536),
)
val_dataloader = dict(dataset=dict(transform=dict(interpolation='bicubic')))
optim_wrapper = dict(optimizer=dict(lr=0.004))
