"""Where the API server is and who we are to it: from a kubeconfig, or from the pod we run in.

Everything that may change while we run is looked at again once a minute (tokens, exec plugins, the
CA and client certificates) and at once when the server does not know us (401). What cannot be read
just then stays as it was: a secret volume being swapped must not stop a controller.
"""

import os
import pathlib
import re
import ssl
from collections.abc import Mapping
from typing import Any, Final

import anyio
import structlog

from snapshotd import errors
from snapshotd.kube import library, proxy
from snapshotd.runtime import clock as clocks

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

SERVICE_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_CHECK_EVERY: Final = 60.0
_RENEW_EVERY: Final = 10.0  # seconds between two attempts after the server refused us
_RELOAD_WITHIN: Final = 30.0  # seconds; an exec plugin may ask a cloud for a token
_HEADER: Final = "BearerToken"


class Source:
    """How a Configuration is filled, and filled again."""

    def __init__(self, kubeconfig: str, service_account: str, environ: Mapping[str, str]) -> None:
        """Choose: the kubeconfig given, $KUBECONFIG, the pod, or the one in the home directory."""
        self._library = library.load()
        self._service_account = service_account
        self._environ = environ
        self._kubeconfig = kubeconfig or environ.get("KUBECONFIG", "")
        if not self._kubeconfig and "KUBERNETES_SERVICE_HOST" not in environ:
            self._kubeconfig = str(_at_home(environ))
        self._loader: Any = None

    async def load(self) -> Any:
        """Return a filled Configuration; raises `Misconfigured`."""
        configuration = self._library.Configuration()
        try:
            with anyio.fail_after(_RELOAD_WITHIN):
                await self._fill(configuration)
        except errors.Misconfigured:
            raise
        except TimeoutError:
            raise errors.Misconfigured(
                f"{self._describe()}: the exec plugin gave no answer in {_RELOAD_WITHIN:g} s"
            ) from None
        except Exception as error:  # a broken file breaks the library in any way it likes
            raise errors.Misconfigured(f"{self._describe()}: {_without_secrets(error)}") from error
        return configuration

    async def _fill(self, configuration: Any) -> None:
        if not self._kubeconfig:
            self._library.load_incluster_config(
                client_configuration=configuration,
                token_filename=f"{self._service_account}/token",
                cert_filename=f"{self._service_account}/ca.crt",
                environ=self._environ,
            )
            return
        self._check_presence()
        self._loader = await self._library.load_kube_config(
            config_file=self._kubeconfig, client_configuration=configuration, persist_config=False
        )

    async def refresh(self, configuration: Any) -> None:
        """Read what may have changed; a plugin runs again only when its token is about to end."""
        if self._loader is None:
            return  # in a pod the library reads the token itself, each minute
        user = self._loader._user  # noqa: SLF001 - refresh_token of the library asks it the same way
        if user is not None and "exec" in user and not hasattr(self._loader, "exec_plugin_expiry"):
            return  # good until the server says otherwise
        with anyio.fail_after(_RELOAD_WITHIN):
            await self._loader.load_and_set(configuration)

    def _check_presence(self) -> None:
        paths = [path for path in self._kubeconfig.split(os.pathsep) if path]
        if any(pathlib.Path(path).expanduser().is_file() for path in paths):
            return
        if self._kubeconfig == str(_at_home(self._environ)):
            raise errors.Misconfigured(
                "no way to the API server: give --kubeconfig, set KUBECONFIG, or run in a pod"
                f" (there is no {self._kubeconfig} either)"
            )
        raise errors.Misconfigured(
            f"kubeconfig {self._kubeconfig} does not exist: check --kubeconfig or KUBECONFIG"
        )

    def _describe(self) -> str:
        if self._kubeconfig:
            return f"kubeconfig {self._kubeconfig} cannot be used"
        return (
            f"the service account in {self._service_account} cannot be used (a pod needs"
            " automountServiceAccountToken; outside of one give --kubeconfig)"
        )


