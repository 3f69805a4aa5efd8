"""Starts and ends the window: QApplication, Fusion, theme, the two loops; what was begun is ended before the exit.

The command line calls `run` with a function that makes the core; nothing of Qt is imported before that. There is one
way out, the end of `live`: a closed window, Cmd-Q, `quit()`, a log-off and a signal all only ask for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QSocketNotifier, Qt, QTimer, QUrl, Signal
from PySide6.QtCore import QEventLoop as QtEventLoop
from PySide6.QtGui import QFileOpenEvent, QGuiApplication
from PySide6.QtWidgets import QApplication, QWidget
from qasync import QEventLoop

from app import accessible, first_look, recent_log, window_language
from app.app_icon import app_icon
from app.bridge import CoreProxy, CoreThread
from app.caret import RestingCaret
from app.come_forward import come_forward
from app.core_words import told
from app.i18n import tr
from app.instance import Call, Instance, as_call
from app.own_command import IN_TRAY, QUIT
from app.restart import begin_again
from app.theme import Theme
from app.widgets.dialog import Dialog
from app.window import MainWindow
from qvac_core.core.interface import CoreInterface
from qvac_core.errors import QvacError
from qvac_core.store.folders import DataDir

if TYPE_CHECKING:
    from app.background import Background
    from app.instance import ServeCall
    from app.service import Services
    from app.serving_beside import ServingBeside
    from qvac_core.store.data_move import DataMove

DONE, FAILED, INTERRUPTED = 0, 1, 130
AGAIN = -1  # no exit code: `run` starts the program once more
PAINT_LIMIT = 0.3  # seconds; a window that is covered paints nothing
# At a log-off, in seconds: Windows ends a program that takes more than five.
LOG_OFF_LIMIT = 4.5


def given_link(url: QUrl) -> str:
    """The link that a system handed over as an address; "" for any other.

    Qt takes no part of a host beyond 63 letters, as the DNS does; a key has 64. The address is empty then, and what it
    was stands in Qt's sentence about it alone (6.11.3).
    """
    text = url.toString(QUrl.ComponentFormattingOption.FullyEncoded) or url.errorString()
    found = re.search(r"(?:qvac|pear):[^\s\"]+", text)
    return found[0] if found else ""


class Application(QApplication):
    """Hands on every wish to quit, and ends nothing by itself.

    Qt would leave the event loop at once where no visible window objects: the core stays open, its thread runs on, and
    no `finally` of a coroutine is reached.
    """

    quit_wanted = Signal()
    file_wanted = Signal(str)  # macOS hands a link or a file to the program that runs

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QFileOpenEvent):
            self.file_wanted.emit(event.file() or given_link(event.url()))
            return True
        if event.type() == QEvent.Type.Quit:
            event.ignore()
            self.quit_wanted.emit()
            return True
        return super().event(event)


def run(core_factory: Callable[[], CoreInterface], folder: DataDir | None = None, arguments: Sequence[str] = ()) -> int:
    """Open the window and return the exit code once everything has ended. `core_factory` runs in the core's thread.

    folder: one window for it; when one is running already, that one comes to the front and takes the arguments.
    """
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    call = as_call(arguments)  # before Qt: it takes the token out of the environment
    app = QApplication.instance() or Application(sys.argv[:1])
    assert isinstance(app, QApplication)
    app.setApplicationName("qvac-desktop")
    app.setApplicationDisplayName("QVAC Desktop")
    app.setDesktopFileName("qvac-desktop")
    app.setWindowIcon(app_icon())
    _name_for_taskbar()
    app.setStyle("Fusion")
    window_language.install(app, window_language.setting(folder.settings_file) if folder is not None else "")
    accessible.install()
    instance = Instance(folder) if folder is not None else None
    if QUIT in arguments:
        return end_the_running_one(instance, call) if instance is not None else DONE
    refused: QvacError | None = None
    try:
        if instance is not None and not instance.claim(call):
            print("QVAC Desktop is running already; its window comes to the front.", file=sys.stderr)  # noqa: T201
            return DONE
    except QvacError as error:
        refused = error
    theme = Theme(app)
    first_look.put_on(theme, first_look.read(folder.settings_file) if folder is not None else {})
    loop = QEventLoop(app)
    asyncio.set_event_loop(loop)
    try:
        if refused is not None:
            code = int(loop.run_until_complete(refuse(refused, theme, service_of(folder, refused))))
            return begin_again(arguments) if code == AGAIN else code
        proxy = CoreProxy(CoreThread(core_factory))
        moves: list[DataMove] = []
        code = int(loop.run_until_complete(live(proxy, theme, instance, arguments, moves)))
        if moves and code == AGAIN:
            from app.moving import move_data

            loop.run_until_complete(move_data(moves[0], theme))
    finally:
        loop.close()
        asyncio.set_event_loop(None)
        if instance is not None:
            instance.close()
    return begin_again(arguments) if code == AGAIN else code


def end_the_running_one(instance: Instance, call: Call) -> int:
    """As a log-off does: what is written is kept, nobody is asked. DONE once nothing runs any more."""
    try:
        if instance.claim(call):
            instance.close()
            return DONE
        if instance.wait_for_end():
            return DONE
        print("Error: QVAC Desktop was asked to end and still runs. Quit it by its menu.", file=sys.stderr)  # noqa: T201
    except QvacError as error:
        print(f"Error: {error.message}", file=sys.stderr)  # noqa: T201
    return FAILED


def _name_for_taskbar() -> None:
    """Windows shows the icon of the program that runs, which may be Python's, unless a process says who it is."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.shell32.SetCurrentProcessExplicitAppUserModelID("qvac-desktop")


