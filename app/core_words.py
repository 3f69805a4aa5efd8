"""Sentences of the core in the user's language: errors, notices, why an answer changed hands. Knows no Qt.

The core writes English, because the command line, logs and other machines read it too; a conversation keeps such
sentences for years. So the window knows them by their text: as they are, or as a pattern with fields. Whatever is not
listed here stays English: answers of other machines, and what concerns a command line, a developer or a broken wire.
tests/unit/test_core_words.py holds every line against the core's source.
"""

from __future__ import annotations

import re
from functools import cache

from app import core_library_words, core_program_words, core_server_words, core_tool_words
from app.i18n import FIELD, fill, later, tr

_WHOLE = (
    # core/error_text.py
    later("The owner has not allowed your key yet."),
    later(
        "The machine is online and answered. Send its owner your key: it connects by itself once the key is allowed."
    ),
    later("The owner did not let you in."),
    later("The machine is online. It is asked again by itself later; you may want to talk to its owner before."),
    later("The owner blocked your key."),
    later("Ask the owner, if you think that this is a mistake, or choose another machine."),
    later("The time for which the owner allowed your key is over."),
    later("Ask the owner for more, or choose another machine."),
    later("The owner no longer allows your key."),
    later("Send its owner your key and ask again, or choose another machine."),
    later("The owner stopped this answer."),
    later("Ask again, or ask the owner why."),
    later("The owner took your request out of the line."),
    later("The machine stopped sharing."),
    later("Ask again when its owner shares again, or choose another machine."),
    later("The owner no longer shares this model."),
    later("Choose one of the models that the machine shares."),
    later("The machine is not taking requests now."),
    later("Ask again later, or choose another machine."),
    later("No machine answers for this key."),
    later("It may be off, or the key has a typing mistake."),
    later("The machine was found but does not answer."),
    later("It may have just gone off, or its owner blocked your key. Try again in a moment."),
    later("Both routers block a direct path and no relay is set."),
    later("Add a relay that both machines can reach, try from another network, or ask the owner to open a port."),
    later("The machine did not answer in time."),
    later("It may be busy or the connection slow. Try again."),
    later("The machine went offline."),
    later("The connection ended. Try again when it is back."),
    later("The answer goes on by itself when it is back, as long as QVAC Desktop runs."),
    later("Your question is asked again by itself when it is back, as long as QVAC Desktop runs."),
    later("The transcript goes on by itself when it is back, as long as QVAC Desktop runs."),
    later("This transcript does not exist any more."),
    later("The relay between the two machines went away."),
    later("No other way was found. Try again, or give a second --relay-through KEY."),
    later("Nothing has come from it for a while. Try again when it is back."),
    later("This is the relay that this machine offers itself. Name another machine's."),
    later("The machine did not wake up."),
    later(
        "The wake-up call was sent, and nothing came from it for two minutes. Look whether its firmware and its system "
        "let its network card wake it, and whether whoever sent the call is on the same network."
    ),
    later("The machine sleeps, and nobody could send the wake-up call."),
    later(
        "Have a machine of yours that is on its network share too, with the switch to wake others, or wake it by hand."
    ),
    later("The connection was closed."),
    later("Try again."),
    later("No machine of the network answers."),
    later("Check this machine's connection, and the --bootstrap address if you gave one."),
    later("This machine has no network."),
    later("Check the connection; QVAC Desktop goes on by itself."),
    later("The machine does not share this model."),
    later("Choose one of the models it shares."),
    later("Choose other languages, or translate with a chat model."),
    later("The conversation is longer than the model can take in."),
    later("Start a new conversation, or shorten your message."),
    later("The model process ended unexpectedly and was restarted."),
    later("This request was lost. Send it again."),
    later("Try again. If it stays so, please report it."),
    # core
    later("Answers cannot be saved at the moment."),
    later("Answers are saved again."),
    later("There is no model on this machine yet. Get a small one, or add a GGUF file."),
    later("There is no message to answer in this conversation."),
    later("This conversation is still being answered. Stop that answer first."),
    later("This is your own key. To use this machine's models, choose This machine."),
    later("This is your own key. A relay is another machine, which both of you can reach."),
    later("The peer does not answer yet."),
    later("The connection ended while the model was loading."),
    later("The answer was left before its end."),
    later("The answer was cancelled."),
    later("The download was cancelled. What has come so far is kept."),
    later("This model makes no embeddings. Choose an embedding model."),
    later("This model transcribes no speech. Choose a Whisper model."),
    later("The internet does not answer. Machines on your own network find this one; others when it is back."),
    later("The network does not lead guests to this machine just now. Its key is announced again by itself."),
    later(
        "Another machine shares under the same key: guests reach either of the two. Give one an identity of its own."
    ),
    later("This machine has no network. Sharing goes on by itself when it is back."),
    later(
        "No model that understands speech is on this machine. Get one: download WHISPER_TINY (78 MB) or a larger one, "
        "or add a Whisper file (ggml .bin)."
    ),
    later("This provider cannot tell its models (it is not QVAC Desktop): name the one to use."),
    later("This provider shares no model that understands speech with you."),
    later("This machine answers anew."),
    later("This machine translates."),
    later("This machine translates the rest."),
    # store
    later("A limit cannot be negative, or larger than a million millions."),
    later("At least one: to let a key use nothing, set its tokens a day to 0, or block it."),
    later("Nobody has decided about this key yet. Allow it first."),
    later("This key is blocked. Allow it first."),
    later("This conversation does not exist any more."),
    later("The database is damaged. Start QVAC Desktop again: it will be set aside."),
    later("The database is closed."),
    later("Cannot write the database: the disk is full. Free some space."),
    later("The identity file came and went. Start QVAC Desktop again."),
    later("A picture of this conversation is not there any more. Begin a new conversation with it."),
    # models, engines, and what providers of this program answer
    later("This model address is too long."),
    later("This is not an address of a model."),
    later("A model is fetched over https only: over http anybody on the way could change it."),
    later("A Hugging Face model is written registry://hf/OWNER/REPOSITORY/resolve/REVISION/FILE."),
    later("This address names no file."),
    later("The server sends the model over an unencrypted connection: refused."),
    later("One of the pictures is damaged: it cannot be read. Send it again."),
    later("This model cannot see pictures. Choose one with vision, or leave the picture out."),
    later("This model makes embeddings; it cannot chat. Choose a chat model."),
    later("This model writes down what is said; it cannot chat. Choose a chat model."),
    later("This model ranks or classifies texts; it cannot chat. Choose a chat model."),
    later("This model rewrites texts as T5 does, which QVAC Desktop cannot run. Choose a chat model."),
    later("This model writes by diffusion, which QVAC Desktop cannot run. Choose a chat model."),
    later("This model makes pictures; it cannot chat. Choose a chat model."),
    later("This file is the vision part (mmproj) of another model; it cannot answer by itself."),
    later("This file is an adapter (LoRA) for another model; it cannot answer by itself."),
    later("This file is a control vector for another model; it cannot answer by itself."),
    later("This file is an importance matrix, a by-product of quantizing; it is no model. Choose a chat model."),
    later("This file holds a vocabulary without a model. Choose a chat model."),
    later("This file holds no language model. Choose a chat model."),
    later("QVAC Desktop is closing: no model can be loaded now."),
    later("Not enough memory for this model. Choose a smaller model, a smaller context or fewer parallel chats."),
    later("This file cannot be read as sound: it is damaged."),
    later("There is no sound in this file that can be read: it is damaged, or protected."),
    later("The file is empty."),
    later(
        "This is no sound or video file that can be read. If it should be one, it was cut off or not copied whole: "
        "get it again."
    ),
    later("There is no sound in this file."),
    later("The provider's model worker ended unexpectedly. Ask again."),
    later("The provider unloaded the model while it was answering. Ask again."),
    later("The provider's model cannot do this."),
    later("The provider failed to answer. Its owner can see why."),
    later("The provider could not load the model. Its owner can see why."),
    later("The conversation is longer than this provider's context. Shorten it or start a new one."),
    later("Your tokens for today are used up at this provider."),
    later("Your time of speech for today is used up at this provider."),
    later("This invite is not known here any more. Ask its owner for a new one."),
    later("The owner took this invite back. Ask for a new one."),
    later("This invite has run out. Ask its owner for a new one."),
    later("All places of this invite are taken. Ask its owner for a new one."),
    later("Your time with this invite is over. Ask its owner for more."),
    later("There is no invite in this link."),
    later("This invite is damaged. Copy its link again, or ask for a new one."),
    later("This invite is of a newer QVAC Desktop. Update this one to open it."),
    later("This invite is not genuine: its owner did not sign it. Ask for a new one."),
    later("This invite is for another machine than its link says. Ask for a new one."),
    later("This provider takes no invites now. Ask its owner to allow your key."),
    later("This invite would have run out already. Choose a later time."),
    later("There are too many invites. Remove some that are closed."),
    later("Hours are written as 08:00-20:00."),
    later("All that this provider's owner gives its guests today is used up."),
    later("This provider does not serve your key at this hour."),
    later("The provider's owner lets you have no longer answers than this one."),
    later("Only its owner's own machines may ask this of the provider."),
    later("This provider is not taking requests now. Ask again later."),
)
# What could not be done, in store/disk.py's "Cannot {action}: …".
_ACTIONS = (
    later("keep the picture"),
    later("move the models"),
    later("remember what models are"),
    later("save the picture"),
    later("write the data folder"),
    later("write the list of known nodes"),
    later("write the settings"),
    later("lock the data folder"),
    later("open the database"),
    later("read the identity"),
    later("read the settings"),
    later("read what is started"),
    later("remove the pictures of a deleted conversation"),
    later("remove what models remember of chats"),
)
_WITH_FIELDS = (
    later("Cannot {action}: the disk is full. Free some space and try again."),
    later("Cannot {action}: this user may not write there."),
    later("Cannot {action}: this user may not write there ({path})."),
    later("QVAC Desktop made a mistake ({what})."),
    later("{cause} Keep the window open: they are saved as soon as that is possible."),
    later("{cause} It is tried again by itself."),
    later("Nothing came from {name} any more."),
    later("{name} is asked to go on."),
    later("{name} continues."),
    later("{name} had not begun yet."),
    later("{name} answers anew."),
    later("{name} translates."),
    later("{name} translates the rest."),
    later("{name} is asked now."),
    later("{name} is away."),
    later("{name} has a line of about {seconds} s."),
    later("{name} would have to load the model."),
    later("{name} is slower now."),
    later("{name} answers."),
    later("{name} does not translate between these languages any more."),
    later("This machine continues with {model}."),
    # core/chats.py puts the name of a provider into error_text's sentences.
    later("{name} went offline."),
    later("{name} did not answer in time."),
    later("{name} was found but does not answer."),
    later("{name} stopped sharing."),
    later("{name} is not taking requests now."),
    later("{name} does not share this model."),
    later("The owner of {name} has not allowed your key yet."),
    later("The owner of {name} did not let you in."),
    later("The owner of {name} blocked your key."),
    later("The owner of {name} no longer allows your key."),
    later("The owner of {name} stopped this answer."),
    later("{name} shares no model at the moment. Ask its owner to share one."),
    later("QVAC Desktop {version} is there."),
    later("You have {version}; get the new one at {page}"),
    later("{path} cannot be read: {reason}."),
    later("There is no file {path}."),
    later("The name of the data folder {shown} is not written in UTF-8. Name another one."),
    later("The UDP port cannot be opened ({reason}). Choose another one with --port, or leave it out."),
    later("UDP port {wanted} is in use by another program; port {port} is used instead."),
    later("The database was damaged. It is kept as {name} in {folder}, and a new, empty one is in use."),
    later("The database {path} is in use by another program."),
    later("This user may not write the database {path}."),
    later("The disk refused to read or write the database {path}."),
    later(
        "The settings file could not be read ({reason}). It is kept as {name} in {folder}; the default settings are in "
        "use."
    ),
    later("These settings in {path} are not understood and have their default: {names}."),
    later(
        "QVAC Desktop is already running with the data folder {folder}. Use that one, or name another folder with "
        "--data-dir."
    ),
    later(
        "The system's keyring does not hold your identity any more. Restore it, start with --seed, or remove {path} to "
        "get a new key (people who know the old one will not find you)."
    ),
    later(
        "Your identity is in the system's keyring, which does not answer ({reason}). Unlock it, or start with --seed, "
        "or with another folder (--data-dir)."
    ),
    later("It is possible again in {time}."),
    later("An invite is for 1 to {most} people."),
    later("{count} of {all} characters."),
    later("There is more than one key in this text."),
    later("This link begins with {beginning}, one of ours with qvac://."),
    later("A key has {all} characters, this has {count}."),
    later("{place} does not give this model without login. Accept its licence there and set HF_TOKEN."),
    later("{place} has no such file (any more). Choose another model."),
    later("{place} is overloaded at the moment (HTTP {status}). Try again later."),
    later("{place} refused the download (HTTP {status})."),
    later("{place} could not be reached. Check the internet connection and try again; what was downloaded is kept."),
    later("The download from {place} broke off several times. Try again later; what was downloaded is kept."),
    later("A picture may have {most} MiB at most; this one has {size}."),
    later("One of the files is no picture that a model can be shown. Send {formats}."),
    later(
        "Not enough memory: this model needs about {needed} GB and {free} GB are free. Close other programs, or choose "
        "a smaller model, a smaller context or fewer parallel chats."
    ),
    later("This audio is longer than the {time} that are allowed. Send it in parts."),
    later("The recording {file} is not where it was, or is another one now. Transcribe it anew."),
)


