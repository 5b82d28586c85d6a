"""What tests in a real browser share."""

# SPDX-License-Identifier: BSD-3-Clause

import re


def contrasts(page, selector):
    """Return the contrast of each text with its ground, after WCAG 2.2."""
    pairs = page.eval_on_selector_all(
        selector,
        """all => all.map(one => {
          const ground = e => getComputedStyle(e).backgroundColor;
          let behind = one;
          while (behind !== document.body && ground(behind) === "rgba(0, 0, 0, 0)") {
            behind = behind.parentElement;
          }
          const colours = [getComputedStyle(one).color, ground(behind)];
          return [...colours, ground(document.body)];
        })""",
    )
    return [contrast(*pair) for pair in pairs]


def contrast(text, ground, behind):
    """Contrast of two CSS colours after WCAG 2.2, the ground drawn over another."""
    text, ground, behind = (channels(colour) for colour in (text, ground, behind))
    alpha = ground[3]
    ground = [
        alpha * a + (1 - alpha) * b for a, b in zip(ground[:3], behind[:3], strict=True)
    ]
    light, dark = sorted((luminance(text[:3]), luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def channels(colour):
    found = [float(part) for part in re.findall(r"[\d.]+", colour)]
    return found if len(found) == 4 else [*found, 1.0]


def luminance(rgb):
    parts = [c / 255 for c in rgb]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    ]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
