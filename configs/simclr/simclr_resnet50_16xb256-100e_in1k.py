"""SimCLR, ResNet-50, 100 epochs: the official command and code (three-layer projector, weight decay 1e-4).

    tools/dist_train.sh configs/simclr/simclr_resnet50_16xb256-100e_in1k.py 16

Cost: 31,200 steps of 4096 image pairs; the official run used 32 TPU v3. Not measured here.
Expected: about 64.5 % linear top-1 (official README). The paper's settings instead:
    --cfg-options model.neck.num_layers=2 optim_wrapper.optimizer.weight_decay=1e-6
"""

_base_ = 'simclr_resnet50_16xb256-1000e_in1k.py'

max_epochs = 100
model = dict(neck=dict(num_layers=3))
_view = dict(_base_._view, colors='tensorflow')
train_dataloader = dict(dataset=dict(views=[_view, _view]))
optim_wrapper = dict(optimizer=dict(weight_decay=1e-4))
