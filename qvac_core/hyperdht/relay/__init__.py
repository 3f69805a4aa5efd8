"""Blind relays, seen by their two users: the leg of a stream that goes through one, and the way off it."""
