"""Objects as rows: what `kubectl get` prints (meta.k8s.io/v1 Table)."""

from typing import Any

from snapshotd.devcluster.apiserver import resources

JsonObject = dict[str, Any]


def render(
    resource: resources.Resource, objects: list[JsonObject], metadata: JsonObject, include: str
) -> JsonObject:
    """Return a Table; `include` is Metadata, Object or None: what each row carries beside cells."""
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [
            {
                "name": column.name,
                "type": column.type,
                "format": column.format,
                "description": column.description,
                "priority": column.priority,
            }
            for column in resource.columns
        ],
        "rows": [_row(resource, obj, include) for obj in objects],
    }


def _row(resource: resources.Resource, obj: JsonObject, include: str) -> JsonObject:
    row: JsonObject = {"cells": [column.cell(obj) for column in resource.columns]}
    if include == "Object":
        row["object"] = obj
    elif include != "None":
        row["object"] = {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": obj["metadata"],
        }
    return row
