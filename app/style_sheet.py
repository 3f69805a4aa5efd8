"""The one application-wide style sheet, written from the tokens.

One sheet only: widgets with sheets of their own miss theme changes and cost time at each polish.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.tokens import Tokens

TONES = ("text", "text2", "text3", "accent", "live", "local", "warn", "danger", "onacc")


def style_sheet(tokens: Tokens, base_points: float, scales: Mapping[str, float], fixed_family: str) -> str:
    parts = [
        _labels(base_points, scales, tokens),
        _buttons(tokens),
        _fields(tokens, fixed_family),
        _frames(tokens),
        _views(tokens),
    ]
    return "\n".join(parts)


def _labels(base_points: float, scales: Mapping[str, float], t: Tokens) -> str:
    rules = [f'QLabel[tone="{tone}"] {{ color: {getattr(t, tone)}; }}' for tone in TONES]
    rules += [
        f'QLabel[scale="{name}"], QPushButton[scale="{name}"] {{ font-size: {base_points * factor:.2f}pt; }}'
        for name, factor in scales.items()
        if name != "body"
    ]
    rules += [f'QLabel[strength="{weight}"] {{ font-weight: {weight}; }}' for weight in (500, 600)]
    small = base_points * scales["small"]
    rules.append(f"""
QLabel {{ background: transparent; }}
QLabel#badge {{ border-radius: 4px; padding: 0 6px; min-height: 18px; font-size: {small:.2f}pt; font-weight: 500;
  color: {t.accent}; background: {t.accent_soft}; }}
QLabel#badge[tone="local"] {{ color: {t.local}; background: {t.local_soft}; }}
QLabel#badge[tone="warn"] {{ color: {t.warn}; background: {t.warn_soft}; }}
QLabel#badge[tone="danger"] {{ color: {t.danger}; background: {t.danger_soft}; }}
QLabel#badge[tone="text2"] {{ color: {t.text2}; background: {t.track}; }}
QLabel#keyCap {{ border: 1px solid {t.ctl}; border-radius: 4px; padding: 0 5px; color: {t.text2}; }}
QLabel#iconTile {{ border-radius: 8px; background: {t.accent_soft}; }}
QLabel#iconTile[tone="local"] {{ background: {t.local_soft}; }}
QLabel#iconTile[tone="danger"] {{ background: {t.danger_soft}; }}
QToolTip {{ color: {t.text}; background: {t.surface}; border: 1px solid {t.ctl}; padding: 4px 6px; }}""")
    return "\n".join(rules)


def _buttons(t: Tokens) -> str:
    return f"""
QPushButton {{ min-height: 26px; padding: 0 12px; border: 1px solid {t.ctl}; border-radius: 6px; font-weight: 500;
  outline: none; color: {t.text}; background: {t.surface}; }}
