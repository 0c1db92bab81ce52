"""Which proxy leads to the API server, decided once: the kubeconfig's, or the environment's.

As Go decides it, so that a pod's NO_PROXY means the same to us as to the reference: suffixes of
names with or without a leading dot, addresses, networks (10.0.0.0/8), each with an optional port,
and `*`; a loopback address never goes through a proxy of the environment.
"""

import ipaddress
import urllib.parse
from collections.abc import Mapping
from typing import TypeAlias

from snapshotd import errors

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


def resolve(url: str, configured: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the proxy's URL, None to connect directly; raises `Misconfigured`."""
    if configured:
        return _usable(configured, "proxy-url in the kubeconfig")
    parts = urllib.parse.urlsplit(url)
    name = f"{parts.scheme}_proxy"
    found = environ.get(name.upper()) or environ.get(name)
    if not found:
        return None
    exceptions = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if _is_loopback(host) or any(
        _matches(entry.strip().lower(), host.lower(), port) for entry in exceptions.split(",")
    ):
        return None
    return _usable(found if "://" in found else f"http://{found}", name.upper())


def _usable(proxy: str, source: str) -> str:
    parts = urllib.parse.urlsplit(proxy)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise errors.Misconfigured(
            f"{source} is no proxy we can use: give an http:// or https:// URL with a host"
        )
    return proxy


def _matches(entry: str, host: str, port: int) -> bool:
    if entry in {"", "*"}:
        return entry == "*"
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit() and (name.endswith("]") or ":" not in name):
        if int(wanted) != port:
            return False
        entry = name
    address = _address(host)
    if address is not None:
        return _covers(entry.strip("[]"), address)
    suffix = entry.removeprefix("*").lstrip(".")
    return host.endswith(f".{suffix}") or (host == suffix and not entry.startswith((".", "*")))


def _covers(entry: str, address: _Address) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)
