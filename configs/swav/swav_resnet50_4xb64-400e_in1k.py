"""SwAV, ResNet-50, 400 epochs of batch 256 with a queue from epoch 15 on, two views of 224 px and six of 96.

    tools/dist_train.sh configs/swav/swav_resnet50_4xb64-400e_in1k.py 4

Cost: 2,001,600 steps of 256 images in 2 + 6 views; the official run took 52 min 10 s an epoch on 4 GPUs.
Not measured here.
Expected: 74.3 % linear top-1 (official README); 72.7 % after 200 epochs:
    --cfg-options max_epochs=200 model.queue.start=0.075
"""

_base_ = 'swav_resnet50_64xb64-800e_in1k.py'

max_epochs = 400
model = dict(queue=dict(length=3840, start=15 / 400))
optim_wrapper = dict(optimizer=dict(lr=0.6))
param_scheduler = dict(_delete_=True, type='WarmupCosineLR', end_factor=1e-3)
auto_scale_lr = dict(base_batch_size=256)
