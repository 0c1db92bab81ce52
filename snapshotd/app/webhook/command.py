"""The webhook as a role: its server, and the endpoint that every role has."""

from snapshotd import errors, settings
from snapshotd.app import process
from snapshotd.app.webhook import serving
from snapshotd.runtime import supervisor
from snapshotd.telemetry import conversions


async def run(values: settings.Webhook) -> supervisor.Ending:
    """Run `snapshotd webhook` to its end; raises `Misconfigured`."""
    _check(values.converting)
    shared = process.Shared()
    meters = conversions.ConversionMetrics(shared.meters.registry)
    server = serving.Webhook(values.converting, time=shared.time, meters=meters)
    part = supervisor.Part("webhook", server.run, stop=server.stop)
    return await process.supervise(values.observing, shared, part)


def _check(values: settings.Converting) -> None:
    """Refuse what cannot be meant; raises `Misconfigured`."""
    for flag, path in (
        ("--tls-cert-file", values.tls_cert_file),
        ("--tls-private-key-file", values.tls_private_key_file),
    ):
        if not path:
            raise errors.Misconfigured(f"{flag} is required: the API server speaks TLS alone")
    if not 0 <= values.port < 65536:
        raise errors.Misconfigured(f"--port {values.port} is no port: 0 to 65535")
    for flag, number in (
        ("--tls-reload-interval", values.tls_reload_interval),
        ("--max-body-bytes", values.max_body_bytes),
        ("--max-header-bytes", values.max_header_bytes),
        ("--max-concurrent-requests", values.max_concurrent_requests),
        ("--request-timeout", values.request_timeout),
    ):
        if number <= 0:
            raise errors.Misconfigured(f"{flag} {number:g}: it must be more than 0")
