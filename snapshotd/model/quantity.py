"""Kubernetes Quantities: `1Gi` to bytes and back (apimachinery `resource.Quantity`).

Only what sizes of volumes and snapshots need: whole bytes, binary and decimal suffixes.
"""

import decimal
import re

from snapshotd import errors

_FORM = re.compile(r"([+-]?\d*\.?\d+|[+-]?\d+\.)([eE][+-]?\d+|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|)")
_DECIMAL = ("", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def to_bytes(quantity: str | int) -> int:
    """Return the Quantity as whole bytes, rounded up as Kubernetes does; raises `Invalid`."""
    if isinstance(quantity, int):
        return quantity
    match = _FORM.fullmatch(quantity)
    if match is None:
        raise errors.Invalid(f"{quantity!r} is not a quantity such as 500Mi, 1Gi or 1073741824")
    number, suffix = decimal.Decimal(match[1]), match[2]
    if suffix == "m":
        number /= 1000
    elif suffix in _DECIMAL:
        number *= 1000 ** _DECIMAL.index(suffix)
    elif suffix in _BINARY:
        number *= 1024 ** _BINARY.index(suffix)
    else:
        number = decimal.Decimal(match[1] + suffix)
    return int(number.to_integral_value(rounding=decimal.ROUND_CEILING))


def from_bytes(size: int) -> str:
    """Return the canonical Quantity of a size: the largest suffix that loses nothing.

    Binary suffixes from 1,024 bytes on, decimal ones below (`1000` is `1k`), as the reference
    publishes `restoreSize`.
    """
    base, suffixes = (1024, _BINARY) if size >= 1024 else (1000, _DECIMAL)
    step = 0
    while size and size % base == 0 and step < len(suffixes) - 1:
        size //= base
        step += 1
    return f"{size}{suffixes[step]}"
