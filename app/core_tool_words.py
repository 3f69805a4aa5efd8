"""Sentences of the core about tools and their servers. Knows no Qt.

A part of app/core_words.py, which finds them.
"""

from __future__ import annotations

from app.i18n import later

WHOLE = (
    later("The model does not manage to call a tool."),
    later("Twice it wrote something that is no call. Choose a larger model, or switch the tools off and ask again."),
    later("The model makes the same call again and again."),
    later("It was stopped after the third time. Choose a larger model, or ask in other words."),
    later("What the model writes is no call of a tool that can be run."),
    later("The person did not allow this call. Do not make it again; go on without it, or ask them."),
    later("The person stopped this before it ended."),
    later("This was interrupted before it ended; whether it did its work is not known."),
    later("(nothing)"),
    later("The tool failed and gave no reason."),
    # How servers are written down
    later("The name of a server has no slash."),
    later("A quotation mark of the command has no second one."),
    later("This is too long for a list of servers."),
    later("This is no list of servers: it is nested too deep."),
    later("This is no JSON."),
)
WITH_FIELDS = (
    later("There are {count} servers already. Remove one first."),
    later("There is a server called {name} already. Give this one another name."),
    later("There is no server called {name} any more."),
    later("The tool {tool} is not there any more."),
    later("There is no tool {name}."),
    later("{name} did not answer within {seconds} seconds."),
    later("{tool} said nothing for {seconds} seconds and was stopped."),
    later("The program {program} was not found."),
    later("The program {program} may not be started."),
    later("The folder {folder} that {name} is started in is not there."),
    later("{name} wants a sign-in. Put its key among the headers (Authorization: Bearer …)."),
    later("{name} ended at once."),
    later("{name} has ended."),
    later("Nothing answers at {address}."),
    later("Give the server a name of 1 to {most} letters."),
    later("{name}: say either the program that is started or the address of a running server."),
    later("{name}: there are too many arguments, or one of them is too long."),
    later("{name}: there is a character in it that no program takes."),
    later("{name}: {variable} is no name of a variable."),
    later("{name}: the header {header} cannot be sent. Names and values are plain ASCII."),
    later("{name}: {address} is no address. It begins with http:// or https://."),
    later("{name}: write the password as a header (Authorization), not into the address."),
    later("{name}: it speaks the old SSE form, which few servers still do. Use its /mcp address."),
    later("{name}: what stands there is no server."),
    later("{name}: variables and headers are an object of names and values."),
    later("{name}: arguments, variables and headers are texts."),
    later("This is no JSON. Look at line {line}, column {column}."),
    later("There are more than {count} servers in it."),
)
