"""What the embedded API server holds from the start: definitions, and classes of the driver.

The definitions are those of `config/crd`, which the wheel carries too; what a user changed since is
left alone.
"""

from pathlib import Path
from typing import Any

import yaml

from snapshotd import errors
from snapshotd.devcluster.apiserver import errors as answers
from snapshotd.devcluster.apiserver import requests, server
from snapshotd.devcluster.hostpath import server as hostpath
from snapshotd.model import conversion, names

# What `snapshotd webhook` does in a cluster is done in the API server's own process here.
CONVERTERS = {names.GROUP_GROUP: conversion.review}
_CONVERTED = f"volumegroupsnapshotcontents.{names.GROUP_GROUP}"
_CONVERSION: dict[str, Any] = {
    "strategy": "Webhook",
    "webhook": {
        "clientConfig": {"service": {"namespace": "snapshotd", "name": "webhook"}},
        "conversionReviewVersions": ["v1"],
    },
}

STORAGE_CLASS = "csi-hostpath-sc"
SNAPSHOT_CLASS = "csi-hostpath-snapclass"
GROUP_CLASS = "csi-hostpath-groupsnapclass"

_SEEDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "storage.k8s.io",
        "storageclasses",
        {
            "metadata": {
                "name": STORAGE_CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": hostpath.NAME,
        },
    ),
    (
        "storage.k8s.io",
        "csidrivers",
        {"metadata": {"name": hostpath.NAME}, "spec": {"attachRequired": False}},
    ),
    (
        names.SNAPSHOT_GROUP,
        "volumesnapshotclasses",
        {
            "metadata": {
                "name": SNAPSHOT_CLASS,
                "annotations": {names.DEFAULT_CLASS_ANNOTATION: "true"},
            },
            "driver": hostpath.NAME,
            "deletionPolicy": names.DELETE,
        },
    ),
    (
        names.GROUP_GROUP,
        "volumegroupsnapshotclasses",
        {
            "metadata": {
                "name": GROUP_CLASS,
                "annotations": {names.GROUP_DEFAULT_CLASS_ANNOTATION: "true"},
            },
            "driver": hostpath.NAME,
            "deletionPolicy": names.DELETE,
        },
    ),
)


def config_folder() -> Path:
    """Return where the definitions are: in the wheel, or in the source tree."""
    package = Path(__file__).parent.parent
    for folder in (package / "_config", package.parent / "config"):
        if (folder / "crd").is_dir():
            return folder
    raise errors.Misconfigured(
        "the definitions of the snapshot API are missing from this installation: install snapshotd "
        "again"
    )


async def plant(serving: server.ApiServer) -> None:
    """Bring what is not there yet."""
    for path in sorted((config_folder() / "crd").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document and document.get("kind") == "CustomResourceDefinition":
                if document["metadata"]["name"] == _CONVERTED:
                    document["spec"].setdefault("conversion", _CONVERSION)
                _bring(serving, "apiextensions.k8s.io", "customresourcedefinitions", document)
    for group, plural, obj in _SEEDS:
        _bring(serving, group, plural, obj)


def _bring(serving: server.ApiServer, group: str, plural: str, obj: dict[str, Any]) -> None:
    resource = serving.registry.find(group, "v1", plural)
    if resource is None:
        raise errors.Misconfigured(f"the embedded API server does not serve {plural}.{group}")
    request = requests.Request(resource, "", "", "", {}, "snapshotd-dev")
    try:
        serving.writes.create(request, obj)
    except answers.ApiError as error:
        if error.reason != "AlreadyExists":
            raise errors.Misconfigured(f"cannot seed {plural}: {error.message}") from error
