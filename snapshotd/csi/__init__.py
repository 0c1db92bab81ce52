"""The driver: the only importer of grpc.

`connection` is the channel, `driver` what is said over it, `errors` what failures are called,
`redaction` what may be shown of it. `proto` is the source of `_pb`.
"""
