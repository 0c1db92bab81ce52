"""PersistentVolumeClaim, PersistentVolume, StorageClass and Node, the fields we read.

Owned by others (users, the provisioner, kubelet): of all these we only ever write a claim's
finalizer.
"""

import msgspec

from snapshotd.model import keys, meta


class ResourceRequirements(meta.Model, frozen=True, gc=False):
    """What a claim asks for: Quantities by resource name, `storage` being the one that counts."""

    requests: dict[str, str | int] = msgspec.field(default_factory=dict)


class ClaimSpec(meta.Model, frozen=True, gc=False):
    """What the user asks for; `data_source_ref` wins where both data sources are set."""

    volume_name: str = ""
    storage_class_name: str | None = None
    volume_mode: str | None = None
    access_modes: tuple[str, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    data_source: meta.TypedReference | None = None
    data_source_ref: meta.TypedReference | None = None


class ClaimStatus(meta.Model, frozen=True, gc=False):
    """`phase` is Pending, Bound or Lost."""

    phase: str = ""


class PersistentVolumeClaim(meta.Model, frozen=True, gc=False):
    """A user's request for a volume."""

    metadata: meta.ObjectMeta
    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()

    @property
    def key(self) -> keys.Key:
        """Return the key of this object."""
        return claim_key(self.metadata.namespace, self.metadata.name)


class CsiVolumeSource(meta.Model, frozen=True, gc=False):
    """The driver and its name for the volume."""

    driver: str
    volume_handle: str


class NodeSelectorRequirement(meta.Model, frozen=True, gc=False):
    """`operator` is In, NotIn, Exists, DoesNotExist, Gt or Lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class NodeSelectorTerm(meta.Model, frozen=True, gc=False):
    """All requirements must hold."""

    match_expressions: tuple[NodeSelectorRequirement, ...] = ()
    match_fields: tuple[NodeSelectorRequirement, ...] = ()


class NodeSelector(meta.Model, frozen=True, gc=False):
    """Any term may hold."""

    node_selector_terms: tuple[NodeSelectorTerm, ...] = ()


class VolumeNodeAffinity(meta.Model, frozen=True, gc=False):
    """Where a volume can be used from."""

    required: NodeSelector | None = None


class VolumeSpec(meta.Model, frozen=True, gc=False):
    """What the volume is, and whose; `csi` is absent for volumes of other kinds."""

    csi: CsiVolumeSource | None = None
    capacity: dict[str, str | int] = msgspec.field(default_factory=dict)
    access_modes: tuple[str, ...] = ()
    claim_ref: meta.ObjectReference | None = None
    volume_mode: str | None = None
    storage_class_name: str = ""
    persistent_volume_reclaim_policy: str = "Retain"
    node_affinity: VolumeNodeAffinity | None = None


class VolumeStatus(meta.Model, frozen=True, gc=False):
    """`phase` is Pending, Available, Bound, Released or Failed."""

    phase: str = ""


class PersistentVolume(meta.Model, frozen=True, gc=False):
    """A volume on some storage system."""

    metadata: meta.ObjectMeta
    spec: VolumeSpec = VolumeSpec()
    status: VolumeStatus = VolumeStatus()

    @property
    def key(self) -> keys.Key:
        """Return the key of this object."""
        return volume_key(self.metadata.name)


class StorageClass(meta.Model, frozen=True, gc=False):
    """How volumes of one provisioner are made and reclaimed."""

    metadata: meta.ObjectMeta
    provisioner: str
    parameters: dict[str, str] = msgspec.field(default_factory=dict)
    reclaim_policy: str = "Delete"
    volume_binding_mode: str = "Immediate"

    @property
    def key(self) -> keys.Key:
        """Return the key of this object."""
        return keys.Key(keys.Kind.STORAGE_CLASS, "", self.metadata.name)


class Node(meta.Model, frozen=True, gc=False):
    """A node, as distributed snapshotting needs it: its labels alone."""

    metadata: meta.ObjectMeta

    @property
    def key(self) -> keys.Key:
        """Return the key of this object."""
        return keys.Key(keys.Kind.NODE, "", self.metadata.name)


def claim_key(namespace: str, name: str) -> keys.Key:
    """Return the key of the PersistentVolumeClaim of this name."""
    return keys.Key(keys.Kind.CLAIM, namespace, name)


def volume_key(name: str) -> keys.Key:
    """Return the key of the PersistentVolume of this name."""
    return keys.Key(keys.Kind.VOLUME, "", name)
