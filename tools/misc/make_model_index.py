"""Write model-index.yml and the metafile of each method, as `mim search mmssl` reads them, from cards and recipes.

Run it after a recipe or a card was added or changed: ``python tools/misc/make_model_index.py``. ``--check`` writes
nothing and ends with exit code 1 if a file differs.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r'[a-z0-9]+_(?P<backbone>[a-z0-9-]+)_(?P<gpus>\d+)xb(?P<batch>\d+)-(?P<epochs>\d+)e_(?P<data>\w+)')
DATA = {
    'in1k': 'ImageNet-1k',
    'in22k': 'ImageNet-22k',
    'places205': 'Places205',
    'cifar10': 'CIFAR-10',
    'cifar100': 'CIFAR-100',
    'mnist': 'MNIST',
    'miniimagenet': 'MiniImageNet',
    'tinyimagenet': 'Tiny-ImageNet',
    'photos': 'photo patches',
}


def collection(card: Path) -> dict[str, Any]:
    """Returns name, paper and family of the method of a card."""
    text = card.read_text()
    title = re.search(r'\*([^*]+)\*', text)
    url = re.search(r'https?://arxiv\.org/abs/[\w.]+', text) or re.search(r'https?://[^\s)]+', text)
    family = re.search(r'^\| family \|.*\n\|[-|]+\|\n\| (.+?) \|', text, re.MULTILINE)
    if not (title and url and family):
        raise ValueError(f'{card}: a card begins with "> Authors. *Title.* Venue.", a link to the paper and its family')
    name = ' '.join(title[1].replace('>', ' ').split())
    return {
        'Name': text.splitlines()[0].removeprefix('# '),
        'Metadata': {'Training Techniques': [family[1]]},
        'Paper': {'Title': name.removesuffix('.'), 'URL': url[0]},
        'README': card.relative_to(ROOT).as_posix(),
    }


def model(recipe: Path, method: str) -> dict[str, Any]:
    """Returns data, length, batch, cost and expected result from the name and docstring of a recipe."""
    name, docstring = NAME.fullmatch(recipe.stem), ast.get_docstring(ast.parse(recipe.read_text())) or ''
    if name is None:
        raise ValueError(f'{recipe}: the name is not METHOD_BACKBONE_GPUSxbBATCH-EPOCHSe_DATA.py')
    said = {}
    for key in ('Cost', 'Expected'):
        text = re.search(rf'^{key}: (.+?)(?=^\S+: |^\s*$|^    |\Z)', docstring, re.MULTILINE | re.DOTALL)
        said[key] = ' '.join(text[1].split()) if text else None
    data = [DATA[part] for part in name['data'].split('_') if part in DATA]
    return {
        'Name': recipe.stem,
        'In Collection': method,
        'Metadata': {
            'Training Data': data[-1] if data else name['data'],
            'Architecture': [name['backbone']],
            'Epochs': int(name['epochs']),
            'Batch Size': int(name['gpus']) * int(name['batch']),
            **said,
        },
        'Results': None,  # results of published weights; there are none
        'Weights': None,
        'Config': recipe.relative_to(ROOT).as_posix(),
    }


def files() -> dict[Path, str]:
    """Returns file -> content of the index and of every metafile."""
    written, imported = {}, []
    for card in sorted(ROOT.glob('configs/*/README.md')):
        method = collection(card)
        models = [model(recipe, method['Name']) for recipe in sorted(card.parent.glob('*.py'))]
        written[card.with_name('metafile.yml')] = dump({'Collections': [method], 'Models': models})
        imported.append(card.with_name('metafile.yml').relative_to(ROOT).as_posix())
    written[ROOT / 'model-index.yml'] = dump({'Import': imported})
    return written


def dump(content: dict[str, Any]) -> str:
    """Returns the content as YAML, after a line that names its origin."""
    head = '# Written by tools/misc/make_model_index.py from the cards and the docstrings of the recipes.\n'
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description='Write model-index.yml and the metafiles of all methods')
    parser.add_argument('--check', action='store_true', help='write nothing; exit code 1 if a file differs')
    check = parser.parse_args(argv).check
    differing = [(path, text) for path, text in files().items() if not path.exists() or path.read_text() != text]
    for path, text in differing:
        print(f'{"differs" if check else "written"}: {path.relative_to(ROOT)}')
        if not check:
            path.write_text(text)
    return int(check and bool(differing))


if __name__ == '__main__':
    sys.exit(main())
