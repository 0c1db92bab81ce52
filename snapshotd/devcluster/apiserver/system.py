"""What a cluster has of itself: its first namespaces, their ends, definitions, owners, reviews.

In a real cluster kube-controller-manager and the aggregator do these; without them namespaces would
never end and definitions never be served.
"""

from collections.abc import Mapping
from typing import Any

from snapshotd.devcluster.apiserver import crd, errors, requests, resources, storage, writes

JsonObject = dict[str, Any]

_FIRST_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_NAMESPACES = ("", "namespaces")
_DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")
USER = "snapshotd-admin"
_GROUPS = ["system:masters", "system:authenticated"]


class Housekeeping:
    """Follows every change, and keeps the cluster's own house."""

    def __init__(
        self,
        kept: storage.Storage,
        registry: resources.Registry,
        writer: writes.Writes,
        converters: Mapping[str, crd.Converter],
    ) -> None:
        """Serve what is defined already, and follow what comes."""
        self._converters = converters
        self._storage = kept
        self._registry = registry
        self._writer = writer
        self._dependents: dict[str, set[tuple[storage.Ident, storage.Name]]] = {}
        for _, stored in kept.all_of(_DEFINITIONS):
            for resource in crd.compile_definition(stored.value, converters):
                registry.put(resource)
        writer.checks.append(_check_definition)
        writer.observers.append(self._observe)
        for name in _FIRST_NAMESPACES:
            self._bring_namespace(name)
        self._resume()

    def _bring_namespace(self, name: str) -> None:
        resource = self._registry.find("", "v1", "namespaces")
        assert resource is not None  # noqa: S101 - the built-in kinds are always there
        if self._storage.get(_NAMESPACES, ("", name)) is None:
            self._writer.create(_internal(resource, name), {"metadata": {"name": name}})

    def _resume(self) -> None:
        """Finish what a killed process left half done."""
        for ident in self._storage.idents():
            for name, stored in self._storage.all_of(ident):
                self._note_owners(ident, name, stored)
        for (_, namespace), stored in self._storage.all_of(_NAMESPACES):
            if "deletionTimestamp" in stored.value["metadata"]:
                self._empty(namespace)

    def _observe(
        self,
        resource: resources.Resource,
        old: storage.Stored | None,
        new: storage.Stored | None,
    ) -> None:
        if new is not None:
            meta = new.value["metadata"]
            self._note_owners(resource.ident, (meta.get("namespace", ""), meta["name"]), new)
        if resource.ident == _DEFINITIONS:
            self._define(old, new)
        elif resource.ident == _NAMESPACES and new is not None:
            if "deletionTimestamp" in new.value["metadata"]:
                self._empty(new.value["metadata"]["name"])
        elif new is None and old is not None:
            self._collect(old.value["metadata"])
            self._end_of(old.value["metadata"].get("namespace", ""))

    def _define(self, old: storage.Stored | None, new: storage.Stored | None) -> None:
        if new is None:
            if old is not None:
                self._undefine(old.value)
            return
        definition = new.value
        served = crd.compile_definition(definition, self._converters)
        spec = definition["spec"]
        self._registry.drop(spec["group"], spec["names"]["plural"])
        for resource in served:
            self._registry.put(resource)
        status = crd.status_of(definition, writes.timestamp())
        if definition.get("status") != status:
            name = ("", definition["metadata"]["name"])
            self._storage.put(_DEFINITIONS, name, {**_copy(definition), "status": status})

    def _undefine(self, definition: JsonObject) -> None:
        group, plural = definition["spec"]["group"], definition["spec"]["names"]["plural"]
        self._registry.drop(group, plural)
        self._storage.forget((group, plural))

    def _empty(self, namespace: str) -> None:
        """Delete what a namespace holds, and the namespace once it holds nothing."""
        for resource in {each.ident: each for each in self._registry if each.namespaced}.values():
            for (_, name), stored in self._storage.all_of(resource.ident, namespace):
                if "deletionTimestamp" not in stored.value["metadata"]:
                    self._writer.end(_internal(resource, name, namespace), stored, {})
        self._end_of(namespace)

    def _end_of(self, namespace: str) -> None:
        found = self._storage.get(_NAMESPACES, ("", namespace)) if namespace else None
        if found is None or "deletionTimestamp" not in found.value["metadata"]:
            return
        held = any(
            self._storage.all_of(resource.ident, namespace)
            for resource in self._registry
            if resource.namespaced
        )
        if not held and not found.value["metadata"].get("finalizers"):
            self._storage.remove(_NAMESPACES, ("", namespace))

    def _note_owners(
        self, ident: storage.Ident, name: storage.Name, stored: storage.Stored
    ) -> None:
        for owner in stored.value["metadata"].get("ownerReferences") or ():
            self._dependents.setdefault(owner["uid"], set()).add((ident, name))

    def _collect(self, owner: JsonObject) -> None:
        """Delete the dependents whose last owner is gone (background propagation)."""
        for ident, (namespace, name) in self._dependents.pop(owner["uid"], ()):
            stored = self._storage.get(ident, (namespace, name))
            resource = next((each for each in self._registry if each.ident == ident), None)
            if stored is None or resource is None:
                continue
            owners = stored.value["metadata"].get("ownerReferences") or ()
            if [each["uid"] for each in owners] == [owner["uid"]]:
                self._writer.end(_internal(resource, name, namespace), stored, {})


def _internal(resource: resources.Resource, name: str, namespace: str = "") -> requests.Request:
    return requests.Request(resource, namespace, name, "", {}, "snapshotd-dev")


def _copy(definition: JsonObject) -> JsonObject:
    return {**definition, "metadata": {**definition["metadata"]}}


def _check_definition(request: requests.Request, obj: JsonObject) -> None:
    """Refuse a definition that cannot be served, before it is stored."""
    if request.resource.ident == _DEFINITIONS:
        crd.compile_definition(obj)


def review(kind: str, obj: JsonObject) -> JsonObject:
    """Answer an authorization or authentication review: the one user may do everything."""
    user = {"username": USER, "uid": USER, "groups": _GROUPS}
    answers: dict[str, JsonObject] = {
        "SelfSubjectAccessReview": {"allowed": True},
        "SubjectAccessReview": {"allowed": True},
        "LocalSubjectAccessReview": {"allowed": True},
        "SelfSubjectRulesReview": {
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": False,
        },
        "SelfSubjectReview": {"userInfo": user},
        "TokenReview": {"authenticated": True, "user": user},
    }
    if kind not in answers:
        raise errors.bad_request(f"{kind} is no review")
    return {**obj, "kind": kind, "status": answers[kind]}
