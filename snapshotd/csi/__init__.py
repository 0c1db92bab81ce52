"""The driver: the only importer of grpc.

`connection` is the channel, `driver` and `groups` what is said over it, `calls` how, `errors` what
failures are called, `redaction` what may be shown of it. `proto` is the source of `_pb`.
"""
