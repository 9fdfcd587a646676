"""Pictures of predictions."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmssl.apis.predict import Predictor
from mmssl.datasets.decode import UnreadableImageError
from mmssl.utils.errors import UserError
from mmssl.visualization.predictions import read_upright


@pytest.mark.parametrize('content', [b'', b'no image'])
def test_a_file_that_is_no_image(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / 'x.jpg'
    file.write_bytes(content)
    with pytest.raises(UnreadableImageError, match='not an image file'):
        read_upright(str(file))


def test_a_classifier_names_at_least_one_class() -> None:
    with pytest.raises(UserError, match='num_best must be a whole number of at least 1, got 0'):
        Predictor('no_recipe', 'no_file.pth', num_best=0)
