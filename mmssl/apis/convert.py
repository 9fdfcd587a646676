"""Backbones for other libraries."""

from __future__ import annotations

from mmssl.converters.files import convert_file as convert

__all__ = ['convert']
