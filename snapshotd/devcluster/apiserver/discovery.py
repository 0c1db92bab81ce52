"""What is served, for clients that ask: by group and version, and all at once (aggregated)."""

from collections import defaultdict
from typing import Any

from snapshotd.devcluster.apiserver import errors, resources
from snapshotd.devcluster.apiserver.crd import definition

JsonObject = dict[str, Any]

_REVIEWS = {
    ("authorization.k8s.io", "selfsubjectaccessreviews"): "SelfSubjectAccessReview",
    ("authorization.k8s.io", "selfsubjectrulesreviews"): "SelfSubjectRulesReview",
    ("authorization.k8s.io", "subjectaccessreviews"): "SubjectAccessReview",
    ("authorization.k8s.io", "localsubjectaccessreviews"): "LocalSubjectAccessReview",
    ("authentication.k8s.io", "selfsubjectreviews"): "SelfSubjectReview",
    ("authentication.k8s.io", "tokenreviews"): "TokenReview",
}


def review_kind(group: str, plural: str) -> str | None:
    """Return the kind of a review, None if it is none."""
    return _REVIEWS.get((group, plural))


def _groups(registry: resources.Registry) -> dict[str, list[str]]:
    """Return the versions of every group but the core one, the preferred first."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for resource in registry:
        if resource.group:
            found[resource.group].add(resource.version)
    for group, _ in _REVIEWS:
        found[group].add("v1")
    return {
        group: sorted(versions, key=definition.priority, reverse=True)
        for group, versions in sorted(found.items())
    }


def api_versions(address: str) -> JsonObject:
    """Return /api."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def groups(registry: resources.Registry) -> JsonObject:
    """Return /apis."""
    found = [_group(name, versions) for name, versions in _groups(registry).items()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}


def group(registry: resources.Registry, name: str) -> JsonObject:
    """Return /apis/<group>; raises 404."""
    versions = _groups(registry).get(name)
    if versions is None:
        raise _unknown()
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def _group(name: str, versions: list[str]) -> JsonObject:
    told = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": told, "preferredVersion": told[0]}


def _unknown() -> errors.ApiError:
    return errors.ApiError(
        404, "NotFound", "the server could not find the requested resource", details={}
    )


def _of(registry: resources.Registry, name: str, version: str) -> list[resources.Resource]:
    found = [each for each in registry if (each.group, each.version) == (name, version)]
    return sorted(found, key=lambda each: each.plural)


def resources_of(registry: resources.Registry, name: str, version: str) -> JsonObject:
    """Return /api/v1 or /apis/<group>/<version>; raises 404."""
    told: list[JsonObject] = []
    for resource in _of(registry, name, version):
        told.append(_resource(resource))
        if resource.has_status:
            told.append(
                {
                    "name": f"{resource.plural}/status",
                    "singularName": "",
                    "namespaced": resource.namespaced,
                    "kind": resource.kind,
                    "verbs": ["get", "patch", "update"],
                }
            )
    for (review_group, plural), kind in _REVIEWS.items():
        if (review_group, "v1") == (name, version):
            told.append(_review(plural, kind))
    if not told:
        raise _unknown()
    group_version = f"{name}/{version}" if name else version
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": told,
    }


def _resource(resource: resources.Resource) -> JsonObject:
    told: JsonObject = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        told["shortNames"] = list(resource.short_names)
    if resource.categories:
        told["categories"] = list(resource.categories)
    return told


def _review(plural: str, kind: str) -> JsonObject:
    return {
        "name": plural,
        "singularName": kind.lower(),
        "namespaced": plural.startswith("local"),
        "kind": kind,
        "verbs": ["create"],
    }


def aggregated(registry: resources.Registry, *, core: bool) -> JsonObject:
    """Return all groups with all their resources at once (apidiscovery.k8s.io/v2)."""
    found = {"": ["v1"]} if core else _groups(registry)
    items = []
    for name, versions in found.items():
        told = [
            {
                "version": version,
                "resources": _aggregated_resources(registry, name, version),
                "freshness": "Current",
            }
            for version in versions
        ]
        metadata: JsonObject = {"name": name} if name else {}
        items.append({"metadata": metadata, "versions": told})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _aggregated_resources(
    registry: resources.Registry, name: str, version: str
) -> list[JsonObject]:
    told = []
    for resource in _of(registry, name, version):
        kind = {"group": name, "version": version, "kind": resource.kind}
        entry: JsonObject = {
            "resource": resource.plural,
            "responseKind": kind,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "singularResource": resource.singular,
            "verbs": sorted(resource.verbs),
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        if resource.has_status:
            verbs = ["get", "patch", "update"]
            entry["subresources"] = [
                {"subresource": "status", "responseKind": kind, "verbs": verbs}
            ]
        told.append(entry)
    for (review_group, plural), kind_name in _REVIEWS.items():
        if (review_group, "v1") == (name, version):
            told.append(
                {
                    "resource": plural,
                    "responseKind": {"group": name, "version": version, "kind": kind_name},
                    "scope": "Namespaced" if plural.startswith("local") else "Cluster",
                    "singularResource": kind_name.lower(),
                    "verbs": ["create"],
                }
            )
    return told
