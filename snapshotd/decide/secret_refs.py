"""Where a driver's credentials are kept: a class's parameters, with names of objects filled in.

A class names a Secret by a pair of parameters whose values may hold `${volumesnapshot.name}` and
the like (reference, `pkg/utils` `GetSecretReference`).
"""

import re
from collections.abc import Mapping

from snapshotd import errors
from snapshotd.model import names, secrets

# As Go's os.Expand reads them, with which the reference fills templates in: ${name}, $name, and
# the shell's special one-letter names.
_TOKEN = re.compile(r"\$\{([^}]*)\}|\$([*#$@!?0-9-]|[A-Za-z_][A-Za-z0-9_]*)")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def snapshotter(
    parameters: Mapping[str, str], *, content: str, namespace: str, snapshot: str
) -> secrets.SecretReference | None:
    """Return where the secret for creating and deleting is; raises `Invalid`.

    `content`, `namespace` and `snapshot` are the names the templates may use.
    """
    tokens = {"volumesnapshotcontent.name": content, "volumesnapshot.namespace": namespace}
    return _resolve(
        parameters,
        name_key=names.SECRET_NAME_PARAMETER,
        namespace_key=names.SECRET_NAMESPACE_PARAMETER,
        namespace_tokens=tokens,
        name_tokens={**tokens, "volumesnapshot.name": snapshot},
    )


def lister(parameters: Mapping[str, str], *, content: str) -> secrets.SecretReference | None:
    """Return where the secret for listing is; raises `Invalid`."""
    tokens = {"volumesnapshotcontent.name": content}
    return _resolve(
        parameters,
        name_key=names.LIST_SECRET_NAME_PARAMETER,
        namespace_key=names.LIST_SECRET_NAMESPACE_PARAMETER,
        namespace_tokens=tokens,
        name_tokens=tokens,
    )


def of_annotations(annotations: Mapping[str, str]) -> secrets.SecretReference | None:
    """Return where the secret is that a content's annotations name; raises `Invalid`."""
    name = annotations.get(names.DELETION_SECRET_NAME)
    namespace = annotations.get(names.DELETION_SECRET_NAMESPACE)
    if name is None or namespace is None:
        return None
    if not name or not namespace:
        raise errors.Invalid(
            "cannot retrieve secrets for the snapshot content: the annotations "
            f"{names.DELETION_SECRET_NAME} and {names.DELETION_SECRET_NAMESPACE} must not be empty"
        )
    return secrets.SecretReference(namespace=namespace, name=name)


def _resolve(
    parameters: Mapping[str, str],
    *,
    name_key: str,
    namespace_key: str,
    name_tokens: Mapping[str, str],
    namespace_tokens: Mapping[str, str],
) -> secrets.SecretReference | None:
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
