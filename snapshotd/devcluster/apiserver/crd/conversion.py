"""Objects of one kind in each version it is served in, by the webhook that its definition names.

A `service` is no more than a name here, since there is no cluster network: it is the converter that
was registered for the group, called in this process. A `url` is called over HTTPS, and the loop is
not held up for it: a conversion whose answer is not known yet raises `resources.Pending`, and what
was begun is done again from its start once the answer is there.

Invariant: a webhook decides nothing of an object's metadata but its labels and annotations; the
rest is never even sent, so that an answer holds whatever name, version and uid the object gets.
"""

import base64
import functools
import ssl
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import aiohttp
import msgspec

from snapshotd.devcluster.apiserver import errors, resources

JsonObject = dict[str, Any]

Converter = Callable[[JsonObject], JsonObject]
"""Answers one ConversionReview with another; whatever it raises is a failed conversion."""

_API: Final = "apiextensions.k8s.io/v1"
_KIND: Final = "ConversionReview"
_CONVERTED: Final = ("labels", "annotations")
_SECONDS: Final = 10.0
_MOST_KNOWN: Final = 10_000  # answers


def of(definition: JsonObject, converters: Mapping[str, Converter]) -> resources.Conversion | None:
    """Return what converts objects of a definition, None where only their apiVersion changes."""
    spec = definition["spec"]
    declared = spec.get("conversion") or {}
    if declared.get("strategy") != "Webhook":
        return None
    client = declared["webhook"]["clientConfig"]
    if "url" in client:
        return Remote(client["url"], client.get("caBundle", ""))
    converter = converters.get(spec["group"])
    if converter is None:
        service = client["service"]
        return Missing(f"{service.get('namespace')}/{service.get('name')}")
    return Local(converter)


def problems(spec: JsonObject) -> list[errors.Cause]:
    """Return what is wrong with the conversion that a definition asks for."""
    declared = spec.get("conversion") or {}
    strategy = declared.get("strategy", "None")
    path = "spec.conversion"
    if strategy not in {"None", "Webhook"}:
        told = f'Unsupported value: "{strategy}": supported values: "None", "Webhook"'
        return [errors.Cause(f"{path}.strategy", "FieldValueNotSupported", told)]
    if strategy == "None":
        return []
    webhook = declared.get("webhook") or {}
    client = webhook.get("clientConfig") or {}
    path = f"{path}.webhook"
    found = []
    if "v1" not in (webhook.get("conversionReviewVersions") or ()):
        told = "Invalid value: must include v1"
        where = f"{path}.conversionReviewVersions"
        found.append(errors.Cause(where, "FieldValueInvalid", told))
    if ("url" in client) == ("service" in client):
        told = "Required value: exactly one of url or service is required"
        found.append(errors.Cause(f"{path}.clientConfig", "FieldValueRequired", told))
    elif "url" in client and not str(client["url"]).startswith("https://"):
        told = f'Invalid value: "{client["url"]}": the scheme must be https'
        found.append(errors.Cause(f"{path}.clientConfig.url", "FieldValueInvalid", told))
    return found


class Missing:
    """Fails: nothing here is called what a definition calls its webhook."""

    def __init__(self, service: str) -> None:
        """Keep the name of the service."""
        self._service = service

    def __call__(self, obj: JsonObject, api_version: str) -> JsonObject:
        """Raise 500."""
        del api_version
        raise _failure(obj, f"there is no service {self._service} in this process")

    def ready(self, objects: Sequence[JsonObject], api_version: str) -> None:
        """Need nothing: it fails without."""


class Local:
    """Converts in this process."""

    def __init__(self, converter: Converter) -> None:
        """Ask `converter`."""
        self._converter = converter

    def __call__(self, obj: JsonObject, api_version: str) -> JsonObject:
        """Return an object in another version; raises 500."""
        review = _review([_essence(obj)], api_version)
        try:
            answer = self._converter(review)
        except Exception as error:
            raise _failure(obj, f"{type(error).__name__}: {error}") from error
        [new] = _answered(answer, review)
        return _joined(obj, new)

    def ready(self, objects: Sequence[JsonObject], api_version: str) -> None:
        """Need nothing."""


