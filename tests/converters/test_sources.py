from __future__ import annotations

import pkgutil

import pytest
import torch

from mmssl.converters import sources
from mmssl.converters.convert import convert, rename
from mmssl.converters.source import Source
from mmssl.converters.sources import SOURCES


def test_a_source_is_found_by_its_file_and_its_aliases():
    files = {module.name for module in pkgutil.iter_modules(sources.__path__)}
    assert files <= SOURCES.keys()
    assert SOURCES['mocov1'] is SOURCES['mocov2'] is SOURCES['moco']
    assert len({id(source) for source in SOURCES.values()}) == len(files)
    assert SOURCES.keys() == files | {alias for source in SOURCES.values() for alias in source.aliases}


@pytest.fixture
def shared_table(monkeypatch):
    """A source with one table for both blocks, and an index that has no place here."""

    def prepare(tensors):
        copied = {f'blocks.{block}.table': tensors['table'] for block in (0, 1)}
        return {name: tensor for name, tensor in tensors.items() if name != 'table'} | copied

    source = Source(
        patterns=((r'index', None), (r'(blocks\.\d+\.\w+)', r'backbone.\1')),
        reshape={'backbone.blocks.1.weight': lambda weight: weight.T},
        prepare=prepare,
    )
    monkeypatch.setitem(SOURCES, 'shared_table', source)


def test_tensors_are_prepared_before_they_are_renamed_and_reshaped(shared_table):
    table, weight = torch.randn(2, 3), torch.randn(2, 3)
    official = {'module.table': table, 'module.index': torch.zeros(1), 'module.blocks.1.weight': weight}
    converted = convert(dict(state_dict=official), 'shared_table', part='backbone')
    assert converted.keys() == {'blocks.0.table', 'blocks.1.table', 'blocks.1.weight'}
    assert converted['blocks.0.table'] is converted['blocks.1.table'] is table
    assert torch.equal(converted['blocks.1.weight'], weight.T)


def test_the_first_pattern_that_matches_counts(shared_table):
    assert rename('module.index', 'shared_table') is None
    assert rename('blocks.0.table', 'shared_table') == 'backbone.blocks.0.table'
