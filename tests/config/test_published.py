"""Backbones that will load a checkpoint fetch no published weights."""

from mmssl.config.published import model_of_checkpoint, without_published


def test_only_a_true_value_is_replaced() -> None:
    backbone = dict(type='TimmBackbone', name='resnet18', pretrained=True)
    assert without_published(backbone) == dict(backbone, pretrained=False)
    nested = dict(type='AdaptedInput', network=backbone, steps=[dict(type='FitImages')])
    assert without_published(nested)['network'] == dict(backbone, pretrained=False)
    for other in (dict(type='Own', pretrained='file.pth'), dict(type='ResNet', depth=18), None):
        assert without_published(other) == other


def test_the_other_parts_of_a_model_keep_their_weights() -> None:
    model = dict(type='Own', backbone=dict(type='Own', pretrained=True), target=dict(pretrained=True))
    assert model_of_checkpoint(model) == dict(model, backbone=dict(type='Own', pretrained=False))
    assert model['backbone']['pretrained'] and model_of_checkpoint(dict(type='Own')) == dict(type='Own')
