"""The core group: namespaces, claims, volumes, secrets, config maps, events, nodes and the rest."""

from typing import Any

from snapshotd.devcluster.apiserver.builtin import behaviour, shapes

JsonObject = dict[str, Any]

_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX"}
_MODES["ReadWriteOncePod"] = "RWOP"


def _modes(obj: JsonObject) -> str:
    modes = obj.get("status", {}).get("accessModes") or obj.get("spec", {}).get("accessModes") or ()
    return ",".join(_MODES.get(mode, mode) for mode in modes)


def _claim_modes(obj: JsonObject) -> str:
    return _modes(obj) if obj.get("spec", {}).get("volumeName") else ""


def _claim_status(obj: JsonObject) -> str:
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    return str(obj.get("status", {}).get("phase", ""))


def _volume_claim(obj: JsonObject) -> str:
    claim = obj.get("spec", {}).get("claimRef")
    return f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""


def _data(obj: JsonObject) -> int:
    return len(obj.get("data") or {}) + len(obj.get("binaryData") or {})


_TYPED_REFERENCE = {
    "apiGroup": shapes.text("Group of the object; empty for the core group."),
    "kind": shapes.text("Kind of the object."),
    "name": shapes.text("Name of the object."),
}
_SELECTOR = shapes.struct(
    "Labels that volumes must have.",
    matchExpressions=shapes.listed(
        shapes.struct(
            "One requirement.",
            ("key", "operator"),
            key=shapes.text("Key of the label."),
            operator=shapes.text("In, NotIn, Exists or DoesNotExist."),
            values=shapes.strings("Values of the label."),
        ),
        "Requirements, all of which must hold.",
    ),
    matchLabels=shapes.strings_map("Labels, all of which must be there."),
)
_RESOURCES = shapes.struct(
    "Amounts asked for.",
    limits=shapes.mapped(shapes.quantity("An amount."), "The most."),
    requests=shapes.mapped(shapes.quantity("An amount."), "The least; `storage` is the size."),
)
_CONDITION = shapes.struct(
    "One observation.",
    ("type", "status"),
    type=shapes.text("What is observed."),
    status=shapes.text("True, False or Unknown."),
    reason=shapes.text("Why, in one word."),
    message=shapes.text("Why, for people."),
    lastProbeTime=shapes.moment("When it was last looked at."),
    lastTransitionTime=shapes.moment("When it last changed."),
)

_CLAIM = shapes.Kind(
    "PersistentVolumeClaim",
    "persistentvolumeclaims",
    {
        "spec": shapes.struct(
            "What volume is asked for.",
            accessModes=shapes.strings("How the volume may be used, e.g. ReadWriteOnce."),
            dataSource=shapes.struct(
                "What the volume is filled from: a VolumeSnapshot or another claim.",
                ("kind", "name"),
                **_TYPED_REFERENCE,
            ),
            dataSourceRef=shapes.struct(
                "As dataSource, for any kind of object, also of another namespace.",
                ("kind", "name"),
                **_TYPED_REFERENCE,
                namespace=shapes.text("Namespace of the object."),
            ),
            resources=_RESOURCES,
            selector=_SELECTOR,
            storageClassName=shapes.text("Name of the StorageClass."),
            volumeAttributesClassName=shapes.text("Name of the VolumeAttributesClass."),
            volumeMode=shapes.text("Filesystem or Block."),
            volumeName=shapes.text("Name of the PersistentVolume it is bound to."),
        ),
        "status": shapes.struct(
            "What volume there is.",
            accessModes=shapes.strings("How the volume may be used."),
            allocatedResources=shapes.mapped(shapes.quantity("An amount."), "Amounts reserved."),
            capacity=shapes.mapped(shapes.quantity("An amount."), "Amounts the volume has."),
            conditions=shapes.listed(_CONDITION, "Observations.", "type"),
            phase=shapes.text("Pending, Bound or Lost."),
        ),
    },
    "A user's request for a volume.",
    short_names=("pvc",),
    status=True,
    printed=(
        ("Status", "string", ".status.phase"),
        ("Volume", "string", ".spec.volumeName"),
        ("Capacity", "string", ".status.capacity.storage"),
        ("Access Modes", "string", ".spec.accessModes"),
        ("StorageClass", "string", ".spec.storageClassName"),
    ),
    merge_keys={"status.conditions": "type"},
    cells={"Access Modes": _claim_modes, "Status": _claim_status},
    default=behaviour.default_claim,
    validate=behaviour.check_claim,
)

