"""One CustomResourceDefinition: checked, and made into a resource for every version it serves."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from snapshotd.devcluster.apiserver import errors, resources
from snapshotd.devcluster.apiserver.crd import columns, conversion, schema

JsonObject = dict[str, Any]

_VERSION = re.compile(r"v(\d+)((alpha|beta)(\d+))?")


def compile_definition(
    definition: JsonObject, converters: Mapping[str, conversion.Converter] | None = None
) -> list[resources.Resource]:
    """Return a resource for every served version; raises 422 naming what is wrong, and where.

    `converters` stand, by group, for the webhooks that definitions name by their services.
    """
    causes: list[errors.Cause] = []
    spec = definition.get("spec") or {}
    name = definition.get("metadata", {}).get("name", "")
    _check_names(spec, name, causes)
    if causes:
        raise _invalid(name, causes)
    converting = conversion.of(definition, converters or {})
    served = []
    for index, version in enumerate(spec["versions"]):
        if version.get("served"):
            made = _resource(definition, version, f"spec.versions[{index}]", causes)
            served.append(dataclasses.replace(made, conversion=converting))
    if causes:
        raise _invalid(name, causes)
    return served


def _invalid(name: str, causes: list[errors.Cause]) -> errors.ApiError:
    return errors.invalid("apiextensions.k8s.io", "CustomResourceDefinition", name, causes)


def _required(path: str) -> errors.Cause:
    return errors.Cause(path, "FieldValueRequired", "Required value")


def _check_names(spec: JsonObject, name: str, causes: list[errors.Cause]) -> None:
    names = spec.get("names") or {}
    for path, value in (
        ("spec.group", spec.get("group")),
        ("spec.names.plural", names.get("plural")),
        ("spec.names.kind", names.get("kind")),
        ("spec.versions", spec.get("versions")),
    ):
        if not value:
            causes.append(_required(path))
    if spec.get("scope") not in {"Namespaced", "Cluster"}:
        given = spec.get("scope", "")
        text = f'Unsupported value: "{given}": supported values: "Cluster", "Namespaced"'
        causes.append(errors.Cause("spec.scope", "FieldValueNotSupported", text))
    if causes:
        return
    wanted = f"{names['plural']}.{spec['group']}"
    if name != wanted:
        text = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
        causes.append(errors.Cause("metadata.name", "FieldValueInvalid", text))
    stored = [each for each in spec["versions"] if each.get("storage")]
    if len(stored) != 1:
        text = "Invalid value: must have exactly one version marked as storage version"
        causes.append(errors.Cause("spec.versions", "FieldValueInvalid", text))
    for index, version in enumerate(spec["versions"]):
        declared = (version.get("schema") or {}).get("openAPIV3Schema")
        if not isinstance(declared, dict):
            causes.append(_required(f"spec.versions[{index}].schema.openAPIV3Schema"))
    causes += conversion.problems(spec)


def _resource(
    definition: JsonObject, version: JsonObject, path: str, causes: list[errors.Cause]
) -> resources.Resource:
    spec, names = definition["spec"], definition["spec"]["names"]
    compiled = None
    try:
        below = f"{path}.schema.openAPIV3Schema"
        compiled = schema.Structural(version["schema"]["openAPIV3Schema"], below)
    except ValueError as error:
        where, _, text = str(error).partition(": ")
        causes.append(errors.Cause(where, "FieldValueInvalid", text))
    storage = next(each["name"] for each in spec["versions"] if each.get("storage"))
    subresources = version.get("subresources") or {}
    kind, group = names["kind"], spec["group"]
    deprecated = version.get("deprecated")
    return resources.Resource(
        group=group,
        version=version["name"],
        plural=names["plural"],
        singular=names.get("singular") or kind.lower(),
        kind=kind,
        list_kind=names.get("listKind") or f"{kind}List",
        namespaced=spec["scope"] == "Namespaced",
        storage_version=storage,
        short_names=tuple(names.get("shortNames", ())),
        categories=tuple(names.get("categories", ())),
        has_status="status" in subresources,
        has_scale="scale" in subresources,
        schema=compiled,
        columns=columns.of(version.get("additionalPrinterColumns")),
        selectable_fields={
            each["jsonPath"].lstrip("."): columns.text_reader(each["jsonPath"])
            for each in version.get("selectableFields", ())
        },
        deprecation_warning=(
            version.get("deprecationWarning") or f"{group}/{version['name']} {kind} is deprecated"
        )
        if deprecated
        else "",
        custom=True,
    )


def status_of(definition: JsonObject, now: str) -> JsonObject:
    """Return the status of a definition that is served."""
    spec = definition["spec"]
    names = dict(spec["names"])
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", f"{names['kind']}List")
    storage = next(each["name"] for each in spec["versions"] if each.get("storage"))
    before = definition.get("status") or {}
    stored = list(before.get("storedVersions") or [])
    if storage not in stored:
        stored.append(storage)
    since = {each["type"]: each["lastTransitionTime"] for each in before.get("conditions", ())}
    told = {
        "NamesAccepted": ("NoConflicts", "no conflicts found"),
        "Established": ("InitialNamesAccepted", "the initial names have been accepted"),
    }
    return {
        "acceptedNames": names,
        "storedVersions": stored,
        "conditions": [
            {
                "type": type_,
                "status": "True",
                "reason": reason,
                "message": message,
                "lastTransitionTime": since.get(type_, now),
            }
            for type_, (reason, message) in told.items()
        ],
    }


def priority(version: str) -> tuple[int, int, int]:
    """Return what versions are ordered by, the greatest first: v2 > v1 > v1beta2 > v1alpha1."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return (-1, 0, 0)
    stage = {None: 2, "beta": 1, "alpha": 0}[match[3]]
    return (stage, int(match[1]), int(match[4] or 0))
