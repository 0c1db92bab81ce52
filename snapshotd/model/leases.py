"""The Lease, by which replicas agree on one leader (coordination.k8s.io/v1)."""

from snapshotd.model import keys, meta


class LeaseSpec(meta.Model, frozen=True, gc=False):
    """Who holds it and until when; times are RFC 3339 with microseconds (MicroTime), in UTC."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(meta.Model, frozen=True, gc=False):
    """One lease."""

    metadata: meta.ObjectMeta
    spec: LeaseSpec = LeaseSpec()

    @property
    def key(self) -> keys.Key:
        """Return the key of this object."""
        return keys.Key(keys.Kind.LEASE, self.metadata.namespace, self.metadata.name)
