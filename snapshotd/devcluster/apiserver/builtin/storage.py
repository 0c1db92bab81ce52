"""The storage group: classes of volumes, and the drivers that are there."""

from typing import Any

from snapshotd.devcluster.apiserver.builtin import behaviour, shapes

JsonObject = dict[str, Any]

GROUP = "storage.k8s.io"
_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def _name(obj: JsonObject) -> str:
    annotations = obj["metadata"].get("annotations") or {}
    name = str(obj["metadata"]["name"])
    return f"{name} (default)" if annotations.get(_DEFAULT) == "true" else name


_KINDS = (
    shapes.Kind(
        "StorageClass",
        "storageclasses",
        {
            "allowVolumeExpansion": shapes.flag("Whether volumes can grow."),
            "allowedTopologies": shapes.listed(
                shapes.anything("A place."), "Where volumes may be."
            ),
            "mountOptions": shapes.strings("Options to mount with."),
            "parameters": shapes.strings_map("What the provisioner wants to be told."),
            "provisioner": shapes.text("Who makes the volumes."),
            "reclaimPolicy": shapes.text("Delete or Retain."),
            "volumeBindingMode": shapes.text("Immediate or WaitForFirstConsumer."),
        },
        "How volumes are made.",
        group=GROUP,
        namespaced=False,
        short_names=("sc",),
        required=("provisioner",),
        printed=(
            ("Provisioner", "string", ".provisioner"),
            ("ReclaimPolicy", "string", ".reclaimPolicy"),
            ("VolumeBindingMode", "string", ".volumeBindingMode"),
            ("AllowVolumeExpansion", "boolean", ".allowVolumeExpansion"),
        ),
        cells={"Name": _name},
        default=behaviour.default_class,
        validate=behaviour.immutable("provisioner", "parameters", "reclaimPolicy"),
    ),
    shapes.Kind(
        "CSIDriver",
        "csidrivers",
        {
            "spec": shapes.struct(
                "What the driver needs.",
                attachRequired=shapes.flag("Whether volumes are attached first."),
                fsGroupPolicy=shapes.text("How ownership of volumes is changed."),
                nodeAllocatableUpdatePeriodSeconds=shapes.number("How often limits are read."),
                podInfoOnMount=shapes.flag("Whether it is told of the pod."),
                requiresRepublish=shapes.flag("Whether volumes are published again and again."),
                seLinuxMount=shapes.flag("Whether it mounts with SELinux contexts."),
                serviceAccountTokenInSecrets=shapes.flag("Whether tokens come as secrets."),
                storageCapacity=shapes.flag("Whether capacity is tracked."),
                tokenRequests=shapes.listed(shapes.anything("A token."), "Tokens it is given."),
                volumeLifecycleModes=shapes.strings("Persistent, Ephemeral or both."),
            )
        },
        "A CSI driver that is installed.",
        group=GROUP,
        namespaced=False,
        printed=(
            ("AttachRequired", "boolean", ".spec.attachRequired"),
            ("PodInfoOnMount", "boolean", ".spec.podInfoOnMount"),
            ("StorageCapacity", "boolean", ".spec.storageCapacity"),
        ),
        default=behaviour.default_csi_driver,
    ),
    shapes.Kind(
        "VolumeAttachment",
        "volumeattachments",
        {"spec": shapes.anything("What is attached."), "status": shapes.anything("How it is.")},
        "Kept, and never acted on.",
        group=GROUP,
        namespaced=False,
        status=True,
    ),
    shapes.Kind(
        "CSINode",
        "csinodes",
        {"spec": shapes.anything("Drivers of the node.")},
        "Kept, and never acted on.",
        group=GROUP,
        namespaced=False,
    ),
)

RESOURCES = tuple(each.resource() for each in _KINDS)
