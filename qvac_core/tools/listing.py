"""A server's list of tools between its transport and the package, which refuses the whole list for one bad tool.

Each tool is brought to what is used of it here. A schema that the package would refuse is kept aside under the tool's
name: the tool stays in the list, and whoever offers tools to a model says what is wrong with it (`names.fault`).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

logger = logging.getLogger(__name__)

_ANY_OBJECT = {"type": "object"}


class Listing:
    """schemas: those that are kept aside, by the names of their tools."""

    def __init__(self) -> None:
        self.schemas: dict[str, object] = {}

    @contextlib.asynccontextmanager
    async def through(self, transport: AbstractAsyncContextManager[Any]) -> AsyncIterator[Any]:
        """The transport, with every list of tools put in order."""
        async with transport as (read, *others):
            yield (_Read(read, self), *others)

    def put_in_order(self, result: dict[str, Any]) -> None:
        """result: of any request. One that lists tools is changed in place."""
        listed = result.get("tools")
        if isinstance(listed, list) and "content" not in result:
            result["tools"] = [tool for each in listed if (tool := self._tool(each)) is not None]

    def _tool(self, given: object) -> dict[str, Any] | None:
        name = given.get("name") if isinstance(given, dict) else None
        if not isinstance(given, dict) or not isinstance(name, str) or not name:
            logger.warning("a tool without a name is left out")
            return None
        schema = given.get("inputSchema", {})
        self.schemas.pop(name, None)
        if not _is_read(schema):
            self.schemas[name] = schema
            schema = _ANY_OBJECT
        tool: dict[str, Any] = {"name": name, "inputSchema": schema}
        tool |= {key: value for key in ("title", "description") if isinstance(value := given.get(key), str)}
        hints = given.get("annotations")
        if isinstance(hints, dict):
            kinds = {"title": str, "readOnlyHint": bool}
            tool["annotations"] = {key: hints[key] for key, kind in kinds.items() if isinstance(hints.get(key), kind)}
        return tool


def _is_read(schema: object) -> bool:
    """By the package, of any version of the protocol."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return False
    properties, required = schema.get("properties", {}), schema.get("required", [])
    return (
        isinstance(properties, dict) and isinstance(required, list) and all(isinstance(each, str) for each in required)
    )


class _Read:
    """A stream of messages from a server, as the package reads them."""

    def __init__(self, stream: Any, listing: Listing) -> None:
        self._stream, self._listing = stream, listing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)  # what a transport tells of the sender beside its messages

    async def receive(self) -> Any:
        return self._put_in_order(await self._stream.receive())

    def __aiter__(self) -> _Read:
        return self

    async def __anext__(self) -> Any:
        return self._put_in_order(await self._stream.__anext__())

    async def __aenter__(self) -> _Read:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> Any:
        return await self._stream.__aexit__(*raised)

    def _put_in_order(self, item: Any) -> Any:
        result = getattr(getattr(item, "message", None), "result", None)
        if isinstance(result, dict):
            self._listing.put_in_order(result)
        return item
