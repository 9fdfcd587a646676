"""MaskFeat's target against numbers recorded from its official implementation."""

from __future__ import annotations

import re

from torch.testing import assert_close

from mmssl.models.targets.hog_target import HOGTarget, hog
from tests.parity.golden import Golden, summary


def test_histograms(goldens_dir):
    golden = Golden(goldens_dir, 'maskfeat_hog')
    (images,) = golden.inputs().values()
    found = {'hog': hog(images), 'target': HOGTarget()(images)}
    golden.check({'outputs': {name: summary(value) for name, value in found.items()}})
    assert golden.record['rows']
    for name, expected in golden.record['rows'].items():  # such as target[0,0,:12]
        key, image, patch, count = re.fullmatch(r'(\w+)\[(\d+),(\d+),:(\d+)\]', name).groups()
        row = found[key][int(image), int(patch), : int(count)]
        assert_close(row.tolist(), expected, rtol=1e-8, atol=1e-10)
