"""Times as Kubernetes writes them: RFC 3339 in UTC, from seconds or nanoseconds since the epoch."""

import datetime as dt


def rfc3339(seconds: float) -> str:
    """Return a time in whole seconds (meta/v1 Time), such as `2026-11-24T11:20:04Z`."""
    moment = dt.datetime.fromtimestamp(int(seconds), tz=dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_of_nanoseconds(nanoseconds: int) -> str:
    """Return a time given in Unix nanoseconds, cut to whole seconds."""
    return rfc3339(nanoseconds // 1_000_000_000)


def rfc3339_micro(seconds: float) -> str:
    """Return a time with microseconds (meta/v1 MicroTime), as Leases and Events carry it."""
    moment = dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds(text: str) -> float:
    """Return an RFC 3339 time as seconds since the epoch; raises `ValueError`."""
    return dt.datetime.fromisoformat(text).timestamp()
