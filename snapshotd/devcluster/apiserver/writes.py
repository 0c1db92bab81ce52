"""create, update, patch and delete: from what a client sent to what is stored.

Every write takes the same steps, in `_admit`: unknown fields, defaults, metadata, validation; then
owners of fields, and one `storage.put`. A write that changes nothing takes no version.
"""

import copy
import datetime as dt
from collections.abc import Callable
from typing import Any

from snapshotd.devcluster.apiserver import errors, forms, metadata, requests, resources, storage
from snapshotd.devcluster.apiserver.patches import apply, managed_fields

JsonObject = dict[str, Any]
Observer = Callable[[resources.Resource, storage.Stored | None, storage.Stored | None], None]


def timestamp() -> str:
    """Return the time as metadata carries it: RFC 3339, whole seconds, UTC."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Writes:
    """The writing verbs; `observe` is called after each change (CRDs come and go with it)."""

    def __init__(self, kept: storage.Storage, registry: resources.Registry) -> None:
        """Write to `kept` what `registry` describes."""
        self._storage = kept
        self._registry = registry
        self.observers: list[Observer] = []
        self.checks: list[Callable[[requests.Request, JsonObject], None]] = []

    def create(
        self, request: requests.Request, obj: JsonObject, *, owned: bool = False
    ) -> JsonObject:
        """Create; return the object as stored. Raises 409 where the name is taken."""
        resource = request.resource
        self._identify(request, obj)
        meta = metadata.of(obj)
        self._namespace_accepts(request)
        if request.namespace:
            meta["namespace"] = request.namespace
        metadata.begin(obj, timestamp())
        if resource.counts_generation:
            meta["generation"] = 1
        else:
            meta.pop("generation", None)
        if resource.has_status:
            obj.pop("status", None)
        for check in self.checks:
            check(request, obj)
        self._admit(request, obj, None)
        name = (request.namespace, meta["name"])
        if self._storage.get(resource.ident, name) is not None:
            raise errors.already_exists(resource.group, resource.plural, meta["name"])
        if not owned:
            self._own(request, None, obj)
        return self._commit(request, name, None, obj)

    def update(self, request: requests.Request, obj: JsonObject) -> JsonObject:
        """Replace; return the object as stored."""
        self._identify(request, obj)
        sent = metadata.of(obj)
        if sent.get("name") != request.name:
            raise errors.bad_request(
                f"the name of the object ({sent.get('name')}) does not match the name on the URL "
                f"({request.name})"
            )
        old = self.current(request)
        self._precondition(request, old, sent.get("uid"), sent.get("resourceVersion"))
        if not sent.get("resourceVersion") and request.resource.custom:
            text = "Invalid value: 0x0: must be specified for an update"
            cause = errors.Cause("metadata.resourceVersion", "FieldValueInvalid", text)
            raise self._invalid(request, [cause])
        return self.replace(request, old, obj)

    def change(
        self, request: requests.Request, modify: Callable[[JsonObject], JsonObject]
    ) -> JsonObject:
        """Patch: store what `modify` makes of the object; a resourceVersion in it must hold."""
        old = self.current(request)
        new = modify(forms.in_version(old.value, request.resource))
        sent = metadata.of(new)
        version = sent.get("resourceVersion")
        self._precondition(request, old, None, version)
        self._identify(request, new)
        return self.replace(request, old, new)

    def replace(
        self,
        request: requests.Request,
        old: storage.Stored,
        obj: JsonObject,
        *,
        owned: bool = False,
    ) -> JsonObject:
        """Store `obj` in place of `old`, as far as this request may; a no-op takes no version."""
        resource = request.resource
        before = forms.in_version(old.value, resource)
        obj = _only_what_may_change(resource, request.subresource, before, obj)
        metadata.keep(before, obj)
        if resource.counts_generation and _spec(resource, before) != _spec(resource, obj):
            metadata.of(obj)["generation"] = metadata.of(before).get("generation", 0) + 1
        self._admit(request, obj, before)
        if _same(before, obj):
            return before
        if not owned:
            self._own(request, before, obj)
        name = (metadata.of(before).get("namespace", ""), metadata.of(before)["name"])
        return self._commit(request, name, old, obj)

    def delete(self, request: requests.Request, options: JsonObject) -> tuple[JsonObject, bool]:
        """Delete or mark for deletion; return the last state and whether it is gone already."""
        old = self.current(request)
        wanted = options.get("preconditions") or {}
        self._precondition(
            request, old, wanted.get("uid"), wanted.get("resourceVersion"), says="Precondition"
        )
        return self.end(request, old, options)

    def end(
        self, request: requests.Request, old: storage.Stored, options: JsonObject
    ) -> tuple[JsonObject, bool]:
        """Delete one object whose preconditions hold."""
        resource = request.resource
        meta = old.value["metadata"]
        finalizers = list(meta.get("finalizers") or ())
        policy = options.get("propagationPolicy")
        if policy == "Foreground" and "foregroundDeletion" not in finalizers:
            policy = None  # there is nothing to wait for: dependents go right after their owner
        name = (meta.get("namespace", ""), meta["name"])
        if resource.ident == ("", "namespaces"):
            finalizers = finalizers or ["kubernetes"]
        if request.dry_run:
            return old.value, not finalizers
        if not finalizers:
            last = self._storage.remove(resource.ident, name)
            self._observed(resource, old, None)
            return last.value, True
        if "deletionTimestamp" in meta:
            return old.value, False
        value = copy.deepcopy(old.value)
        value["metadata"]["deletionTimestamp"] = timestamp()
        value["metadata"]["deletionGracePeriodSeconds"] = 0
        if resource.ident == ("", "namespaces"):
            value.setdefault("status", {})["phase"] = "Terminating"
        if resource.counts_generation:
            value["metadata"]["generation"] = meta.get("generation", 0) + 1
        stored = self._storage.put(resource.ident, name, value)
        self._observed(resource, old, stored)
        return stored.value, False

    def current(self, request: requests.Request) -> storage.Stored:
        """Return the stored object a request is for; raises 404."""
        resource = request.resource
        found = self._storage.get(resource.ident, (request.namespace, request.name))
        if found is None:
            raise errors.not_found(resource.group, resource.plural, request.name)
        return found

    def _commit(
        self,
        request: requests.Request,
        name: storage.Name,
        old: storage.Stored | None,
        obj: JsonObject,
    ) -> JsonObject:
        resource = request.resource
        value = forms.to_store(obj, resource)
        if request.dry_run:
            return obj
        meta = value["metadata"]
        if old is not None and "deletionTimestamp" in meta and not meta.get("finalizers"):
            last = self._storage.remove(resource.ident, name, value)
            self._observed(resource, old, None)
            return forms.in_version(last.value, resource)
        stored = self._storage.put(resource.ident, name, value)
        self._observed(resource, old, stored)
        return forms.in_version(stored.value, resource)

    def _observed(
        self,
        resource: resources.Resource,
        old: storage.Stored | None,
        new: storage.Stored | None,
    ) -> None:
        for observer in self.observers:
            observer(resource, old, new)

    def _identify(self, request: requests.Request, obj: JsonObject) -> None:
        resource = request.resource
        version, kind = obj.get("apiVersion"), obj.get("kind")
        if version and version != resource.api_version:
            raise errors.bad_request(
                f"the API version in the data ({version}) does not match the expected API version "
                f"({resource.api_version})"
            )
        if kind and kind != resource.kind:
            raise errors.bad_request(
                f"{kind} in version {version!r} cannot be handled as a {resource.kind}"
            )
        obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
        namespace = metadata.of(obj).get("namespace")
        if resource.namespaced and namespace and namespace != request.namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        if not resource.namespaced:
            metadata.of(obj).pop("namespace", None)

    def _namespace_accepts(self, request: requests.Request) -> None:
        if not request.namespace:
            return
        found = self._storage.get(("", "namespaces"), ("", request.namespace))
        if found is None:
            raise errors.not_found("", "namespaces", request.namespace)
        if "deletionTimestamp" in found.value["metadata"]:
            resource = request.resource
            name = errors.qualified(resource.group, resource.plural)
            raise errors.ApiError(
                403,
                "Forbidden",
                f"{name} is forbidden: unable to create new content in namespace "
                f"{request.namespace} because it is being terminated",
            )

    def _admit(self, request: requests.Request, obj: JsonObject, old: JsonObject | None) -> None:
        """Prune, default and validate in place; raises 400 (strict fields) or 422."""
        resource = request.resource
        causes: list[errors.Cause] = []
        if resource.schema is not None:
            unknown = resource.schema.prune(obj)
            if unknown and request.field_validation != "Ignore":
                self._tell_unknown(request, unknown)
            resource.schema.default(obj)
        causes += metadata.problems(resource, obj, old)
        if resource.schema is not None:
            causes += resource.schema.validate(obj, old)
        if causes:
            raise self._invalid(request, causes, obj)

    def _tell_unknown(self, request: requests.Request, unknown: list[str]) -> None:
        told = [f'unknown field "{path}"' for path in unknown]
        if request.field_validation == "Strict":
            kind, version = request.resource.kind, request.resource.version
            raise errors.bad_request(
                f'{kind} in version "{version}" cannot be handled as a {kind}: strict decoding '
                f"error: {', '.join(told)}"
            )
        request.warnings.extend(told)

    def _own(self, request: requests.Request, old: JsonObject | None, new: JsonObject) -> None:
        managed_fields.update(
            old,
            new,
            by=managed_fields.By(
                request.manager, request.subresource, request.resource.api_version, timestamp()
            ),
            shape=apply.shape_of(request.resource),
        )

    def _precondition(
        self,
        request: requests.Request,
        old: storage.Stored,
        uid: str | None,
        version: str | None,
        *,
        says: str = "",
    ) -> None:
        """Compare what a client expects with what is; raises 409."""
        resource, meta = request.resource, old.value["metadata"]
        if uid and uid != meta["uid"]:
            why = (
                f"Precondition failed: UID in precondition: {uid}, "
                f"UID in object meta: {meta['uid']}"
            )
            raise errors.conflict(resource.group, resource.plural, request.name, why)
        if version and version != meta["resourceVersion"]:
            why = (
                "the object has been modified; please apply your changes to the latest version and "
                "try again"
            )
            if says:
                why = (
                    f"Precondition failed: ResourceVersion in precondition: {version}, "
                    f"ResourceVersion in object meta: {meta['resourceVersion']}"
                )
            raise errors.conflict(resource.group, resource.plural, request.name, why)

    def _invalid(
        self,
        request: requests.Request,
        causes: list[errors.Cause],
        obj: JsonObject | None = None,
    ) -> errors.ApiError:
        name = request.name or str((obj or {}).get("metadata", {}).get("name", ""))
        return errors.invalid(request.resource.group, request.resource.kind, name, causes)


def _spec(resource: resources.Resource, obj: JsonObject) -> JsonObject:
    """Return the part of an object whose changes count as a new generation."""
    skipped = {"metadata", "apiVersion", "kind"} | ({"status"} if resource.has_status else set())
    return {field: value for field, value in obj.items() if field not in skipped}


def _only_what_may_change(
    resource: resources.Resource, subresource: str, old: JsonObject, new: JsonObject
) -> JsonObject:
    """Return the new object with what this request may not touch put back."""
    if subresource == "status":
        kept = dict(old)
        kept["metadata"] = {**old["metadata"]}
        for field in ("resourceVersion", "uid", "managedFields"):
            if field in new.get("metadata", {}):
                kept["metadata"][field] = new["metadata"][field]
        if "status" in new:
            kept["status"] = new["status"]
        else:
            kept.pop("status", None)
        return copy.deepcopy(kept)
    if resource.has_status:
        new = dict(new)
        if "status" in old:
            new["status"] = copy.deepcopy(old["status"])
        else:
            new.pop("status", None)
    new["metadata"] = dict(new.get("metadata") or {})
    return new


def _same(old: JsonObject, new: JsonObject) -> bool:
    """Say whether nothing changed: neither a value nor, where the client sent them, the owners."""
    if {**old, "metadata": None} != {**new, "metadata": None}:
        return False
    owners = new["metadata"].get("managedFields")
    if owners is not None and owners != old["metadata"].get("managedFields"):
        return False
    skipped = {"managedFields", "resourceVersion"}
    before = {k: v for k, v in old["metadata"].items() if k not in skipped and v not in ({}, [])}
    after = {k: v for k, v in new["metadata"].items() if k not in skipped and v not in ({}, [])}
    return before == after