class Credentials:
    """The API server's address, and what to send with each request."""

    def __init__(
        self, configuration: Any, source: Source, *, clock: clocks.Clock, via: str | None
    ) -> None:
        """Use `load` instead."""
        self._configuration = configuration
        self._source = source
        self._clock = clock
        self._checked_at = clock.monotonic()
        self._renewed_at = float("-inf")
        self._busy = anyio.Lock()
        self._fingerprint = _fingerprint(configuration)
        self.host: str = configuration.host.rstrip("/")
        self.proxy = via
        self.server_name: str | None = configuration.tls_server_name
        self.tls = self._context()
        self._authorization = ""

    def _context(self) -> ssl.SSLContext:
        try:
            return _context(self._configuration)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise errors.Misconfigured(
                f"the certificates for {self.host} cannot be used: {error}"
            ) from error

    async def authorization(self) -> str:
        """Return the Authorization header's value, '' where certificates say who we are."""
        if self._clock.monotonic() - self._checked_at >= _CHECK_EVERY and not self._busy.locked():
            async with self._busy:
                self._checked_at = self._clock.monotonic()
                await self._check()
        try:
            found = await self._configuration.get_api_key_with_prefix(_HEADER)
            self._authorization = (found or "").strip()
        except Exception as error:  # noqa: BLE001 - the token file is being swapped
            log.warning("token_not_readable", error=_without_secrets(error))
        return self._authorization

    async def renew(self, refused: str) -> bool:
        """Load everything anew after a 401; say whether there is another header to try now."""
        async with self._busy:
            if self._authorization != refused:
                return True
            if self._clock.monotonic() - self._renewed_at < _RENEW_EVERY:
                return False  # what we have is what there is: no plugin run for each request
            self._renewed_at = self._clock.monotonic()
            try:
                self._configuration = await self._source.load()
            except errors.Misconfigured as error:
                log.warning("credentials_not_renewed", error=str(error))
                return False
            self._renew_context()
        return await self.authorization() != refused

    async def _check(self) -> None:
        try:
            await self._source.refresh(self._configuration)
        except Exception as error:  # noqa: BLE001 - as for `Source.load`; what we have may still do
            log.warning("credentials_not_refreshed", error=_without_secrets(error))
        self._renew_context()

    def _renew_context(self) -> None:
        """Trust and show what the files hold now; connections there are stay as they are."""
        fingerprint = _fingerprint(self._configuration)
        if fingerprint == self._fingerprint:
            return
        try:
            self.tls = self._context()
        except errors.Misconfigured as error:
            log.warning("certificates_not_renewed", error=str(error))
            return
        self._fingerprint = fingerprint
        log.info("certificates_renewed", host=self.host)


async def load(
    kubeconfig: str,
    *,
    clock: clocks.Clock,
    service_account: str = SERVICE_ACCOUNT,
    environ: Mapping[str, str] = os.environ,
) -> Credentials:
    """Find the API server and our credentials; raises `Misconfigured` with what to do."""
    source = Source(kubeconfig, service_account, environ)
    configuration = await source.load()
    via = proxy.resolve(configuration.host, configuration.proxy, environ)
    return Credentials(configuration, source, clock=clock, via=via)


def _at_home(environ: Mapping[str, str]) -> pathlib.Path:
    return pathlib.Path(environ.get("HOME", "/")) / ".kube" / "config"


def _context(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # many a cluster's CA lacks what 3.13 asks for
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _fingerprint(configuration: Any) -> tuple[object, ...]:
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    return tuple(map(_stamp, files))


def _stamp(path: str | None) -> tuple[object, ...]:
    if not path:
        return ()
    try:
        found = pathlib.Path(path).stat()
    except OSError:
        return (path,)
    return (path, found.st_ino, found.st_mtime_ns, found.st_size)


def _without_secrets(error: Exception) -> str:
    """Return the error's text up to what may be a part of the file: the library quotes it."""
    if isinstance(error, TypeError | AttributeError | KeyError | AssertionError):
        return "it does not have the form of a kubeconfig"
    text = re.split(r"[{\[]", str(error), maxsplit=1)[0].strip()
    return text or type(error).__name__
