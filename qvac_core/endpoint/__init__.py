"""An OpenAI-compatible endpoint: HTTP on one side, on the other whoever can answer (`interface.Reach`).

The behaviour that real clients need was found by running them, version by version; comments say which one.
Nothing here knows the network, a model or a screen. Starlette and uvicorn are imported when it is switched on.
"""
