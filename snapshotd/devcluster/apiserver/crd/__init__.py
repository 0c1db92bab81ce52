"""CustomResourceDefinitions: from a definition to resources that can be served.

`definition` reads one, `schema` compiles its structural schema to closures, `cel` its rules,
`columns` what is printed, `conversion` what turns one version into another.
"""

from snapshotd.devcluster.apiserver.crd import conversion, definition

Converter = conversion.Converter
compile_definition = definition.compile_definition
status_of = definition.status_of

__all__ = ["Converter", "compile_definition", "status_of"]
