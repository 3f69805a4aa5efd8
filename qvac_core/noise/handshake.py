"""The Noise IK handshake between two Ed25519 keys: two messages, then keys for both directions.

docs/wire/hyperdht.md section 3; behaves as noise-handshake 4.2.0 under hyperdht/lib/noise-wrap.js 6.34.0.

    IK:  <- s            the initiator knows the responder's key beforehand
         -> e, es, s, ss    + payload     message 1: 96 bytes + payload
         <- e, ee, se       + payload     message 2: 48 bytes + payload

Each side writes one message and reads one, in the order of this table. Whatever goes wrong ends the handshake:

    state             write_message      read_message
    START             initiator: WAIT    responder: ANSWER
    WAIT              -                  initiator: COMPLETE
    ANSWER            responder: COMPLETE -
    COMPLETE, FAILED  -                  -
"""

from __future__ import annotations

import copy
from enum import Enum, auto
from typing import Final

from qvac_core.errors import IdentityError, LocalProtocolError, RemoteProtocolError
from qvac_core.noise.keys import PUBLIC_KEY_BYTES, KeyPair, dh, is_public_key, static_dh
from qvac_core.noise.symmetric_state import TAG_BYTES, SymmetricState

MAX_MESSAGE_BYTES: Final = 65535
MESSAGE_1_OVERHEAD: Final = PUBLIC_KEY_BYTES + PUBLIC_KEY_BYTES + TAG_BYTES + TAG_BYTES
MESSAGE_2_OVERHEAD: Final = PUBLIC_KEY_BYTES + TAG_BYTES


class _State(Enum):
    START = auto()
    WAIT = auto()
    ANSWER = auto()
    COMPLETE = auto()
    FAILED = auto()


