"""The lookups of one node: those of its user, and those that keep its table filled.

docs/wire/hyperdht.md sections 1.9 and 1.10; dht-rpc 6.27.0 `index.js` query, refresh, _backgroundQuery.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from qvac_core.codec import Address
from qvac_core.dht_rpc.commands import (
    BACKGROUND_CONCURRENCY,
    DEFAULT_CONCURRENCY,
    QUERY_RETRIES,
    REFRESH_TICKS,
    Internal,
)
from qvac_core.dht_rpc.exchange import Exchange
from qvac_core.dht_rpc.neighbourhood import Neighbourhood
from qvac_core.dht_rpc.query import Commit, OnFinished, Query, QueryResult
from qvac_core.dht_rpc.reply import Reply


class Lookups:
    """`refresh_in` ticks pass until the table is refreshed, unless a lookup comes before: it does the same."""

    __slots__ = ("_bootstrap_nodes", "_exchange", "_neighbourhood", "_queries", "_random", "refresh_in")

    def __init__(
        self,
        exchange: Exchange,
        neighbourhood: Neighbourhood,
        bootstrap_nodes: Sequence[Address],
        *,
        random: Random,
        refresh_in: int,
    ) -> None:
        self._exchange = exchange
        self._neighbourhood = neighbourhood
        self._bootstrap_nodes = bootstrap_nodes
        self._random = random
        self._queries: set[Query] = set()
        self.refresh_in = refresh_in

    def query(
        self,
        target: bytes,
        command: int,
        value: bytes | None = None,
        *,
        now: float,
        on_finished: OnFinished,
        on_reply: Callable[[Reply], None] | None = None,
        internal: bool = False,
        nodes: Sequence[Address] = (),
        only_nodes: bool = False,
        retries: int = QUERY_RETRIES,
        concurrency: int = DEFAULT_CONCURRENCY,
        commit: Commit | None = None,
    ) -> Query:
        """Walks to the 20 nodes nearest to `target`, from `nodes` (and the table, unless `only_nodes`).

        `on_reply` gets every answer with error 0; `commit` then writes to the nearest (see QueryResult).
        """
        self._exchange.advance(now)
        self.refresh_in = REFRESH_TICKS
        query = Query(
            self._exchange,
            self._neighbourhood,
            self._bootstrap_nodes,
            target,
            command,
            value,
            internal=internal,
            nodes=nodes,
            only_nodes=only_nodes,
            retries=retries,
            concurrency=concurrency,
            on_reply=on_reply,
            on_finished=on_finished,
            on_ended=self._queries.discard,
            commit=commit,
        )
        self._queries.add(query)
        if self._exchange.closed:
            query.cancel()
        else:
            query.start()
        return query

    def find_node(
        self,
        target: bytes,
        *,
        now: float,
        on_finished: OnFinished,
        on_reply: Callable[[Reply], None] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> Query:
        return self.query(
            target,
            Internal.FIND_NODE,
            now=now,
            on_finished=on_finished,
            on_reply=on_reply,
            internal=True,
            concurrency=concurrency,
        )

    def background(
        self,
        target: bytes,
        *,
        on_reply: Callable[[Reply], None] | None = None,
        on_finished: OnFinished | None = None,
    ) -> None:
        """A FIND_NODE that yields to other traffic; what it brings is in the table afterwards."""

        def on_background_reply(reply: Reply) -> None:
            query.concurrency = BACKGROUND_CONCURRENCY if self._exchange.busy else DEFAULT_CONCURRENCY
            if on_reply is not None:
                on_reply(reply)

        query = self.find_node(
            target,
            now=self._exchange.now,
            on_finished=on_finished or _ignore,
            on_reply=on_background_reply,
            concurrency=BACKGROUND_CONCURRENCY,
        )

    def around_us(
        self, *, on_reply: Callable[[Reply], None] | None = None, on_finished: OnFinished | None = None
    ) -> None:
        """Who is near to our own id."""
        self.background(self._neighbourhood.table.id, on_reply=on_reply, on_finished=on_finished)

    def refresh(self) -> None:
        """Looks around a random known node, so that the table stays filled, and for some that fell silent."""
        table = self._neighbourhood.table
        node = table.random(self._random)
        self.background(table.id if node is None else node.id)
        self._neighbourhood.retry_lost(self._random, self.around_us)

    def cancel_all(self) -> None:
        for query in list(self._queries):
            query.cancel()


def _ignore(_: QueryResult) -> None:
    """For refreshes: nobody waits for their end."""
