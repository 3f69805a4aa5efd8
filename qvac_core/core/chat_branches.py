"""What a person may do with the branches of a conversation: each message may have several behind it, one is shown."""

from __future__ import annotations

from typing import Protocol

from qvac_core.core.state import Hit


class ChatBranches(Protocol):
    """`Message.branches` says what stands in one place. PathChanged tells of another path; answers as after `ask`."""

    async def edit(self, conversation_id: str, message_id: str, text: str) -> str:
        """Ask a question of this person anew, in other words, with its pictures: one more branch in its place.

        Returns the answer's id at once. Raises StoreError.
        """

    async def show_branch(self, conversation_id: str, message_id: str) -> None:
        """Another of the messages of one place, with what was last shown behind it. Raises StoreError."""

    async def show_message(self, conversation_id: str, message_id: str) -> None:
        """The branch on which a message is, also a deep one. Raises StoreError."""

    async def hits(self, text: str) -> tuple[Hit, ...]:
        """Where a text is found, in titles and in messages of all branches: one of each conversation.

        Pinned and newest first; a few hundred at most.
        """

    async def retry(self, conversation_id: str, message_id: str = "") -> str:
        """Answer again, beside that answer; "" = beside the last one, which goes on when it broke off in the middle.

        Returns the answer's id at once. Raises StoreError.
        """

    async def continue_answer(self, conversation_id: str) -> str:
        """The last answer, which was stopped or cut, goes on from its last word, or anew below a seam. Its id.

        Raises StoreError.
        """