QPushButton:hover {{ background: {t.sel}; }}
QPushButton:pressed {{ background: {t.track}; }}
QPushButton:disabled {{ color: {t.text3}; border-color: {t.border}; background: transparent; }}
QPushButton[keyboardFocus="true"] {{ border: 2px solid {t.accent}; padding: 0 11px; min-height: 24px; }}
QPushButton[measure="small"] {{ min-height: 22px; padding: 0 9px; }}
QPushButton[measure="small"][keyboardFocus="true"] {{ min-height: 20px; padding: 0 8px; }}
QPushButton[measure="large"] {{ min-height: 30px; padding: 0 14px; }}
QPushButton[measure="large"][keyboardFocus="true"] {{ min-height: 28px; padding: 0 13px; }}
QPushButton[iconOnly="true"] {{ padding: 0; min-width: 26px; max-width: 26px; }}
QPushButton[iconOnly="true"][measure="small"] {{ min-width: 22px; max-width: 22px; }}
QPushButton[iconOnly="true"][keyboardFocus="true"] {{ padding: 0; min-width: 24px; max-width: 24px; }}
QPushButton[iconOnly="true"][measure="small"][keyboardFocus="true"] {{ min-width: 20px; max-width: 20px; }}
QPushButton[kind="primary"] {{ color: {t.onacc}; background: {t.accent}; border-color: {t.accent}; }}
QPushButton[kind="primary"]:hover {{ background: {t.accent_hover}; border-color: {t.accent_hover}; }}
QPushButton[kind="primary"]:pressed {{ background: {t.accent_hover}; }}
QPushButton[kind="primary"]:disabled {{ color: {t.text3}; background: {t.track}; border-color: {t.track}; }}
QPushButton[kind="primary"][keyboardFocus="true"] {{ border: 2px solid {t.text}; }}
QPushButton[kind="danger"] {{ color: {t.danger}; border-color: {t.danger}; background: transparent; }}
QPushButton[kind="danger"]:hover {{ background: {t.danger_soft}; }}
QPushButton[kind="danger"][keyboardFocus="true"] {{ border: 2px solid {t.danger}; }}
QPushButton[kind="flat"] {{ color: {t.text2}; border-color: transparent; background: transparent; }}
QPushButton[kind="flat"]:hover {{ background: {t.sel}; }}
QPushButton[kind="flat"]:checked {{ background: {t.accent_soft}; }}
QPushButton[kind="flat"]:pressed {{ background: {t.track}; }}
QPushButton[kind="flat"][keyboardFocus="true"] {{ border: 2px solid {t.accent}; }}
QPushButton[kind="link"] {{ color: {t.accent}; border-color: transparent; background: transparent; padding: 0 2px; }}
QPushButton[kind="link"]:hover {{ color: {t.accent_hover}; text-decoration: underline; }}
QPushButton[kind="link"][keyboardFocus="true"] {{ border: 2px solid {t.accent}; padding: 0 1px; }}
QPushButton[kind="stop"] {{ color: {t.bg}; background: {t.text}; border-color: {t.text}; }}
QPushButton[kind="stop"]:hover {{ background: {t.text2}; border-color: {t.text2}; }}
QPushButton[kind="stop"][keyboardFocus="true"] {{ border: 2px solid {t.accent}; }}
QPushButton[kind="talk"] {{ color: {t.onacc}; background: {t.accent}; border-color: {t.accent}; border-radius: 14px; }}
QPushButton[kind="talk"][keyboardFocus="true"] {{ border: 2px solid {t.text}; }}
Segment[segment] {{ border: 1px solid {t.ctl}; border-radius: 0; padding: 0 10px; min-height: 22px; font-weight: 400;
  outline: none; color: {t.text2}; background: {t.surface}; }}
Segment[segment]:hover {{ background: {t.sel}; }}
Segment[segment]:pressed {{ background: {t.track}; }}
Segment[segment="middle"] {{ border-right: none; }}
Segment[segment="first"] {{ border-top-left-radius: 6px; border-bottom-left-radius: 6px; border-right: none; }}
Segment[segment="last"] {{ border-top-right-radius: 6px; border-bottom-right-radius: 6px; }}
Segment[segment]:checked {{ color: {t.accent}; background: {t.accent_soft}; font-weight: 600; }}
Segment[segment][keyboardFocus="true"] {{ border: 2px solid {t.accent}; padding: 0 9px; min-height: 20px; }}"""


def _fields(t: Tokens, fixed_family: str) -> str:
    return f"""
QLineEdit, QComboBox {{ min-height: 26px; padding: 0 9px; border: 1px solid {t.ctl}; border-radius: 6px;
  color: {t.text}; background: {t.surface}; selection-color: {t.onacc}; selection-background-color: {t.accent}; }}
QLineEdit:focus, QComboBox:focus {{ border: 2px solid {t.accent}; padding: 0 8px; min-height: 24px; }}
QLineEdit[state="key"], QLineEdit[state="partial"] {{ font-family: "{fixed_family}"; }}
QPlainTextEdit[kind="field"] {{ padding: 4px 5px; border: 1px solid {t.ctl}; border-radius: 6px;
  background: {t.surface}; color: {t.text}; }}
