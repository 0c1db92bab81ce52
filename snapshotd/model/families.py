"""Single snapshots and group snapshots: one set of rules, two sets of words.

A VolumeGroupSnapshot is to its content and class what a VolumeSnapshot is to its own: bound one to
one, guarded by finalizers, cut and deleted by a driver. What differs between the two are words on
the wire, and here they are, side by side; so no rule is written twice.
"""

from typing import ClassVar, Final

import msgspec

from snapshotd.model import keys, meta, names


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """The words of one family; `named` is how its objects' kinds, and event reasons, begin."""

    named: str
    api_version: str
    snapshot_kind: keys.Kind
    content_kind: keys.Kind
    class_kind: keys.Kind
    content_finalizer: str
    being_created: str
    being_deleted: str
    secret_name: str
    secret_namespace: str
    default_class: str
    content_prefix: str

    @property
    def noun(self) -> str:
        """Return what its snapshots are called in messages."""
        return "snapshot" if self is SINGLE else "group snapshot"

    @property
    def api_group(self) -> str:
        """Return the API group."""
        return self.api_version.partition("/")[0]

    @property
    def kinds(self) -> frozenset[keys.Kind]:
        """Return the kinds of its three objects."""
        return frozenset({self.snapshot_kind, self.content_kind, self.class_kind})

    def dynamic_content(self, uid: str) -> str:
        """Return the name of the content made for the snapshot with this uid."""
        return self.content_prefix + uid

    def content_key(self, name: str) -> keys.Key:
        """Return the key of the content of this name."""
        return keys.Key(self.content_kind, "", name)

    def class_key(self, name: str) -> keys.Key:
        """Return the key of the class of this name."""
        return keys.Key(self.class_kind, "", name)


SINGLE: Final = Family(
    named="Snapshot",
    api_version=names.SNAPSHOT_API,
    snapshot_kind=keys.Kind.VOLUME_SNAPSHOT,
    content_kind=keys.Kind.VOLUME_SNAPSHOT_CONTENT,
    class_kind=keys.Kind.VOLUME_SNAPSHOT_CLASS,
    content_finalizer=names.CONTENT_FINALIZER,
    being_created=names.BEING_CREATED_ANNOTATION,
    being_deleted=names.BEING_DELETED_ANNOTATION,
    secret_name=names.DELETION_SECRET_NAME,
    secret_namespace=names.DELETION_SECRET_NAMESPACE,
    default_class=names.DEFAULT_CLASS_ANNOTATION,
    content_prefix=names.CONTENT_PREFIX,
)
GROUP: Final = Family(
    named="GroupSnapshot",
    api_version=names.GROUP_API,
    snapshot_kind=keys.Kind.VOLUME_GROUP_SNAPSHOT,
    content_kind=keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT,
    class_kind=keys.Kind.VOLUME_GROUP_SNAPSHOT_CLASS,
    content_finalizer=names.GROUP_CONTENT_FINALIZER,
    being_created=names.GROUP_BEING_CREATED_ANNOTATION,
    being_deleted=names.GROUP_BEING_DELETED_ANNOTATION,
    secret_name=names.GROUP_DELETION_SECRET_NAME,
    secret_namespace=names.GROUP_DELETION_SECRET_NAMESPACE,
    default_class=names.GROUP_DEFAULT_CLASS_ANNOTATION,
    content_prefix=names.GROUP_CONTENT_PREFIX,
)


class Content(meta.Model, frozen=True, gc=False):
    """What the contents of both families carry alike: the marks on them."""

    family: ClassVar[Family]

    metadata: meta.ObjectMeta

    @property
    def deletion_meant(self) -> bool:
        """Say whether it carries the being-deleted mark: its snapshot, or group, goes, too."""
        return self.metadata.annotations.get(self.family.being_deleted) == names.MARK

    @property
    def being_created(self) -> bool:
        """Say whether it carries the being-created mark: a cut began, and may not have ended."""
        return self.family.being_created in self.metadata.annotations
