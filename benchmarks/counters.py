"""The API server's own count of what it was asked for, from its `/metrics`."""

import re
from collections import Counter

_REQUESTS = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_CPU = re.compile(r"^process_cpu_seconds_total (\S+)$", re.MULTILINE)

WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION")
_COUNTED = frozenset({"GET", "LIST", *WRITES})
_GROUPS = {"snapshot.storage.k8s.io", "groupsnapshot.storage.k8s.io"}
_CORE = {"persistentvolumeclaims", "persistentvolumes", "events", "nodes", "secrets"}


def requests(metrics: str) -> Counter[str]:
    """Return the requests so far as `VERB resource/subresource`.

    Counted are the kinds that a snapshot control plane has to do with, and leases; watches are not,
    for one lasts longer than any snapshot.
    """
    found: Counter[str] = Counter()
    for labels, number in _REQUESTS.findall(metrics):
        told = dict(_LABEL.findall(labels))
        resource, group = told.get("resource", ""), told.get("group", "")
        ours = group in _GROUPS or resource in _CORE or resource == "leases"
        if not ours or told.get("verb") not in _COUNTED:
            continue
        what = f"{resource}/{told['subresource']}" if told.get("subresource") else resource
        found[f"{told['verb']} {what}"] += round(float(number))
    return found


def cpu_seconds(metrics: str) -> float | None:
    """Return the CPU time the server says it used, None if it does not say."""
    found = _CPU.search(metrics)
    return float(found[1]) if found else None


def spent(before: Counter[str], after: Counter[str], own: Counter[str]) -> Counter[str]:
    """Return the requests between two counts without the client's own."""
    return +Counter({what: number - before[what] - own[what] for what, number in after.items()})


def objects_alone(counts: Counter[str]) -> Counter[str]:
    """Return the requests without events and leases: what an issue calls object writes and GETs."""
    return Counter(
        {
            what: number
            for what, number in counts.items()
            if what.split(" ")[1] not in {"events", "leases"}
        }
    )


def of_verbs(counts: Counter[str], verbs: tuple[str, ...]) -> int:
    """Return how many of these were of such a verb."""
    return sum(number for what, number in counts.items() if what.split(" ")[0] in verbs)
