"""Around every call: planned faults, fields that cannot be, failures of the file system.

The invariant: whatever the file system says, a caller gets a code of the specification, and the
words of the operating system; never a Python exception's name.
"""

import errno
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import grpc

from snapshotd.devcluster.hostpath import faults, fields, workshop

Handler = Callable[[Any, Any], Awaitable[Any]]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Interceptor(grpc.aio.ServerInterceptor):
    """Wraps every method of the driver."""

    def __init__(self, planned: faults.Faults) -> None:
        """Strike as planned."""
        self._planned = planned
        self._ending = anyio.Event()

    def end(self) -> None:
        """Let go of the calls that hang, so that the driver can stop."""
        self._ending.set()

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Return the method's handler, wrapped."""
        found = await continuation(handler_call_details)
        if found is None:
            return None  # gRPC answers UNIMPLEMENTED
        method = handler_call_details.method.rpartition("/")[2]

        async def call(request: Any, context: Any) -> Any:
            return await self._call(method, found.unary_unary, request, context)

        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=found.request_deserializer,
            response_serializer=found.response_serializer,
        )

    async def _call(self, method: str, handler: Handler, request: Any, context: Any) -> Any:
        fault = self._planned.strike(method)
        await anyio.sleep(fault.latency)
        if not fault.lose_answer:
            await self._fail(fault, method, context)
        if told := fields.complaint(request):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, told)
        try:
            answer = await handler(request, context)
        except workshop.Busy as busy:
            await context.abort(grpc.StatusCode.ABORTED, f"an operation on {busy} is under way")
        except OSError as error:
            code = grpc.StatusCode.INTERNAL
            if error.errno in _FULL:
                code = grpc.StatusCode.RESOURCE_EXHAUSTED
            place = f": {error.filename}" if error.filename else ""
            await context.abort(code, f"{method}: {error.strerror or error}{place}")
        if fault.lose_answer:
            await self._fail(fault, method, context)
        return answer

    async def _fail(self, fault: faults.Fault, method: str, context: Any) -> None:
        if fault.hang:
            await self._ending.wait()
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the driver stops")
        if fault.code or fault.lose_answer:
            code = grpc.StatusCode[fault.code or "UNAVAILABLE"]
            what = f"{method}'s answer is lost" if fault.lose_answer else f"{method} fails"
            await context.abort(code, f"{what}: a fault was planned")
