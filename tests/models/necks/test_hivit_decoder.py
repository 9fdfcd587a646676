"""The decoder of MAE on HiViT."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.config.load import load_config
from mmssl.models.necks.hivit_decoder import HiViTDecoder
from mmssl.registry import ALGORITHMS
from tests.parity.golden import CONFIGS

KEEP = torch.tensor([[0, 4], [1, 5]])


def test_units_are_seen_after_every_stage():
    decoder = HiViTDecoder(32, out_channels=12, grid_size=(2, 3), embed_dim=32, depth=1, num_heads=2).double()
    stages = [torch.randn(*shape, dtype=torch.float64) for shape in ((2, 2, 4, 4, 8), (2, 2, 2, 2, 16), (2, 2, 32))]
    prediction = decoder(stages, KEEP)
    assert prediction.shape == (2, 6, 12)
    latent = torch.cat([stages[0].reshape(2, 2, 128), stages[1].reshape(2, 2, 64), stages[2]], dim=2)
    assert_close(prediction, decoder.decoder(decoder.norm(latent), KEEP))
    for index in range(3):
        changed = [stage + torch.randn_like(stage) if i == index else stage for i, stage in enumerate(stages)]
        assert not torch.allclose(decoder(changed, KEEP), prediction)


def test_parameters_of_the_base_model():
    with torch.device('meta'):
        decoder = HiViTDecoder(512)
    names = ('norm', 'decoder.embed', 'decoder.blocks', 'decoder.norm', 'decoder.predict')
    counts = [sum(p.numel() for p in decoder.get_submodule(name).parameters()) for name in names]
    assert counts == [7_168, 1_835_520, 18_914_304, 1_024, 393_984]


def test_shapes_and_first_loss_of_the_base_model():
    model = ALGORITHMS.build(load_config(CONFIGS / 'hivit/hivitmae_hivit-base_16xb256-1600e_in1k.py').model).eval()
    images, widths = torch.randn(2, 3, 224, 224), []
    model.neck.norm.register_forward_hook(lambda module, inputs, output: widths.append(output.shape))
    with torch.no_grad():
        mask, prediction = model.reconstruct(images)
        loss = model.head(prediction, model.target(images), mask)
    assert mask.sum(dim=1).tolist() == [147, 147] and widths == [(2, 49, 3584)]
    assert prediction.shape == (2, 196, 768) and 1.0 < loss < 1.4