def service_of(folder: DataDir | None, refused: QvacError) -> Services | None:
    """The service of this data folder, where it may be what holds it."""
    if folder is None or refused.name != "ALREADY_RUNNING":
        return None
    from app.service import services_here  # seldom needed, and not at all before the window is seen

    try:
        services = services_here(folder)
        return services if services.there() else None
    except QvacError:  # no services on this system
        return None


async def refuse(error: QvacError, theme: Theme, service: Services | None = None) -> int:
    """No window: say why, and end when that was read. service: it can be stopped, AGAIN is returned then."""
    left = asyncio.Event()
    interrupts = Interrupts(left.set)
    dialog = _say(theme, error, left.set, tr("Stop the service and open") if service is not None else "")
    accepted = []
    dialog.accepted.connect(lambda: accepted.append(True))
    _on_quit(left.set, left.set)
    try:
        await left.wait()
        if service is not None and accepted:
            try:
                await asyncio.to_thread(service.stop)
            except QvacError as refusal:
                dialog = _say(theme, refusal, left.set)
                left.clear()
                await left.wait()
            else:
                return AGAIN
    finally:
        interrupts.close()
        dialog.hide()
        dialog.deleteLater()
    return INTERRUPTED if interrupts.came else FAILED


def resume_service(folder: DataDir) -> None:
    """One that was stopped for this window waits for its end from now on. Blocks; raises nothing."""
    from app.service import services_here

    with contextlib.suppress(QvacError):  # none on this system, or launchd has it loaded already
        services_here(folder).start()


