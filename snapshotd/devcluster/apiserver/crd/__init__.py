"""CustomResourceDefinitions: from a definition to resources that can be served.

`definition` reads one, `schema` compiles its structural schema to closures, `cel` its rules,
`columns` what is printed.
"""

from snapshotd.devcluster.apiserver.crd import definition

compile_definition = definition.compile_definition
status_of = definition.status_of

__all__ = ["compile_definition", "status_of"]
