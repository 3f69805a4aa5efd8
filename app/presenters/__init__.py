"""Between core and views: events become state to render, clicks become intents of the core."""
