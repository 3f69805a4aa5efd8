"""No text of the window stands outside of `tr`: literals given to what shows them, and what reads like a sentence."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from app import i18n

APP = Path(i18n.__file__).parent
TRANSLATED = frozenset({"tr", "trn", "later"})
# What takes nothing but text.
SAYS = frozenset(
    {
        *("setText", "setToolTip", "setPlaceholderText", "setAccessibleName", "setAccessibleDescription", "setTitle"),
        *("setWindowTitle", "setTabText", "setSuffix", "setPrefix", "announce", "show_placeholder"),
    }
)
# What shows or speaks its text arguments. Names of icons, kinds and tones are keywords, and look like no text anyway.
SHOWS = frozenset(
    {
        *("addAction", "addMenu", "addItem"),
        *("Label", "Badge", "Button", "CopyButton", "RadioButton", "Switch", "Dialog", "EmptyState", "Act", "Combo"),
        *("ErrorInfo", "add_field", "show_status", "SearchField", "KeyField", "confirm", "QLabel", "QPushButton"),
        *("QCheckBox", "QAction", "Card", "Column", "StageWords", "notify", "showMessage"),
    }
)
# Words that one of these gets beside its text: icons, kinds, tones, names of errors.
NO_TEXT = re.compile(r"[a-z0-9-]+|[A-Z0-9_{}]+|[^A-Za-z]*")
KEYS = re.compile(r"((Ctrl|Alt|Shift)\+)*(F\d+|Esc|.)")
SENTENCE = re.compile(r"[A-Z][a-z]*[^<>{}=]* [^<>{}=]*|.*[a-z]{2} [a-z]+.*[a-z][.…!?]", re.DOTALL)
# Shown nowhere in the window.
# Only the command line imports these.
OF_THE_COMMAND_LINE = ("cli/", "self_test/", "service.py")
LOGS = frozenset({"debug", "info", "warning", "error", "exception", "print", "log"})
ELSEWHERE = {
    # For logs and programmers.
    "bridge.py": {"the core thread was not started"},
    "presenters/speech.py": {"the catalog lost a name", "MIT License", "Whisper base"},
    "tasks.py": {"A task of the window failed"},
    # The name of the program is its name everywhere.
    "*": {"QVAC Desktop"},
    # Examples of what is typed, in the forms of other programs.
    "presenters/settings_rows.py": {"API key", "LM Studio", "Model Context Protocol"},
    "views/model_server_dialog.py": {"http://127.0.0.1:11434"},
    "views/tool_dialogs.py": {
        "Authorization: Bearer …",
        "JSON (*.json);;(*)",
        "https://…/mcp",
        "npx -y @modelcontextprotocol/server-filesystem ~/Documents",
        '{"mcpServers": {"files": {"command": "npx", "args": ["…"]}}}',
    },
    # What the core says in English, to be recognised.
    "presenters/chat_words.py": {
        "The owner has not allowed your key yet.",
        "The owner did not let you in.",
        "No machine answers for this key.",
        "That is not a public key: no peer can have it.",
        "The machine went offline.",
        "The machine does not share this model.",
        "Both routers block a direct path and no relay is set.",
        "No machine of the network answers.",
        "This machine has no network.",
        "The conversation is longer than the model can take in.",
        "Your tokens for today are used up at this provider.",
        "All that this provider's owner gives its guests today is used up.",
        "Your time of speech for today is used up at this provider.",
    },
    "presenters/share_rows.py": {
        "It was as long as you let",
        "Its tokens for today",
        "QVAC Desktop ended before",
        "The conversation has",
        "The model process ended while",
        "The model process ended",
        "Not enough memory",
        "This message is too long",
        "Too many requests are waiting",
        "This provider is not taking requests",
        "Your tokens for today",
        "A request may take",
        "Loading the model took",
        "An answer may take",
        "The tokens of all guests",
    },
    "widgets/chat/seam.py": {"This machine"},
    # For other programs, in their own words.
    "presenters/program_snippets.py": {
        "Base URL: {}\nAPI key:  {}\nModel:    {}",
        "Name three uses of a barcode.",
        "VS Code",
    },
    # Only the command line says it.
    "network_words.py": {
        "Nobody answers. Check the connection, and whether a firewall blocks UDP; on a closed network give --bootstrap."
    },
    "application.py": {
        "QVAC Desktop is running already; its window comes to the front.",
        "Some of the work did not end in time and was cut off.",
    },
    # A report of a problem, which its maintainers read.
    "views/settings_system.py": {"Python {}", "Qt {}", "QVAC Desktop {}"},
    "window_rows.py": {"Given: {}", "Network: {}"},
    # Names of makers and formats.
    "views/share_status.py": {"NVIDIA "},
    "views/chat_archive.py": {"JSON, ZIP (*.json *.zip)"},
    # To measure with.
    "theme.py": {"Studio laptop 0123456789"},
    # What a file beside a message begins with: models read it, and a later start has to know it again.
    "given_files.py": {"File ", "Transcript of ", "File {}:\n\n{}", "Picture {}.png"},
    "transcript_words.py": {"Transcript of {}{}:\n\n{}"},
}


def _text(node: ast.AST) -> str | None:
    """A literal; an f-string with {} in the place of its fields."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def _without_translated(node: ast.AST) -> Iterator[ast.AST]:
    """What is below `node`, but for docstrings, logging, and what is translated already."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        if isinstance(child, ast.Call):
            name = _name(child.func)
            if name in TRANSLATED or (name in LOGS and not (name == "error" and not child.args)):
                yield from (inner for keyword in child.keywords for inner in _without_translated(keyword))
                continue
        yield child
        if not isinstance(child, ast.JoinedStr):
            yield from _without_translated(child)
        else:
            values = [part for part in child.values if isinstance(part, ast.FormattedValue)]
            yield from (inner for part in values for inner in _without_translated(part))


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _shown(call: ast.Call) -> Iterator[str]:
    """Literals among the text arguments of a call that shows them."""
    spoken = [
        keyword.value for keyword in call.keywords if keyword.arg in ("text", "name", "title", "sentence", "hint")
    ]
    for argument in (*call.args, *spoken):
        options = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
        for option in options:
            text = _text(option)
            # Rich text is built of what is translated already.
            if text is not None and re.search("[A-Za-z]{2}", text.replace("{}", "")) and not text.startswith("<"):
                yield text


def untranslated(source: str) -> set[str]:
    found = set()
    for node in _without_translated(ast.parse(source)):
        if isinstance(node, ast.Call) and _name(node.func) in SAYS:
            found |= {text for text in _shown(node) if not KEYS.fullmatch(text)}
        if isinstance(node, ast.Call) and _name(node.func) in SHOWS:
            found |= {text for text in _shown(node) if not NO_TEXT.fullmatch(text) and not KEYS.fullmatch(text)}
        text = _text(node)
        if text is not None and SENTENCE.fullmatch(text.replace("{}", "")):
            found.add(text)
    return found


def test_every_text_goes_through_tr() -> None:
    found = {}
    for file in sorted(APP.rglob("*.py")):
        name = file.relative_to(APP).as_posix()
        if not name.startswith(OF_THE_COMMAND_LINE) and name != "i18n.py":
            rest = untranslated(file.read_text("utf-8")) - ELSEWHERE.get(name, set()) - ELSEWHERE["*"]
            if rest:
                found[name] = sorted(rest)
    assert not found, "\n".join(f"{name}: {text}" for name, texts in found.items() for text in texts)


def test_what_is_not_translated_is_found() -> None:
    assert untranslated('"""Docstring of a module."""\nbutton = Button(theme, "Stop it", kind="quiet")') == {"Stop it"}
    assert untranslated('x.setText("Stop" if y else tr("Go"))') == {"Stop"}
    assert untranslated('x.setText(f"{count} on")') == {"{} on"}
    assert untranslated('raise StoreError("The disk is full.")') == {"The disk is full."}
    assert untranslated('x.setText(tr("Stop")); log.warning("This is not seen here.")') == set()
    assert untranslated('Button(theme, "", kind="flat", icon="x")') == set()