QPlainTextEdit[kind="field"]:focus {{ border: 2px solid {t.accent}; padding: 3px 4px; }}
QLineEdit[state="wrong"] {{ border-color: {t.danger}; }}
QLineEdit[measure="small"] {{ min-height: 22px; }}
QLineEdit[measure="small"]:focus {{ min-height: 20px; }}
QLineEdit:disabled, QComboBox:disabled {{ color: {t.text3}; border-color: {t.border}; }}
QAbstractSpinBox {{ min-height: 26px; padding: 0 22px 0 9px; border: 1px solid {t.ctl}; border-radius: 6px;
  color: {t.text}; background: {t.surface}; selection-color: {t.onacc}; selection-background-color: {t.accent}; }}
QAbstractSpinBox:focus {{ border: 2px solid {t.accent}; padding: 0 21px 0 8px; min-height: 24px; }}
QAbstractSpinBox:disabled {{ color: {t.text3}; border-color: {t.border}; }}
QAbstractSpinBox QLineEdit, QAbstractSpinBox QLineEdit:focus {{ border: none; padding: 0; min-height: 0;
  background: transparent; }}
QDateTimeEdit::drop-down {{ width: 24px; border: none; background: transparent; image: none; }}
QDateTimeEdit::down-arrow {{ image: none; width: 0; height: 0; }}
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {{ width: 22px; border: none; background: transparent; }}
QAbstractSpinBox::up-arrow, QAbstractSpinBox::down-arrow {{ width: 0; height: 0; image: none; }}
QSlider {{ min-height: 20px; background: transparent; }}
QSlider::groove:horizontal {{ height: 4px; border-radius: 2px; background: {t.track}; }}
QSlider[mirrored="false"]::sub-page:horizontal, QSlider[mirrored="true"]::add-page:horizontal {{ border-radius: 2px;
  background: {t.accent}; }}
QSlider::handle:horizontal {{ width: 10px; height: 10px; margin: -5px 0; border: 1.5px solid {t.accent};
  border-radius: 6px; background: {t.surface}; }}
QSlider[keyboardFocus="true"]::handle:horizontal {{ width: 12px; height: 12px; margin: -6px 0; border-width: 2px;
  border-radius: 8px; background: {t.accent_soft}; }}
QSlider[mirrored="false"]::sub-page:horizontal:disabled, QSlider[mirrored="true"]::add-page:horizontal:disabled {{
  background: {t.text3}; }}
QSlider::handle:horizontal:disabled {{ border-color: {t.text3}; }}
QComboBox::drop-down {{ border: none; width: 22px; }}
QComboBox QAbstractItemView {{ border: 1px solid {t.ctl}; padding: 4px; background: {t.surface}; outline: none;
  selection-background-color: {t.sel}; selection-color: {t.text}; }}
QRadioButton, QCheckBox {{ spacing: 8px; min-height: 24px; color: {t.text}; background: transparent; }}
QRadioButton::indicator {{ width: 14px; height: 14px; border: 1px solid {t.ctl}; border-radius: 8px;
  background: {t.surface}; }}
QRadioButton::indicator:checked {{ width: 6px; height: 6px; border: 5px solid {t.accent}; border-radius: 8px; }}
QRadioButton::indicator:focus {{ border-color: {t.accent}; }}
QRadioButton:focus {{ color: {t.accent}; }}
QCheckBox {{ outline: none; }}
QCheckBox::indicator {{ width: 14px; height: 14px; border: 1px solid {t.ctl}; border-radius: 4px;
  background: {t.surface}; }}
