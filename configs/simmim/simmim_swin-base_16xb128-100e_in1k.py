"""SimMIM, Swin-B with windows of 6, 192 px, 100 epochs.

    tools/dist_train.sh configs/simmim/simmim_swin-base_16xb128-100e_in1k.py 16

Cost: 62,500 steps of 2048 images of 192 px, all patches encoded; the official run used 16 GPUs of 32 GB. Not measured
here.
Expected: 82.8 % fine-tuned at 192 px, 83.5 % at 224 px (official README).
"""

_base_ = 'simmim_swin-base_16xb128-800e_in1k.py'

max_epochs = 100
optim_wrapper = dict(optimizer=dict(lr=8e-4))
param_scheduler = dict(
    _delete_=True,
    type='WarmupCosineLR',
    warmup_epochs=10,
    start_factor=0.005,
    end_factor=0.05,
    cosine_from_start=True,
    delay=1,
)
