"""Every string that appears on the wire, and every derived name.

All are the reference implementation's (kubernetes-csi/external-snapshotter, `pkg/utils`), so that
each role can work beside its roles and on its objects.
"""

import functools
import hashlib
import re

SNAPSHOT_GROUP = "snapshot.storage.k8s.io"
SNAPSHOT_API = "snapshot.storage.k8s.io/v1"
GROUP_GROUP = "groupsnapshot.storage.k8s.io"
GROUP_API = "groupsnapshot.storage.k8s.io/v1"

_PREFIX = "snapshot.storage.kubernetes.io"
_GROUP_PREFIX = "groupsnapshot.storage.kubernetes.io"

# Finalizers
CONTENT_FINALIZER = f"{_PREFIX}/volumesnapshotcontent-bound-protection"
SNAPSHOT_BOUND_FINALIZER = f"{_PREFIX}/volumesnapshot-bound-protection"
SNAPSHOT_SOURCE_FINALIZER = f"{_PREFIX}/volumesnapshot-as-source-protection"
SNAPSHOT_GROUP_FINALIZER = f"{_PREFIX}/volumesnapshot-in-group-protection"
CLAIM_FINALIZER = f"{_PREFIX}/pvc-as-source-protection"
GROUP_CONTENT_FINALIZER = f"{_GROUP_PREFIX}/volumegroupsnapshotcontent-bound-protection"
GROUP_BOUND_FINALIZER = f"{_GROUP_PREFIX}/volumegroupsnapshot-bound-protection"

# Annotations and labels
DEFAULT_CLASS_ANNOTATION = f"{_PREFIX}/is-default-class"
BEING_DELETED_ANNOTATION = f"{_PREFIX}/volumesnapshot-being-deleted"
BEING_CREATED_ANNOTATION = f"{_PREFIX}/volumesnapshot-being-created"
DELETION_SECRET_NAME = f"{_PREFIX}/deletion-secret-name"
DELETION_SECRET_NAMESPACE = f"{_PREFIX}/deletion-secret-namespace"
GROUP_HANDLE_ANNOTATION = "groupsnapshot.storage.k8s.io/volumeGroupSnapshotHandle"
GROUP_DEFAULT_CLASS_ANNOTATION = f"{_GROUP_PREFIX}/is-default-class"
GROUP_BEING_DELETED_ANNOTATION = f"{_GROUP_PREFIX}/volumegroupsnapshot-being-deleted"
GROUP_BEING_CREATED_ANNOTATION = f"{_GROUP_PREFIX}/volumegroupsnapshot-being-created"
GROUP_DELETION_SECRET_NAME = f"{_GROUP_PREFIX}/deletion-secret-name"
GROUP_DELETION_SECRET_NAMESPACE = f"{_GROUP_PREFIX}/deletion-secret-namespace"
INFO_LIST_ANNOTATION = f"{_GROUP_PREFIX}/volume-snapshot-info-list"
MANAGED_BY_LABEL = f"{_PREFIX}/managed-by"
# Kubernetes' own, on a claim whose volume an external provisioner has been told to make (the second
# is its older spelling): nothing is provisioned before it is there.
PROVISIONER_ANNOTATIONS = frozenset(
    {"volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"}
)
MARK = "yes"  # the value of all being-... annotations

# Parameters of a class that are for us, not for the driver
RESERVED_PARAMETER_PREFIX = "csi.storage.k8s.io/"
SECRET_NAME_PARAMETER = "csi.storage.k8s.io/snapshotter-secret-name"  # noqa: S105 - a key's name
SECRET_NAMESPACE_PARAMETER = "csi.storage.k8s.io/snapshotter-secret-namespace"  # noqa: S105
LIST_SECRET_NAME_PARAMETER = "csi.storage.k8s.io/snapshotter-list-secret-name"  # noqa: S105
LIST_SECRET_NAMESPACE_PARAMETER = "csi.storage.k8s.io/snapshotter-list-secret-namespace"  # noqa: S105
GROUP_SECRET_NAME_PARAMETER = "csi.storage.k8s.io/group-snapshotter-secret-name"  # noqa: S105
GROUP_SECRET_NAMESPACE_PARAMETER = "csi.storage.k8s.io/group-snapshotter-secret-namespace"  # noqa: S105
GROUP_GET_SECRET_NAME_PARAMETER = "csi.storage.k8s.io/group-snapshotter-get-secret-name"  # noqa: S105
GROUP_GET_SECRET_NAMESPACE_PARAMETER = "csi.storage.k8s.io/group-snapshotter-get-secret-namespace"  # noqa: S105
KNOWN_PARAMETERS = frozenset(
    f"{RESERVED_PARAMETER_PREFIX}{purpose}-{part}"
    for purpose in (
        "snapshotter-secret",
        "snapshotter-list-secret",
        "group-snapshotter-secret",
        "group-snapshotter-get-secret",
    )
    for part in ("name", "namespace")
)

# Words in fields
DELETE = "Delete"
RETAIN = "Retain"
PENDING = "Pending"
BOUND = "Bound"
NORMAL = "Normal"
WARNING = "Warning"

# Leases and event components
CONTROLLER_LEASE = "snapshot-controller-leader"
CONTROLLER_COMPONENT = "snapshot-controller"


# How made names begin
CONTENT_PREFIX = "snapcontent-"
GROUP_CONTENT_PREFIX = "groupsnapcontent-"
_MEMBER_PREFIX = "snapshot-"


def dynamic_content(snapshot_uid: str) -> str:
    """Return the name of the content made for the VolumeSnapshot with this uid."""
    return CONTENT_PREFIX + snapshot_uid


@functools.lru_cache(maxsize=4096)
def member_snapshot(group_uid: str, volume_handle: str) -> str:
    """Return the name of the VolumeSnapshot that a group makes for one of its volumes."""
    digest = hashlib.sha256(f"{group_uid}{volume_handle}".encode()).hexdigest()
    return _MEMBER_PREFIX + digest


def member_content(member: str) -> str:
    """Return the name of the content of a VolumeSnapshot that a group made: they share a digest."""
    return CONTENT_PREFIX + member.removeprefix(_MEMBER_PREFIX)


def member_of_content(content: str) -> str:
    """Return the name of the VolumeSnapshot whose content, made with a group, this is."""
    return _MEMBER_PREFIX + content.removeprefix(CONTENT_PREFIX)


def csi_snapshot(prefix: str, uuid_length: int, snapshot_uid: str) -> str:
    """Return the name a CreateSnapshot call carries: the driver's idempotency key.

    So does a CreateVolumeGroupSnapshot call. `uuid_length` -1 keeps the uid whole, with its dashes;
    0 to 32 keeps that many of its hex digits (the reference's `--snapshot-name-uuid-length`).
    """
    tail = snapshot_uid if uuid_length < 0 else snapshot_uid.replace("-", "")[:uuid_length]
    return f"{prefix}-{tail}"


def sidecar_lease(driver: str) -> str:
    """Return the name of the lease that the sidecars of one driver share."""
    return "external-snapshotter-leader-" + re.sub(r"[^a-zA-Z0-9-]", "-", driver)


def sidecar_component(driver: str) -> str:
    """Return the component that Events of one driver's sidecar name as their source."""
    return f"csi-snapshotter {driver}"
