"""MCP servers of this machine, which tools of a conversation come from: their forms, their lives, their results.

https://modelcontextprotocol.io, by the official package, which is imported only where a server is started.
"""
