"""Old names of modules that have moved."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import pytest

from mmssl.converters.libraries import LIBRARIES
from mmssl.distributed.collectives import gather
from mmssl.moved import MOVED


@pytest.mark.parametrize('old', sorted(MOVED))
def test_an_old_name_leads_to_modules_that_exist(old: str) -> None:
    assert all(find_spec(f'mmssl.{new}') for new in MOVED[old])


def test_a_plugin_finds_what_it_imported_before_and_is_warned() -> None:
    with pytest.warns(DeprecationWarning, match='mmssl.utils.dist has moved to mmssl.distributed.collectives'):
        old = import_module('mmssl.utils.dist')
    assert old.gather is gather
    with pytest.raises(AttributeError, match='neither.*collectives has .gathr'):
        _ = old.gathr


def test_a_name_that_changed_as_well_is_found() -> None:
    with pytest.warns(DeprecationWarning, match='mmssl.converters.targets has moved'):
        old = import_module('mmssl.converters.targets')
    assert old.TARGETS is LIBRARIES