class Remote:
    """Converts by asking a server, and remembers what it said."""

    def __init__(self, url: str, bundle: str) -> None:
        """Ask the server at `url`; `bundle` is whom to trust, as the definition has it."""
        self._url, self._bundle = url, bundle
        self._known: dict[tuple[bytes, str], JsonObject] = {}

    def __call__(self, obj: JsonObject, api_version: str) -> JsonObject:
        """Return an object in another version; raises `Pending` where that must be asked."""
        self.ready([obj], api_version)
        return _joined(obj, self._known[_key(_essence(obj)), api_version])

    def ready(self, objects: Sequence[JsonObject], api_version: str) -> None:
        """Raise one `Pending` for all of these objects that must be asked for."""
        asked = [_essence(each) for each in objects if each["apiVersion"] != api_version]
        unknown = [each for each in asked if (_key(each), api_version) not in self._known]
        if unknown:
            raise resources.Pending(functools.partial(self._ask, unknown, api_version))

    async def _ask(self, asked: list[JsonObject], api_version: str) -> None:
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        review = _review(asked, api_version)
        try:
            answer = await self._post(review)
        except (aiohttp.ClientError, TimeoutError, ValueError, ssl.SSLError) as error:
            raise _failure(asked[0], f"{self._url}: {type(error).__name__}: {error}") from error
        for before, after in zip(asked, _answered(answer, review), strict=True):
            self._known[_key(before), api_version] = after

    async def _post(self, review: JsonObject) -> Any:
        authority = base64.b64decode(self._bundle).decode() or None
        trust = ssl.create_default_context(cadata=authority)
        limit = aiohttp.ClientTimeout(total=_SECONDS)
        headers = {"Content-Type": "application/json", "Accept": "application/json, */*"}
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.post(
                self._url, data=msgspec.json.encode(review), headers=headers, ssl=trust
            ) as response,
        ):
            response.raise_for_status()
            return msgspec.json.decode(await response.read())


def _essence(obj: JsonObject) -> JsonObject:
    """Return what a conversion depends on: all of an object but most of its metadata."""
    meta = {name: each for name, each in obj["metadata"].items() if name in _CONVERTED}
    return {**obj, "metadata": meta}


def _key(essence: JsonObject) -> bytes:
    return msgspec.json.encode(essence, order="deterministic")


def _joined(obj: JsonObject, new: JsonObject) -> JsonObject:
    """Return the new object with the metadata of the old, but for what a webhook may change."""
    meta = {name: each for name, each in obj["metadata"].items() if name not in _CONVERTED}
    given = new.get("metadata") or {}
    meta |= {name: given[name] for name in _CONVERTED if given.get(name)}
    return {**new, "metadata": meta}


def _review(objects: list[JsonObject], api_version: str) -> JsonObject:
    request = {
        "uid": str(uuid.uuid4()),
        "desiredAPIVersion": api_version,
        "objects": objects,
    }
    return {"apiVersion": _API, "kind": _KIND, "request": request}


def _answered(answer: Any, review: JsonObject) -> list[JsonObject]:
    """Return the converted objects, if they are what was asked for; raises 500."""
    request = review["request"]
    asked, wanted = request["objects"], request["desiredAPIVersion"]
    response = answer.get("response") if isinstance(answer, dict) else None
    if not isinstance(response, dict) or response.get("uid") != request["uid"]:
        raise _failure(asked[0], "the answer is not to this ConversionReview")
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise _failure(asked[0], str(result.get("message") or "it does not say why"))
    converted = response.get("convertedObjects") or []
    if len(converted) != len(asked):
        raise _failure(asked[0], f"{len(converted)} objects for {len(asked)}")
    for before, after in zip(asked, converted, strict=True):
        told = (after.get("apiVersion"), after.get("kind")) if isinstance(after, dict) else None
        if told != (wanted, before["kind"]):
            raise _failure(before, f"an object of the answer is {told}")
    return list(converted)


def _failure(obj: JsonObject, why: str) -> errors.ApiError:
    group, _, version = obj["apiVersion"].rpartition("/")
    told = f"conversion webhook for {group}/{version}, Kind={obj['kind']} failed: {why}"
    return errors.ApiError(500, "InternalError", told)
