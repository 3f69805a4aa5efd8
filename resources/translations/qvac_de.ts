<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de">
<context>
    <name></name>
    <message numerus="yes">
        <source>%n asks to use it</source>
        <comment>%n ask to use it</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n line</source>
        <comment>%n lines</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n more</source>
        <comment>%n more</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n on</source>
        <comment>%n on</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n person</source>
        <comment>%n people</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n person connected.</source>
        <comment>%n people connected.</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n person uses this GPU now. Their answers end when you quit.</source>
        <comment>%n people use this GPU now. Their answers end when you quit.</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n running</source>
        <comment>%n running</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n text</source>
        <comment>%n texts</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n token</source>
        <comment>%n tokens</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n word</source>
        <comment>%n words</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>64 characters, as their app shows them</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A Hugging Face model is written registry://hf/OWNER/REPOSITORY/resolve/REVISION/FILE.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A complete key is needed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A key has {all} characters, this has {count}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A limit cannot be negative.</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>A message may have %n picture at most.</source>
        <comment>A message may have %n pictures at most.</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>A model is fetched over https only: over http anybody on the way could change it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A model is here already. Chat without anybody else, offline too.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A picture may have {most} MiB at most; this one has {size}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A picture may have {size} at most. Make it smaller.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A picture of this conversation is not there any more. Begin a new conversation with it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A setting was not saved.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Acts</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Acts for {name}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add a key</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add a key…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add a model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add a model file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add a provider</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add a provider…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add a relay</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add a relay that both machines can reach, try from another network, or ask the owner to open a port.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add files</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add files: sound, video, pictures, text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add model…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Add relay</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Allow</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Allow it there, or close the program that uses it, then hold the button again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Allow key {short}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Allow key {short} for an hour</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Allow this key</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Allowed by the owner</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Allow…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>An unknown key asks to use your GPU</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>An unknown key asks to use your GPU: {short}</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>Announced {when}, %n person connected.</source>
        <comment>Announced {when}, %n people connected.</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>Announced {when}, nobody connected.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Another machine shares under the same key: guests reach either of the two. Give one an identity of its own.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Answer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Answer again</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Answering: {who}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Answers are saved again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Answers cannot be saved at the moment.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Any language</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Anyone who has your key may then use this GPU, up to your limits, until you switch back. People you blocked stay blocked.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Arabic</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>As the system</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask about it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask about this</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask again</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask again later, or choose another machine.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask again when its owner shares again, or choose another machine.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask again, or ask the owner why.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask for its models</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask its owner to share one.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask the first question</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask the next thing; it waits until this answer ends</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask the owner for more, or choose another machine.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask the owner, if you think that this is a mistake, or choose another machine.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask this machine</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ask {name}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Asking again in about {time}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Asking for its models</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Asking where to get it from…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>At login another copy is started: {path}. Switch off and on for this.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>At once</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Bengali</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Block</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Block a key</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Block a key…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Block this key</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Block {name}?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Both routers block a direct path and no relay is set.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Bulgarian</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cancel opening to everybody</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cancel the download</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cannot write the database: the disk is full. Free some space.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Catalan</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Chat</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Chat on this machine</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Chat reads plain text, pictures, sound and video.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Chat with {model}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Check the connection, and whether a firewall blocks UDP. QVAC Desktop goes on trying by itself.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Check the connection; QVAC Desktop goes on by itself.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Check the key</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Check this machine&apos;s connection, and the --bootstrap address if you gave one.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Chinese</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose another model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose one of the models it shares.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose one of the models that the machine shares.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose what to share</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose who answers</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Clear</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Clear log</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Clear log…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Clear search</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Clear the log?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Close</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Code</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Code, {language}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Computed here: nothing you write leaves this machine.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Computed on this machine. Nothing leaves it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Connect</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Connected</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Connected after {time}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Connected, behind a strict router.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Connected.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Connecting</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Connecting to {name}…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Connecting…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Connect…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Context</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Conversations</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Conversations with it stay. To use it again you need its key.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copied</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copied.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy address</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy all</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy code</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy code, {language}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy details</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy key</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy my key</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy the answer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy the last answer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy the link</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy the transcript</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Copy the translation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Croatian</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Czech</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Danish</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Dark</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Data</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete conversation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete the conversation…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete “{title}”?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Delete…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Deny</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Deny key {short}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Dismiss</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Dismiss this message</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Dismiss this notice</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Download</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Download a small model and chat without anybody else. It works offline afterwards.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Download a small one to begin with, or open a GGUF file of yours.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Download {size}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Downloading a small model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Downloading {model}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Downloading {model}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Drop it here. Sound and video become text; pictures and text files go with your message.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Drop the files in it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Dutch</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Encrypted, and the key is the one you pasted</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ended</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ending what runs and withdrawing your key from the network.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>English</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Enter</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Estonian</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Everybody except…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Everybody with your key may use it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Expires</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Expires: {expires}, last seen: {seen}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Export</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Export the transcript</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Export: {form}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Failed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>File {name}, {info}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Filter</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Filter the log</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Find a provider or a model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Find each other on the local network</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Find it on the network</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Finding it on the network</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Finding {name} on the network…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Finnish</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>For a day</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>For a week</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>For an hour</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>For example Studio desktop</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Found on the network</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Found on your network only.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Found, but it does not answer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Found, but no path leads there</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>French</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>German</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Get a small model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Get a small one, or let a provider answer.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Get {name}, {size}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Get {title}, {size}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Getting ready</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Give somebody your key and allow theirs when they knock, or add it here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Give the key a name first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Go on with this machine</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Greek</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Guest {key}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Handshake</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Hebrew</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Hindi</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Hold to talk</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Hold to talk, or tap (Ctrl+Shift+Space)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>How long</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>How this machine is connected</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Hungarian</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>I wrote: {text}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>In {language}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>In {language}: {text}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Indonesian</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Insert in the message</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Inserted: {text}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Install it with: pip install miniaudio (a C compiler is needed here). A recording can be dropped here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It may be busy or the connection slow. Try again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It may be off, or the key has a typing mistake.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It may have just gone off, or its owner blocked your key. Try again in a moment.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It shares no model with you yet</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It shares no model with you.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>It shares {models}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Italian</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Its messages are removed from this machine. This cannot be undone.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Its requests are met with silence.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Japanese</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Joining the network and announcing your key.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Key</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Key of a relay</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Key of a relay, 64 characters</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Key of the guest</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Key of the provider</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Key or qvac:// link</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Korean</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Last lines of the transcript</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Last seen</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Latvian</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Let go to insert</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Let people you allow use this machine&apos;s GPU. Nobody is admitted until you say so.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Light</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Listening.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Lithuanian</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Local network</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Log</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Look again</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Look at the network again</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Looking at the network…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Machines on the same network find each other by key, also without the internet. Who does not know the key learns nothing.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Malay</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Memory</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Message</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Messages</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Models (*.gguf *.bin);;All files (*)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Models I share</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>More about the log</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>More about who may use it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>More for key {short}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>More for this answer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>More for this conversation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>My key</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>My key, {key}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>My message</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Name</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Name on this machine</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Name, as you want to see it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Network</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Network and relays…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>New conversation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No account and no telemetry. Machines find each other by key and talk encrypted end to end.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No machine answers for this key.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No machine of the network answers.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No model in the library</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No model is shared yet.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No model takes in more than {size}. Drop a part of it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No model that understands speech is here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No model that understands speech is on this machine. Get one: download WHISPER_TINY (78 MB) or a larger one, or add a Whisper file (ggml .bin).</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No model yet.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No network</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No other way was found. Try again, or give a second --relay-through KEY.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No provider and no model is called “{text}”.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No request has ended yet</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No requests yet</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No sign of it for {time}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No sound system answers on this machine.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nobody answers.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nobody can connect. Your key stays the same.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nobody connected.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nobody is allowed yet</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nobody is blocked. Block a key to keep it out.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nobody new can connect until the network changes.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Norwegian</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Not connected yet.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Not enough memory for this model. Choose a smaller model, a smaller context or fewer parallel chats.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Not enough memory: this model needs about {needed} GB and {free} GB are free. Close other programs, or choose a smaller model, a smaller context or fewer parallel chats.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Not found on the network</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Not now</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Not reachable.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Not sharing</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Not sure yet what the router in front of this machine does: too few nodes answered, or not all alike. Try again in a minute.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing came from {name} any more.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing comes from it at the moment.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing comes from {name}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing contains “{filter}”</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing contains “{searching}”</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing found</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing has come from it for a while. Try again when it is back.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing is heard: the microphone is muted</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing is running.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing leaves this machine before you choose. You can do the other two later.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Nothing leaves this machine.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Off.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Once you share, each request is written down here: who, when and how much, never what.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>One of the files is no picture that a model can be shown. Send {formats}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>One of the pictures is damaged: it cannot be read. Send it again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open a model file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open all of it ({amount})</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open all of the answer, {amount}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open file…</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>Open the %n line</source>
        <comment>Open all %n lines</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>Open the system&apos;s settings</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open this address in your browser?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open to everybody</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open to everybody?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Open {what}, {amount}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Others can reach this machine directly.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Paste the key its owner gave you</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Paste the key its owner gave you. You see what it shares before you write anything.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Paste the whole key first</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Pasted text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>People I allow</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Persian</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Picture {name}, {info}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Picture {name}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Pin</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Pinned</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Plug one in, then hold the button again. A recording can be dropped here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Polish</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Portuguese</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Progress</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Provider key or qvac:// link</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Provider {name}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Providers</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Providers and models</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Put the translation away</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>QR code of my key</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>QVAC Desktop cannot run a model of this kind. Choose a chat model, one for embeddings, or a Whisper model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>QVAC Desktop could not start</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>QVAC Desktop ended</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>QVAC Desktop is already running with the data folder {folder}. Use that one, or name another folder with --data-dir.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>QVAC Desktop is closing: no model can be loaded now.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>QVAC Desktop made a mistake ({what}).</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Quit</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Quota of {name}, {quota}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Reachable by hole punching.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Reachable by relay only.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Reachable directly.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Reachable.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ready</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Reconnecting to {name}…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Refused by the owner</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Relays</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remove</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remove provider</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remove the relay {key}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remove {name}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remove {name}?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remove {name}…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remove {what}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Remove…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Rename</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Rename the conversation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Rename the conversation…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Rename {name}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Rename {name}…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Rename…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Requests appear above while they run, with a Stop for each.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Retry</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Romanian</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Running for {time}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Running now</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Russian</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Scan it, or copy it. It lets nobody in by itself.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Search</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Search conversations</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Searched names, models and endings.</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>Searched titles and text of %n conversation.</source>
        <comment>Searched titles and text of %n conversations.</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>Select all</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Send</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Send its owner your key and ask again, or choose another machine.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Send some of them with the next one.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Send the message</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Sent when this answer ends. Esc takes it back.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Serbian</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Set on the command line.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Set on the command line: UDP port {port}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Set on the command line: the network is entered at {address}, UDP port {port}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Set on the command line: the network is entered at {address}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Settings</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Share my GPU</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Share {name}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Shared</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Sharing could not be stopped.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Sharing could not start.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Sharing is off</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Sharing is on</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>Show %n more line</source>
        <comment>Show %n more lines</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>Show all of it ({amount})</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show all who ask</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show less</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show the QR code of my key</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show the QR code of my key large</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Since</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Slots</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Slovak</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Slovenian</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Some machines are asked how they see this one.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Spanish</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Speed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Spoken language</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Start a new conversation, or shorten your message.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Start it (PipeWire or PulseAudio on Linux), or drop a recording here.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Start sharing</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Start to chat</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Start to chat on this machine</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Starting.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop and insert</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop and insert what was said</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop inserts</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop request of {who}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop sharing and quit?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop the answer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop the answer that does not come</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop the transcript</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop the translation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stopped after {time}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stopping.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stopping…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Studio laptop</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Subtitles</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Subtitles for the web</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Swahili</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Swedish</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tabs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tamil</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Text of the answer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Text with times</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Thai</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The UDP port cannot be opened ({reason}). Choose another one with --port, or leave it out.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The answer is complete.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The answer was cancelled.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The answer was left before its end.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The answer was stopped.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The connection ended while the model was loading.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The connection ended. Try again when it is back.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The connection was closed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The conversation is longer than the model can take in.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The conversation is longer than this provider&apos;s context. Shorten it or start a new one.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The database is closed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The database is damaged. Start QVAC Desktop again: it will be set aside.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The database was damaged. It is kept as {name} in {folder}, and a new, empty one is in use.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The database {path} is in use by another program.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The disk refused to read or write the database {path}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The download from {place} broke off several times. Try again later; what was downloaded is kept.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The download goes on.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The download was cancelled. What has come so far is kept.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The file is empty.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The identity file came and went. Start QVAC Desktop again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The internet does not answer. Machines on your own network find this one; others when it is back.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The log could not be read.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The log keeps who, when and how much, never what.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The log was not cleared.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The machine did not answer in time.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The machine does not share this model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The machine is not taking requests now.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The machine is online and answered. Send its owner your key: it connects by itself once the key is allowed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The machine is online. It is asked again by itself later; you may want to talk to its owner before.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The machine stopped sharing.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The machine was found but does not answer.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The machine went offline.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The microphone fell silent.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The microphone was unplugged.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The microphone went silent. Trying again…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The model process ended unexpectedly and was restarted.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The model was not downloaded.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The name was not changed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The network could not be looked at.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The network does not lead guests to this machine just now. Its key is announced again by itself.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The owner blocked your key.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The owner can technically read this.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The owner did not let you in.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The owner has not allowed your key yet.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The owner keeps what you write.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The owner no longer allows your key.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The owner no longer shares this model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The owner of {name} blocked your key.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The owner of {name} did not let you in.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The owner of {name} has not allowed your key yet.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The owner of {name} no longer allows your key.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The owner of {name} stopped this answer.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The owner stopped this answer.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The owner took your request out of the line.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The package that hears the microphone is not installed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The peer does not answer yet.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The provider could not load the model. Its owner can see why.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The provider failed to answer. Its owner can see why.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The provider unloaded the model while it was answering. Ask again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The provider&apos;s model cannot do this.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The provider&apos;s model worker ended unexpectedly. Ask again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The provider&apos;s owner can technically read what you send.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The relay between the two machines went away.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The request is still open.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The rule was not changed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The server sends the model over an unencrypted connection: refused.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The settings file could not be read ({reason}). It is kept as {name} in {folder}; the default settings are in use.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The system does not let QVAC Desktop use the microphone.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The system&apos;s keyring does not hold your identity any more. Restore it, start with --seed, or remove {path} to get a new key (people who know the old one will not find you).</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The time for which the owner allowed your key is over.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Theme</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Theme: {name}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>There is no file {path}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>There is no message to answer in this conversation.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>There is no model on this machine yet.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>There is no model on this machine yet. Get a small one, or add a GGUF file.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>There is no sound in this file that can be read: it is damaged, or protected.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>There is no sound in this file.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>These settings in {path} are not understood and have their default: {names}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Thinking</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Thinking…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This address names no file.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This audio is longer than the {time} that are allowed. Send it in parts.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This conversation does not exist any more.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This conversation is still being answered. Stop that answer first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This file cannot be read as sound: it is damaged.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This file holds a vocabulary without a model. Choose a chat model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This file holds no language model. Choose a chat model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This file is a control vector for another model; it cannot answer by itself.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This file is an adapter (LoRA) for another model; it cannot answer by itself.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This file is an importance matrix, a by-product of quantizing; it is no model. Choose a chat model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This file is the vision part (mmproj) of another model; it cannot answer by itself.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This is no sound or video file that can be read. If it should be one, it was cut off or not copied whole: get it again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This is not an address of a model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This is your own key. A relay is another machine, which both of you can reach.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This is your own key. To use this machine&apos;s models, choose This machine.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This is your own key: it means this machine.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This is your own key: you need no permission.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This key was not allowed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This key was not blocked.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This key was not removed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This link begins with {beginning}, one of ours with qvac://.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This machine</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This machine answers anew.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This machine continues with {model}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This machine has no microphone.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This machine has no network.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This machine has no network. Sharing goes on by itself when it is back.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This machine is behind a router that shows everybody another port. Peers behind such a router as well cannot be reached directly: forward the UDP port, use another network, or go through a relay.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This machine is behind a router that shows everybody the same port: most others can be reached.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This model address is too long.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This model cannot see pictures. Choose one with vision, or leave the picture out.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This model could not be shared.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This model is still shared.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This model makes embeddings; it cannot chat. Choose a chat model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This model makes no embeddings. Choose an embedding model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This model makes pictures; it cannot chat. Choose a chat model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This model ranks or classifies texts; it cannot chat. Choose a chat model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This model rewrites texts as T5 does, which QVAC Desktop cannot run. Choose a chat model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This model transcribes no speech. Choose a Whisper model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This model writes by diffusion, which QVAC Desktop cannot run. Choose a chat model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This model writes down what is said; it cannot chat. Choose a chat model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This name is yours; nobody else sees it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This provider cannot tell its models (it is not QVAC Desktop): name the one to use.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This provider is not taking requests now. Ask again later.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This provider shares no model that understands speech with you.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This relay is in the list already.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This request still runs.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This request was lost. Send it again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This system starts no programs at login.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This user may not write the database {path}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This was waiting for its turn and was not sent.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This week</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Thought</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Thought ({amount})</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Thought · {counted}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Thought, {counted}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Time</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Title of the conversation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Today</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tokens in / out</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Tokens today</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Took</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Transcribing</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Transcribing, {done}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Transcribing, {done} of {total}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Transcript</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Transcript of {file}</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>Transcript of {file}, %n line</source>
        <comment>Transcript of {file}, %n lines</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>Translate the selection to</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Translate to</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Translation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Try again</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Try again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Try again. If it stays so, please report it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Try now</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Try to reach the network now</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Try to reach the provider now</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Trying again in about {time}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Turkish</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Type below, or press Ctrl+N anywhere</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>UDP port {wanted} is in use by another program; port {port} is used instead.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Ukrainian</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Unknown key {short} asks to use your GPU</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Unknown keys may ask</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Unpin</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Until I say otherwise</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Urdu</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Use somebody&apos;s GPU</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Use {name}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Valid key</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Valid key.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Vietnamese</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Wait for the microphone…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Waiting for its owner to allow your key.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Waiting for the first bytes…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Waiting for the owner</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Waiting for the owner of {name}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What it runs now is stopped, and its requests are met with silence.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What the model thought</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What was heard until then is kept.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What was heard until then is kept. Hold the button to go on.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What was used, by whom and when is forgotten. The counts of today go on.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What would you like to do?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Where two routers allow no direct path, a relay forwards what it cannot read. Anybody who can be reached runs one with &apos;qvac-desktop relay&apos; and gives you its key. One of the two machines has to name it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Who</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Who may use it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Whoever holds this key may use the models you share.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Write something first</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Write to this address in your mail program?</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Writing the last words…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>You can stop at any time.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Your identity is in the system&apos;s keyring, which does not answer ({reason}). Unlock it, or start with --seed, or with another folder (--data-dir).</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Your key can be found.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Your key is shown there. It connects by itself once the key is allowed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Your tokens for today are used up at this provider.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>a PDF</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>a document of an office program</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>a model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>a packed file</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>a packed file (a ZIP archive, or a document of an office program)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>a program</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>about {time} left</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>answering…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>blocked</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>connecting…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>could not be loaded</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>cut at its greatest length</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>direct</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>done</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>draft</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>embeddings</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>expired</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>failed</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>failed: {reason}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>first token {time}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>folded</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>for embeddings</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>for speech</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>give it to the people you allow</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>guest left</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>guest stopped it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>heard by {who}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>heard on this machine</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>in %n day</source>
        <comment>in %n days</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>in {hours} h</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>in {minutes} min</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>just now</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>length reached</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>loaded</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>loading…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>loads when asked</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>local network</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>longer than the context</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>memory was full</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>model process ended</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>never</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>no prompts or answers are kept</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>not reachable</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>not shared</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>nothing comes</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>nothing was said</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>now</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>offline</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>online</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>open</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>open to everybody</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>others disagree about it</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>path unknown</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>reachable</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>reading…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>refused</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>relay</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>sharing is off</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>sharing is on</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>sharing is on, not reachable</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>so far {time} is kept</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>something that cannot be read</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>speech</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>stopped</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>stopped before the first word</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>stopped, so far {time} is kept</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>the context is full</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>the model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>the model and the file are opened</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>the pasted text</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>translating…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>translation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>tried first</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>waiting for the owner</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>yesterday</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{amount}. Long lines are broken here; a copy has them whole.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{answered} of {asked} nodes answer</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{answers}. Address as others see it: {address}. {router}</source>
        <extracomment>{answers}: &quot;17 of 20 nodes answer&quot;; {address}: &quot;203.0.113.7, port 4711&quot;; {router}: a sentence</extracomment>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{cause} It is tried again by itself.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{cause} Keep the window open: they are saved as soon as that is possible.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{count} context</source>
        <translation type="unfinished"></translation>
    </message>
    <message numerus="yes">
        <source>{count} of %n slot</source>
        <comment>{count} of %n slots</comment>
        <translation type="unfinished">
            <numerusform></numerusform>
            <numerusform></numerusform>
        </translation>
    </message>
    <message>
        <source>{count} of {all} characters.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{count}k context</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{done} of {total} GB</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{done} of {total} MB</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{generated} out</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{host}, port different for each node</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{host}, port {port}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{hours} h</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{hours} h ago</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{hours} h {minutes} min</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{message} {title} understands some hundred languages on this machine ({licence}).</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{minutes} min</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{minutes} min ago</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{minutes} min {seconds} s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{model} is not on this machine any more.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{model} is on this machine now.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{month} {year}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{ms} ms</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{ms} ms · via relay</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{ms} ms · your network</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} ({size} file)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} answers anew.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} cannot be reached.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} cannot be read.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} cannot be sent.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} cannot read pictures. Only your text is answered.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} continues.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} could not be written: {reason}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} did not answer in time.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} does not let you in at the moment.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} does not share this model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} is a folder.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} is asked to go on.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} is back.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} is empty.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} is no ordinary file.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} is not taking requests now.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} is not text.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} is reading…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} is too large: {size}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} is too long: {size}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} is {what}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} keeps what you write in its log.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} lets you in now.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} loads {model}, {percent}%…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} loads {model}…</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} shares no model at the moment. Ask its owner to share one.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} shares no model with you.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} stopped sharing.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} was found but does not answer.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} was not added.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} was written.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{name} went offline.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{number} GB</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{number} MB</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{number} kB</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{number} s</source>
        <extracomment>seconds</extracomment>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{number}%</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{number}M</source>
        <extracomment>millions, short</extracomment>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{number}k</source>
        <extracomment>thousands, short</extracomment>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{path} cannot be read: {reason}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{place} could not be reached. Check the internet connection and try again; what was downloaded is kept.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{place} does not give this model without login. Accept its licence there and set HF_TOKEN.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{place} has no such file (any more). Choose another model.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{place} is overloaded at the moment (HTTP {status}). Try again later.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{place} refused the download (HTTP {status}).</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{prompt} in, {generated} out</source>
        <extracomment>tokens</extracomment>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{rate} tok/s</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{rate}, about {time} left</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{reads} Save it as text, or copy from it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{reads} Text has to be UTF-8 or UTF-16.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{seconds} s ago</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{seconds} s of audio</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{several} and {last}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{size}, loading</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{size}, on this machine</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{size}, ready</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{size}, {licence}, from Hugging Face</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{size}/s</source>
        <extracomment>how fast a download comes: {size} is &quot;9.8 MB&quot;</extracomment>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{speed} × real time</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{title}, pinned, {when}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{used} of {all} tokens</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{used} of {limit}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{who} answered: {text}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{who} answers.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{who} is answering</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{who} will answer, with {model}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{who} will answer.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
</TS>
