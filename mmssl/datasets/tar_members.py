"""Finds the images and the labels in a tar file without reading the images."""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from mmengine.logging import print_log

from mmssl.datasets.base import LARGEST_LABEL, printable
from mmssl.datasets.image_files import is_image_name
from mmssl.utils.errors import some

_BLOCK = 512
_LONGEST_PADDING = 2**20  # bytes of zeros that a tar program may write at the end of an archive
_ZEROS = bytes(_BLOCK)
_FILES, _LINKS, _WITHOUT_DATA = (b'0', b'\0', b'7'), (b'1', b'2'), (b'1', b'2', b'3', b'4', b'5', b'6')
_TRUNCATED = 'is truncated: it ends within an image or without the end mark of a tar file; copy or write it again'
_NO_TAR = 'is not an uncompressed tar file; unpack .tar.gz to .tar first'
_CHECKSUM, _SIZE = slice(148, 156), slice(124, 136)


def find_images_in_tar(file: BinaryIO, name: str) -> list[tuple[str, int, int, int]]:
    """Returns (name, offset, size, label or -1) of every image of a tar file, in the order of the file.

    The label of ``<key>.jpg`` is the number in ``<key>.cls``. Links are not followed; images that are links are counted
    in the log. Where a name occurs twice, the last file counts, as for ``tar --append``, and the log names it.

    Args:
        file: Open tar file, which can seek.
        name: Name of the tar file, for messages.

    Raises:
        ValueError: The file is not an uncompressed tar file, or is truncated, or a label is not a class number.
    """
    images: dict[str, tuple[int, int]] = {}
    labels: dict[str, int] = {}
    links, replaced = 0, []
    for member, offset, size in _members(file, name):
        if size is None:
            links += is_image_name(member)
        elif member.endswith('.cls'):
            file.seek(offset)
            labels[member.removesuffix('.cls')] = _read_label(f'{name}:{member}', file.read(size))
        elif is_image_name(member):
            replaced += [printable(member)] if member in images else []
            images[member] = offset, size
    if replaced:
        print_log(
            f'{printable(name)}: {len(replaced)} images are left out, because a later file has the same name: '
            f'{some(replaced, 3)}',
            logger='current',
            level=logging.WARNING,
        )
    if links:
        print_log(
            f'{printable(name)}: {links} images are links and are left out; to keep them, write the file again with '
            'tar --dereference --hard-dereference',
            logger='current',
            level=logging.WARNING,
        )
    return [(member, *place, _find_label(member, labels)) for member, place in images.items()]


def _members(file: BinaryIO, name: str) -> Iterator[tuple[str, int, int | None]]:
    """Yields name, offset and size (None for links) of every file, for the formats ustar, pax and GNU.

    Python's ``tarfile`` takes twenty times as long, because it makes an object of every header.
    """
    end, position = file.seek(0, os.SEEK_END), 0
    long_name, long_size = None, None
    while (header := _read(file, position, _BLOCK, end, name)) != _ZEROS:
        if not _is_header(header):
            raise ValueError(f'{name} {_NO_TAR}' if not position else f'{name} is damaged at byte {position}')
        kind, size, position = header[156:157], _number(header[_SIZE]), position + _BLOCK
        size = size if long_size is None else long_size
        if kind in (b'x', b'L'):  # the name, or the size, of the next file
            content = _read(file, position, size, end, name)
            fields = {b'path': content.rstrip(b'\0')} if kind == b'L' else _pax_fields(content)
            long_name, long_size = fields.get(b'path', long_name), _size_of(fields)
        elif kind == b'S':
            raise ValueError(f'{name} holds sparse files: write it again without tar --sparse')
        elif kind in _FILES and position + size > end:
            raise ValueError(f'{name} {_TRUNCATED}')
        else:
            if kind in _FILES or kind in _LINKS:
                member = (long_name or _short_name(header)).decode('utf-8', 'surrogateescape')
                yield member, position, size if kind in _FILES else None
            long_name, long_size = None, None
        position += 0 if kind in _WITHOUT_DATA else -(-size // _BLOCK) * _BLOCK
    file.seek(position)
    if file.read(_LONGEST_PADDING).strip(b'\0'):
        raise ValueError(f'{name} holds data after its end (byte {position}); join tar files with tar --concatenate')


def _read(file: BinaryIO, position: int, size: int, end: int, name: str) -> bytes:
    if position + size > end:
        raise ValueError(f'{name} {_TRUNCATED if position else _NO_TAR}')
    file.seek(position)
    return file.read(size)


def _is_header(header: bytes) -> bool:
    """Returns whether the checksum of the block is right; in the sum the checksum itself counts as eight spaces."""
    try:
        wanted = _number(header[_CHECKSUM]) + sum(header[_CHECKSUM]) - 8 * ord(' ')
    except ValueError:
        return False
    return (1 + wanted) % 65521 == zlib.adler32(header) & 0xFFFF  # half of Adler-32 is 1 + the sum, a fast one


def _number(field: bytes) -> int:
    """Returns the number in a field: octal digits, or, for large files, bytes after a set bit."""
    return int.from_bytes(field[1:], 'big') if field[0] == 0x80 else int(field.strip(b' \0') or b'0', 8)


def _short_name(header: bytes) -> bytes:
    name, prefix = header[:100].partition(b'\0')[0], header[345:500].partition(b'\0')[0]
    return prefix + b'/' + name if prefix and header[257:263] == b'ustar\0' else name


def _pax_fields(content: bytes) -> dict[bytes, bytes]:
    """Reads the records ``length key=value`` of a pax header."""
    fields, position = {}, 0
    while position < len(content) and (length := int(content[position : position + 20].partition(b' ')[0] or b'0')):
        key, _, value = content[position : position + length - 1].partition(b' ')[2].partition(b'=')
        fields[key] = value
        position += length
    return fields


def _size_of(fields: dict[bytes, bytes]) -> int | None:
    return int(fields[b'size']) if b'size' in fields else None


def _find_label(name: str, labels: dict[str, int]) -> int:
    """Returns the label of the image ``name``, -1 if it has none.

    The key is the name without its last suffix, or else the name up to its first dot, as in WebDataset.
    """
    if not labels:
        return -1
    folder, base = os.path.split(name)
    keys = os.path.splitext(name)[0], os.path.join(folder, base.partition('.')[0])
    return next((labels[key] for key in keys if key in labels), -1)


def _read_label(name: str, content: bytes) -> int:
    try:
        label = int(content)
    except ValueError as error:
        raise ValueError(f'{name} holds {content[:40]!r}, which is not a class number') from error
    if abs(label) > LARGEST_LABEL:
        raise ValueError(f'{name} holds {label}; a class number is at most {LARGEST_LABEL}')
    return label
