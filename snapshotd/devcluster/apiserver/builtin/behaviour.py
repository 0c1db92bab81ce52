"""What built-in kinds do beyond their schemas: defaults that depend, fields that may not change."""

import base64
from collections.abc import Callable
from typing import Any

from snapshotd.devcluster.apiserver import errors

JsonObject = dict[str, Any]


def _forbidden(path: str, why: str) -> errors.Cause:
    return errors.Cause(path, "FieldValueForbidden", f"Forbidden: {why}")


def _required(path: str, why: str = "") -> errors.Cause:
    text = f"Required value: {why}" if why else "Required value"
    return errors.Cause(path, "FieldValueRequired", text)


def immutable(*paths: str) -> Callable[[JsonObject, JsonObject | None], list[errors.Cause]]:
    """Return the check that these top-level fields never change."""

    def check(obj: JsonObject, old: JsonObject | None) -> list[errors.Cause]:
        if old is None:
            return []
        return [
            _forbidden(path, f"updates to {path} are forbidden.")
            for path in paths
            if obj.get(path) != old.get(path)
        ]

    return check


def default_claim(obj: JsonObject) -> None:
    """Have a claim be of a file system, and begin Pending."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    obj.setdefault("status", {}).setdefault("phase", "Pending")
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source and not reference:
        spec["dataSourceRef"] = dict(source)
    elif reference and not source and not reference.get("namespace"):
        spec["dataSource"] = dict(reference)


def check_claim(obj: JsonObject, old: JsonObject | None) -> list[errors.Cause]:
    """Check that a claim says what it needs, and once made only grows or is bound."""
    spec = obj.get("spec") or {}
    causes = []
    if not spec.get("accessModes"):
        causes.append(_required("spec.accessModes", "at least 1 access mode is required"))
    if "storage" not in ((spec.get("resources") or {}).get("requests") or {}):
        causes.append(_required("spec.resources[storage]"))
    if old is not None:
        before, after = dict(old["spec"]), dict(spec)
        if not before.get("volumeName"):
            before.pop("volumeName", None)
            after.pop("volumeName", None)
        for each in (before, after):
            each.pop("resources", None)
            each.pop("volumeAttributesClassName", None)
            if not old["spec"].get("storageClassName"):
                each.pop("storageClassName", None)
        if before != after:
            why = (
                "spec is immutable after creation except resources.requests and "
                "volumeAttributesClassName for bound claims"
            )
            causes.append(_forbidden("spec", why))
    return causes


def default_volume(obj: JsonObject) -> None:
    """Have a volume be of a file system, be kept, and begin Pending."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    obj.setdefault("status", {}).setdefault("phase", "Pending")
    reference = spec.get("claimRef")
    if isinstance(reference, dict):
        reference.setdefault("apiVersion", "v1")
        reference.setdefault("kind", "PersistentVolumeClaim")


_NOT_SOURCES = {
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
}


def check_volume(obj: JsonObject, old: JsonObject | None) -> list[errors.Cause]:
    """Check that a volume has one source, for good."""
    spec = obj.get("spec") or {}
    needed = ("accessModes", "capacity")
    causes = [_required(f"spec.{field}") for field in needed if not spec.get(field)]
    sources = {name: value for name, value in spec.items() if name not in _NOT_SOURCES}
    if not sources:
        causes.append(_required("spec", "must specify a volume type"))
    elif len(sources) > 1:
        causes.append(_forbidden("spec", "may not specify more than 1 volume type"))
    if old is not None:
        before = {name: v for name, v in old["spec"].items() if name not in _NOT_SOURCES}
        if before != sources:
            why = "spec.persistentvolumesource is immutable after creation"
            causes.append(_forbidden("spec.persistentvolumesource", why))
    return causes


def default_secret(obj: JsonObject) -> None:
    """Have a secret be Opaque; keep what was given as text encoded."""
    obj.setdefault("type", "Opaque")
    given = obj.pop("stringData", None)
    if isinstance(given, dict):
        data = obj.setdefault("data", {})
        for name, value in given.items():
            data[name] = base64.b64encode(str(value).encode()).decode()


def check_frozen(obj: JsonObject, old: JsonObject | None) -> list[errors.Cause]:
    """Check that what is immutable stays as it is, and that a Secret keeps its type."""
    if old is None:
        return []
    causes = []
    if obj.get("type") != old.get("type"):
        text = "Invalid value: field is immutable"
        causes.append(errors.Cause("type", "FieldValueInvalid", text))
    if old.get("immutable"):
        why = "field is immutable when `immutable` is set"
        changed = [field for field in ("data", "binaryData") if obj.get(field) != old.get(field)]
        causes += [_forbidden(field, why) for field in changed]
    return causes


def default_namespace(obj: JsonObject) -> None:
    """Have a namespace be Active and carry its name as a label."""
    metadata = obj["metadata"]
    if metadata.get("name"):
        labels = metadata.get("labels") or {}
        metadata["labels"] = {**labels, "kubernetes.io/metadata.name": metadata["name"]}
    obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    obj.setdefault("status", {}).setdefault("phase", "Active")


def default_class(obj: JsonObject) -> None:
    """Have a storage class delete its volumes and bind at once."""
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def default_csi_driver(obj: JsonObject) -> None:
    """Have a driver need attaching, and nothing else."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("attachRequired", True)
    for field in ("podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"):
        spec.setdefault(field, False)
    spec.setdefault("fsGroupPolicy", "ReadWriteOnceWithFSType")
    spec.setdefault("volumeLifecycleModes", ["Persistent"])