QCheckBox::indicator:checked {{ border-color: {t.accent}; background: {t.accent}; }}
QCheckBox::indicator:disabled {{ border-color: {t.border}; background: {t.track}; }}
QCheckBox[keyboardFocus="true"]::indicator {{ width: 12px; height: 12px; border: 2px solid {t.accent}; }}
QCheckBox[keyboardFocus="true"]::indicator:checked {{ border-color: {t.text}; }}"""


def _frames(t: Tokens) -> str:
    return f"""
QFrame#card {{ background: {t.surface}; border: 1px solid {t.border}; border-radius: 10px; }}
QFrame#card[over="true"] {{ border: 2px dashed {t.accent}; }}
QFrame#knock {{ background: {t.surface}; border: 1px solid {t.warn}; border-radius: 10px; }}
QFrame#rule {{ background: {t.border}; border: none; min-height: 1px; max-height: 1px; }}
QFrame#popup {{ background: {t.surface}; border: 1px solid {t.ctl}; border-radius: 8px; }}
QFrame#errorPanel {{ background: {t.danger_soft}; border: 1px solid {t.danger}; border-radius: 8px; }}
QFrame#choices {{ background: {t.surface}; border: 1px solid {t.ctl}; border-radius: 6px; }}
QFrame#askPanel {{ background: {t.warn_soft}; border: 1px solid {t.warn}; border-radius: 8px; }}
QFrame#errorPanel QPushButton[kind="quiet"], QFrame#askPanel QPushButton[kind="quiet"] {{ background: {t.surface}; }}
QFrame#noticeBar {{ background: {t.warn_soft}; border: none; border-bottom: 1px solid {t.warn}; }}
QFrame#settingsRow {{ border: none; border-top: 1px solid {t.border}; background: transparent; }}
QFrame#settingsRow[first="true"] {{ border-top: none; }}
QFrame#settingsSide {{ background: {t.side}; border: none; border-right: 1px solid {t.border}; }}
QWidget#tabRow {{ background: {t.side}; border-bottom: 1px solid {t.border}; }}
QProgressBar {{ border: none; border-radius: 2px; min-height: 4px; max-height: 4px; background: {t.track}; }}
QProgressBar::chunk {{ border-radius: 2px; background: {t.accent}; }}
QProgressBar[still="true"]::chunk {{ background: {t.text3}; }}
QMenu {{ background: {t.surface}; border: 1px solid {t.ctl}; padding: 4px; }}
QMenu::item {{ color: {t.text}; padding: 5px 24px 5px 10px; border-radius: 4px; }}
QMenu::item:selected {{ background: {t.sel}; }}
QMenu::item:disabled {{ color: {t.text3}; }}
QMenu::separator {{ height: 1px; background: {t.border}; margin: 4px 6px; }}
QMenu::icon {{ padding-left: 8px; }}
QDialog {{ background: {t.surface}; }}"""


def _views(t: Tokens) -> str:
    return f"""
QScrollArea, QScrollArea > QWidget#qt_scrollarea_viewport {{ border: none; background: transparent; }}
QScrollArea#page > QWidget#qt_scrollarea_viewport > QWidget {{ background: transparent; }}
QTableView, QListView, QTreeView {{ border: none; background: {t.surface}; outline: none;
  selection-background-color: {t.sel}; selection-color: {t.text}; }}
QListView#conversations {{ background: {t.side}; }}
QListView#languages::item {{ padding: 5px 10px; border-radius: 4px; }}
QListView#languages::item:selected {{ background: {t.sel}; color: {t.text}; }}
QTableView QTableCornerButton::section {{ border: none; background: {t.surface}; }}
QScrollBar:vertical {{ width: 10px; margin: 0; border: none; background: transparent; }}
QScrollBar::handle:vertical {{ min-height: 32px; border-radius: 3px; margin: 2px; background: {t.ctl}; }}
QScrollBar:horizontal {{ height: 10px; margin: 0; border: none; background: transparent; }}
QScrollBar::handle:horizontal {{ min-width: 32px; border-radius: 3px; margin: 2px; background: {t.ctl}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; border: none; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}"""
