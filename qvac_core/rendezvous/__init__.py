"""How two peers meet, as decisions without I/O: messages, records, routing, handshakes, announces, paths.

From docs/wire/hyperdht.md sections 2, 6 and 7 (hyperdht 6.34.0). Hole punching and blind relays will live here too.
"""