async def live(
    core: CoreProxy,
    theme: Theme,
    instance: Instance | None = None,
    arguments: Sequence[str] = (),
    moves: list[DataMove] | None = None,
) -> int:
    """The whole life of the window, on the window's loop. moves: takes what is to be moved once all has ended."""
    left = asyncio.Event()
    interrupts = Interrupts(left.set)
    recent_log.install()
    kept = first_look.read(instance.folder.settings_file) if instance is not None else None
    with theme.undressed():
        window = MainWindow(core, theme, kept)
    window.leaving.connect(left.set)
    _on_quit(window.ask_to_leave, window.leave)
    away: list[Background] = []  # once there is one
    caret = RestingCaret(window)
    front: list[QWidget] = [window]
    early = [tuple(arguments)]  # what was asked for before the window had loaded

    def called(call: Call) -> None:
        if QUIT in call.arguments:
            window.leave()
            left.set()  # also where the window has given way to a dialog
            return
        if IN_TRAY not in call.arguments:
            come_forward(window.windows.front if front[-1] is window else front[-1], call.token)
        if not beginning.done():
            early.append(call.arguments)
        elif front[-1] is window:
            window.called.emit(call.arguments)

    if instance is not None:
        instance.called.connect(called)
    app = QApplication.instance()
    if isinstance(app, Application):
        app.file_wanted.connect(lambda wanted: called(Call((wanted,))))
    beside: list[ServingBeside] = []  # once a terminal wants something served

    def serve(call: ServeCall) -> None:
        if not beside:
            from app.serving_beside import ServingBeside  # seldom needed

            beside.append(ServingBeside(core, beginning))
        beside[0].take(call)

    if instance is not None:
        instance.serves.connect(serve)
    code = DONE
    leaving = asyncio.ensure_future(left.wait())
    beginning = asyncio.ensure_future(
        _begin(core, window, away, early, instance.folder if instance is not None else None)
    )
    try:
        await asyncio.wait({beginning, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if beginning.done():
            try:
                beginning.result()
            except QvacError as error:
                code = FAILED
                # A window without a core looks as if it could chat.
                window.hide()
                window.windows.hide()
                front.append(_say(theme, error, left.set))
            await leaving
    finally:
        if beginning.done() and not beginning.cancelled() and beginning.exception() is None:
            window.leave()  # also where a signal ends it: the windows are back as they were
        if instance is not None:
            instance.leave()
        for task in (beginning, leaving):
            task.cancel()
        await asyncio.gather(beginning, leaving, return_exceptions=True)
        for serving in beside:
            await serving.close()
        for shown in front:
            shown.hide()
        for background in away:
            await background.close()
        caret.close()
        await window.unload()
        ended = await core.close()
        interrupts.close()
        for shown in front:
            shown.deleteLater()
    if moves is not None and (move := window.data_move) is not None:
        if ended:
            moves.append(move)
        else:
            print("The data folder is not moved: some of the work did not end.", file=sys.stderr)  # noqa: T201
    if not ended:
        print("Some of the work did not end in time and was cut off.", file=sys.stderr)  # noqa: T201
    return INTERRUPTED if interrupts.came else AGAIN if window.restarts else code


async def _begin(
    core: CoreProxy,
    window: MainWindow,
    away: list[Background],
    asked: list[tuple[str, ...]],
    folder: DataDir | None,
) -> None:
    """asked: what for, by the command line first; it grows until this ends. away: takes its `Background`."""
    if IN_TRAY not in asked[0]:
        # Before the rest of the window is made, and the core even imported: it comes with half of all modules.
        await _show(window)
    from app.background import Background

    await window.furnish()
    if folder is not None:
        window.settings.use(folder)
    background = Background(window, core, window.theme)
    away.append(background)
    await core.start()
    await window.load()
    await background.start(asked[0])
    if folder is not None:
        from app.autostart import Autostart  # not before the window is seen
        from qvac_core.store.data_move import clear_left

        try:
            await asyncio.to_thread(Autostart.of(folder).mend)
        except QvacError as error:
            window.notice.show_notice(tr("What starts at login could not be looked at."), error.message)
        await asyncio.to_thread(clear_left, folder)
        await asyncio.to_thread(resume_service, folder)
    for arguments in asked:
        window.called.emit(arguments)


async def _show(window: MainWindow) -> None:
    """Until it is seen."""
    painted = asyncio.Event()
    window.painted.connect(painted.set)
    window.show()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(painted.wait(), PAINT_LIMIT)


def _say(theme: Theme, error: QvacError, leave: Callable[[], None], remedy: str = "") -> Dialog:
    """It did not start: say why; closing that leaves. remedy: a button that accepts, "" = none."""
    dialog = Dialog(theme, tr("QVAC Desktop could not start"), told(error.message), remedy, cancel=tr("Quit"))
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    dialog.finished.connect(lambda _result: leave())
    print(error.message, file=sys.stderr)  # noqa: T201
    dialog.open()
    return dialog


def _on_quit(ask: Callable[[], None], leave: Callable[[], None]) -> None:
    """`ask`: a person wants to quit. `leave`: the system logs off, which waits for nobody's answer."""
    # The core has to be closed first; the last window may go before that.
    QGuiApplication.setQuitOnLastWindowClosed(False)
    app = QApplication.instance()
    if not isinstance(app, Application):
        return
    app.quit_wanted.connect(ask)

    def log_off() -> None:
        """The system ends what is left once this returns: it returns when all has ended, or nearly too late."""
        leave()
        waiting = QtEventLoop()
        QTimer.singleShot(round(LOG_OFF_LIMIT * 1000), waiting, waiting.quit)
        waiting.exec()

    app.commitDataRequest.connect(log_off)


class Interrupts:
    """Ctrl-C, SIGTERM and a closed terminal while Qt waits.

    Python runs signal handlers only when it runs at all, so a socket wakes it.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self.came = False
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)
        self._notifier = QSocketNotifier(self._reader.fileno(), QSocketNotifier.Type.Read)
        self._notifier.activated.connect(self._woken)
        self._previous_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._previous = {number: signal.signal(number, self._take) for number in _interrupts()}

    def close(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_fd)
        self._notifier.setEnabled(False)
        self._reader.close()
        self._writer.close()

    def _woken(self) -> None:
        self._reader.recv(64)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True
        self._stop()


def _interrupts() -> list[signal.Signals]:
    # SIGBREAK: Windows' Ctrl-Break, and the console that is closed.
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    numbers = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
    # nohup asks to live on.
    return [number for number in numbers if number.name != "SIGHUP" or signal.getsignal(number) is not signal.SIG_IGN]