_AFFINITY = shapes.anything("Where the volume can be used: a NodeSelector under `required`.")
_VOLUME = shapes.Kind(
    "PersistentVolume",
    "persistentvolumes",
    {
        "spec": shapes.struct(
            "What the volume is.",
            accessModes=shapes.strings("How the volume may be used."),
            capacity=shapes.mapped(shapes.quantity("An amount."), "Amounts the volume has."),
            claimRef=shapes.reference("The claim the volume is bound to."),
            csi=shapes.struct(
                "A volume of a CSI driver.",
                ("driver", "volumeHandle"),
                driver=shapes.text("Name of the driver."),
                volumeHandle=shapes.text("The driver's name for the volume."),
                fsType=shapes.text("File system to mount."),
                readOnly=shapes.flag("Whether it is only read."),
                volumeAttributes=shapes.strings_map("What the driver wants to be told."),
                controllerPublishSecretRef=shapes.anything("Secret for attaching."),
                controllerExpandSecretRef=shapes.anything("Secret for growing."),
                nodeExpandSecretRef=shapes.anything("Secret for growing on the node."),
                nodePublishSecretRef=shapes.anything("Secret for mounting."),
                nodeStageSecretRef=shapes.anything("Secret for staging."),
            ),
            hostPath=shapes.anything("A folder of the node."),
            local=shapes.anything("A disk of one node."),
            nfs=shapes.anything("A folder of an NFS server."),
            iscsi=shapes.anything("A disk of an iSCSI target."),
            fc=shapes.anything("A disk of a Fibre Channel target."),
            rbd=shapes.anything("An image of a Ceph cluster."),
            cephfs=shapes.anything("A folder of a Ceph cluster."),
            mountOptions=shapes.strings("Options to mount with."),
            nodeAffinity=_AFFINITY,
            persistentVolumeReclaimPolicy=shapes.text("Delete, Retain or Recycle."),
            storageClassName=shapes.text("Name of the StorageClass."),
            volumeAttributesClassName=shapes.text("Name of the VolumeAttributesClass."),
            volumeMode=shapes.text("Filesystem or Block."),
        ),
        "status": shapes.struct(
            "How the volume is.",
            phase=shapes.text("Pending, Available, Bound, Released or Failed."),
            message=shapes.text("Why, for people."),
            reason=shapes.text("Why, in one word."),
            lastPhaseTransitionTime=shapes.moment("When the phase last changed."),
        ),
    },
    "A volume on some storage system.",
    namespaced=False,
    short_names=("pv",),
    status=True,
    printed=(
        ("Capacity", "string", ".spec.capacity.storage"),
        ("Access Modes", "string", ".spec.accessModes"),
        ("Reclaim Policy", "string", ".spec.persistentVolumeReclaimPolicy"),
        ("Status", "string", ".status.phase"),
        ("Claim", "string", ".spec.claimRef"),
        ("StorageClass", "string", ".spec.storageClassName"),
        ("Reason", "string", ".status.reason"),
    ),
    cells={"Access Modes": _modes, "Claim": _volume_claim, "Status": _claim_status},
    default=behaviour.default_volume,
    validate=behaviour.check_volume,
)

_EVENT_FIELDS = {
    "action": shapes.text("What was done."),
    "count": shapes.number("How often it happened."),
    "eventTime": {"type": "string", "nullable": True, "description": "When it was first seen."},
    "firstTimestamp": {"type": "string", "nullable": True, "description": "The first time."},
    "involvedObject": shapes.reference("What it is about."),
    "lastTimestamp": {"type": "string", "nullable": True, "description": "The last time."},
    "message": shapes.text("What happened, for people."),
    "reason": shapes.text("What happened, in one word."),
    "related": shapes.reference("What else it is about."),
    "reportingComponent": shapes.text("Who tells."),
    "reportingInstance": shapes.text("Which one of them."),
    "series": shapes.anything("How it goes on."),
    "source": shapes.struct(
        "Who tells.", component=shapes.text("Which part."), host=shapes.text("On which node.")
    ),
    "type": shapes.text("Normal or Warning."),
}

