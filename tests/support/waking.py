"""Which keys a change wakes, among objects that are cached."""

from collections.abc import KeysView

import objects

from snapshotd.actors import roles
from snapshotd.decide import routing
from snapshotd.model import keys, wire
from snapshotd.runtime import store


def cache(*held: wire.Object) -> store.Store[wire.Object]:
    """Return a cache of these, with every index of both roles."""
    made = store.Store[wire.Object]({**roles.CLUSTER_INDEXES, **roles.DRIVER_INDEXES})
    for number, obj in enumerate(held, start=100):
        made.put(objects.changed(obj, metadata__resource_version=str(number)))
    return made


def woken(change: wire.Object, *held: wire.Object) -> KeysView[keys.Key]:
    """Return what is woken when an object appears among others."""
    return routing.wakes_in_cluster(None, change, cache(change, *held))


def woken_by_loss(gone: wire.Object, *held: wire.Object) -> KeysView[keys.Key]:
    """Return what is woken when an object is gone from among others."""
    return routing.wakes_in_cluster(gone, None, cache(*held))
