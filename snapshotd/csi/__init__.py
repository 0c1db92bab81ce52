"""The driver: the only importer of grpc."""
