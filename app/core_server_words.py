"""Sentences of the core about servers of other programs, as `app/core_words.py` knows them."""

from __future__ import annotations

from app.i18n import later

WHOLE = (
    # engines/openai_client.py
    later("The server that runs this model does not answer. Start it, or look at its address."),
    later("The server that runs this model broke the answer off. Ask again."),
    later("The server that runs this model has said nothing for too long. Ask again, or start it anew."),
    later("The server that runs this model wants a key. Give it the right one."),
    later("The server answers from another address. Write that one: the key is sent to no other."),
    later("At this address nothing answers as an OpenAI-compatible server does. It often ends in /v1."),
    later("The server does not have this model any more. Look at its list of models."),
    later("The server that runs this model has too much to do. Try again in a minute."),
    later("The server that runs this model failed. Its own log says why."),
    later("The server that runs this model does not take this request."),
    later("The server wrote something that is no answer of OpenAI's API."),
    later(
        "The conversation is longer than the model's context at its server. Start a new conversation, shorten it, or "
        "give the model a larger context there."
    ),
    # engines/openai_answer.py
    later("The server did not keep to the response schema: what it wrote is not what was asked for. Ask again."),
    later("The server withheld the rest of the answer (its content filter)."),
    later("The server made no call, though one was asked for: its model may know no tools."),
    # engines/openai_request.py, openai_model.py
    later("An answer of this model cannot be continued: ask for it anew."),
    # engines/openai_address.py
    later("Write the address of the server, for example http://127.0.0.1:11434"),
    later("A server is reached by http or https: write an address such as http://127.0.0.1:11434"),
    later("Leave the login out of the address, and give the key by itself."),
    later("Leave everything from ? or # on out of the address; a key is given by itself."),
    # core/model_servers.py, core/served_models.py, store
    later("Give the server a name: its models are told apart by it."),
    later("The key belongs to the old address. Give the key for this one, or none."),
    later("There is no such server any more."),
    later("This is no key of a server: it has characters that none has, or is too long."),
)

WITH_FIELDS = (
    later("'{text}' is no address. Write one such as http://127.0.0.1:11434"),
    later("A server's name has at most {count} characters, and neither {at} nor / among them."),
    later("A server takes from 1 to {count} requests at once; 0 = as it is known."),
    later("{model} is at a server and has no file here that could be copied."),
    later(
        "The key of this server is in the system's keyring, which does not answer ({reason}). Unlock it, or give the "
        "key anew."
    ),
    later("The keys of servers in {file} cannot be read: the file is damaged. Remove it, and give the keys anew."),
)