class HandshakeState:
    """One side of one handshake.

    `ephemeral` must be fresh for every handshake; `prologue` is what both sides agreed on beforehand. The initiator
    must know `remote_public_key` (IdentityError if it is no key); the responder learns it from message 1.
    """

    def __init__(
        self,
        *,
        initiator: bool,
        static: KeyPair,
        ephemeral: KeyPair,
        prologue: bytes,
        remote_public_key: bytes | None = None,
    ) -> None:
        self.initiator = initiator
        self._static = static
        self._ephemeral = ephemeral
        self._state = _State.START
        self._remote_ephemeral = b""
        self._tx = b""
        self._rx = b""
        self.symmetric_state = SymmetricState()
        self.symmetric_state.mix_hash(prologue)
        if initiator:
            if remote_public_key is None or not is_public_key(remote_public_key):
                raise IdentityError("That is not a public key: no peer can have it.")
            self._remote_static = bytes(remote_public_key)
            self.symmetric_state.mix_hash(self._remote_static)
        else:
            if remote_public_key is not None:
                raise LocalProtocolError("The responder learns the remote key from message 1.")
            self._remote_static = b""
            self.symmetric_state.mix_hash(static.public_key)

    def __deepcopy__(self, memo: dict[int, object]) -> HandshakeState:
        """Of its own is only the symmetric state: keys never change."""
        twin = copy.copy(self)
        twin.symmetric_state = copy.copy(self.symmetric_state)
        return twin

    def write_message(self, payload: bytes) -> bytes:
        """Message 1 (initiator) or message 2 (responder) around `payload`; LocalProtocolError out of turn."""
        if self._state is not (_State.START if self.initiator else _State.ANSWER):
            raise LocalProtocolError("It is not our turn to write a handshake message.")
        overhead = MESSAGE_1_OVERHEAD if self.initiator else MESSAGE_2_OVERHEAD
        if len(payload) + overhead > MAX_MESSAGE_BYTES:
            raise LocalProtocolError(f"A handshake payload holds at most {MAX_MESSAGE_BYTES - overhead} bytes.")
        self._state = _State.FAILED
        message = self._write_1(bytes(payload)) if self.initiator else self._write_2(bytes(payload))
        if self.initiator:
            self._state = _State.WAIT
        else:
            self._complete()
        return message

    def read_message(self, message: bytes) -> bytes:
        """The payload of the peer's message; RemoteProtocolError for any other bytes, after which this is over."""
        if self._state is not (_State.WAIT if self.initiator else _State.START):
            raise LocalProtocolError("It is not the peer's turn to write a handshake message.")
        self._state = _State.FAILED
        overhead = MESSAGE_2_OVERHEAD if self.initiator else MESSAGE_1_OVERHEAD
        if not overhead <= len(message) <= MAX_MESSAGE_BYTES:
            raise RemoteProtocolError(f"A handshake message of {len(message)} bytes cannot be one.")
        payload = self._read_2(bytes(message)) if self.initiator else self._read_1(bytes(message))
        if self.initiator:
            self._complete()
        else:
            self._state = _State.ANSWER
        return payload

    @property
    def complete(self) -> bool:
        return self._state is _State.COMPLETE

    @property
    def remote_public_key(self) -> bytes | None:
        """The peer's static key; on the responder's side only once message 1 was authentic."""
        if self.initiator or self._state in (_State.ANSWER, _State.COMPLETE):
            return self._remote_static
        return None

    @property
    def handshake_hash(self) -> bytes:
        """64 bytes that only these two peers share; names the session and keys what hangs on it."""
        self._require_complete()
        return self.symmetric_state.h

    @property
    def tx(self) -> bytes:
        """The 32-byte key of what we send."""
        self._require_complete()
        return self._tx

    @property
    def rx(self) -> bytes:
        """The 32-byte key of what we receive."""
        self._require_complete()
        return self._rx

    def _write_1(self, payload: bytes) -> bytes:
        symmetric, remote_static = self.symmetric_state, self._remote_static
        symmetric.mix_hash(self._ephemeral.public_key)
        symmetric.mix_key(dh(remote_static, self._ephemeral.secret_key))
        static = symmetric.encrypt_and_hash(self._static.public_key)
        symmetric.mix_key(static_dh(remote_static, self._static.secret_key))
        return self._ephemeral.public_key + static + symmetric.encrypt_and_hash(payload)

    def _read_1(self, message: bytes) -> bytes:
        symmetric = self.symmetric_state
        remote_ephemeral = self._read_ephemeral(message)
        symmetric.mix_key(dh(remote_ephemeral, self._static.secret_key))
        remote_static = symmetric.decrypt_and_hash(message[PUBLIC_KEY_BYTES : 2 * PUBLIC_KEY_BYTES + TAG_BYTES])
        symmetric.mix_key(dh(remote_static, self._static.secret_key))
        payload = symmetric.decrypt_and_hash(message[2 * PUBLIC_KEY_BYTES + TAG_BYTES :])
        self._remote_static = remote_static
        return payload

    def _write_2(self, payload: bytes) -> bytes:
        symmetric = self.symmetric_state
        symmetric.mix_hash(self._ephemeral.public_key)
        symmetric.mix_key(dh(self._remote_ephemeral, self._ephemeral.secret_key))
        symmetric.mix_key(dh(self._remote_static, self._ephemeral.secret_key))
        return self._ephemeral.public_key + symmetric.encrypt_and_hash(payload)

    def _read_2(self, message: bytes) -> bytes:
        symmetric = self.symmetric_state
        remote_ephemeral = self._read_ephemeral(message)
        symmetric.mix_key(dh(remote_ephemeral, self._ephemeral.secret_key))
        symmetric.mix_key(dh(remote_ephemeral, self._static.secret_key))
        return symmetric.decrypt_and_hash(message[PUBLIC_KEY_BYTES:])

    def _read_ephemeral(self, message: bytes) -> bytes:
        self._remote_ephemeral = message[:PUBLIC_KEY_BYTES]
        self.symmetric_state.mix_hash(self._remote_ephemeral)
        return self._remote_ephemeral

    def _complete(self) -> None:
        initiator_key, responder_key = self.symmetric_state.split()
        self._tx, self._rx = (initiator_key, responder_key) if self.initiator else (responder_key, initiator_key)
        self._state = _State.COMPLETE

    def _require_complete(self) -> None:
        if self._state is not _State.COMPLETE:
            raise LocalProtocolError("The handshake is not complete.")
