"""Where a driver's credentials are kept: a class's parameters, with names of objects filled in.

A class names a Secret by a pair of parameters whose values may hold `${volumesnapshot.name}` and
the like (reference, `pkg/utils` `GetSecretReference`).
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from snapshotd import errors
from snapshotd.model import families, keys, names, secrets

# As Go's os.Expand reads them, with which the reference fills templates in: ${name}, $name, and
# the shell's special one-letter names.
_TOKEN = re.compile(r"\$\{([^}]*)\}|\$([*#$@!?0-9-]|[A-Za-z_][A-Za-z0-9_]*)")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def snapshotter(
    family: families.Family,
    parameters: Mapping[str, str],
    *,
    content: str,
    namespace: str,
    snapshot: str,
) -> secrets.SecretReference | None:
    """Return where the secret for creating and deleting is; raises `Invalid`.

    `content`, `namespace` and `snapshot` are the names the templates may use.
    """
    token = f"volume{family.named.lower()}"
    tokens = {f"{token}content.name": content, f"{token}.namespace": namespace}
    return _resolve(
        parameters,
        pair=_MAKING[family.snapshot_kind],
        namespace_tokens=tokens,
        name_tokens={**tokens, f"{token}.name": snapshot},
    )


def lister(
    family: families.Family, parameters: Mapping[str, str], *, content: str
) -> secrets.SecretReference | None:
    """Return where the secret for asking for a snapshot's state is; raises `Invalid`."""
    tokens = {f"volume{family.named.lower()}content.name": content}
    pair = _LOOKING[family.snapshot_kind]
    return _resolve(parameters, pair=pair, namespace_tokens=tokens, name_tokens=tokens)


def of_annotations(
    family: families.Family, annotations: Mapping[str, str]
) -> secrets.SecretReference | None:
    """Return where the secret is that a content's annotations name; raises `Invalid`."""
    name = annotations.get(family.secret_name)
    namespace = annotations.get(family.secret_namespace)
    if name is None or namespace is None:
        return None
    if not name or not namespace:
        raise errors.Invalid(
            "cannot retrieve secrets for the snapshot content: the annotations "
            f"{family.secret_name} and {family.secret_namespace} must not be empty"
        )
    return secrets.SecretReference(namespace=namespace, name=name)


def annotations(family: families.Family, where: secrets.SecretReference | None) -> dict[str, str]:
    """Return the annotations by which a content names its secret."""
    if where is None:
        return {}
    return {family.secret_name: where.name, family.secret_namespace: where.namespace}


class _Pair(NamedTuple):
    """The two parameters of a class that name one secret."""

    name: str
    namespace: str


_MAKING = {
    keys.Kind.VOLUME_SNAPSHOT: _Pair(names.SECRET_NAME_PARAMETER, names.SECRET_NAMESPACE_PARAMETER),
    keys.Kind.VOLUME_GROUP_SNAPSHOT: _Pair(
        names.GROUP_SECRET_NAME_PARAMETER, names.GROUP_SECRET_NAMESPACE_PARAMETER
    ),
}
_LOOKING = {
    keys.Kind.VOLUME_SNAPSHOT: _Pair(
        names.LIST_SECRET_NAME_PARAMETER, names.LIST_SECRET_NAMESPACE_PARAMETER
    ),
    keys.Kind.VOLUME_GROUP_SNAPSHOT: _Pair(
        names.GROUP_GET_SECRET_NAME_PARAMETER, names.GROUP_GET_SECRET_NAMESPACE_PARAMETER
    ),
}


def _resolve(
    parameters: Mapping[str, str],
    *,
    pair: _Pair,
    name_tokens: Mapping[str, str],
    namespace_tokens: Mapping[str, str],
) -> secrets.SecretReference | None:
    name_key, namespace_key = pair
    if name_key not in parameters and namespace_key not in parameters:
        return None
    if not parameters.get(name_key) or not parameters.get(namespace_key):
        raise errors.Invalid(
            f"either name and namespace for secrets specified, Both must be specified: set both "
            f"{name_key} and {namespace_key} in the class, or neither"
        )
    name = _expand(parameters[name_key], name_tokens, where=name_key)
    namespace = _expand(parameters[namespace_key], namespace_tokens, where=namespace_key)
    if not (_SUBDOMAIN.fullmatch(name) and len(name) <= 253):
        raise errors.Invalid(f"{name_key} gives {name!r}, which is not a valid secret name")
    if not _LABEL.fullmatch(namespace):
        raise errors.Invalid(f"{namespace_key} gives {namespace!r}, not a valid namespace name")
    return secrets.SecretReference(namespace=namespace, name=name)


def _expand(template: str, tokens: Mapping[str, str], *, where: str) -> str:
    used = [match[1] if match[1] is not None else match[2] for match in _TOKEN.finditer(template)]
    unknown = [token for token in used if token not in tokens]
    if unknown:
        known = ", ".join(f"${{{token}}}" for token in tokens)
        raise errors.Invalid(f"{where} has invalid tokens: {unknown}; it may use {known}")
    return _TOKEN.sub(
        lambda match: tokens[match[1] if match[1] is not None else match[2]], template
    )