_KINDS = (
    shapes.Kind(
        "Namespace",
        "namespaces",
        {
            "spec": shapes.struct("How it ends.", finalizers=shapes.strings("What holds it.")),
            "status": shapes.struct(
                "How it is.",
                phase=shapes.text("Active or Terminating."),
                conditions=shapes.listed(_CONDITION, "Observations.", "type"),
            ),
        },
        "A scope for names.",
        namespaced=False,
        short_names=("ns",),
        status=True,
        printed=(("Status", "string", ".status.phase"),),
        selectable=("status.phase",),
        default=behaviour.default_namespace,
    ),
    _CLAIM,
    _VOLUME,
    shapes.Kind(
        "Secret",
        "secrets",
        {
            "data": shapes.mapped({"type": "string", "format": "byte"}, "Values, in base64."),
            "stringData": shapes.strings_map("Values as text: written into data, never read."),
            "immutable": shapes.flag("Whether data never changes."),
            "type": shapes.text("What the values are for."),
        },
        "Values that not everybody may see.",
        printed=(("Type", "string", ".type"), ("Data", "integer", ".data")),
        selectable=("type",),
        cells={"Data": _data},
        default=behaviour.default_secret,
        validate=behaviour.check_frozen,
    ),
    shapes.Kind(
        "ConfigMap",
        "configmaps",
        {
            "data": shapes.strings_map("Values as text."),
            "binaryData": shapes.mapped({"type": "string", "format": "byte"}, "Values, in base64."),
            "immutable": shapes.flag("Whether data never changes."),
        },
        "Values for programs.",
        short_names=("cm",),
        printed=(("Data", "integer", ".data"),),
        cells={"Data": _data},
        validate=behaviour.check_frozen,
    ),
    shapes.Kind(
        "Event",
        "events",
        _EVENT_FIELDS,
        "Something that happened to an object.",
        short_names=("ev",),
        printed=(
            ("Last Seen", "date", ".lastTimestamp"),
            ("Type", "string", ".type"),
            ("Reason", "string", ".reason"),
            ("Object", "string", ".involvedObject"),
            ("Message", "string", ".message"),
        ),
        cells={
            "Object": lambda obj: (
                f"{obj.get('involvedObject', {}).get('kind', '').lower()}/"
                f"{obj.get('involvedObject', {}).get('name', '')}"
            )
        },
        selectable=(
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ),
    ),
    shapes.Kind(
        "Node",
        "nodes",
        {"spec": shapes.anything("What it is."), "status": shapes.anything("How it is.")},
        "A machine of the cluster.",
        namespaced=False,
        short_names=("no",),
        status=True,
        selectable=("spec.unschedulable",),
        merge_keys={"spec.taints": "key", "status.conditions": "type", "status.addresses": "type"},
    ),
    shapes.Kind(
        "ServiceAccount",
        "serviceaccounts",
        {
            "automountServiceAccountToken": shapes.flag("Whether pods get a token."),
            "imagePullSecrets": shapes.listed(shapes.anything("A secret."), "To pull images."),
            "secrets": shapes.listed(shapes.reference("A secret."), "Secrets of the account."),
        },
        "Who a program is.",
        short_names=("sa",),
        merge_keys={"secrets": "name", "imagePullSecrets": "name"},
    ),
    shapes.Kind(
        "Pod",
        "pods",
        {"spec": shapes.anything("What runs."), "status": shapes.anything("How it runs.")},
        "Kept, and never run: there is no kubelet here.",
        short_names=("po",),
        status=True,
        printed=(("Status", "string", ".status.phase"),),
        selectable=("spec.nodeName", "status.phase"),
        merge_keys={"spec.containers": "name", "spec.volumes": "name", "status.conditions": "type"},
    ),
    shapes.Kind(
        "ResourceQuota",
        "resourcequotas",
        {"spec": shapes.anything("The most."), "status": shapes.anything("What is used.")},
        "Kept, and never enforced.",
        short_names=("quota",),
        status=True,
    ),
    shapes.Kind(
        "LimitRange",
        "limitranges",
        {"spec": shapes.anything("The limits.")},
        "Kept, and never enforced.",
        short_names=("limits",),
    ),
)

RESOURCES = tuple(each.resource() for each in _KINDS)
