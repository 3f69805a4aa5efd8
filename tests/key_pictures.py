"""Pictures of a QR code as people take them: turned, blurred, slanted, noisy, badly lit, white on black."""

from __future__ import annotations

import numpy as np
import segno
from PIL import Image, ImageDraw, ImageFilter

from qvac_core.codec.key_links import qr_text
from tests.pictures import encoded

KEY = bytes(range(32))
HEX = KEY.hex()
OTHER = bytes(range(1, 33))
SMOOTH = Image.Resampling.BICUBIC


def qr(text: str = qr_text(KEY), module: int = 8, border: int = 4, dark: int = 0, light: int = 255) -> Image.Image:
    """As grey. module: pixels a side; border: modules."""
    rows = segno.make(text, error="l", micro=False).matrix
    shades = np.array([[dark if bit else light for bit in row] for row in rows], np.uint8)
    shades = np.pad(shades, border, constant_values=light)
    return Image.fromarray(np.kron(shades, np.ones((module, module), np.uint8)))


def qr_file(text: str = qr_text(KEY), kind: str = "PNG") -> bytes:
    return encoded(qr(text), kind)


def turned(picture: Image.Image, degrees: float, around: int = 200) -> Image.Image:
    return picture.rotate(degrees, SMOOTH, expand=True, fillcolor=around)


def blurred(picture: Image.Image, radius: float) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(radius))


def slanted(picture: Image.Image, share: float) -> Image.Image:
    """As seen from the side: one edge shorter by this share."""
    width, height = picture.size
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    seen = [
        (width * (0.3 + share), height * 0.3),
        (width * 1.3, height * (0.3 + share)),
        (width * (1.3 - share), height * (1.3 - share / 3)),
        (width * 0.3, height * 1.3),
    ]
    equations = []
    for (x, y), (u, v) in zip(seen, corners, strict=True):
        equations.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        equations.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    values = np.linalg.solve(np.array(equations, float), np.array([value for corner in corners for value in corner]))
    size = (int(width * 1.6), int(height * 1.6))
    return picture.transform(size, Image.Transform.PERSPECTIVE, [*values], SMOOTH, fillcolor=140)


def noisy(picture: Image.Image, deviation: float, seed: int = 1) -> Image.Image:
    shades = np.asarray(picture, float)
    shades = shades + np.random.default_rng(seed).normal(0, deviation, shades.shape)
    return Image.fromarray(np.clip(shades, 0, 255).astype(np.uint8))


def half_in_shadow(picture: Image.Image) -> Image.Image:
    shades = np.asarray(picture, float)
    light = np.linspace(0.3, 1.0, shades.shape[1])[None, :]
    return Image.fromarray((shades * light + 20).clip(0, 255).astype(np.uint8))


def photographed(picture: Image.Image) -> Image.Image:
    return noisy(blurred(half_in_shadow(turned(slanted(picture, 0.12), 12, around=120)), 2), 12)


def on_a_screen(picture: Image.Image, size: tuple[int, int] = (2560, 1440)) -> Image.Image:
    """Small, in the middle of much text."""
    screen = Image.new("L", size, 240)
    draw = ImageDraw.Draw(screen)
    for y in range(0, size[1], 20):
        draw.text((10, y), "words and more words " * 20, fill=20)
    screen.paste(picture, (size[0] * 2 // 3, size[1] // 2))
    return screen
