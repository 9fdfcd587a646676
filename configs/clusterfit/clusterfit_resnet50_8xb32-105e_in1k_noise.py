"""ClusterFit's experiment with label noise: the first stage is trained on ImageNet labels of which half are random.

    tools/dist_train.sh configs/clusterfit/clusterfit_resnet50_8xb32-105e_in1k_noise.py 8

Cost: twice 525,420 steps of 256 images and 50 iterations of k-means, on 8 GPUs. Not measured here.
Expected: no verified figure; the paper reports that transfer improves over the noisy first stage.

Other amounts: the paper's are 0, 0.25, 0.5 and 0.75.

    --cfg-options labels.train_dataloader.dataset.noise=0.75
"""

_base_ = 'clusterfit_resnet50_8xb32-105e_in1k.py'

_noisy = dict(type='RelabelledImages', dataset=dict(**_base_._data, split='train'), noise=0.5, num_classes=1000)
_labels = dict(model=dict(head=dict(num_classes=1000)), train_dataloader=dict(dataset=_noisy))
stages = [
    dict(name='labels', config=_labels),
    dict(_base_.stages[1], takes={'checkpoint': 'labels.backbone'}),
    dict(name='fit', takes={'train_dataloader.dataset.labels': 'cluster.labels'}),
]