def told(text: str) -> str:
    """What the core says, in the user's language where the window knows the sentence, else as it is."""
    if not text or text in _KNOWN:
        return tr(text) if text else ""
    return _all_of(_SENTENCE_END.split(text, _MOST_SENTENCES)) or text


_MOST_SENTENCES = 6
_SENTENCE_END = re.compile(r"(?<=[.?!]) (?=[A-Z])")
_KNOWN = frozenset(
    _WHOLE
    + _ACTIONS
    + core_library_words.WHOLE
    + core_program_words.WHOLE
    + core_server_words.WHOLE
    + core_tool_words.WHOLE
)


def _all_of(parts: list[str]) -> str:
    """Sentence by sentence, "" if one of them is not known. Two parts may be one: "Mr. Smith went offline."."""
    for count in range(1, len(parts) + 1):
        said = _sentence(" ".join(parts[:count]))
        if said is not None:
            rest = _all_of(parts[count:])
            if rest or count == len(parts):
                return f"{said} {rest}".rstrip()
    return ""


def _sentence(text: str) -> str | None:
    if text in _KNOWN:
        return tr(text)
    for template, begins in _templates():
        if text.startswith(begins) and (found := _pattern(template).fullmatch(text)) is not None:
            if found.groupdict().get("action", _ACTIONS[0]) not in _ACTIONS:
                return None  # half of a sentence in another language helps nobody
            # A field may be a sentence of the core itself.
            return fill(tr(template), {name: told(value) for name, value in found.groupdict().items()})
    return None


@cache
def _templates() -> tuple[tuple[str, str], ...]:
    """Each with what it begins with: most are told apart by that, and a pattern is made when it may be needed."""
    # The most said first: "It is not whole: {reason}." would take what is said of a picture as a reason.
    more = core_program_words.WITH_FIELDS + core_server_words.WITH_FIELDS + core_tool_words.WITH_FIELDS
    known: tuple[str, ...] = _WITH_FIELDS + core_library_words.WITH_FIELDS + more
    templates = sorted(known, key=lambda template: -len(FIELD.sub("", template)))
    return tuple((template, FIELD.split(template, 1)[0]) for template in templates)


@cache
def _pattern(template: str) -> re.Pattern[str]:
    pieces = re.split(r"(\{\w+\})", template)
    return re.compile(
        "".join(f"(?P<{piece[1:-1]}>.+?)" if FIELD.fullmatch(piece) else re.escape(piece) for piece in pieces)
    )
