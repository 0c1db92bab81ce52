"""VolumeGroupSnapshot, as far as its members' deletion needs it: that it is there.

API group groupsnapshot.storage.k8s.io, version v1; not every cluster has its definition.
"""

from snapshotd.model import keys, meta


class VolumeGroupSnapshot(meta.Model, frozen=True, gc=False):
    """A user's request for snapshots of several volumes at one point in time."""

    metadata: meta.ObjectMeta

    @property
    def key(self) -> keys.Key:
        """Return the key of this object."""
        return group_key(self.metadata.namespace, self.metadata.name)


def group_key(namespace: str, name: str) -> keys.Key:
    """Return the key of the VolumeGroupSnapshot of this name."""
    return keys.Key(keys.Kind.VOLUME_GROUP_SNAPSHOT, namespace, name)
