"""Leases, definitions and access rules."""

from snapshotd.devcluster.apiserver.builtin import shapes

_RBAC = "rbac.authorization.k8s.io"
_RULES = shapes.listed(shapes.anything("Verbs on resources."), "What may be done.")
_SUBJECTS = shapes.listed(shapes.anything("A user, group or account."), "Who may do it.")
_ROLE_REF = shapes.anything("The role.")

_KINDS = (
    shapes.Kind(
        "Lease",
        "leases",
        {
            "spec": shapes.struct(
                "Who holds it, and until when.",
                acquireTime=shapes.moment("When it was taken."),
                holderIdentity=shapes.text("Who holds it."),
                leaseDurationSeconds=shapes.number("For how long after a renewal it holds."),
                leaseTransitions=shapes.number("How often it changed hands."),
                preferredHolder=shapes.text("Who should hold it."),
                renewTime=shapes.moment("When it was last renewed."),
                strategy=shapes.text("How holders are chosen."),
            )
        },
        "One hand at a time.",
        group="coordination.k8s.io",
        printed=(("Holder", "string", ".spec.holderIdentity"),),
    ),
    shapes.Kind(
        "CustomResourceDefinition",
        "customresourcedefinitions",
        {
            "spec": shapes.struct(
                "The kind that is defined.",
                ("group", "names", "scope", "versions"),
                conversion=shapes.anything("How versions become each other."),
                group=shapes.text("Group of the kind."),
                names=shapes.anything("Names of the kind."),
                preserveUnknownFields=shapes.flag("Always false."),
                scope=shapes.text("Namespaced or Cluster."),
                versions=shapes.listed(shapes.anything("One version."), "Versions of the kind."),
            ),
            "status": shapes.anything("Whether it is served."),
        },
        "A kind that is not built in.",
        group="apiextensions.k8s.io",
        namespaced=False,
        short_names=("crd", "crds"),
        status=True,
        generation=True,
        required=("spec",),
        printed=(("Created At", "date", ".metadata.creationTimestamp"),),
        cells={"Created At": lambda obj: obj["metadata"]["creationTimestamp"]},
    ),
    *(
        shapes.Kind(
            kind,
            f"{kind.lower()}s",
            fields,
            "Kept, and never asked: whoever has the token may do everything.",
            group=_RBAC,
            namespaced=not kind.startswith("Cluster"),
        )
        for kind, fields in (
            ("Role", {"rules": _RULES}),
            ("RoleBinding", {"roleRef": _ROLE_REF, "subjects": _SUBJECTS}),
            ("ClusterRole", {"rules": _RULES, "aggregationRule": shapes.anything("Parts.")}),
            ("ClusterRoleBinding", {"roleRef": _ROLE_REF, "subjects": _SUBJECTS}),
        )
    ),
)

RESOURCES = tuple(each.resource() for each in _KINDS)
