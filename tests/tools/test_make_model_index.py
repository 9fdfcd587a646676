"""The committed index is what the tool makes of cards and recipes."""

from __future__ import annotations

from tools.misc import make_model_index as index


def test_the_committed_files_are_up_to_date() -> None:
    different = [path for path, text in index.files().items() if not path.exists() or path.read_text() != text]
    assert not different, 'run python tools/misc/make_model_index.py'


def test_a_recipe_is_described_by_its_name_and_docstring() -> None:
    recipe = index.model(index.ROOT / 'configs/mae/mae_vit-base_64xb64-800e_in1k.py', 'MAE')
    assert recipe['In Collection'] == 'MAE' and recipe['Config'].endswith('mae_vit-base_64xb64-800e_in1k.py')
    metadata = recipe['Metadata']
    assert metadata['Training Data'] == 'ImageNet-1k' and metadata['Architecture'] == ['vit-base']
    assert metadata['Epochs'] == 800 and metadata['Batch Size'] == 4096
    assert metadata['Cost'].startswith('249,600 steps') and '65.1 % linear' in metadata['Expected']
