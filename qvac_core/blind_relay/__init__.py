"""Relaying a connection blindly through a third peer: protomux framing and the relay's pair and unpair messages.

From wire reference section 6.7 (blind-relay 1.6.1, protomux 3.12.1). Not filled yet: connections are direct so far.
"""
