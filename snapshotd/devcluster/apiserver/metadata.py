"""The metadata of every object: what a client may set, what only the server sets, what is refused.

The rules are those of apimachinery's `ValidateObjectMeta` and of the generic registry's create and
update strategies; the messages too, since clients match them.
"""

import re
import secrets
import uuid
from typing import Any

from snapshotd.devcluster.apiserver import errors, resources

JsonObject = dict[str, Any]

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_ANNOTATIONS_LIMIT = 256 * 1024
_ANY_PATH_SEGMENT = re.compile(r"(?!\.\.?$)[^/%]+")
_FREE_NAMES = {
    ("rbac.authorization.k8s.io", "roles"),
    ("rbac.authorization.k8s.io", "rolebindings"),
}

_NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character"
)


def of(obj: JsonObject) -> JsonObject:
    """Return the object's metadata, made if it has none; raises 400 if it is no object."""
    metadata = obj.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise errors.bad_request("metadata must be an object")
    return metadata


def begin(obj: JsonObject, now: str) -> None:
    """Give a new object what only the server gives."""
    metadata = of(obj)
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"):
        metadata.pop(field, None)
    if not metadata.get("name") and metadata.get("generateName"):
        suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(5))
        metadata["name"] = f"{metadata['generateName'][:58]}{suffix}"
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = now


def keep(old: JsonObject, new: JsonObject) -> None:
    """Carry over what no update changes, whatever the client sent."""
    before, after = of(old), of(new)
    for field in (
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "selfLink",
        "generateName",
    ):
        if field in before:
            after[field] = before[field]
        else:
            after.pop(field, None)
    after.setdefault("uid", before["uid"])
    after.setdefault("name", before["name"])
    if "namespace" in before:
        after.setdefault("namespace", before["namespace"])
    after["resourceVersion"] = before["resourceVersion"]


def problems(
    resource: resources.Resource, obj: JsonObject, old: JsonObject | None
) -> list[errors.Cause]:
    """Return everything that is wrong with an object's metadata."""
    metadata = of(obj)
    found: list[errors.Cause] = []
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        text = "Required value: name or generateName is required"
        found.append(errors.Cause("metadata.name", "FieldValueRequired", text))
    elif old is None and not _is_name(resource, name):
        text = f'Invalid value: "{name}": {_NAME_RULE}'
        found.append(errors.Cause("metadata.name", "FieldValueInvalid", text))
    found += _maps(metadata)
    found += _lists(metadata)
    if old is not None:
        found += _changes(of(old), metadata)
    return found


def _is_name(resource: resources.Resource, name: str) -> bool:
    if resource.group == "rbac.authorization.k8s.io":
        return _ANY_PATH_SEGMENT.fullmatch(name) is not None
    return len(name) <= 253 and _SUBDOMAIN.fullmatch(name) is not None


def _is_qualified(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and not (prefix and len(prefix) <= 253 and _SUBDOMAIN.fullmatch(prefix)):
        return False
    return 0 < len(name) <= 63 and _QUALIFIED.fullmatch(name) is not None


def _maps(metadata: JsonObject) -> list[errors.Cause]:
    found: list[errors.Cause] = []
    for field in ("labels", "annotations"):
        values = metadata.get(field)
        if values is None:
            metadata.pop(field, None)
            continue
        if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
            raise errors.bad_request(f"metadata.{field} must be a map of strings")
        for key, value in values.items():
            checked = key if field == "labels" else key.lower()
            if not _is_qualified(checked):
                text = f'Invalid value: "{key}": name part must consist of alphanumeric characters'
                found.append(errors.Cause(f"metadata.{field}", "FieldValueInvalid", text))
            if field == "labels" and not (len(value) <= 63 and _LABEL_VALUE.fullmatch(value)):
                text = f'Invalid value: "{value}": a valid label must be an empty string or consist'
                text += " of alphanumeric characters, '-', '_' or '.'"
                found.append(errors.Cause("metadata.labels", "FieldValueInvalid", text))
    size = sum(len(k) + len(v) for k, v in (metadata.get("annotations") or {}).items())
    if size > _ANNOTATIONS_LIMIT:
        text = f"Too long: may not be more than {_ANNOTATIONS_LIMIT} bytes"
        found.append(errors.Cause("metadata.annotations", "FieldValueTooLong", text))
    return found


def _lists(metadata: JsonObject) -> list[errors.Cause]:
    found: list[errors.Cause] = []
    finalizers = metadata.get("finalizers")
    if finalizers is None:
        metadata.pop("finalizers", None)
    elif not isinstance(finalizers, list) or not all(isinstance(f, str) for f in finalizers):
        raise errors.bad_request("metadata.finalizers must be a list of strings")
    else:
        for index, finalizer in enumerate(finalizers):
            if not _is_qualified(finalizer):
                text = f'Invalid value: "{finalizer}": name part must consist of alphanumeric'
                text += " characters, '-', '_' or '.'"
                path = f"metadata.finalizers[{index}]"
                found.append(errors.Cause(path, "FieldValueInvalid", text))
    if not metadata.get("ownerReferences", True):
        metadata.pop("ownerReferences")
    for index, owner in enumerate(metadata.get("ownerReferences") or ()):
        if not isinstance(owner, dict):
            raise errors.bad_request("metadata.ownerReferences must be a list of objects")
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                path = f"metadata.ownerReferences[{index}].{field}"
                text = "Invalid value: must not be empty"
                found.append(errors.Cause(path, "FieldValueInvalid", text))
    return found


def _changes(before: JsonObject, after: JsonObject) -> list[errors.Cause]:
    found: list[errors.Cause] = []
    for field in ("name", "namespace", "uid"):
        if before.get(field) != after.get(field):
            text = f'Invalid value: "{after.get(field)}": field is immutable'
            found.append(errors.Cause(f"metadata.{field}", "FieldValueInvalid", text))
    if "deletionTimestamp" in before:
        added = set(after.get("finalizers") or ()) - set(before.get("finalizers") or ())
        if added:
            listed = ", ".join(f'"{each}"' for each in sorted(added))
            text = (
                "Forbidden: no new finalizers can be added if the object is being deleted, found "
                f"new finalizers [{listed}]"
            )
            found.append(errors.Cause("metadata.finalizers", "FieldValueForbidden", text))
    return found
